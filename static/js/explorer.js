// The weight explorer. The address says what is shown; the server draws it up. Here every action makes a new address, fetches
// its twin and moves the cards to where they now belong, so that Back is undo. Nothing about weights is calculated here.

import { follow, listen, tellCurrent, tellLinks, tellNotes, tellTools } from "./graph/bar.js";
import { copyAddress, pngFile, save, svgFile } from "./graph/files.js";
import { actionOf, neighbour } from "./graph/keys.js";
import { sceneOf } from "./graph/scene.js";
import { cardAt, Stage } from "./graph/stage.js";
import { LISTS, pruned, queryOf, toggled } from "./graph/state.js";
import { fillTable } from "./graph/table.js";
import { Trail } from "./graph/trail.js";

const USUAL = { hide: [], pin: [], top: 6, min: 0, between: false, sort: "norm", sign: null, bypass: "0" };
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
    /** @type {AbortController | null} */
    this.asking = null;
    const chosen = (/** @type {any} */ card) => tellCurrent(this.strip, card, page.state.embed);
    this.stage = new Stage(part("graph"), page, { say: (words) => this.say(words), chosen });
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
    const page = await this.fetchPage(address);
    if (!page) return;
    this.apply(page, this.stage.current);
    this.say(`${this.stage.layout.cards.size} cards, ${this.stage.layout.edges.length} weights`);
  }

  /** @param {any} page @param {string | null} anchor */
  apply(page, anchor) {
    [this.page, this.wanted] = [page, page.state];
    this.stage.show(page, true, anchor);
    this.tellPage();
  }

  /** @param {string} address @returns {Promise<any>} null where it was not answered; the reason is then shown */
  async fetchPage(address) {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.stage.frame.classList.add("busy");
    try {
      const answer = await fetch(`/api/v1${address}`, { signal: asking.signal });
      const body = await answer.json();
      if (answer.ok) return body;
      throw new Error(body.detail);
    } catch (error) {
      if (!asking.signal.aborted) this.trouble(error);
      return null;
    } finally {
      if (this.asking === asking) this.stage.frame.classList.remove("busy");
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
    if (list === "hide" && !isOn && card === stage.current) {
      const [above, below] = ["up", "down"].map((way) => neighbour(stage.layout, card, way));
      stage.choose(above !== card ? above : below !== card ? below : stage.start);
    }
    const words = decodeURIComponent(card).replace(/\/(\d+)$/, " $1");
    const said = () => {
      if (list === "hide") return `${words} ${isOn ? "shown again" : "hidden"}`;
      if (list === "pin") return `${words} ${isOn ? "unpinned" : "pinned"}`;
      const end = list === "inputs" ? "target" : "source";
      const count = stage.layout.edges.filter((/** @type {any} */ line) => line[end] === card).length;
      const left = list === "inputs" ? "Inputs" : "Outputs";
      return isOn ? `${left} of ${words} folded` : `${count} ${count === 1 ? list.slice(0, -1) : list} of ${words} unfolded`;
    };
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
    else if (card && target?.closest("[data-who]")) this.tap(event, card);
    if (tool) target?.closest("details")?.removeAttribute("open");
  }

  /** With a finger, the first tap chooses a card and the second opens it.
   * @param {MouseEvent} event @param {string} card */
  tap(event, card) {
    if (matchMedia("(pointer: coarse)").matches && card !== this.tapped) event.preventDefault();
    this.tapped = card;
    this.stage.choose(card);
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
    const alone = [stage.start];
    /** @type {Record<string, () => unknown>} */
    const actions = {
      in: () => stage.camera.zoom(1.3), out: () => stage.camera.zoom(1 / 1.3), fit: () => stage.fit(),
      undo: () => trail.undo(), redo: () => trail.redo(), copy: () => copyAddress().then((words) => this.say(words), (error) => this.trouble(error)),
      reset: () => this.ask({ ...this.wanted, ...USUAL, inputs: alone, outputs: alone }, "Back to the start", stage.start),
      close: () => stage.popover.hide(), "next line": () => stage.step(1), "previous line": () => stage.step(-1),
      svg: () => this.save("svg", async (scene) => svgFile(scene)), png: () => this.save("png", pngFile),
    };
    if (LISTS.includes(action)) this.toggle(action, stage.current);
    else if (WAYS.includes(action)) stage.walk(action);
    else actions[action]?.();
  }

  /** @param {string} kind @param {(scene: import("./graph/scene.js").Scene) => Promise<Blob>} make */
  async save(kind, make) {
    try {
      const scene = await sceneOf(this.stage.layout, this.page);
      save(await make(scene), `weights-${this.page.layer}-${this.page.unit}.${kind}`);
      this.say(`${kind.toUpperCase()} saved`);
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
