// A loupe over a picture: pointing at it, or walking to it by keyboard, shows a part of the whole file magnified.
// It follows the pointer, or the arrow keys; Escape puts it away. Touch is left alone: there the link opens the file.

const SIZE = 220;
const MAGNIFIED = 2.5; // at least, against the picture on the page
const CANVAS_SCALE = 4; // and against the pixels of the file
const COARSE_PX = 64; // canvases up to this side show their pixels
const STEP = 0.1;

/** @type {HTMLElement | undefined} */
let glass;
/** @type {HTMLImageElement} */
let image;
/** @type {HTMLElement | null} */
let owner = null;

/** @param {HTMLElement} link */
export function mount(link) {
  const at = { x: 0.5, y: 0.5 };
  link.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const box = link.getBoundingClientRect();
    at.x = (event.clientX - box.left) / box.width;
    at.y = (event.clientY - box.top) / box.height;
    show(link, at);
  });
  link.addEventListener("pointerleave", () => hide(link));
  link.addEventListener("blur", () => hide(link));
  link.addEventListener("focus", () => {
    if (!link.matches(":focus-visible")) return;
    at.x = at.y = 0.5;
    show(link, at);
  });
  window.addEventListener("scroll", () => follow(link, at), { passive: true });
  link.addEventListener("keydown", (event) => {
    if (owner !== link) return;
    const { key } = event;
    if (key === "ArrowLeft") at.x -= STEP;
    else if (key === "ArrowRight") at.x += STEP;
    else if (key === "ArrowUp") at.y -= STEP;
    else if (key === "ArrowDown") at.y += STEP;
    else {
      if (key === "Escape") hide(link);
      return;
    }
    event.preventDefault();
    at.x = Math.min(1, Math.max(0, at.x));
    at.y = Math.min(1, Math.max(0, at.y));
    show(link, at);
  });
}

/** @returns {HTMLElement} */
function make() {
  const made = document.createElement("div");
  made.className = "loupe";
  made.setAttribute("aria-hidden", "true");
  image = document.createElement("img");
  image.alt = "";
  made.append(image);
  document.body.append(made);
  return made;
}

/** Show a place of a picture, given as shares of its width and height.
 * @param {HTMLElement} link
 * @param {{ x: number, y: number }} at */
function show(link, at) {
  glass ??= make();
  const box = link.getBoundingClientRect();
  const canvas = Number(link.dataset.canvas) || 0;
  const side = Math.max(MAGNIFIED * box.width, CANVAS_SCALE * canvas);
  if (owner !== link) {
    owner = link;
    const href = link.getAttribute("href") ?? "";
    if (image.getAttribute("src") !== href) image.setAttribute("src", href);
    glass.classList.toggle("coarse", canvas > 0 && canvas <= COARSE_PX);
    image.style.width = image.style.height = `${side}px`;
    glass.hidden = false;
  }
  // Set by script on the element itself, which a strict policy for styles allows.
  image.style.transform = `translate(${SIZE / 2 - at.x * side}px, ${SIZE / 2 - at.y * side}px)`;
  const isLarge = box.width >= 1.4 * SIZE;
  const x = box.left + at.x * box.width;
  const above = box.top - SIZE - 8;
  const y = isLarge ? box.top + at.y * box.height : (above >= 0 ? above : box.bottom + 8) + SIZE / 2;
  const left = Math.min(Math.max(x - SIZE / 2, 4), document.documentElement.clientWidth - SIZE - 4);
  glass.style.transform = `translate(${left}px, ${y - SIZE / 2}px)`;
}

/** Go along when the page is scrolled to what has the focus; a pointer is somewhere else by then.
 * @param {HTMLElement} link
 * @param {{ x: number, y: number }} at */
function follow(link, at) {
  if (owner !== link) return;
  if (link.matches(":focus-visible")) show(link, at);
  else hide(link);
}

/** @param {HTMLElement} link */
function hide(link) {
  if (owner !== link || !glass) return;
  glass.hidden = true;
  owner = null;
}
