// The weight explorer: begins with the middle in view, and pointing at a card leaves only its own weights.

/** @param {HTMLElement} element */
export function mount(element) {
  centre(element);
  const lines = [...element.querySelectorAll(".line")];
  /** @param {Element | null} card */
  const light = (card) => {
    const name = card?.getAttribute("data-card");
    element.classList.toggle("focused", Boolean(name));
    for (const line of lines) {
      const isOwn = line.getAttribute("data-source") === name || line.getAttribute("data-target") === name;
      line.classList.toggle("lit", Boolean(name) && isOwn);
    }
  };
  for (const card of element.querySelectorAll("[data-card]")) {
    card.addEventListener("pointerenter", () => light(card));
    card.addEventListener("pointerleave", () => light(null));
    card.addEventListener("focusin", () => light(card));
    card.addEventListener("focusout", () => light(null));
  }
}

/** Scroll so that the unit in the middle is in the middle.
 * @param {HTMLElement} element */
function centre(element) {
  const middle = element.querySelector(".card.middle .frame");
  if (!middle || element.scrollWidth <= element.clientWidth) return;
  const box = middle.getBoundingClientRect();
  const frame = element.getBoundingClientRect();
  element.scrollLeft += box.left + box.width / 2 - (frame.left + frame.width / 2);
}
