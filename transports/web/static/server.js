const CALM_MS = 5000;
const EAGER_MS = 1000;

/**
 * Watches whether the server would take work, as long as somebody looks at the page.
 *
 * The states are "ready", "full", "loading", "restarting", "draining", "failed" and "gone".
 */
export class ServerWatch {
  #url;
  #changed;
  #timer;
  #asking = false;

  /**
   * @param {URL} url of `/ready`
   * @param {(state: string, streams: {open: number, max: number} | null) => void} changed called after every look
   */
  constructor(url, changed) {
    this.#url = url;
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => this.look());
  }

  /** Look now, and then again and again. */
  async look() {
    clearTimeout(this.#timer);
    if (document.hidden || this.#asking) return;
    this.#asking = true;
    const [state, streams] = await this.#ask();
    this.#asking = false;
    this.#changed(state, streams);
    this.#timer = setTimeout(() => this.look(), state === "ready" ? CALM_MS : EAGER_MS);
  }

  async #ask() {
    try {
      const response = await fetch(this.#url, { cache: "no-store" });
      const answer = await response.json();
      const streams = "max_streams" in answer ? { open: answer.open_streams, max: answer.max_streams } : null;
      return [answer.status, streams];
    } catch {
      return ["gone", null];
    }
  }
}
