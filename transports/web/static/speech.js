import { createDecoder, FORMATS } from "./decoders.js";
import { LiveSocket } from "./live.js";
import { Meter } from "./meter.js";
import { tokenize, trickle } from "./tokens.js";

const BROKEN = "The connection to the server broke off.";

/**
 * One utterance, from the text to the last sample played.
 *
 * `listener.state(state)` hears "connecting", "speaking" and then "done" or "error"; `listener.note(message)` what the
 * server has to say and `listener.trouble(message)` what went wrong; `listener.sent(length)` how much of the text has
 * left. After `stop()` it hears nothing more.
 */
export class Speech {
  /** Of the container that was asked for. */
  format;
  /** Milliseconds from the departure of the text to the first byte, and to the first audible sample; null before. */
  firstByte = null;
  firstSound = null;
  /** The received bytes, in slices. */
  chunks = [];
  /** What the decoded samples are like. */
  meter;
  #player;
  #listener;
  #socket;
  #decoder = null;
  #departed = 0;
  #ended = new AbortController(); // no more text is to be sent
  #lastLog = "";
  #refusal = "";
  #stopped = false;

  /**
   * @param {import("./player.js").Player} player
   * @param {"pcm" | "wav" | "opus" | "mp3"} format
   * @param {{state: Function, note: Function, trouble: Function, sent: Function}} listener
   */
  constructor(player, format, listener) {
    this.#player = player;
    this.format = format;
    this.#listener = listener;
    this.meter = new Meter(FORMATS[format].rate);
    this.#socket = new LiveSocket({
      audio: (bytes) => this.#receive(bytes),
      log: (message) => this.#log(message),
      refused: (message) => (this.#refusal = message),
      finished: (reason) => this.#finish(reason),
    });
  }

  /**
   * Say it.
   * @param {URL} url of the live API
   * @param {object} request fields of the `start` message
   * @param {string} text
   * @param {boolean} slowly token by token, as a language model would write it
   * @param {string} key the API key, or ""
   */
  async run(url, request, text, slowly, key) {
    this.#listener.state("connecting");
    try {
      [this.#decoder] = await Promise.all([
        createDecoder(this.format, (samples) => this.#play(samples), (error) => this.#fail(error.message)),
        this.#player.open(FORMATS[this.format].rate),
        this.#socket.open(url, key),
      ]);
    } catch (error) {
      this.#fail(error.message);
      return;
    }
    if (this.#stopped) return;
    if (!this.#decoder.streams) {
      this.#listener.note(
        `This browser offers no streaming ${this.format.toUpperCase()} decoder here (WebCodecs, which needs https or ` +
          "localhost): you will hear it once all of it has come. PCM and WAV stream everywhere.",
      );
    }
    this.#listener.state("speaking");
    this.#socket.start({ ...request, sample_rate: FORMATS[this.format].rate });
    this.#departed = performance.now();
    if (slowly) {
      let sent = 0;
      const write = (token) => {
        this.#socket.text(token);
        this.#listener.sent((sent += token.length));
      };
      await trickle(tokenize(text), write, this.#ended.signal);
    } else {
      this.#socket.text(text);
      this.#listener.sent(text.length);
    }
    this.#socket.stop();
  }

  /** Cancel on the server and fall silent here, at once. */
  stop() {
    this.#stopped = true;
    this.#leave();
    this.#player.stop();
  }

  #receive(bytes) {
    this.firstByte ??= performance.now() - this.#departed;
    this.chunks.push(bytes);
    try {
      this.#decoder.push(bytes);
    } catch (error) {
      this.#fail(error.message);
    }
  }

  #play(samples) {
    if (this.#stopped) return;
    const before = this.meter.samples;
    this.meter.push(samples);
    const due = this.#player.push(samples);
    if (this.firstSound === null && this.meter.onset !== null) {
      const offset = (this.meter.onset - before) / FORMATS[this.format].rate;
      this.firstSound = due + offset * 1000 - this.#departed;
    }
  }

  #log(message) {
    this.#lastLog = message;
    this.#listener.note(message);
  }

  /** The server has said all it will; what it said is still heard to the end. */
  async #finish(reason) {
    this.#ended.abort();
    const message = { stop: null, error: this.#refusal || this.#lastLog || "The server could not go on.", lost: this.#refusal || BROKEN }[reason];
    if (message) this.#listener.trouble(message);
    if (this.#decoder === null) {
      this.#fail(message ?? BROKEN); // it went before all was ready here
      return;
    }
    try {
      await this.#decoder.finish();
      await this.#player.end();
    } catch (error) {
      this.#fail(error.message);
      return;
    }
    if (this.#stopped) return;
    this.#leave();
    this.#listener.state(message ? "error" : "done");
  }

  #fail(message) {
    if (this.#stopped) return;
    this.stop();
    this.#listener.trouble(message);
    this.#listener.state("error");
  }

  #leave() {
    this.#ended.abort();
    this.#socket.close();
    this.#decoder?.close();
  }
}
