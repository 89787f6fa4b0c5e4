// Many lines as one canvas. As elements they would be painted anew with every move, which takes longer than a frame; a canvas
// that reaches a little beyond the window moves with the picture, and is only drawn again where its edge comes into view.

import { h, signOf } from "./dom.js";
import { pathOf, strokeOf } from "./layout.js";

const BEYOND_PX = 320;
const REST_MS = 140;

/** @typedef {{x: number, y: number, scale: number, frame: HTMLElement}} InView */

export class LineCanvas {
  /** @param {HTMLElement} world */
  constructor(world) {
    this.element = /** @type {HTMLCanvasElement} */ (h("canvas", { class: "gall", "aria-hidden": "true", hidden: true }));
    world.append(this.element);
    /** @type {any[]} */
    this.lines = [];
    /** @type {{x0: number, y0: number, x1: number, y1: number, scale: number} | null} what is drawn, of the picture */
    this.drawn = null;
    this.resting = 0;
    /** @type {InView | null} */
    this.view = null;
    const again = () => this.view && this.draw(this.view);
    new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  /** Show some lines, or none.
   * @param {any[]} lines */
  show(lines) {
    this.lines = lines;
    this.drawn = null;
    this.element.hidden = !lines.length;
  }

  /** The picture has moved.
   * @param {InView} view */
  follow(view) {
    this.view = view;
    if (!this.lines.length) return;
    const [x0, y0] = [-view.x / view.scale, -view.y / view.scale];
    const [x1, y1] = [x0 + view.frame.clientWidth / view.scale, y0 + view.frame.clientHeight / view.scale];
    const { drawn } = this;
    if (!drawn || x0 < drawn.x0 || y0 < drawn.y0 || x1 > drawn.x1 || y1 > drawn.y1) return this.draw(view);
    clearTimeout(this.resting);
    if (drawn.scale !== view.scale) this.resting = setTimeout(() => this.draw(view), REST_MS); // until then it is a little blurred
  }

  /** @param {InView} view */
  draw({ x, y, scale, frame }) {
    if (!this.lines.length) return;
    clearTimeout(this.resting);
    const density = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [frame.clientWidth + 2 * BEYOND_PX, frame.clientHeight + 2 * BEYOND_PX];
    const [x0, y0] = [(-x - BEYOND_PX) / scale, (-y - BEYOND_PX) / scale];
    this.drawn = { x0, y0, x1: x0 + width / scale, y1: y0 + height / scale, scale };
    const { x1, y1 } = this.drawn;
    Object.assign(this.element, { width: Math.round(width * density), height: Math.round(height * density) });
    this.element.style.transform = `translate(${x0}px, ${y0}px) scale(${1 / (scale * density)})`;
    const pen = /** @type {CanvasRenderingContext2D} */ (this.element.getContext("2d"));
    const [positive, negative, zero] = ["positive", "negative", "line-strong"].map((name) => colourOf(this.element, name));
    const inks = /** @type {Record<string, string>} */ ({ positive, negative, zero });
    pen.setTransform(scale * density, 0, 0, scale * density, -x0 * scale * density, -y0 * scale * density);
    for (const line of this.lines) {
      if (line.parts.every((/** @type {any} */ part) => part.x1 < x0 || part.x0 > x1 || Math.max(part.y0, part.y1) < y0 || Math.min(part.y0, part.y1) > y1)) continue;
      const { width: breadth, opacity } = strokeOf(line.edge.share);
      pen.strokeStyle = inks[signOf(line.edge.sum)];
      [pen.lineWidth, pen.globalAlpha] = [breadth, opacity];
      pen.stroke((line.path ??= new Path2D(pathOf(line.parts))));
    }
  }
}

/** A colour of the theme as it is now.
 * @param {HTMLElement} element @param {string} name */
function colourOf(element, name) {
  element.style.color = `var(--${name})`;
  const found = getComputedStyle(element).color;
  element.style.removeProperty("color");
  return found;
}
