// A grid of links, or of boxes, is one stop of the Tab key; arrow keys, Home and End walk through it, Enter opens, Space chooses.

/** @param {HTMLElement} grid */
export function mount(grid) {
  const links = [...grid.querySelectorAll("a[href], input[type=checkbox]")].filter((link) => link instanceof HTMLElement);
  if (links.length < 2) return;
  let current = links[0];
  for (const link of links) link.tabIndex = link === current ? 0 : -1;

  grid.addEventListener("focusin", (event) => {
    const link = links.find((one) => one === event.target);
    if (!link) return;
    current.tabIndex = -1;
    link.tabIndex = 0;
    current = link;
  });
  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !links.includes(/** @type {HTMLElement} */ (event.target))) return;
    const next = neighbour(links, links.indexOf(current), event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
}

/** Return the link that a key leads to.
 * @param {HTMLElement[]} links
 * @param {number} place
 * @param {string} key */
function neighbour(links, place, key) {
  const last = links.length - 1;
  if (key === "Home") return links[0];
  if (key === "End") return links[last];
  if (key === "ArrowRight") return links[Math.min(last, place + 1)];
  if (key === "ArrowLeft") return links[Math.max(0, place - 1)];
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  return vertical(links, place, key === "ArrowDown" ? 1 : -1);
}

/** Return the link above or below: the nearest row in that direction, and in it the link that is nearest across.
 * @param {HTMLElement[]} links
 * @param {number} place
 * @param {1 | -1} step */
function vertical(links, place, step) {
  const from = links[place].getBoundingClientRect();
  let best = links[place];
  let row = NaN;
  let distance = Infinity;
  for (let n = place + step; n >= 0 && n < links.length; n += step) {
    const box = links[n].getBoundingClientRect();
    if (Math.abs(box.top - from.top) < 4) continue;
    if (!Number.isNaN(row) && Math.abs(box.top - row) > 4) break;
    row = box.top;
    const across = Math.abs(box.left - from.left);
    if (across < distance) [best, distance] = [links[n], across];
  }
  return best;
}
