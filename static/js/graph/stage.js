// The graph on the page: which card is in focus, which line the pointer is on, what part of the picture is in view.

import { Camera } from "./camera.js";
import { setStop } from "./cards.js";
import { h } from "./dom.js";
import { linesOf, neighbour } from "./keys.js";
import { layOut, sizesOf } from "./layout.js";
import { nearestLine, placeOf, Popover, sentence } from "./popover.js";
import { View } from "./view.js";

// A first look shows cards no smaller than this part of their size: for fingers, buttons must stay large enough.
const SMALLEST = matchMedia("(pointer: coarse)").matches ? 1 : 0.55;

export class Stage {
  /** @param {HTMLElement} frame @param {any} page
   * @param {{say: (words: string) => void, chosen: (card: any) => void, moved: () => void}} tell */
  constructor(frame, page, tell) {
    this.frame = frame;
    this.tell = tell;
    frame.querySelector(".gcolumns")?.remove();
    frame.classList.add("live");
    const world = h("div", { class: "gworld" });
    frame.prepend(world);
    this.view = new View(world, page.state.embed);
    this.popover = new Popover(frame);
    this.isMoved = false; // by hand: only then the address says what is in view
    this.camera = new Camera(frame, world, () => this.move(), () => (this.isMoved = true));
    this.start = page.state.start;
    this.current = page.state.start;
    /** @type {string | null} */
    this.hovered = null;
    this.show(page, false, null);
    if (page.state.camera) this.look(page.state.camera);
    else this.firstLook();
    frame.addEventListener("focusin", (event) => this.choose(cardAt(event.target) ?? this.current));
    frame.addEventListener("focusout", () => this.light());
    frame.addEventListener("pointermove", (event) => this.point(event));
    frame.addEventListener("pointerleave", () => this.point(null));
    frame.addEventListener("scroll", () => frame.scrollTo(0, 0));
    document.querySelector('.skip[href="#graph"]')?.addEventListener("click", (event) => {
      event.preventDefault(); // an address with a # would be a step of the history
      this.focusCard(this.current);
    });
  }

  /** @param {any} page @param {boolean} animate @param {string | null} anchor the card that stays where it is on the screen */
  show(page, animate, anchor) {
    const [old, bypass] = [this.layout, this.bypass];
    this.bypass = page.state.bypass;
    const isFocused = this.frame.contains(document.activeElement);
    const layout = layOut(page, sizesOf(this.frame));
    this.layout = layout;
    if (!layout.cards.has(this.current)) this.current = anchor && layout.cards.has(anchor) ? anchor : this.start;
    this.popover.hide();
    this.view.show(layout, animate, this.current);
    const fixed = anchor && layout.cards.has(anchor) ? anchor : this.start;
    const [before, after] = [old?.cards.get(fixed), layout.cards.get(fixed)];
    if (before) {
      const { x, y, scale } = this.camera;
      this.camera.set(x + (before.x - after.x) * scale, y + (before.y - after.y) * scale, scale);
      const fresh = [...layout.cards.values()].filter((card) => !old.cards.has(card.name));
      if (fresh.length) this.reveal([after, ...fresh]);
    }
    if (old && bypass !== this.bypass && !page.state.camera) this.firstLook();
    this.view.canvas.draw(this.camera);
    if (isFocused && !this.frame.contains(document.activeElement)) this.focusCard(this.current);
    this.choose(this.current);
  }

  move() {
    this.popover.hide();
    this.view.canvas.follow(this.camera);
    this.tell.moved();
  }

  /** The middle of the unit of the page. */
  origin() {
    const { cards, sizes } = this.layout;
    const { x, y } = cards.get(this.start);
    return { x: x + sizes.width / 2, y: y + sizes.height / 2 };
  }

  /** What is in view, where somebody moved the picture by hand.
   * @returns {string | null} */
  inView() {
    return this.isMoved ? this.camera.tell(this.origin()) : null;
  }

  /** @param {string} told */
  look(told) {
    this.isMoved = true;
    this.camera.look(told, this.origin());
  }

  /** Show as much as fits while buttons stay large enough. */
  firstLook() {
    this.fit(SMALLEST);
  }

