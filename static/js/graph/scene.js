// The picture as a list of simple shapes, from which SVG and PNG files are drawn alike.

import { signOf, tail } from "./dom.js";
import { middleOf, pathOf, pieces, strokeOf } from "./layout.js";
import { KERNEL_PX, kernelsOf } from "./view.js";

const PAD = 36;
const HEAD = 54;
const FOOT = 62;
const TILE = 56;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** @typedef {{kind: "path", d: string, stroke: string, width: number, opacity: number}} PathShape */
/** @typedef {{kind: "rect", x: number, y: number, width: number, height: number, radius: number, fill: string, opacity: number, stroke: string | null, border: number}} RectShape */
/** @typedef {{kind: "image", x: number, y: number, size: number, picture: HTMLCanvasElement}} ImageShape */
/** @typedef {{kind: "text", x: number, y: number, text: string, size: number, weight: number, fill: string}} TextShape */
/** @typedef {{width: number, height: number, ground: string, font: string, shapes: (PathShape | RectShape | ImageShape | TextShape)[]}} Scene */

/** @param {any} layout @param {any} page @returns {Promise<Scene>} */
export async function sceneOf(layout, page) {
  const colour = colours(["surface", "raised", "line", "line-strong", "text", "quiet", "accent", "positive", "negative", "kernel-ground", "empty"]);
  const pictures = await loadPictures(layout);
  /** @type {Scene["shapes"]} */
  const shapes = [];
  const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ words, size = 13, weight = 400, fill = colour.text) => shapes.push({ kind: "text", x, y, text: words, size, weight, fill });
  const rect = (/** @type {Partial<RectShape> & {x: number, y: number, width: number, height: number, fill: string}} */ given) => shapes.push({ kind: "rect", radius: 0, opacity: 1, stroke: null, border: 1, ...given });
  const inkOf = (/** @type {number} */ value) => ({ positive: colour.positive, negative: colour.negative, zero: colour["line-strong"] })[signOf(value)] ?? colour.text;
  const at = (/** @type {{x: number, y: number}} */ card) => ({ x: card.x + PAD, y: card.y + PAD + HEAD });

  text(PAD, 40, `Weights of ${page.layer} ${page.unit}`, 20, 650);
  text(PAD, 60, `${page.model} · red adds, blue takes away`, 13, 400, colour.quiet);
  const partsOf = (/** @type {any} */ line) => pieces(line, at(layout.cards.get(line.source)), at(layout.cards.get(line.target)), layout.sizes, { x: PAD, y: PAD + HEAD });
  for (const line of layout.edges) shapes.push({ kind: "path", d: pathOf(partsOf(line)), stroke: inkOf(line.edge.sum), ...strokeOf(line.edge.share) });
  for (const { line, cells } of kernelsOf(layout)) {
    const [x, y] = Object.values(middleOf(partsOf(line))).map((value) => value - KERNEL_PX / 2);
    for (const cell of cells.children) {
      const [left, top, width, height] = ["x", "y", "width", "height"].map((name) => Number(cell.getAttribute(name) ?? 0));
      const isGround = cell.classList.contains("ground");
      rect({ x: x + left, y: y + top, width, height, fill: isGround ? colour["kernel-ground"] : inkOf(cell.classList.contains("positive") ? 1 : -1), opacity: isGround ? 1 : Number(cell.getAttribute("fill-opacity")), stroke: isGround ? colour["line-strong"] : null });
    }
  }
  for (const heading of layout.headings) text(at(heading).x, at(heading).y + 14, tail(heading.name, 28), 12, 500, colour.quiet);
  for (const card of layout.cards.values()) drawCard(card, at(card));
  const foot = PAD + HEAD + layout.height + 30;
  const width = Math.max(layout.width + 2 * PAD, 560);
  [[0.01, "1 %"], [0.1, "10 %"], [1, "100 %"]].forEach(([share, words], place) => {
    const x = PAD + place * 84;
    shapes.push({ kind: "path", d: `M${x} ${foot}h26`, stroke: colour.quiet, width: strokeOf(Number(share)).width, opacity: 1 });
    text(x + 32, foot + 4, String(words), 12, 400, colour.quiet);
  });
  text(PAD + 252, foot + 4, "of the squared norm of what feeds the target", 12, 400, colour.quiet);
  text(PAD, foot + 26, `unitscope · ${tail(decodeURIComponent(page.links.whole), Math.floor(width / 7))}`, 11, 400, colour.quiet);
  return { width, height: layout.height + PAD + HEAD + FOOT + 24, ground: colour.surface, font: FONT, shapes };

  /** @param {any} card @param {{x: number, y: number}} place */
  function drawCard({ name, unit }, { x, y }) {
    const { width: wide, height: tall } = layout.sizes;
    rect({ x, y, width: wide, height: tall, radius: 10, fill: colour.raised, stroke: unit.is_start ? colour.accent : colour.line, border: unit.is_start ? 2 : 1 });
    const tile = pictures.get(name);
    const top = y + (tall - TILE) / 2;
    if (tile) shapes.push({ kind: "image", x: x + 12, y: top, size: TILE, picture: tile });
    else rect({ x: x + 12, y: top, width: TILE, height: TILE, radius: 5, fill: colour.empty });
    const middle = y + tall / 2 - (unit.label ? 8 : 0);
    text(x + 78, middle - 2, String(unit.unit), 17, 650);
    text(x + 78, middle + 15, tail(unit.layer, 18), 11.5, 400, colour.quiet);
    if (unit.label) text(x + 78, middle + 31, unit.label.length > 18 ? `${unit.label.slice(0, 17)}…` : unit.label, 11.5, 400, colour.accent);
  }
}

/** The small pictures of all cards, each cut from its sheet.
 * @param {any} layout @returns {Promise<Map<string, HTMLCanvasElement>>} */
async function loadPictures(layout) {
  /** @type {Map<string, Promise<HTMLImageElement>>} */
  const sheets = new Map();
  /** @type {Map<string, HTMLCanvasElement>} */
  const found = new Map();
  for (const { name, unit } of layout.cards.values()) {
    if (!unit.sprite) continue;
    const { url, x, y, width, height } = unit.sprite;
    if (!sheets.has(url)) sheets.set(url, load(url));
    const sheet = await sheets.get(url);
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d")?.drawImage(/** @type {HTMLImageElement} */ (sheet), x, y, width, height, 0, 0, width, height);
    found.set(name, canvas);
  }
  return found;
}

/** @param {string} url */
async function load(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** The colours of the theme as it is now, as numbers and not as names.
 * @param {string[]} names @returns {Record<string, string>} */
function colours(names) {
  const probe = document.body.appendChild(document.createElement("i"));
  const found = names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(found);
}
