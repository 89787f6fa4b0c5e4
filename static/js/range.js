// Two sliders over a histogram: they move from edge to edge of its bins, and say the edge in the number fields of the form.

/** @param {HTMLElement} field */
export function mount(field) {
  const edges = (field.dataset.edges ?? "").split(" ").map(Number);
  const sliders = [...field.querySelectorAll("input[type=range]")].filter((found) => found instanceof HTMLInputElement);
  const numbers = [...field.querySelectorAll("input[type=number]")].filter((found) => found instanceof HTMLInputElement);
  const shades = [...field.querySelectorAll(".outside")];
  const last = edges.length - 1;
  if (sliders.length !== 2 || numbers.length !== 2) return;

  /** Show where the sliders are. */
  const draw = () => {
    const [low, high] = sliders.map((slider) => Number(slider.value));
    shades[0]?.setAttribute("width", String(low));
    shades[1]?.setAttribute("x", String(high));
    shades[1]?.setAttribute("width", String(last - high));
    for (const slider of sliders) slider.setAttribute("aria-valuetext", Number(edges[Number(slider.value)].toPrecision(3)).toString());
  };

  sliders.forEach((slider, which) => {
    slider.addEventListener("input", () => {
      const [low, high] = sliders.map((found) => Number(found.value));
      if (low > high) slider.value = String(which === 0 ? high : low);
      const place = Number(slider.value);
      const isEnd = place === (which === 0 ? 0 : last);
      numbers[which].value = isEnd ? "" : String(edges[place]);
      draw();
    });
    slider.addEventListener("change", () => field.closest("form")?.requestSubmit());
  });
  numbers.forEach((number, which) => {
    number.addEventListener("input", () => {
      const value = Number(number.value);
      const inside = edges.findIndex((edge) => edge >= value);
      const place = number.value === "" ? (which === 0 ? 0 : last) : inside < 0 ? last : inside;
      sliders[which].value = String(which === 0 && number.value !== "" && edges[place] > value ? Math.max(0, place - 1) : place);
      draw();
    });
  });
}