  /** @param {number} [least] */
  fit(least = 0) {
    this.isMoved = false;
    const { width, height, cards, sizes } = this.layout;
    const card = cards.get(this.current);
    this.camera.fit(width, height, { x: card.x + sizes.width / 2, y: card.y + sizes.height / 2 }, least);
  }

  /** @param {any[]} cards */
  reveal(cards) {
    const { sizes } = this.layout;
    const [xs, ys] = [cards.map((card) => card.x), cards.map((card) => card.y)];
    this.camera.reveal({ x0: Math.min(...xs), y0: Math.min(...ys) - 28, x1: Math.max(...xs) + sizes.width, y1: Math.max(...ys) + sizes.height });
  }

  /** Make a card the one that keys and buttons act on.
   * @param {string} name */
  choose(name) {
    if (!this.layout.cards.has(name)) return;
    for (const [other, isStop] of [[this.current, false], [name, true]]) {
      const element = this.view.cards.get(String(other));
      if (element) setStop(element, Boolean(isStop));
    }
    this.current = name;
    this.light();
    this.tell.chosen(this.layout.cards.get(name));
  }

  /** With a finger, the first tap chooses a card and the second opens it.
   * @param {MouseEvent} event @param {string} card */
  tap(event, card) {
    if (matchMedia("(pointer: coarse)").matches && card !== this.tapped) event.preventDefault();
    this.tapped = card;
    this.choose(card);
  }

  /** Choose another card in place of one that goes.
   * @param {string} card */
  leave(card) {
    if (card !== this.current) return;
    const [above, below] = ["up", "down"].map((way) => neighbour(this.layout, card, way));
    this.choose(above !== card ? above : below !== card ? below : this.start);
  }

  /** @param {string} name */
  focusCard(name) {
    this.choose(name);
    /** @type {HTMLElement | null | undefined} */ (this.view.cards.get(name)?.querySelector(".gwho"))?.focus({ preventScroll: true });
    this.reveal([this.layout.cards.get(name)]);
  }

  /** From the card in focus to the one beside it; first into the graph.
   * @param {string} way */
  walk(way) {
    const isInside = cardAt(document.activeElement) !== null;
    this.focusCard(isInside ? neighbour(this.layout, this.current, way) : this.current);
  }

  /** Tell the next or previous line of the card in focus.
   * @param {number} by */
  step(by) {
    const lines = linesOf(this.layout, this.current);
    if (!lines.length) return this.tell.say("No weights of this card are shown");
    const place = lines.findIndex((line) => line.name === this.popover.shown);
    const line = lines[place < 0 ? (by > 0 ? 0 : lines.length - 1) : (place + by + lines.length) % lines.length];
    const middle = placeOf(this.layout, line);
    this.camera.reveal({ x0: middle.x - 150, y0: middle.y - 20, x1: middle.x + 150, y1: middle.y + 20 });
    const box = this.frame.getBoundingClientRect();
    const { x, y, scale } = this.camera;
    this.popover.show(this.layout, line, box.left + middle.x * scale + x, box.top + middle.y * scale + y);
    this.light();
    return this.tell.say(sentence(line));
  }

  /** Follow the pointer: over a card its lines stand out, near a line its numbers are told.
   * @param {PointerEvent | null} event */
  point(event) {
    if (this.camera.isDrag && this.camera.pointers.size) return;
    const target = event?.target instanceof Element ? event.target : null;
    this.hovered = cardAt(target);
    const isFree = event !== null && this.hovered === null && !target?.closest(".gzoom");
    const line = isFree ? nearestLine(this.layout, this.camera.toWorld(event.clientX, event.clientY), this.camera.scale) : null;
    if (line) this.popover.show(this.layout, line, event?.clientX ?? 0, event?.clientY ?? 0);
    else this.popover.hide();
    this.light();
  }

  light() {
    const focused = document.activeElement?.matches(":focus-visible") ? cardAt(document.activeElement) : null;
    const [card, line] = [this.hovered ?? focused, this.popover.shown];
    const now = `${card} ${line} ${this.layout.edges.length}`;
    if (now === this.lit) return;
    this.lit = now;
    this.view.focus(card, line);
  }
}

/** @param {EventTarget | null} target */
export function cardAt(target) {
  return target instanceof Element ? (target.closest("[data-card]")?.getAttribute("data-card") ?? null) : null;
}
