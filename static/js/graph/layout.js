// Where cards and lines are. The server decides the order in each column; here each card gets as near to its neighbours as
// the order and the room allow.

import { nameOf } from "./state.js";

const SWEEPS = 3;
const HEADING = 34;
const LANE = 6; // half of the room that a line takes where it passes a column
const MOST_LANES = 80;

/** Sizes in pixels, from what the style sheet says of a card.
 * @param {Element} element */
export function sizesOf(element) {
  const style = getComputedStyle(element);
  const width = parseFloat(style.getPropertyValue("--card-w"));
  const height = parseFloat(style.getPropertyValue("--card-h"));
  return { width, height, gapX: width > 220 ? 128 : 116, gapY: 16 };
}

/** Return cards, lines and headings with their places.
 * @param {any} page the twin of the page
 * @param {{width: number, height: number, gapX: number, gapY: number}} sizes */
export function layOut(page, sizes) {
  const columns = page.columns.map((/** @type {any} */ column) => column.units.map((/** @type {any} */ unit) => nameOf(unit.layer, unit.unit)));
  /** @type {Map<string, number>} */
  const columnOf = new Map(columns.flatMap((/** @type {string[]} */ names, /** @type {number} */ place) => names.map((name) => [name, place])));
  const edges = page.edges.map((/** @type {any} */ edge) => {
    const source = nameOf(edge.source_layer, edge.source_unit);
    const target = nameOf(edge.target_layer, edge.target_unit);
    return { name: `${source}>${target}`, source, target, edge, lanes: [] };
  });
  const middle = page.columns.findIndex((/** @type {any} */ column) => column.depth === 0);
  const heights = placeRows(columns, edges, middle, sizes.height + sizes.gapY);
  makeLanes(columns, edges, heights, columnOf, sizes);
  const top = Math.min(...heights.values());
  const pitch = sizes.width + sizes.gapX;
  /** @type {Map<string, any>} */
  const cards = new Map();
  /** @type {any[]} */
  const headings = [];
  page.columns.forEach((/** @type {any} */ column, /** @type {number} */ place) => {
    for (const unit of column.units) {
      const name = nameOf(unit.layer, unit.unit);
      cards.set(name, { name, unit, column: place, x: place * pitch, y: /** @type {number} */ (heights.get(name)) - top + HEADING });
    }
    headings.push({ name: column.layer, x: place * pitch, y: cards.get(columns[place][0]).y - 26 });
  });
  for (const line of edges) for (const lane of line.lanes) Object.assign(lane, { x: lane.column * pitch, y: lane.y - top + HEADING });
  const height = Math.max(...[...cards.values()].map((card) => card.y)) + sizes.height;
  return { cards, edges, headings, columns, width: columns.length * pitch - sizes.gapX, height, sizes };
}

/** The pieces of a line: from card to card, and straight past the columns that it passes.
 * @param {any} line @param {{x: number, y: number}} source corner of a card @param {{x: number, y: number}} target
 * @param {{width: number, height: number}} sizes @param {{x: number, y: number}} [by] how far all is moved
 * @returns {{x0: number, y0: number, x1: number, y1: number}[]} */
export function pieces(line, source, target, sizes, by = { x: 0, y: 0 }) {
  const found = [];
  let [x, y] = [source.x + sizes.width, source.y + sizes.height / 2];
  for (const lane of line.lanes) {
    found.push({ x0: x, y0: y, x1: lane.x + by.x, y1: lane.y + by.y });
    [x, y] = [lane.x + sizes.width + by.x, lane.y + by.y];
  }
  return [...found, { x0: x, y0: y, x1: target.x, y1: target.y + sizes.height / 2 }];
}

/** The pieces of a line as a path.
 * @param {{x0: number, y0: number, x1: number, y1: number}[]} parts */
export function pathOf(parts) {
  return parts.map(({ x0, y0, x1, y1 }, place) => {
    const bend = bendOf(x0, x1);
    const start = `${place ? "L" : "M"}${round(x0)} ${round(y0)}`;
    return `${start}C${round(x0 + bend)} ${round(y0)} ${round(x1 - bend)} ${round(y1)} ${round(x1)} ${round(y1)}`;
  }).join("");
}

/** How far a curve runs level from its ends.
 * @param {number} x0 @param {number} x1 */
export function bendOf(x0, x1) {
  return (x1 - x0) / 2;
}

/** Where the kernel of a line is drawn: in the middle of its last piece.
 * @param {{x0: number, y0: number, x1: number, y1: number}[]} parts */
