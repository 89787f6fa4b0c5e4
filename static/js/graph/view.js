// Cards as elements over one SVG with the lines. A new picture changes only what differs; cards keep their elements. To let
// some lines stand out, all are dimmed at once, and those are drawn again above: nothing else is painted anew.

import { LineCanvas } from "./canvas.js";
import { makeCard, refreshCard } from "./cards.js";
import { h, s, signOf, tail } from "./dom.js";
import { middleOf, pathOf, pieces, strokeOf } from "./layout.js";

const ANIMATED_EDGES = 260; // more are drawn on a canvas
const DURATION_MS = 240;
const MOST_KERNELS = 90;
export const KERNEL_PX = 24;

export class View {
  /** @param {HTMLElement} world @param {boolean} isEmbed */
  constructor(world, isEmbed) {
    this.world = world;
    this.isEmbed = isEmbed;
    this.kernels = s("g", {});
    this.lines = s("g", { fill: "none" });
    this.svg = s("svg", { class: "gall", width: 1, height: 1, "aria-hidden": "true" }, this.lines, this.kernels);
    this.top = s("svg", { width: 1, height: 1, "aria-hidden": "true" });
    this.canvas = new LineCanvas(world);
    world.append(this.svg, this.top);
    /** @type {{line: any, path: SVGElement}[]} the lines that stand out */
    this.lit = [];
    /** @type {{line: any, cells: SVGElement}[]} their kernels */
    this.litKernels = [];
    /** @type {[string | null, string | null]} */
    this.focused = [null, null];
    /** @type {Map<string, HTMLElement>} */
    this.cards = new Map();
    /** @type {Map<string, SVGElement>} */
    this.paths = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.headings = new Map();
    /** @type {Map<string, {x: number, y: number}>} */
    this.places = new Map();
    this.frame = 0;
  }

  /** Show a picture.
   * @param {any} layout @param {boolean} animate @param {string} current the card that is a tab stop */
  show(layout, animate, current) {
    this.layout = layout;
    const calm = !animate || layout.edges.length > ANIMATED_EDGES || matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.updateCards(layout, current, !calm);
    this.updateLines(layout);
    this.updateHeadings(layout);
    const before = new Map(this.places);
    const after = /** @type {Map<string, {x: number, y: number}>} */ (new Map([...layout.cards].map(([name, card]) => [name, { x: card.x, y: card.y }])));
    cancelAnimationFrame(this.frame);
    if (calm || before.size === 0) {
      this.place(after);
      return;
    }
    const start = performance.now();
    const step = (/** @type {number} */ now) => {
      const part = Math.min(1, (now - start) / DURATION_MS);
      const eased = 1 - (1 - part) ** 3;
      this.place(new Map([...after].map(([name, to]) => {
        const from = before.get(name) ?? to;
        return [name, { x: from.x + (to.x - from.x) * eased, y: from.y + (to.y - from.y) * eased }];
      })));
      if (part < 1) this.frame = requestAnimationFrame(step);
    };
    step(start);
  }

  /** @param {Map<string, {x: number, y: number}>} places */
  place(places) {
    this.places = places;
    for (const [name, { x, y }] of places) {
      const card = this.cards.get(name);
      if (card) card.style.transform = `translate(${x}px, ${y}px)`;
    }
    /** @type {Map<string, any>} */
    this.parts = new Map();
    for (const line of this.layout.edges) {
      const parts = pieces(line, /** @type {any} */ (places.get(line.source)), /** @type {any} */ (places.get(line.target)), this.layout.sizes);
      this.parts.set(line.name, parts);
      line.parts = parts;
      this.paths.get(line.name)?.setAttribute("d", pathOf(parts));
    }
    for (const { line, path } of this.lit) path.setAttribute("d", pathOf(this.parts.get(line.name)));
    for (const { line, cells } of [...(this.drawn ?? []), ...this.litKernels]) {
      const { x, y } = middleOf(this.parts.get(line.name));
      cells.setAttribute("transform", `translate(${x - KERNEL_PX / 2} ${y - KERNEL_PX / 2})`);
    }
  }

  /** @param {any} layout @param {string} current @param {boolean} isFresh */
  updateCards(layout, current, isFresh) {
    for (const [name, element] of this.cards) {
      if (!layout.cards.has(name)) {
        element.remove();
        this.cards.delete(name);
      }
    }
    const added = document.createDocumentFragment();
    for (const card of layout.cards.values()) {
      let element = this.cards.get(card.name);
      if (!element) {
        element = makeCard(card, this.isEmbed);
        element.classList.toggle("fresh", isFresh);
        this.cards.set(card.name, element);
        added.append(element);
      }
      refreshCard(element, card, card.name === current);
    }
    this.world.append(added);
  }

