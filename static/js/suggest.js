// Suggestions under the search box, as the ARIA combobox pattern has it: the box keeps the focus, arrows move through the list.
// The first entry of the keyboard is what was typed: Enter without a choice searches for it, as the form does without this file.

const WAIT_MS = 120;
const LIMIT = 8;

/** @param {HTMLElement} form */
export function mount(form) {
  const box = form.querySelector("input[type=search]");
  const list = form.querySelector("[role=listbox]");
  const said = form.querySelector("[role=status]");
  if (!(box instanceof HTMLInputElement) || !(list instanceof HTMLElement)) return;
  let timer = 0;
  let chosen = -1;
  /** @type {AbortController | null} */
  let asking = null;

  const close = () => {
    window.clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    chosen = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };

  /** @param {number} place */
  const choose = (place) => {
    chosen = place;
    [...list.children].forEach((entry, number) => entry.setAttribute("aria-selected", String(number === place)));
    const entry = list.children[place];
    if (entry) {
      box.setAttribute("aria-activedescendant", entry.id);
      entry.scrollIntoView({ block: "nearest" });
    } else box.removeAttribute("aria-activedescendant");
  };

  /** @param {{items: any[], total: number}} found */
  const show = (found) => {
    list.replaceChildren(...found.items.map(entryOf));
    chosen = -1;
    list.hidden = found.items.length === 0;
    box.setAttribute("aria-expanded", String(!list.hidden));
    box.removeAttribute("aria-activedescendant");
    if (said) said.textContent = found.total === 0 ? "Nothing found" : `${found.items.length} suggestions`;
  };

  const ask = async () => {
    const q = box.value.trim();
    if (!q || q.length > 200) return close();
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`/api/v1${form.getAttribute("action")}?q=${encodeURIComponent(q)}&limit=${LIMIT}`, { signal: asking.signal });
      if (answer.ok && document.activeElement === box) show(await answer.json());
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "AbortError")) close(); // the form still searches
    }
  };

  box.addEventListener("input", () => {
    window.clearTimeout(timer);
    if (box.value.trim()) timer = window.setTimeout(ask, WAIT_MS);
    else close();
  });
  box.addEventListener("blur", () => window.setTimeout(close, 150));
  box.addEventListener("keydown", (event) => {
    const size = list.children.length;
    if (event.key === "Escape" && !list.hidden) {
      close();
      event.stopImmediatePropagation();
    } else if (list.hidden || size === 0) return;
    else if (event.key === "ArrowDown") choose((chosen + 2) % (size + 1) - 1);
    else if (event.key === "ArrowUp") choose(((chosen + 1 + size) % (size + 1)) - 1);
    else if (event.key === "Enter" && chosen >= 0) follow(list.children[chosen]);
    else return;
    event.preventDefault();
  }, true);
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
  list.addEventListener("click", (event) => follow(/** @type {Element} */ (event.target).closest("[role=option]")));
}

/** @param {Element | null | undefined} entry */
function follow(entry) {
  const address = entry instanceof HTMLElement ? entry.dataset.href : undefined;
  if (address?.startsWith("/")) window.location.assign(address);
}

/** @param {any} item
 * @param {number} place */
function entryOf(item, place) {
  const entry = document.createElement("li");
  entry.id = `suggestion-${place}`;
  entry.setAttribute("role", "option");
  entry.setAttribute("aria-selected", "false");
  entry.dataset.href = item.link;
  const words = document.createElement("span");
  words.append(made("b", "", item.title), made("span", "detail", item.model ? `${item.detail} · ${item.model}` : item.detail));
  entry.append(made("span", "kind", item.kind), words);
  return entry;
}

/** @param {string} name
 * @param {string} style
 * @param {string} text */
function made(name, style, text) {
  const element = document.createElement(name);
  element.className = style;
  element.dir = "auto";
  element.textContent = text;
  return element;
}
