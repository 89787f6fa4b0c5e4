// The forms in which people say something: the name and the token stay for the next form, and `s` stars.

const NAME = "unitscope-author";
const TOKEN = "unitscope-token";

/** Return what a storage holds, or an empty text where there is none.
 * @param {() => Storage} storage @param {string} key */
function recall(storage, key) {
  try {
    return storage().getItem(key) ?? "";
  } catch {
    return ""; // without storage the fields stay empty
  }
}

/** @param {() => Storage} storage @param {string} key @param {string} value */
function remember(storage, key, value) {
  try {
    storage().setItem(key, value);
  } catch {
    // Without storage it has to be written again.
  }
}

const local = () => localStorage;
const tab = () => sessionStorage;

/** @param {HTMLFormElement} form @param {string} name */
function field(form, name) {
  const found = form.elements.namedItem(name);
  return found instanceof HTMLInputElement ? found : null;
}

/** Fill in the name and the token of last time, and keep those of this time: the token until the tab is closed.
 * @param {HTMLFormElement} form */
function keepFields(form) {
  const author = field(form, "author");
  const token = field(form, "token");
  if (author && !author.value) author.value = recall(local, NAME);
  if (token) token.value = recall(tab, TOKEN);
  form.addEventListener("submit", () => {
    if (author) remember(local, NAME, author.value);
    if (token) remember(tab, TOKEN, token.value);
  });
}

/** @param {KeyboardEvent} event */
function isTyping(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  if (document.querySelector("dialog[open]")) return true;
  return event.target instanceof Element && event.target.closest("input, select, textarea") !== null;
}

/** Star what the page shows, or ask for the token.
 * @param {HTMLFormElement} form */
function star(form) {
  const details = form.closest("details");
  if (details) details.open = true;
  if (field(form, "token")?.value) form.requestSubmit();
  else field(form, "token")?.focus();
}

/** @param {HTMLElement} element */
export function mount(element) {
  const forms = element instanceof HTMLFormElement ? [element] : [...element.querySelectorAll("form")];
  forms.forEach(keepFields);
  const starred = forms.find((form) => "star" in form.dataset);
  if (!starred) return;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "s" || isTyping(event)) return;
    event.preventDefault();
    star(starred);
  });
}
