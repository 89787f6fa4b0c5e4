// What a page of an exported site can do without a server. A classic script: browsers load no modules from files.

(() => {
  /** @param {string} name */
  const byName = (name) => /** @type {HTMLElement | null} */ (document.querySelector(`[data-module="${name}"]`));

  function switchTheme() {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // Without storage the choice lasts for this page only.
    }
  }

  function showHelp() {
    const dialog = document.getElementById("help");
    if (dialog instanceof HTMLDialogElement && !dialog.open) dialog.showModal();
  }

  /** @param {KeyboardEvent} event */
  function follow(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target instanceof Element && event.target.closest("input, select, textarea")) return;
    const { previous, next, up, weights } = byName("keys")?.dataset ?? {};
    /** @type {Record<string, string | undefined>} */
    const targets = { j: next, ArrowRight: next, k: previous, ArrowLeft: previous, u: up, w: weights };
    if (targets[event.key]) window.location.assign(/** @type {string} */ (targets[event.key]));
    else if (event.key === "/") document.getElementById("find")?.focus();
    else if (event.key === "?") showHelp();
    else if (event.key === "t") switchTheme();
    else return;
    event.preventDefault();
  }

  const MOST = 200;

  /** Show what the words in the address find; every word must be in a name.
   * @param {HTMLElement} list @param {string[][]} index */
  function search(list, index) {
    const asked = new URLSearchParams(window.location.search).get("q") ?? "";
    const field = /** @type {HTMLInputElement | null} */ (document.getElementById("find"));
    if (field) field.value = asked;
    const words = asked.toLowerCase().split(/\s+/).filter(Boolean);
    const found = index.filter(([title, kind]) => words.every((word) => `${title} ${kind}`.toLowerCase().includes(word)));
    for (const [title, kind, address] of found.slice(0, MOST)) {
      const link = Object.assign(document.createElement("a"), { href: encodeURI(address) });
      const words = document.createElement("span");
      words.append(Object.assign(document.createElement("b"), { textContent: title }), " ", Object.assign(document.createElement("span"), { className: "quiet", textContent: kind }));
      link.append(words);
      const item = document.createElement("li");
      item.append(link);
      list.append(item);
    }
    const count = document.getElementById("export-count");
    if (count) count.textContent = `${found.length} found${found.length > MOST ? `, the first ${MOST} shown` : ""}`;
  }

  document.documentElement.dataset.js = "";
  byName("theme")?.addEventListener("click", switchTheme);
  byName("help")?.addEventListener("click", showHelp);
  document.addEventListener("keydown", follow);
  const list = document.getElementById("export-results");
  if (list) {
    const script = Object.assign(document.createElement("script"), { src: "search-index.js" });
    script.addEventListener("load", () => search(list, /** @type {any} */ (window).unitscopeIndex));
    document.head.append(script);
  }
})();
