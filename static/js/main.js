// Starts what each element asks for with data-module="name". The smallest behaviours live here; those in files of their own
// are sent together with this one, as MODULES, by the server; what only a few pages need is imported when it is asked for.
/* global MODULES */

/** @type {Record<string, (element: HTMLElement) => void>} */
const BEHAVIOURS = {
  theme: (button) => button.addEventListener("click", switchTheme),
  help: (button) => button.addEventListener("click", showHelp),
  filter: submitOnChange,
  skip: (link) => link.addEventListener("click", skipToContent),
  unfold: offerUnfolding,
};
const FILES = new Set(["explorer", "layer_map"]);

/** Switch between light and dark, and remember it. */
function switchTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // Without storage the choice lasts for this page only.
  }
}

/** Go to the content without a step in the history: Back leads to the page before, and in the explorer it is undo.
 * @param {Event} event */
function skipToContent(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** Offer to unfold all blocks of a diagram, or to fold them while all are unfolded.
 * @param {HTMLElement} button */
function offerUnfolding(button) {
  const blocks = [...document.querySelectorAll(`${button.dataset.scope} details`)].filter((block) => block instanceof HTMLDetailsElement);
  const isOpen = () => blocks.every((block) => block.open);
  const tell = () => (button.textContent = isOpen() ? "Fold all blocks" : "Unfold all blocks");
  for (const block of blocks) block.addEventListener("toggle", tell);
  button.addEventListener("click", () => {
    const wasOpen = isOpen();
    for (const block of blocks) block.open = !wasOpen;
  });
  tell();
}

/** Show the keyboard help. */
function showHelp() {
  const dialog = document.getElementById("help");
  if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
}

/** Send a form as soon as a choice is made, without its empty fields.
 * @param {HTMLElement} form */
function submitOnChange(form) {
  if (!(form instanceof HTMLFormElement)) return;
  form.addEventListener("submit", () => {
    for (const field of form.elements) {
      if ((field instanceof HTMLInputElement || field instanceof HTMLSelectElement) && !field.value) field.disabled = true;
    }
  });
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
}

/** Start a behaviour on an element.
 * @param {HTMLElement} element
 * @param {string} name */
function start(element, name) {
  if (name in BEHAVIOURS) BEHAVIOURS[name](element);
  else if (name in MODULES) MODULES[name](element);
  else if (FILES.has(name)) import(`./${name}.js`).then((module) => module.mount(element));
}

for (const element of document.querySelectorAll("[data-module]")) {
  if (element instanceof HTMLElement) start(element, element.dataset.module ?? "");
}
for (const name of ["keys", "terms", "ahead"]) start(document.documentElement, name);
for (const grid of document.querySelectorAll(".units, .tiles, .bins, .wall, .few, .kernel-grid")) {
  if (grid instanceof HTMLElement) start(grid, "roving");
}
