// The weight explorer. The address says what is shown; the server draws it up. Here every action makes a new address, fetches
// its twin and moves the cards to where they now belong, so that Back is undo. Nothing about weights is calculated here.

import { Asker } from "./graph/ask.js";
import { follow, listen, tellCurrent, tellLinks, tellNotes, tellTools } from "./graph/bar.js";
import { saveScene } from "./graph/files.js";
import { actionOf } from "./graph/keys.js";
import { copyLink } from "./graph/share.js";
import { cardAt, Stage } from "./graph/stage.js";
import { LISTS, pruned, queryOf, toggled, USUAL } from "./graph/state.js";
import { fillTable } from "./graph/table.js";
import { Trail } from "./graph/trail.js";
import { wordsOf } from "./graph/words.js";

const SETTLED_MS = 250;
const WAYS = ["left", "right", "up", "down"];

/** @param {HTMLElement} element */
export async function mount(element) {
  const answer = await fetch(element.dataset.twin ?? "");
  if (answer.ok) new Explorer(element, await answer.json());
}

class Explorer {
  /** @param {HTMLElement} element @param {any} page */
  constructor(element, page) {
    const part = (/** @type {string} */ role) => /** @type {HTMLElement} */ (element.querySelector(`[data-role=${role}]`));
    this.element = element;
    this.page = page;
    this.wanted = page.state;
    [this.live, this.notes, this.strip] = [part("live"), part("notes"), part("current")];
    this.table = /** @type {HTMLDetailsElement | null} */ (part("table"));
    this.form = /** @type {HTMLFormElement | null} */ (element.querySelector("form.gbar"));
    this.asker = new Asker(part("graph"));
    const chosen = (/** @type {any} */ card) => tellCurrent(this.strip, card, page.state.embed);
    [this.settling, this.isGoing] = [0, false];
    this.stage = new Stage(part("graph"), page, { say: (words) => this.say(words), chosen, moved: () => this.settle() });
    this.trail = new Trail((address) => this.go(address), () => this.tellTrail());
    if (this.table) this.table.open = false;
    this.table?.addEventListener("toggle", () => this.tellPage());
    if (this.form) listen(this.form, (changes, said) => this.ask({ ...this.wanted, ...changes }, said));
    element.addEventListener("click", (event) => this.click(event));
    document.addEventListener("keydown", (event) => this.key(event), true);
    this.tellPage();
    this.tellTrail();
    element.dataset.ready = "";
  }

  /** Ask the server for another state, and go there.
   * @param {any} state @param {string | (() => string)} said @param {string | null} [anchor] */
  async ask(state, said, anchor = null) {
    state = { ...state, camera: this.tellView() };
    const isTooMuch = state.inputs.length + state.outputs.length > this.page.max_unfolded;
    this.wanted = isTooMuch ? pruned(state, new Set(this.stage.layout.cards.keys())) : state;
    const page = await this.fetchPage(window.location.pathname + queryOf(this.wanted));
    if (!page) return;
    this.trail.push(window.location.pathname + queryOf(page.state));
    this.apply(page, anchor);
    this.say(typeof said === "string" ? said : said());
  }

  /** Follow Back and Forward.
   * @param {string} address */
  async go(address) {
    this.isGoing = true; // the address is that of the page to come, not of the one that is shown
    const page = await this.fetchPage(address);
    this.isGoing = false;
    if (!page) return;
    this.apply(page, this.stage.current);
    if (page.state.camera) this.stage.look(page.state.camera);
    this.say(`${this.stage.layout.cards.size} cards, ${this.stage.layout.edges.length} weights`);
  }

