// Explanations for those who do not point with a mouse: each word that has one can be reached by Tab and tapped, and the same
// word is one stop of the Tab key, not ten. Without this file every one is a stop, and its explanation stands at the lower edge.

/** @param {HTMLElement} root */
export function mount(root) {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);

  /** @type {Set<string>} */
  const seen = new Set();
  for (const term of root.querySelectorAll("abbr[title]")) {
    if (!(term instanceof HTMLElement)) continue;
    term.tabIndex = seen.has(term.title) ? -1 : 0;
    seen.add(term.title);
  }

  root.addEventListener("focusin", (event) => show(tip, termOf(event)));
  root.addEventListener("focusout", () => show(tip, null));
  root.addEventListener("click", (event) => show(tip, termOf(event)));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(tip, null);
  });
  window.addEventListener("resize", () => show(tip, null));
}

/** @param {Event} event */
function termOf(event) {
  const term = event.target instanceof Element ? event.target.closest("abbr[title]") : null;
  return term instanceof HTMLElement ? term : null;
}

/** Show the explanation of a word below it, or none.
 * @param {HTMLElement} tip
 * @param {HTMLElement | null} term */
function show(tip, term) {
  tip.hidden = term === null;
  if (term === null) return;
  tip.textContent = term.title;
  const box = term.getBoundingClientRect();
  const width = Math.min(320, document.documentElement.clientWidth - 24);
  tip.style.width = `${width}px`;
  tip.style.left = `${Math.max(12, Math.min(box.left, document.documentElement.clientWidth - width - 12)) + window.scrollX}px`;
  tip.style.top = `${box.bottom + 6 + window.scrollY}px`;
}
