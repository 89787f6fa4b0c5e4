// Moving and zooming by wheel, drag and pinch. A library would take the pointer away from the links that cards are: here a
// drag may begin on a card, and only becomes one after a few pixels.

const [LEAST, MOST, SLACK, FAR] = [0.06, 3, 5, 0.4];

export class Camera {
  /** @param {HTMLElement} frame @param {HTMLElement} world @param {() => void} moved
   * @param {() => void} taken called before somebody moves or zooms by hand */
  constructor(frame, world, moved, taken) {
    this.frame = frame;
    this.world = world;
    this.moved = moved;
    this.taken = taken;
    this.x = 0;
    this.y = 0;
    this.scale = 1;
    /** @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    this.isDrag = false;
    frame.addEventListener("pointerdown", (event) => this.press(event));
    frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, (event) => this.release(/** @type {PointerEvent} */ (event)));
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    frame.addEventListener("dragstart", (event) => event.preventDefault());
    frame.addEventListener("click", (event) => this.swallow(event), true);
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (event.button !== 0) return;
    if (this.pointers.size === 0) this.isDrag = false;
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    if (!this.isDrag && Math.hypot(dx, dy) < SLACK) return;
    if (!this.isDrag) {
      this.isDrag = true;
      this.frame.classList.add("dragging");
    }
    if (!this.frame.hasPointerCapture(event.pointerId)) this.frame.setPointerCapture(event.pointerId);
    const before = [...this.pointers.values()];
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (before.length === 1) {
      this.taken();
      this.set(this.x + dx, this.y + dy, this.scale);
    } else if (before.length === 2) {
      this.pinch(before, [...this.pointers.values()]);
    }
  }

  /** @param {{x: number, y: number}[]} before @param {{x: number, y: number}[]} after */
  pinch(before, after) {
    const span = (/** @type {{x: number, y: number}[]} */ [a, b]) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
    const middle = (/** @type {{x: number, y: number}[]} */ [a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
    const [from, to] = [middle(before), middle(after)];
    this.set(this.x + to.x - from.x, this.y + to.y - from.y, this.scale);
    this.zoom(span(after) / span(before), to.x, to.y);
  }

  /** @param {PointerEvent} event */
  release(event) {
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0) this.frame.classList.remove("dragging");
  }

  /** The click at the end of a drag is none.
   * @param {MouseEvent} event */
  swallow(event) {
    if (!this.isDrag || event.detail === 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.isDrag = false;
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 20 : 1;
    this.zoom(Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX, event.clientY);
  }

  /** Zoom about a point of the window, or about the middle.
   * @param {number} factor @param {number} [clientX] @param {number} [clientY] */
  zoom(factor, clientX, clientY) {
    this.taken();
    const box = this.frame.getBoundingClientRect();
    const [px, py] = [(clientX ?? box.left + box.width / 2) - box.left, (clientY ?? box.top + box.height / 2) - box.top];
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    const ratio = scale / this.scale;
    this.set(px - (px - this.x) * ratio, py - (py - this.y) * ratio, scale);
  }

  /** Show all of a picture of a size, but cards not smaller than `least` of theirs; then `centre` is in the middle.
   * @param {number} width @param {number} height @param {{x: number, y: number}} centre @param {number} least */
  fit(width, height, centre, least) {
    const [room, tall] = [this.frame.clientWidth, this.frame.clientHeight];
    const whole = Math.min(1.15, (room - 56) / width, (tall - 48) / height);
    const scale = Math.max(LEAST, least, whole);
    const x = width * scale <= room ? (room - width * scale) / 2 : room / 2 - centre.x * scale;
    const y = height * scale <= tall ? (tall - height * scale) / 2 : tall / 2 - centre.y * scale;
    this.set(x, y, scale);
  }

  /** Move as little as needed to bring a box of the picture into view.
   * @param {{x0: number, y0: number, x1: number, y1: number}} box */
  reveal(box) {
    const shift = (/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ room) => {
      if (high - low > room - 48) return 0;
      return low < 24 ? 24 - low : high > room - 24 ? room - 24 - high : 0;
    };
    const [x0, x1] = [box.x0 * this.scale + this.x, box.x1 * this.scale + this.x];
    const [y0, y1] = [box.y0 * this.scale + this.y, box.y1 * this.scale + this.y];
    this.set(this.x + shift(x0, x1, this.frame.clientWidth), this.y + shift(y0, y1, this.frame.clientHeight), this.scale);
  }

  /** What part of a picture is in view: the middle of the window, from a point of the picture, and how large.
   * @param {{x: number, y: number}} origin @returns {string} */
  tell(origin) {
    const [x, y] = [this.frame.clientWidth / 2 - this.x, this.frame.clientHeight / 2 - this.y].map((value) => value / this.scale);
    const within = (/** @type {number} */ value) => Math.max(-99999, Math.min(99999, Math.round(value * 10) / 10));
    return [within(x - origin.x), within(y - origin.y), Math.max(LEAST, Number(this.scale.toPrecision(4)))].join(",");
  }

  /** Bring into view what `tell` told.
   * @param {string} told @param {{x: number, y: number}} origin */
  look(told, origin) {
    const [x, y, scale] = told.split(",").map(Number);
    this.set(this.frame.clientWidth / 2 - (origin.x + x) * scale, this.frame.clientHeight / 2 - (origin.y + y) * scale, scale);
  }

  /** @param {number} x @param {number} y @param {number} scale */
  set(x, y, scale) {
    Object.assign(this, { x, y, scale });
    this.world.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    // From afar nobody reads the words: without them, hundreds of cards are painted quickly.
    this.world.classList.toggle("far", scale < FAR);
    this.moved();
  }

  /** A point of the window in the picture.
   * @param {number} clientX @param {number} clientY */
  toWorld(clientX, clientY) {
    const box = this.frame.getBoundingClientRect();
    return { x: (clientX - box.left - this.x) / this.scale, y: (clientY - box.top - this.y) / this.scale };
  }
}
