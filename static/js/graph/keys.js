// The keyboard: from card to card, and what can be done with the card in focus.

/** What a key asks for, or null. Typing in a field is left alone.
 * @param {KeyboardEvent} event @returns {string | null} */
export function actionOf(event) {
  const target = event.target instanceof Element ? event.target : null;
  if (event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return null;
  if (target?.closest("input, select, textarea, [contenteditable]")) return null;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() === "z") return event.shiftKey ? "redo" : "undo";
    return event.key.toLowerCase() === "y" ? "redo" : null;
  }
  return KEYS[event.key] ?? null;
}

/** @type {Record<string, string>} */
const KEYS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  i: "inputs", o: "outputs", h: "hide", p: "pin", f: "fit", u: "undo", U: "redo",
  "+": "in", "=": "in", "-": "out", e: "next line", E: "previous line", Escape: "close",
};

/** The card next to one: up and down in its column; left and right along its strongest weight, else the nearest card.
 * @param {any} layout @param {string} name @param {string} way */
export function neighbour(layout, name, way) {
  const card = layout.cards.get(name);
  const column = layout.columns[card.column];
  const row = column.indexOf(name);
  if (way === "up") return column[row - 1] ?? name;
  if (way === "down") return column[row + 1] ?? name;
  const lines = layout.edges.filter((/** @type {any} */ line) => (way === "left" ? line.target : line.source) === name);
  const strongest = lines.at(-1); // weakest first
  if (strongest) return way === "left" ? strongest.source : strongest.target;
  const beside = layout.columns[card.column + (way === "left" ? -1 : 1)] ?? [name];
  const distance = (/** @type {string} */ other) => Math.abs(layout.cards.get(other).y - card.y);
  return beside.reduce((best, other) => (distance(other) < distance(best) ? other : best));
}

/** The lines of a card from top to bottom, inputs first: what stepping through them follows.
 * @param {any} layout @param {string} name */
export function linesOf(layout, name) {
  const height = (/** @type {string} */ other) => layout.cards.get(other).y;
  const inputs = layout.edges.filter((/** @type {any} */ line) => line.target === name).sort((a, b) => height(a.source) - height(b.source));
  const outputs = layout.edges.filter((/** @type {any} */ line) => line.source === name).sort((a, b) => height(a.target) - height(b.target));
  return [...inputs, ...outputs];
}
