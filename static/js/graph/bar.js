// The bar: how partners are chosen, the threshold, and the tools. Its fields follow the state.

import { h, icon, number } from "./dom.js";
import { queryOf } from "./state.js";

/** A threshold from the place of the slider: 0 is none, then from 0.1 % to 100 % in equal ratios.
 * @param {number} place */
export function minimumOf(place) {
  return place <= 0 ? 0 : Number((10 ** (-3 + (3 * (place - 1)) / 99)).toPrecision(2));
}

/** @param {number} minimum */
export function placeOf(minimum) {
  return minimum <= 0 ? 0 : Math.max(1, Math.min(100, Math.round(1 + (99 * (Math.log10(minimum) + 3)) / 3)));
}

/** Ask for another state whenever a field changes.
 * @param {HTMLFormElement} form @param {(changes: any, said: string) => void} ask */
export function listen(form, ask) {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.dataset.role === "slider") tellThreshold(form, minimumOf(Number(event.target.value)));
  });
  form.addEventListener("change", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement || field instanceof HTMLSelectElement)) return;
    if (field.dataset.role === "slider") ask({ min: minimumOf(Number(field.value)) }, `Threshold ${number(100 * minimumOf(Number(field.value)))} %`);
    else if (field.name === "top") ask({ top: Number(field.value) }, `${field.value} partners of each card`);
    else if (field.name === "sort") ask({ sort: field.value }, `Partners chosen by ${field.value}`);
    else if (field.name === "sign") ask({ sign: field.value || null }, field.value ? `Only weights that ${field.value === "+" ? "add" : "take away"}` : "Weights of both signs");
    else if (field.name === "bypass") ask({ bypass: field.value }, `Layers: ${field instanceof HTMLSelectElement ? field.selectedOptions[0].text : field.value}`);
    else if (field instanceof HTMLInputElement && field.name === "between") ask({ between: field.checked }, field.checked ? "Weights between all cards" : "Only unfolded weights");
  });
}

/** Make the fields say a state.
 * @param {HTMLFormElement} form @param {any} state */
export function follow(form, state) {
  for (const name of ["top", "sort", "bypass"]) /** @type {HTMLSelectElement} */ (form.elements.namedItem(name)).value = String(state[name]);
  /** @type {HTMLSelectElement} */ (form.elements.namedItem("sign")).value = state.sign ?? "";
  /** @type {HTMLInputElement} */ (form.elements.namedItem("between")).checked = state.between;
  const slider = /** @type {HTMLInputElement} */ (form.querySelector("[data-role=slider]"));
  slider.value = String(placeOf(state.min));
  tellThreshold(form, state.min);
}

/** @param {HTMLFormElement} form @param {number} minimum */
function tellThreshold(form, minimum) {
  const output = form.querySelector("[data-role=threshold]");
  if (output) output.textContent = minimum ? `${number(100 * minimum)} %` : "none";
}

/** What can be done with the card in focus, at a size for fingers, and what is hidden.
 * @param {HTMLElement} element @param {any} card @param {boolean} isEmbed */
export function tellCurrent(element, card, isEmbed) {
  const { unit } = card;
  const words = `${unit.layer} ${unit.unit}`;
  const button = (/** @type {string} */ list, /** @type {string} */ text, /** @type {Node | null} */ sign, /** @type {any} */ more = {}) =>
    h("button", { type: "button", "data-toggle": list, "aria-label": `${text} ${words}`, ...more }, sign, sign ? null : text);
  const outside = isEmbed ? { target: "_blank", rel: "noopener" } : {};
  const parts = [h("span", { class: "name" }, h("span", { class: "quiet" }, unit.layer), " ", h("b", {}, String(unit.unit)))];
  if (unit.has_inputs) parts.push(button("inputs", `${unit.inputs_unfolded ? "Fold" : "Unfold"} inputs`, null));
  if (unit.has_outputs) parts.push(button("outputs", `${unit.outputs_unfolded ? "Fold" : "Unfold"} outputs`, null));
  if (!unit.is_start) {
    parts.push(button("pin", unit.is_pinned ? "Unpin" : "Pin", icon("pin"), { "aria-pressed": String(unit.is_pinned), title: "Pin (p)" }));
    parts.push(button("hide", "Hide", icon("hide"), { title: "Hide (h)" }));
    parts.push(h("a", { class: "button", href: unit.links.weights, ...outside }, "Start here"));
  }
  parts.push(h("a", { class: "button", href: unit.links.html, ...outside }, "Open"));
  element.replaceChildren(...parts);
}

/** What could not be shown, and what is hidden.
 * @param {HTMLElement} element @param {any} page @param {string | null} trouble */
export function tellNotes(element, page, trouble) {
  const notes = [...(trouble ? [trouble] : []), ...page.notes].map((note) => h("p", { class: "pending" }, note));
  if (page.bypass_words) notes.push(h("p", { class: "quiet" }, page.bypass_words));
  if (page.state.hide.length) {
    const chips = page.state.hide.map((/** @type {string} */ card) => h("button", { class: "gchip", type: "button", "data-shows": card }, card));
    notes.push(h("p", { class: "quiet" }, "Hidden, click to show again: ", ...chips));
  }
  element.replaceChildren(...notes);
}

/** Make the links to other forms of the picture say its state.
 * @param {any} page */
export function tellLinks({ links, state }) {
  const embed = window.location.pathname + queryOf({ ...state, embed: true });
  for (const [name, address] of [["whole", links.whole], ["graphml", links.graphml], ["json", links.self], ["embed", embed], ["circuit", links.circuit], ["circuit_file", links.circuit_file]]) {
    for (const link of document.querySelectorAll(`[data-link=${name}]`)) link.setAttribute("href", address);
  }
}

/** Make tools possible or not.
 * @param {HTMLElement} element @param {Record<string, boolean>} possible by the name of the tool */
export function tellTools(element, possible) {
  for (const [name, isPossible] of Object.entries(possible)) {
    for (const button of element.querySelectorAll(`[data-do=${name}]`)) /** @type {HTMLButtonElement} */ (button).disabled = !isPossible;
  }
}
