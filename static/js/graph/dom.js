// Small helpers to make elements, and to write numbers as the pages write them.

export const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<string, string>} */
const ICONS = {
  pin: "M10 2.5v6M6.5 8.5h7l1.5 3.5H5zM10 12v6",
  hide: "M3 3l14 14M4 10c3-5 9-5 12 0M7 13.5c2 1 4 1 6-.5",
};

/** Make an HTML element.
 * @param {string} name
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] false, null and undefined are left out
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement} */
export function h(name, attributes = {}, ...children) {
  return /** @type {HTMLElement} */ (fill(document.createElement(name), attributes, children));
}

/** Make an SVG element.
 * @param {string} name
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...(Node | string | null)} children
 * @returns {SVGElement} */
export function s(name, attributes = {}, ...children) {
  return /** @type {SVGElement} */ (fill(document.createElementNS(SVG, name), attributes, children));
}

/** Give an element attributes and children.
 * @param {Element} element @param {Record<string, any>} attributes @param {(Node | string | null)[]} children */
export function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** @param {string} name */
export function icon(name) {
  return s("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}

/** A part of a sheet of small pictures as a picture of its own.
 * @param {any} sprite @param {string} label @param {number} size */
export function picture(sprite, label, size) {
  if (!sprite) return h("span", { class: "cut nothing" });
  const image = s("image", { href: sprite.url, width: sprite.full_width, height: sprite.full_height });
  const box = `${sprite.x} ${sprite.y} ${sprite.width} ${sprite.height}`;
  const told = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return s("svg", { class: "cut", width: size, height: size, viewBox: box, ...told }, image);
}

/** @param {number | null} value @param {number} [digits] */
export function number(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4) return value.toExponential(1).replace("-", "−");
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/** @param {number | null} value */
export function percent(value) {
  return value === null || value === undefined ? "–" : `${number(100 * value)} %`;
}

/** @param {number | null} value */
export function signOf(value) {
  return !value ? "zero" : value > 0 ? "positive" : "negative";
}

/** @param {number | null} value @param {number} [digits] */
export function signed(value, digits = 4) {
  return (value !== null && value > 0 ? "+" : "") + number(value, digits);
}

/** The end of a name, which tells more than its beginning.
 * @param {string} text @param {number} length */
export function tail(text, length) {
  return text.length <= length ? text : `…${text.slice(-(length - 1))}`;
}
