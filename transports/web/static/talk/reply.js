import { latencyStrip } from "./strip.js";

/** What the agent says in one go, as an item of the transcript: its words light up as they are heard. */
export class Reply {
  /** Of the transcript's list. */
  item = document.createElement("li");
  #words = document.createElement("p");
  #note = document.createElement("p");
  #spans = []; // {span, start}, in characters as the server counts them
  #length = 0;
  #heard = 0;

  constructor() {
    this.item.className = "agent";
    this.item.dataset.state = "thinking";
    const who = document.createElement("h3");
    who.textContent = "Agent";
    this.#note.className = "note";
    this.#note.hidden = true;
    this.item.append(who, this.#words, this.#note);
  }

  /** Whether any of it was heard. */
  get audible() {
    return this.#heard > 0;
  }

  /** Whether it has any words. */
  get worded() {
    return this.#length > 0;
  }

  /** @param {string} text the next words, which will be spoken */
  write(text) {
    if (this.item.dataset.state === "thinking") this.item.dataset.state = "waiting";
    for (const piece of text.match(/\s*\S+\s*|\s+/g) ?? []) {
      const last = this.#spans.at(-1);
      if (last && !/\s$/.test(last.span.textContent) && !/^\s/.test(piece)) {
        last.span.textContent += piece; // the rest of a word
      } else {
        const span = document.createElement("span");
        span.textContent = piece;
        const before = [...piece].length - [...piece.trimStart()].length;
        this.#spans.push({ span, start: this.#length + before });
        this.#words.append(span);
      }
      this.#length += [...piece].length;
    }
  }

  /** @param {{start_char: number, end_char: number}} word the last one that was heard */
  hear({ start_char: start, end_char: end }) {
    this.item.dataset.state = "speaking";
    this.#heard = Math.max(this.#heard, end);
    this.#light(start);
  }

  /** It fell silent because a voice is heard. */
  hold() {
    this.item.dataset.state = "held";
    this.#remark("Paused: somebody speaks");
  }

  /** @param {string} aside what was said meanwhile, and was no interruption */
  resume(aside) {
    this.item.dataset.state = "speaking";
    this.#remark(aside ? `Paused for “${aside}”, then went on` : "Paused for a sound, then went on");
  }

  /** The rest will never be heard. */
  cut() {
    this.item.dataset.state = "cut";
    this.#light(Infinity);
    this.#remark("Interrupted");
  }

  /** It was heard to its end. */
  end() {
    this.item.dataset.state = "over";
    this.#heard = this.#length;
    this.#light(Infinity);
  }

  /** @param {string} reason why it is not what it should have been */
  fail(reason) {
    this.#remark(reason);
    this.#note.dataset.kind = "error";
  }

  /** @param {object} latencies as the server tells them */
  time(latencies) {
    this.item.append(latencyStrip(latencies));
  }

  /** Light what was heard; what is heard now begins at `now`. */
  #light(now) {
    for (const { span, start } of this.#spans) {
      span.className = start >= this.#heard ? "" : start >= now ? "heard now" : "heard";
    }
  }

  #remark(words) {
    this.#note.textContent = words;
    this.#note.hidden = false;
  }
}
