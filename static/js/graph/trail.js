// The way here and back: the history of the browser, with the number of each step, so that undo and redo know their ends.

export class Trail {
  /** @param {(address: string) => void} go @param {() => void} changed */
  constructor(go, changed) {
    this.changed = changed;
    this.place = Number(window.history.state?.step ?? 0);
    this.last = Math.max(this.place, Number(window.history.state?.last ?? 0));
    window.history.replaceState({ step: this.place, last: this.last }, "");
    window.addEventListener("popstate", (event) => {
      this.place = Number(event.state?.step ?? 0);
      this.changed();
      go(window.location.pathname + window.location.search);
    });
  }

  /** @param {string} address */
  push(address) {
    if (address === window.location.pathname + window.location.search) return;
    this.place += 1;
    this.last = this.place;
    window.history.pushState({ step: this.place, last: this.last }, "", address);
    this.changed();
  }

  /** Make the address of this step say something else.
   * @param {string} address */
  replace(address) {
    window.history.replaceState({ step: this.place, last: this.last }, "", address);
  }

  undo() {
    if (this.place > 0) window.history.back();
  }

  redo() {
    if (this.place < this.last) window.history.forward();
  }
}
