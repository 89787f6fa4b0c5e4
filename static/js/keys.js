// The keyboard. Keys of the page follow its links: neighbours, up, and after `g` the page that the second letter stands for.
// Whatever has data-key="x" is pressed by that key. `?` shows all of them.

const PATIENCE_MS = 1500;
let lastG = -Infinity;

export function mount() {
  document.addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    const target = afterG(event) ?? ofPage(event.key);
    if (!target) {
      if (event.key === "g") lastG = event.timeStamp;
      return;
    }
    event.preventDefault();
    press(target);
  });
  const find = document.getElementById("find");
  find?.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.getElementById("main")?.focus();
  });
}

/** Return what the second letter after `g` leads to.
 * @param {KeyboardEvent} event */
function afterG(event) {
  if (event.timeStamp - lastG > PATIENCE_MS) return null;
  lastG = -Infinity;
  return document.querySelector(`[data-go="${CSS.escape(event.key)}"]`) ?? crumb({ m: 1, l: 2 }[event.key]);
}

/** @param {number | undefined} place */
function crumb(place) {
  return place === undefined ? null : (document.querySelectorAll(".crumbs .crumb")[place]?.querySelector("a") ?? null);
}

/** Return what a key presses here: a link, a button, or an address.
 * @param {string} key */
function ofPage(key) {
  if (key === "/") return document.getElementById("find");
  const { previous, next, up, weights } = document.querySelector("[data-module~=keys]")?.dataset ?? {};
  /** @type {Record<string, string | undefined>} */
  const addresses = { j: next, ArrowRight: next, k: previous, ArrowLeft: previous, u: up, w: weights };
  return addresses[key] || document.querySelector(`[data-key="${CSS.escape(key)}"]`);
}

/** @param {Element | string} target */
function press(target) {
  if (typeof target === "string") window.location.assign(target);
  else if (target instanceof HTMLInputElement) target.focus();
  else if (target instanceof HTMLElement) target.click();
}

/** @param {KeyboardEvent} event */
function isTyping(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = event.target;
  if (!(target instanceof Element)) return false;
  const scrolls = event.key.startsWith("Arrow") && target.closest(".explorer, [tabindex='0'][role='region']") !== null;
  return scrolls || target.closest("input, select, textarea, [contenteditable]") !== null;
}
