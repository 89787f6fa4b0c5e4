// Comparing: the units that were compared last stay known until the tab is closed, so that the page of another unit adds its own
// to them; the boxes of a grid are counted. Without this file the same links and boxes lead to the same pages.

const KEY = "unitscope-compared";
const MOST = 6;

/** @returns {string[]} */
function recall() {
  try {
    return (sessionStorage.getItem(KEY) ?? "").split(",").filter(Boolean);
  } catch {
    return []; // without storage each comparison begins anew
  }
}

/** @param {string} units */
function remember(units) {
  try {
    sessionStorage.setItem(KEY, units);
  } catch {
    // Without storage the next page begins anew.
  }
}

/** Lead from a unit to the comparison with those before.
 * @param {HTMLAnchorElement} link
 * @param {string} unit */
function extend(link, unit) {
  const before = recall();
  if (!link.hasAttribute("href") || before.length === 0 || (before.length === 1 && before[0] === unit)) return;
  const isThere = before.includes(unit);
  if (!isThere && before.length >= MOST) return;
  const units = isThere ? before : [...before, unit];
  link.href = `${link.pathname}?units=${units.map((one) => encodeURIComponent(one).replaceAll("%2F", "/")).join(",")}`;
  link.textContent = isThere ? `Compared, ${units.length} units` : `Compare with ${before.length === 1 ? "1 unit" : `${before.length} units`}`;
}

/** Say how many boxes are chosen, and let no more be chosen than can be compared.
 * @param {HTMLFormElement} form */
function count(form) {
  const boxes = [...form.querySelectorAll("input[type=checkbox]")].filter((box) => box instanceof HTMLInputElement);
  const elsewhere = form.querySelectorAll("input[type=hidden]").length;
  const said = form.querySelector("[role=status]");
  const button = form.querySelector("button");
  const tell = () => {
    const number = elsewhere + boxes.filter((box) => box.checked).length;
    for (const box of boxes) box.disabled = !box.checked && number >= MOST;
    if (button) button.disabled = number < 2;
    if (said) said.textContent = number === 0 ? "Choose two to six units." : `${number} chosen${number < 2 ? ", two to six can be compared" : number >= MOST ? ", no more can be compared" : ""}.`;
  };
  form.addEventListener("change", tell);
  tell();
}

/** @param {HTMLElement} element */
export function mount(element) {
  const { units } = element.dataset;
  if (element instanceof HTMLFormElement) count(element);
  else if (element instanceof HTMLAnchorElement) extend(element, units ?? "");
  else remember(units ?? "");
}
