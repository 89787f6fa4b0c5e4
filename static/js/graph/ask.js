// Asking the server for the twin of another state; a newer question makes an older one void.

export class Asker {
  /** @param {HTMLElement} frame */
  constructor(frame) {
    this.frame = frame;
    /** @type {AbortController | null} */
    this.asking = null;
  }

  /** @param {string} address of a page @returns {Promise<any>} its twin, or null where a newer question was asked meanwhile */
  async ask(address) {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    this.frame.classList.add("busy");
    try {
      const answer = await fetch(`/api/v1${address}`, { signal: asking.signal });
      const body = await answer.json();
      if (answer.ok) return body;
      throw new Error(body.detail);
    } catch (error) {
      if (asking.signal.aborted) return null;
      throw error;
    } finally {
      if (this.asking === asking) this.frame.classList.remove("busy");
    }
  }
}
