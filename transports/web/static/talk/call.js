import { noConnection, webSocket } from "../socket.js";
import { HEARING_RATE, Microphone } from "./microphone.js";

const SPEAKING_RATE = 24000;
const REPORT_MS = 250;
const BROKEN = "The connection to the server broke off.";
// Bytes that wait to be sent, about two seconds of audio: what is older than that nobody needs to hear.
const BACKLOG_BYTES = 64000;
const STUCK_MS = 8000;

/**
 * One conversation over `/v1/agent`: the microphone goes up, the agent's voice comes down and is played.
 *
 * `listener.state(state)` hears "asking" (for the microphone), "connecting", "open" and at last "over";
 * `listener.told(message)` all that the server tells, `listener.note(message)` what the user should know, and
 * `listener.trouble(message, refused)` why it did not go (on); `refused` if the socket did not even open.
 */
export class Call {
  /** Loudest sample of the microphone's last 40 ms, 0 to 1. */
  peak = 0;
  #listener;
  #player;
  #microphone = null;
  #socket = null;
  #muted = false;
  #ready = false;
  #over = false;
  #typed = [];
  #refusal = "";
  #clears = 0;
  #before = 0; // seconds that were played before the last clear
  #reporting;
  #stuck = null;

  /**
   * @param {import("../player.js").Player} player
   * @param {{state: Function, told: Function, note: Function, trouble: Function}} listener
   */
  constructor(player, listener) {
    this.#player = player;
    this.#listener = listener;
  }

  /**
   * Begin. To be called from a user's gesture, without which browsers stay mute.
   * @param {URL} url of the agent socket
   * @param {string} key the API key, or ""
   * @param {object} request fields of a TTSRequest: how the agent speaks
   * @param {boolean} listens whether to use the microphone
   */
  async start(url, key, request, listens) {
    try {
      const sound = this.#player.open(SPEAKING_RATE);
      if (listens) {
        this.#listener.state("asking");
        this.#microphone = new Microphone();
        this.#microphone.muted = this.#muted;
        await this.#microphone.open((pcm, peak) => this.#hear(pcm, peak), () => this.#deaf());
      }
      await sound;
    } catch (error) {
      this.#fail(error.message);
      return;
    }
    if (this.#over) return;
    this.#listener.state("connecting");
    const socket = webSocket(url, key);
    this.#socket = socket;
    let reached = false;
    socket.onopen = () => {
      reached = true;
      const audio = { format: "pcm", sample_rate: SPEAKING_RATE, input_format: "pcm", input_sample_rate: HEARING_RATE };
      this.#send({ type: "start", audio, request });
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#take(JSON.parse(data)) : this.#play(data));
    socket.onclose = ({ code }) => {
      if (!reached) return this.#fail(noConnection(url).message, true);
      if (code !== 1000 || !this.#ready) return this.#fail(this.#refusal || BROKEN);
      this.hangUp();
      this.#listener.note("The agent has hung up.");
    };
  }

  /** A turn in writing; sent as soon as that is possible. */
  type(text) {
    if (this.#ready) this.#send({ type: "user_text", text });
    else this.#typed.push(text);
  }

  /** Have the agent fall silent. */
  interrupt() {
    this.#send({ type: "interrupt" });
  }

  /** Whether the microphone is deaf. */
  set muted(muted) {
    this.#muted = muted;
    if (this.#microphone) this.#microphone.muted = muted;
  }

  /** End it, at once. */
  hangUp() {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#reporting);
    this.#microphone?.close();
    this.#player.stop();
    this.peak = 0;
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = this.#socket.onopen = null;
      this.#socket.close();
    }
    this.#listener.state("over");
  }

  /** Seconds of the agent that have been played. */
  get played() {
    return this.#before + this.#player.played;
  }

  /** The loudest sample of the agent's last tenth of a second, 0 to 1. */
  get level() {
    return this.#player.level;
  }

  #hear(pcm, peak) {
    this.peak = this.#muted ? 0 : peak;
    if (!this.#ready || this.#over) return;
    if (this.#socket.bufferedAmount < BACKLOG_BYTES) {
      this.#stuck = null;
      this.#socket.send(pcm);
    } else {
      this.#stuck ??= performance.now();
      if (performance.now() - this.#stuck > STUCK_MS) this.#fail(BROKEN);
    }
  }

  #deaf() {
    this.#microphone.close();
    this.peak = 0;
    this.#listener.note("The microphone is gone. Go on in writing, or hang up and start again.");
  }

  #take(message) {
    switch (message.type) {
      case "ready":
        this.#ready = true;
        this.#reporting = setInterval(() => this.#report(), REPORT_MS);
        this.#listener.state("open");
        for (const text of this.#typed.splice(0)) this.type(text);
        break;
      case "clear":
        this.#clears += 1;
        this.#before += this.#player.played;
        this.#player.open(SPEAKING_RATE);
        this.#report();
        break;
      case "error":
        this.#refusal = message.message;
        if (this.#ready) this.#listener.note(message.message);
        break;
      case "ended":
        this.#refusal ||= message.error ?? "";
        break;
    }
    this.#listener.told(message);
  }

  #play(packet) {
    this.#player.push(Float32Array.from(new Int16Array(packet), (sample) => sample / 32768));
  }

  #report() {
    this.#send({ type: "played", seconds: this.#player.heard, clears: this.#clears });
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #fail(message, refused = false) {
    if (this.#over) return;
    this.hangUp();
    this.#listener.trouble(message, refused);
  }
}
