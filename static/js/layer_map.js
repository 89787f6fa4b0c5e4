// The map of a layer: dragged and zoomed by mouse, touch or keyboard. Only the drawing as a whole is moved, which the browser
// does without drawing it again; what can be read and followed is the same with and without this file.

const MOST = 24;
const STEP = 80;
const CLICK_PX = 5;

/** @param {HTMLElement} frame */
export function mount(frame) {
  const drawing = frame.querySelector(":scope > svg");
  if (!(drawing instanceof SVGSVGElement)) return;
  frame.dataset.live = "";
  const view = { x: 0, y: 0, zoom: 1 };
  /** @type {Map<number, { x: number, y: number }>} */
  const pointers = new Map();
  let moved = 0;

  const draw = () => {
    const { width, height } = frame.getBoundingClientRect();
    view.zoom = Math.min(MOST, Math.max(1, view.zoom));
    view.x = Math.min(0, Math.max(width * (1 - view.zoom), view.x));
    view.y = Math.min(0, Math.max(height * (1 - view.zoom), view.y));
    // Set by script on the element itself, which a strict policy for styles allows.
    drawing.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  };

  /** Zoom so that what lies under a point of the frame stays there.
   * @param {number} factor @param {number} [x] @param {number} [y] */
  const zoom = (factor, x, y) => {
    const box = frame.getBoundingClientRect();
    const at = { x: x === undefined ? box.width / 2 : x - box.left, y: y === undefined ? box.height / 2 : y - box.top };
    const next = Math.min(MOST, Math.max(1, view.zoom * factor));
    view.x = at.x - ((at.x - view.x) * next) / view.zoom;
    view.y = at.y - ((at.y - view.y) * next) / view.zoom;
    view.zoom = next;
    draw();
  };

  frame.addEventListener(
    "wheel",
    (event) => {
      // At the whole map, scrolling away goes on with the page.
      if (event.deltaY > 0 && view.zoom === 1) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022)), event.clientX, event.clientY);
    },
    { passive: false },
  );

  frame.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (event.target instanceof Element && event.target.closest("button"))) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = 0;
  });
  frame.addEventListener("dragstart", (event) => event.preventDefault());
  window.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const length = Math.hypot(before.x - other.x, before.y - other.y) || 1;
      zoom(Math.hypot(now.x - other.x, now.y - other.y) / length, (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else {
      view.x += now.x - before.x;
      view.y += now.y - before.y;
      draw();
    }
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    pointers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    window.addEventListener(name, (event) => {
      if (event instanceof PointerEvent) pointers.delete(event.pointerId);
    });
  }
  // What was a drag does not follow the link under it.
  frame.addEventListener("click", (event) => moved > CLICK_PX && event.preventDefault(), true);

  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => void (view.x += STEP),
    ArrowRight: () => void (view.x -= STEP),
    ArrowUp: () => void (view.y += STEP),
    ArrowDown: () => void (view.y -= STEP),
    "+": () => zoom(1.4),
    "=": () => zoom(1.4),
    "-": () => zoom(1 / 1.4),
    0: () => void (view.zoom = 1),
  };
  frame.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
    draw();
  });
  for (const button of frame.querySelectorAll("button[data-zoom]")) {
    const key = { in: "+", out: "-", all: "0" }[button.getAttribute("data-zoom") ?? ""] ?? "0";
    button.addEventListener("click", () => {
      keys[key]();
      draw();
    });
  }
  // A unit that is walked to by keyboard comes into view.
  frame.addEventListener("focusin", (event) => {
    if (!(event.target instanceof SVGElement)) return;
    const box = event.target.getBoundingClientRect();
    const own = frame.getBoundingClientRect();
    frame.scrollTo(0, 0);
    if (box.left < own.left || box.right > own.right) view.x += own.left + own.width / 2 - (box.left + box.right) / 2;
    if (box.top < own.top || box.bottom > own.bottom) view.y += own.top + own.height / 2 - (box.top + box.bottom) / 2;
    draw();
  });
}