export function middleOf(parts) {
  const { x0, y0, x1, y1 } = /** @type {{x0: number, y0: number, x1: number, y1: number}} */ (parts.at(-1));
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2 };
}

/** How broad a line is: by the part of the norm, so that the same weight is as broad in every picture.
 * @param {number | null} share */
export function strokeOf(share) {
  const strength = Math.sqrt(Math.min(1, Math.max(0, share ?? 0)));
  return { width: round(0.9 + 8.1 * strength), opacity: round(0.35 + 0.6 * Math.sqrt(strength)) };
}

/** Heights of all cards: columns from the middle outwards, a few times.
 * @param {string[][]} columns @param {any[]} edges @param {number} middle @param {number} step */
function placeRows(columns, edges, middle, step) {
  /** @type {Map<string, string[]>} */
  const neighbours = new Map();
  const join = (/** @type {string} */ a, /** @type {string} */ b) => neighbours.get(a)?.push(b) ?? neighbours.set(a, [b]);
  for (const { source, target } of edges) {
    join(source, target);
    join(target, source);
  }
  const outwards = columns.map((_, place) => place).sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle) || a - b);
  /** @type {Map<string, number>} */
  const heights = new Map();
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const place of outwards) {
      const wanted = columns[place].map((card) => mean((neighbours.get(card) ?? []).map((other) => heights.get(other)), heights.get(card)));
      spread(wanted, wanted.map((_, row) => row * step)).forEach((height, row) => heights.set(columns[place][row], height));
    }
  }
  return heights;
}

/** Give each line that passes columns a lane between their cards, which move apart; where there are many, they pass behind.
 * @param {string[][]} columns @param {any[]} edges @param {Map<string, number>} heights tops of cards, changed here
 * @param {Map<string, number>} columnOf @param {{height: number, gapY: number}} sizes */
function makeLanes(columns, edges, heights, columnOf, sizes) {
  const at = (/** @type {Map<string, any>} */ map, /** @type {string} */ name) => /** @type {number} */ (map.get(name));
  const passing = edges.filter(({ source, target }) => at(columnOf, target) - at(columnOf, source) > 1);
  if (passing.length > MOST_LANES) return;
  const half = sizes.height / 2;
  columns.forEach((names, column) => {
    const items = names.map((name) => ({ name, y: at(heights, name) + half, half, lane: /** @type {any} */ (null) }));
    for (const line of passing) {
      const [from, to] = [at(columnOf, line.source), at(columnOf, line.target)];
      if (from >= column || to <= column) continue;
      const part = (column - from) / (to - from);
      const lane = { column, y: 0 };
      line.lanes.push(lane);
      items.push({ name: "", y: (1 - part) * at(heights, line.source) + part * at(heights, line.target) + half, half: LANE, lane });
    }
    if (items.length === names.length) return;
    items.sort((a, b) => a.y - b.y);
    let offset = 0;
    const offsets = items.map((item, row) => {
      const before = items[row - 1];
      if (before) offset += before.half + item.half + (before.lane && item.lane ? 0 : before.lane || item.lane ? LANE : sizes.gapY);
      if (before && item.name === names[0]) offset += HEADING / 2; // the name of the layer stands above the first card
      return offset;
    });
    spread(items.map((item) => item.y), offsets).forEach((y, row) => {
      if (items[row].lane) items[row].lane.y = y;
      else heights.set(items[row].name, y - half);
    });
  });
}

/** @param {(number | undefined)[]} values @param {number | undefined} otherwise */
function mean(values, otherwise) {
  const known = values.filter((value) => value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : (otherwise ?? 0);
}

/** Heights as near as possible to the wanted ones, in their order and as far apart as the offsets (pool adjacent violators).
 * @param {number[]} wanted @param {number[]} offsets the least distance of each from the first */
function spread(wanted, offsets) {
  /** @type {{sum: number, count: number}[]} */
  const blocks = [];
  wanted.forEach((value, row) => {
    blocks.push({ sum: value - offsets[row], count: 1 });
    while (blocks.length > 1 && level(blocks.at(-2)) >= level(blocks.at(-1))) {
      const last = /** @type {{sum: number, count: number}} */ (blocks.pop());
      const before = /** @type {{sum: number, count: number}} */ (blocks.at(-1));
      before.sum += last.sum;
      before.count += last.count;
    }
  });
  return blocks.flatMap((block) => Array(block.count).fill(level(block))).map((value, row) => value + offsets[row]);
}

/** @param {{sum: number, count: number} | undefined} block */
function level(block) {
  return block ? block.sum / block.count : 0;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 100) / 100;
}
