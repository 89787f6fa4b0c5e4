// Asking the server for the twin of another state; a newer question makes an older one void.

/** What to say of an answer that is none of ours, such as a proxy's page.
 * @param {Response} answer */
function unexpected({ ok, status, statusText }) {
  const said = statusText ? `${status} (${statusText})` : String(status);
  if (ok) return "Something between here and the server answered with a page instead of the numbers. Reload this page, and try again.";
  return `The server did not answer as expected: status ${said}. The picture is as before; try again in a moment.`;
}

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
      const isJson = /[/+]json\b/.test(answer.headers.get("content-type") ?? "");
      const body = isJson ? await answer.json() : null;
      if (answer.ok && body) return body;
      throw new Error(body?.detail ?? unexpected(answer));
    } catch (error) {
      if (asking.signal.aborted) return null;
      throw error;
    } finally {
      if (this.asking === asking) this.frame.classList.remove("busy");
    }
  }
}
