// The address of the picture on the clipboard: as it is, or where it is long and the server takes what people write, a short one.

import { h } from "./dom.js";

const LONG = 500;
let token = ""; // known until the page is left, and kept nowhere

/** @param {any} page @returns {Promise<string>} what was done */
export async function copyLink({ links }) {
  const address = window.location.pathname + window.location.search;
  if (!links.views || address.length <= LONG) return copy(window.location.href, "Address copied");
  let trouble = "";
  for (;;) {
    const asked = token || (await askToken(address.length, trouble));
    if (asked === null) return "Nothing copied";
    if (asked === "") return copy(window.location.href, "Long address copied");
    const answer = await fetch(links.views, { method: "POST", headers: { authorization: `Bearer ${asked}`, "content-type": "application/json" }, body: JSON.stringify({ address }) });
    const body = await answer.json();
    if (answer.ok) {
      token = asked;
      return copy(window.location.origin + body.url, `Short link copied: ${body.url}`);
    }
    if (answer.status !== 401) throw new Error(body.detail);
    [token, trouble] = ["", body.detail];
  }
}

/** @param {string} address @param {string} words */
async function copy(address, words) {
  try {
    await navigator.clipboard.writeText(address);
  } catch {
    throw new Error(`The browser does not allow copying here. The address is ${address}`);
  }
  return words;
}

/** Ask for the token: empty where the long address will do, null where nothing is wanted.
 * @param {number} length @param {string} trouble @returns {Promise<string | null>} */
function askToken(length, trouble) {
  const field = /** @type {HTMLInputElement} */ (h("input", { type: "password", autocomplete: "current-password", id: "view-token" }));
  const button = (/** @type {string} */ value, /** @type {string} */ words) => h("button", { type: "submit", value, class: value === "short" ? "strong" : null }, words);
  const form = h("form", { method: "dialog" },
    h("h2", {}, "A short link"),
    h("p", { class: "quiet" }, `The address of this picture has ${length} characters. The server can keep it and give it a short link, for those who have the token that \u201cunitscope serve --write\u201d printed.`),
    trouble ? h("p", { class: "pending", role: "alert" }, trouble) : null,
    h("label", { for: "view-token" }, "Token"), field,
    h("p", { class: "gchoices" }, button("short", "Copy short link"), button("long", "Copy the long address"), button("", "Cancel")));
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { class: "gask", "aria-label": "A short link" }, form));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    const typed = field.value.trim();
    resolve(dialog.returnValue === "short" && typed ? typed : dialog.returnValue === "long" ? "" : null);
  }));
}
