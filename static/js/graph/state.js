// What is unfolded, hidden and pinned, as the address says it: the same rules as app/explorer_state.py, which reads it.

export const LISTS = ["inputs", "outputs", "hide", "pin"];
export const USUAL = { hide: [], pin: [], top: 6, min: 0, between: false, sort: "norm", sign: null, bypass: "0" };

/** The query string of a state; what is usual is left out.
 * @param {any} state @returns {string} with its question mark, or empty */
export function queryOf(state) {
  /** @type {[string, string][]} */
  const found = [];
  for (const side of ["inputs", "outputs"]) {
    const cards = state[side];
    if (cards.length !== 1 || cards[0] !== state.start) found.push([side, cards.join(",") || "none"]);
  }
  found.push(["hide", state.hide.join(",")], ["pin", state.pin.join(",")]);
  found.push(["top", state.top === USUAL.top ? "" : String(state.top)]);
  found.push(["min", state.min ? String(Number(state.min.toPrecision(6))) : ""]);
  found.push(["between", state.between ? "1" : ""], ["sort", state.sort === "norm" ? "" : state.sort]);
  found.push(["sign", state.sign ?? ""], ["bypass", state.bypass === "0" ? "" : state.bypass]);
  found.push(["camera", state.camera ?? ""], ["embed", state.embed ? "1" : ""]);
  const told = found.filter(([, value]) => value).map(([name, value]) => `${name}=${encode(value)}`);
  return told.length ? `?${told.join("&")}` : "";
}

/** The state with a card put on a list, or taken from it; a card that gets hidden is folded and no longer pinned.
 * @param {any} state @param {string} list @param {string} card */
export function toggled(state, list, card) {
  const has = state[list].includes(card);
  const found = { ...state, [list]: has ? without(state[list], card) : [...state[list], card] };
  if (list === "hide" && !has) for (const other of ["inputs", "outputs", "pin"]) found[other] = without(found[other], card);
  return found;
}

/** The state without unfolded cards that nothing shown leads to.
 * @param {any} state @param {Set<string>} shown */
export function pruned(state, shown) {
  const keep = (/** @type {string} */ card) => shown.has(card);
  return { ...state, inputs: state.inputs.filter(keep), outputs: state.outputs.filter(keep) };
}

/** A card as the address says it.
 * @param {string} layer @param {number} unit */
export function nameOf(layer, unit) {
  return `${layer.replaceAll("%", "%25").replaceAll(",", "%2C")}/${unit}`;
}

/** @param {string[]} cards @param {string} card */
function without(cards, card) {
  return cards.filter((other) => other !== card);
}

/** @param {string} value */
function encode(value) {
  return encodeURIComponent(value).replace(/%(2C|2F|3A|3B)/g, (text) => decodeURIComponent(text));
}
