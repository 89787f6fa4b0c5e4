// What a line says: both ends, the kernel with its numbers, norm, sum and share.

import { h, number, percent, picture, s, signed, signOf, tail } from "./dom.js";
import { bendOf, middleOf, pieces } from "./layout.js";

const REACH_PX = 9;

export class Popover {
  /** @param {HTMLElement} frame */
  constructor(frame) {
    this.frame = frame;
    this.element = h("div", { class: "gpop", role: "tooltip" });
    frame.append(this.element);
    /** @type {string | null} */
    this.shown = null;
  }

  /** @param {any} layout @param {any} line @param {number} clientX @param {number} clientY */
  show(layout, line, clientX, clientY) {
    if (this.shown !== line.name) this.element.replaceChildren(...describe(layout, line));
    this.shown = line.name;
    this.element.classList.add("shown");
    const frame = this.frame.getBoundingClientRect();
    const [width, height] = [this.element.offsetWidth, this.element.offsetHeight];
    const [x, y] = [clientX - frame.left, clientY - frame.top];
    const left = x + 18 + width < frame.width ? x + 18 : Math.max(8, x - 18 - width);
    const top = Math.min(Math.max(8, y - height / 2), Math.max(8, frame.height - height - 8));
    this.element.style.left = `${left}px`;
    this.element.style.top = `${top}px`;
  }

  hide() {
    this.shown = null;
    this.element.classList.remove("shown");
  }
}

/** One sentence about a line, for those who hear it.
 * @param {any} line */
export function sentence({ edge }) {
  const how = edge.exact === null ? "" : edge.exact ? ", exact" : ", linearised";
  const over = edge.over.length ? `, composed over ${edge.over.join(" and ")}` : "";
  return `${edge.source_layer} ${edge.source_unit} to ${edge.target_layer} ${edge.target_unit}: sum ${number(edge.sum, 4)}, norm ${number(edge.norm, 4)}, ${percent(edge.share)} of what feeds the target${how}${over}`;
}

/** The line nearest to a point of the picture, or null where none is near.
 * @param {any} layout @param {{x: number, y: number}} point @param {number} scale */
export function nearestLine(layout, point, scale) {
  let best = null;
  let least = REACH_PX / Math.min(scale, 1.2);
  for (const line of layout.edges) {
    for (const part of line.parts) {
      const { x0, y0, x1, y1 } = part;
      if (point.x < x0 || point.x > x1 || point.y < Math.min(y0, y1) - least || point.y > Math.max(y0, y1) + least) continue;
      const [level, slope] = heightAt(x0, y0, x1, y1, point.x);
      const distance = Math.abs(point.y - level) / Math.hypot(1, slope);
      if (distance <= least) [best, least] = [line, distance];
    }
  }
  return best;
}

/** Where a line is told: the middle of its last piece.
 * @param {any} layout @param {any} line */
export function placeOf(layout, line) {
  return middleOf(pieces(line, layout.cards.get(line.source), layout.cards.get(line.target), layout.sizes));
}

/** Height and slope of the curve at `x`, which grows along it: by halving.
 * @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 @param {number} x @returns {[number, number]} */
function heightAt(x0, y0, x1, y1, x) {
  const bend = bendOf(x0, x1);
  let [low, high] = [0, 1];
  for (let step = 0; step < 14; step += 1) {
    const t = (low + high) / 2;
    const at = (1 - t) ** 3 * x0 + 3 * (1 - t) ** 2 * t * (x0 + bend) + 3 * (1 - t) * t ** 2 * (x1 - bend) + t ** 3 * x1;
    if (at < x) low = t;
    else high = t;
  }
  const t = (low + high) / 2;
  const across = 3 * (1 - t) ** 2 * bend + 6 * (1 - t) * t * (x1 - x0 - 2 * bend) + 3 * t ** 2 * bend;
  return [y0 + (y1 - y0) * t * t * (3 - 2 * t), (6 * t * (1 - t) * (y1 - y0)) / (across || 1)];
}

/** @param {any} layout @param {any} line @returns {Node[]} */
function describe(layout, line) {
  const { edge } = line;
  const [source, target] = [layout.cards.get(line.source).unit, layout.cards.get(line.target).unit];
  const end = (/** @type {any} */ unit) => h("span", {}, picture(unit.sprite, "", 60), h("b", {}, String(unit.unit)), unit.layer);
  const most = scaleOf(layout, edge);
  const facts = [["sum", signed(edge.sum)], ["norm", number(edge.norm, 4)], ["of what feeds the target", percent(edge.share)]];
  if (edge.kernel && most) facts.push(["full colour", number(most)]);
  if (edge.exact !== null) facts.push(["the map is", edge.exact ? "exact" : "linearised"]);
  if (edge.over.length) facts.push(["composed over", edge.over.map((/** @type {string} */ layer) => tail(layer, 24)).join(", ")]);
  const list = h("dl", {});
  for (const [name, value] of facts) list.append(h("dt", {}, name), h("dd", { class: name === "sum" ? signOf(edge.sum) : "" }, value));
  const kernel = edge.kernel ? cells(edge.kernel, most) : edge.image ? h("img", { class: "gcells", src: edge.image, width: 150, height: 150, alt: "Kernel" }) : null;
  return /** @type {Node[]} */ ([h("div", { class: "gends" }, end(source), h("b", { class: signOf(edge.sum) }, "→"), end(target)), kernel, list].filter(Boolean));
}

/** The largest weight between the same two layers: the value with the full colour.
 * @param {any} layout @param {any} edge */
export function scaleOf(layout, edge) {
  const same = layout.edges.filter((/** @type {any} */ other) => other.edge.source_layer === edge.source_layer && other.edge.target_layer === edge.target_layer && other.edge.kernel);
  return Math.max(0, ...same.map((/** @type {any} */ other) => Math.max(...other.edge.kernel.flat().map(Math.abs))));
}

/** A kernel, its numbers written into it where there is room.
 * @param {number[][]} rows @param {number} most */
export function cells(rows, most) {
  const [height, width] = [rows.length, rows[0].length];
  const told = width <= 5 && height <= 5;
  const isOne = width === 1 && height === 1;
  const svg = s("svg", { class: `gcells kernel${isOne ? " one" : ""}`, width: 150, height: 150, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Kernel of ${height} by ${width} weights` });
  rows.forEach((row, y) => row.forEach((value, x) => {
    svg.append(s("rect", { class: signOf(value), x, y, width: 1, height: 1, "fill-opacity": Math.min(1, Math.abs(value) / (most || 1)) }));
    if (told && !isOne) svg.append(s("text", { x: x + 0.5, y: y + 0.59 }, number(value, 2)));
  }));
  return svg;
}
