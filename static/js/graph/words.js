// What is said after an action, for those who hear it.

/** @param {any} layout as it is now @param {string} list @param {string} card @param {boolean} isOff whether the card was taken from the list */
export function wordsOf(layout, list, card, isOff) {
  const name = decodeURIComponent(card).replace(/\/(\d+)$/, " $1");
  if (list === "hide") return `${name} ${isOff ? "shown again" : "hidden"}`;
  if (list === "pin") return `${name} ${isOff ? "unpinned" : "pinned"}`;
  const end = list === "inputs" ? "target" : "source";
  const count = layout.edges.filter((/** @type {any} */ line) => line[end] === card).length;
  if (isOff) return `${list === "inputs" ? "Inputs" : "Outputs"} of ${name} folded`;
  return `${count} ${count === 1 ? list.slice(0, -1) : list} of ${name} unfolded`;
}
