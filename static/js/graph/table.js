// The table of weights, made anew when it is open and the picture has changed.

import { h, number, percent, signed, signOf } from "./dom.js";
import { cells, scaleOf } from "./popover.js";

const MOST_ROWS = 200;

/** @param {HTMLElement} details @param {any} layout */
export function fillTable(details, layout) {
  /** @type {Map<string, number>} */
  const scales = new Map();
  const rows = layout.edges.slice(-MOST_ROWS).reverse().map((/** @type {any} */ line) => {
    const { edge } = line;
    const ends = `${edge.source_layer}>${edge.target_layer}`;
    if (!scales.has(ends)) scales.set(ends, scaleOf(layout, edge));
    return row(edge, scales.get(ends) ?? 1);
  });
  details.querySelector("tbody")?.replaceChildren(...rows);
}

/** @param {any} edge @param {number} most */
function row(edge, most) {
  const kernel = edge.kernel ? cells(edge.kernel, most) : edge.image ? h("img", { class: "kernel", src: edge.image, width: 40, height: 40, alt: "Kernel", loading: "lazy" }) : null;
  kernel?.setAttribute("width", "40");
  kernel?.setAttribute("height", "40");
  kernel?.classList.remove("gcells");
  kernel?.querySelectorAll("text").forEach((text) => text.remove());
  const end = (/** @type {string} */ layer, /** @type {number} */ unit) => h("td", {}, h("span", { class: "quiet" }, layer), ` ${unit}`);
  return h("tr", {}, h("td", {}, kernel), end(edge.source_layer, edge.source_unit), end(edge.target_layer, edge.target_unit),
    h("td", { class: `num ${signOf(edge.sum)}` }, signed(edge.sum)), h("td", { class: "num" }, number(edge.norm, 4)), h("td", { class: "num" }, percent(edge.share)),
    h("td", {}, edge.exact === null ? "" : edge.exact ? "exact" : "linearised", edge.over.length ? h("span", { class: "quiet" }, ` over ${edge.over.join(", ")}`) : null));
}
