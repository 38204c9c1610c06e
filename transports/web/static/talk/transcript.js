import { Reply } from "./reply.js";

/** What the caller says in one turn, as an item of the transcript. */
class Turn {
  item = document.createElement("li");
  /** What is certain of it. */
  text = "";
  ended = false;
  #firm = document.createElement("span");
  #guess = document.createElement("span");

  constructor() {
    this.item.className = "caller";
    const who = document.createElement("h3");
    who.textContent = "You";
    const words = document.createElement("p");
    this.#guess.className = "guess";
    words.append(this.#firm, this.#guess);
    this.item.append(who, words);
  }

  /** @param {string} guess all of it, as far as it is understood */
  show(guess) {
    const firm = guess.startsWith(this.text) ? this.text : "";
    this.#firm.textContent = firm;
    this.#guess.textContent = guess.slice(firm.length);
  }

  /** All that it seems to be. */
  get guess() {
    return this.#firm.textContent + this.#guess.textContent;
  }
}

/** Both sides of a conversation as a list of turns, made of what the server tells. */
export class Transcript {
  #list;
  #frame;
  #turns = new Map();
  #replies = new Map();
  #reopened = null; // a turn that its caller went on with before he was answered

  /**
   * @param {HTMLOListElement} list
   * @param {HTMLElement} frame scrolls it
   */
  constructor(list, frame) {
    this.#list = list;
    this.#frame = frame;
  }

  /** Begin anew. */
  clear() {
    this.#list.replaceChildren();
    this.#turns.clear();
    this.#replies.clear();
    this.#reopened = null;
  }

  /** @param {{type: string, turn?: number}} message of the agent socket; what does not belong here is ignored */
  take(message) {
    const follows = this.#frame.scrollHeight - this.#frame.scrollTop - this.#frame.clientHeight < 40;
    this.#take(message);
    if (follows) this.#frame.scrollTop = this.#frame.scrollHeight;
  }

  #take(message) {
    const { type, turn } = message;
    switch (type) {
      case "transcript_partial":
        return this.#said(turn, message.text);
      case "transcript_final":
        return this.#said(turn, message.text, { certain: true });
      case "turn_ended":
        return this.#said(turn, message.text, { certain: true, ended: true });
      case "thinking":
        return void this.#reply(turn);
      case "reply_text":
        return this.#reply(turn).write(message.text);
      case "spoken_words":
        return this.#reply(turn).hear(message.words.at(-1));
      case "held":
        return this.#reply(turn).hold();
      case "resumed":
        return this.#reply(turn).resume(this.#dropAsides());
      case "interrupted":
        return this.#cut(turn);
      case "reply_ended":
        return this.#reply(turn).worded ? this.#reply(turn).end() : this.#forget(this.#replies, turn);
      case "mind_failed":
      case "speech_failed":
        return this.#reply(turn).fail(message.reason);
      case "latencies":
        return this.#reply(turn).time(message);
    }
  }

  #said(number, text, { certain = false, ended = false } = {}) {
    const turn = this.#entry(this.#turns, number, Turn);
    if (certain) turn.text = text;
    turn.ended ||= ended;
    turn.show(text);
    const before = this.#turns.get(this.#reopened);
    if (before && this.#reopened !== number) {
      if (text.startsWith(before.text)) this.#forget(this.#turns, this.#reopened);
      if (ended || text.startsWith(before.text)) this.#reopened = null;
    }
  }

  #reply(number) {
    return this.#entry(this.#replies, number, Reply);
  }

  #cut(number) {
    if (this.#reply(number).audible) {
      this.#reply(number).cut();
    } else {
      this.#forget(this.#replies, number);
      this.#reopened = number;
    }
  }

  /** What was said in the meantime is no turn. Returns it. */
  #dropAsides() {
    const asides = [...this.#turns].filter(([, { ended }]) => !ended);
    for (const [number] of asides) this.#forget(this.#turns, number);
    return asides.map(([, { guess }]) => guess).join(" ");
  }

  #entry(entries, number, Kind) {
    let entry = entries.get(number);
    if (!entry) {
      entry = new Kind();
      entries.set(number, entry);
      this.#list.append(entry.item);
    }
    return entry;
  }

  #forget(entries, number) {
    entries.get(number)?.item.remove();
    entries.delete(number);
  }
}