  /** Once the picture has come to rest, the address says what is in view. */
  settle() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.tellView(), SETTLED_MS);
  }

  /** @returns {string | null} what is in view, where it was moved by hand */
  tellView() {
    clearTimeout(this.settling);
    const camera = this.stage.inView();
    if (camera === this.page.state.camera || this.isGoing) return camera;
    this.page = { ...this.page, state: { ...this.page.state, camera } };
    this.wanted = { ...this.wanted, camera };
    this.trail.replace(window.location.pathname + queryOf(this.page.state));
    tellLinks(this.page);
    return camera;
  }

  /** @param {any} page @param {string | null} anchor */
  apply(page, anchor) {
    [this.page, this.wanted] = [page, page.state];
    this.stage.show(page, true, anchor);
    this.tellPage();
  }

  /** @param {string} address @returns {Promise<any>} null where it was not answered; the reason is then shown */
  async fetchPage(address) {
    try {
      return await this.asker.ask(address);
    } catch (error) {
      this.trouble(error);
      return null;
    }
  }

  /** @param {unknown} error */
  trouble(error) {
    const words = error instanceof Error ? error.message : String(error);
    this.wanted = this.page.state;
    tellNotes(this.notes, this.page, words);
    this.say(words);
  }

  /** @param {string} list @param {string} card */
  toggle(list, card) {
    const { stage } = this;
    if (card === stage.start && (list === "hide" || list === "pin")) return;
    const isOn = this.wanted[list].includes(card);
    if (list === "hide" && !isOn) stage.leave(card);
    const said = () => wordsOf(stage.layout, list, card, isOn);
    this.ask(toggled(this.wanted, list, card), said, list === "hide" ? stage.current : card);
  }

  /** @param {MouseEvent} event */
  click(event) {
    const target = event.target instanceof Element ? event.target : null;
    const value = (/** @type {string} */ name) => target?.closest(`[data-${name}]`)?.getAttribute(`data-${name}`);
    const card = cardAt(target) ?? (this.strip.contains(target) ? this.stage.current : null);
    const [list, hidden, tool] = [value("toggle"), value("shows"), value("do")];
    if (list && card) this.toggle(list, card);
    else if (hidden) this.toggle("hide", hidden);
    else if (tool) this.act(tool);
    else if (card && target?.closest("[data-who]")) this.stage.tap(event, card);
    if (tool) target?.closest("details")?.removeAttribute("open");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const action = actionOf(event);
    if (!action || (action === "close" && !this.stage.popover.shown)) return;
    event.preventDefault();
    event.stopPropagation();
    this.act(action);
  }

  /** @param {string} action */
  act(action) {
    const { stage, trail } = this;
    this.tellView();
    /** @type {Record<string, () => unknown>} */
    const actions = {
      in: () => stage.camera.zoom(1.3), out: () => stage.camera.zoom(1 / 1.3), fit: () => stage.fit(),
      undo: () => trail.undo(), redo: () => trail.redo(), copy: () => this.try(() => copyLink(this.page)),
      reset: () => this.reset(),
      close: () => stage.popover.hide(), "next line": () => stage.step(1), "previous line": () => stage.step(-1),
      svg: () => this.try(() => saveScene("svg", stage.layout, this.page)), png: () => this.try(() => saveScene("png", stage.layout, this.page)),
    };
    if (LISTS.includes(action)) this.toggle(action, stage.current);
    else if (WAYS.includes(action)) stage.walk(action);
    else actions[action]?.();
  }

  async reset() {
    const alone = [this.stage.start];
    this.stage.fit();
    await this.ask({ ...this.wanted, ...USUAL, inputs: alone, outputs: alone }, "Back to the start", this.stage.start);
    this.stage.fit();
  }

  /** @param {() => Promise<string>} work its words are said */
  async try(work) {
    try {
      this.say(await work());
    } catch (error) {
      this.trouble(error);
    }
  }

  /** @param {string} words */
  say(words) {
    this.live.textContent = words;
  }

  tellPage() {
    if (this.form) follow(this.form, this.page.state);
    tellNotes(this.notes, this.page, null);
    const count = this.table?.querySelector("[data-role=count]");
    if (count) count.textContent = String(this.page.edges.length);
    if (this.table?.open) fillTable(this.table, this.stage.layout);
    tellLinks(this.page);
  }

  tellTrail() {
    tellTools(this.element, { undo: this.trail.place > 0, redo: this.trail.place < this.trail.last });
  }
}