  /** @param {any} layout */
  updateLines(layout) {
    const isMany = layout.edges.length > ANIMATED_EDGES;
    this.canvas.show(isMany ? layout.edges : []);
    const edges = isMany ? [] : layout.edges;
    const names = new Set(edges.map((/** @type {any} */ line) => line.name));
    for (const [name, path] of this.paths) {
      if (!names.has(name)) {
        path.remove();
        this.paths.delete(name);
      }
    }
    for (const line of edges) this.paths.set(line.name, drawLine(line, "gline", this.paths.get(line.name)));
    this.lines.append(...edges.map((/** @type {any} */ line) => /** @type {SVGElement} */ (this.paths.get(line.name))));
    this.drawn = kernelsOf(layout);
    this.kernels.replaceChildren(...this.drawn.map(({ cells }) => cells));
    this.focus(...this.focused);
  }

  /** @param {any} layout */
  updateHeadings(layout) {
    const shown = new Set(layout.headings.map((/** @type {any} */ heading) => heading.name));
    for (const [name, element] of this.headings) {
      if (!shown.has(name)) {
        element.remove();
        this.headings.delete(name);
      }
    }
    for (const { name, x, y } of layout.headings) {
      const element = this.headings.get(name) ?? h("div", { class: "gheading", title: name }, tail(name, 28));
      element.style.transform = `translate(${x}px, ${y}px)`;
      if (!this.headings.has(name)) this.world.append(element);
      this.headings.set(name, element);
    }
  }

  /** Leave only the lines of one card, or one line, in full strength; all where none is given.
   * @param {string | null} card @param {string | null} chosen the name of a line */
  focus(card, chosen) {
    this.focused = [card, chosen];
    for (const element of [this.svg, this.canvas.element]) element.classList.toggle("focused", card !== null);
    const isLit = (/** @type {any} */ { name, source, target }) => source === card || target === card || name === chosen;
    this.lit = this.layout.edges.filter(isLit).map((/** @type {any} */ line) => {
      const path = drawLine(line, line.name === chosen ? "glit chosen" : "glit");
      if (line.parts) path.setAttribute("d", pathOf(line.parts));
      return { line, path };
    });
    const drawn = (this.drawn ?? []).filter(({ line }) => isLit(line));
    this.litKernels = drawn.map(({ line, cells }) => ({ line, cells: /** @type {SVGElement} */ (cells.cloneNode(true)) }));
    this.top.replaceChildren(...this.lit.map(({ path }) => path), ...this.litKernels.map(({ cells }) => cells));
  }
}

/** A line as an element, in its colour and strength; its way is set later.
 * @param {any} line @param {string} kind its class @param {SVGElement} [path] the element, where there is one */
function drawLine({ edge }, kind, path = s("path", {})) {
  const { width, opacity } = strokeOf(edge.share);
  path.setAttribute("class", `${kind} ${signOf(edge.sum)}`);
  path.setAttribute("stroke-width", String(width));
  path.setAttribute("stroke-opacity", String(opacity));
  return path;
}

/** Small kernels for the middle of the lines, where there are few enough and they are more than one number.
 * @param {any} layout @returns {{line: any, cells: SVGElement}[]} */
export function kernelsOf(layout) {
  const lines = layout.edges.filter(({ edge }) => edge.kernel && (edge.kernel.length > 1 || edge.kernel[0].length > 1));
  if (lines.length > MOST_KERNELS) return [];
  return lines.map((/** @type {any} */ line) => {
    const rows = line.edge.kernel;
    const most = Math.max(...rows.flat().map(Math.abs)) || 1;
    const side = KERNEL_PX / Math.max(rows.length, rows[0].length);
    const cells = s("g", { class: "gkernel" }, s("rect", { class: "ground", width: KERNEL_PX, height: KERNEL_PX }));
    rows.forEach((/** @type {number[]} */ row, /** @type {number} */ y) => row.forEach((value, x) => {
      cells.append(s("rect", { class: signOf(value), x: x * side, y: y * side, width: side, height: side, "fill-opacity": Math.round(Math.abs(value / most) * 1000) / 1000 }));
    }));
    return { line, cells };
  });
}
