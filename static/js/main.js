// Starts what each element asks for with data-module="name". Small behaviours live here, larger ones in files of their own.

/** @type {Record<string, (element: HTMLElement) => void>} */
const BEHAVIOURS = {
  theme: (button) => button.addEventListener("click", switchTheme),
  help: (button) => button.addEventListener("click", showHelp),
  find: () => {},
  filter: submitOnChange,
  keys: listenToKeys,
  skip: (link) => link.addEventListener("click", skipToContent),
};
const FILES = new Set(["explorer", "boxes", "loupe", "share"]);

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

/** Follow the links of a page by keyboard.
 * @param {HTMLElement} element */
function listenToKeys(element) {
  const { previous, next, up, weights } = element.dataset;
  /** @type {Record<string, string | undefined>} */
  const targets = { j: next, ArrowRight: next, k: previous, ArrowLeft: previous, u: up, w: weights };
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || !targets[event.key]) return;
    event.preventDefault();
    window.location.assign(/** @type {string} */ (targets[event.key]));
  });
}

/** @param {KeyboardEvent} event */
function isTyping(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = event.target;
  if (!(target instanceof Element)) return false;
  const scrolls = event.key.startsWith("Arrow") && target.closest(".explorer") !== null;
  return scrolls || target.closest("input, select, textarea, [contenteditable]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (isTyping(event)) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("find")?.focus();
  } else if (event.key === "?") {
    showHelp();
  } else if (event.key === "t") {
    switchTheme();
  }
});

for (const element of document.querySelectorAll("[data-module]")) {
  if (!(element instanceof HTMLElement)) continue;
  const name = element.dataset.module ?? "";
  if (name in BEHAVIOURS) BEHAVIOURS[name](element);
  else if (FILES.has(name)) import(`./${name}.js`).then((module) => module.mount(element));
}
