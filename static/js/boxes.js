// An image and the units that look at it: pointing at a unit leaves only its own frame.

/** @param {HTMLElement} element */
export function mount(element) {
  const fields = [...element.querySelectorAll(".field")];
  /** @param {string | null} name */
  const light = (name) => {
    element.classList.toggle("focused", name !== null);
    for (const field of fields) field.classList.toggle("lit", field.getAttribute("data-unit") === name);
  };
  for (const unit of element.querySelectorAll("li[data-unit]")) {
    const name = unit.getAttribute("data-unit");
    unit.addEventListener("pointerenter", () => light(name));
    unit.addEventListener("pointerleave", () => light(null));
    unit.addEventListener("focusin", () => light(name));
    unit.addEventListener("focusout", () => light(null));
  }
}
