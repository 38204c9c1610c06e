/** Talk mode: what the user does goes to a Call, what becomes of it is shown. */

import { decibels } from "../meter.js";
import { Player } from "../player.js";
import { Call } from "./call.js";
import { Duplex } from "./duplex.js";
import { milliseconds } from "./strip.js";
import { Transcript } from "./transcript.js";

const WORDS = {
  idle: "Not connected",
  asking: "Asking for the microphone…",
  connecting: "Connecting…",
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking…",
  speaking: "Speaking",
  held: "Paused for you",
};
// What the agent is at, once it was told this.
const AT = {
  ready: "listening",
  thinking: "thinking",
  spoken_words: "speaking",
  latencies: "speaking",
  held: "held",
  resumed: "speaking",
  interrupted: "listening",
  reply_ended: "listening",
};
const NUMBERS = {
  transcript: "words-known",
  decided: "turn-decided",
  first_token: "first-token",
  first_audio: "answered",
};

const byId = (id) => document.getElementById(id);

export class TalkView {
  #page;
  #player = new Player();
  #transcript = new Transcript(byId("turns"), byId("transcript"));
  #duplex = new Duplex(byId("duplex"));
  #call = null;
  #hearing = false; // the user's voice, by what the server says
  #answered = []; // seconds, of each turn
  #peak = 0;
  #animating = false;

  /**
   * @param {object} page what it shares with the rest of the page: `url(path)`, `request()` with the fields of a
   *   TTSRequest that were chosen, `access`, `server`, `show(message, kind)` and `hide()`
   */
  constructor(page) {
    this.#page = page;
    byId("start").addEventListener("click", () => this.#start(true));
    byId("hang-up").addEventListener("click", () => this.hangUp());
    byId("mute").addEventListener("click", () => this.#mute(byId("mute").getAttribute("aria-pressed") !== "true"));
    byId("interrupt").addEventListener("click", () => this.interrupt());
    byId("typing").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#type();
    });
  }

  /** Tell what the agent thinks with, before anybody calls it. */
  async look() {
    const agent = await this.#agent();
    if (agent) this.#introduce(agent.mind);
  }

  /** Have the agent fall silent. */
  interrupt() {
    this.#call?.interrupt();
  }

  /** End the conversation, if there is one. */
  hangUp() {
    this.#call?.hangUp();
  }

  #start(listens) {
    this.#page.hide();
    this.#transcript.clear();
    this.#duplex.clear();
    this.#answered = [];
    this.#peak = 0;
    this.#hearing = false;
    for (const id of [...Object.values(NUMBERS), "typical"]) show(id, null, "–");
    byId("invitation").hidden = true;
    const call = new Call(this.#player, {
      state: (state) => this.#state(state),
      told: (message) => this.#told(message),
      note: (message) => this.#page.show(message, "note"),
      trouble: (message, refused) => this.#trouble(message, refused),
    });
    this.#call = call;
    this.#mute(false);
    call.start(this.#page.url("v1/agent"), this.#page.access.key, this.#page.request(), listens);
    this.#animate();
  }

  #type() {
    const text = byId("line").value.trim();
    if (!text) return;
    byId("line").value = "";
    if (!this.#call) this.#start(false);
    this.#call?.type(text);
  }

  #mute(muted) {
    byId("mute").setAttribute("aria-pressed", muted);
    byId("mute").textContent = muted ? "Muted" : "Mute";
    if (this.#call) this.#call.muted = muted;
  }

  #state(state) {
    const over = state === "over";
    if (over) this.#call = null;
    const focused = document.activeElement;
    byId("start").hidden = !over;
    for (const id of ["hang-up", "mute", "interrupt"]) byId(id).hidden = over;
    byId("interrupt").disabled = true;
    if (focused === byId("start") && !over) byId("hang-up").focus();
    else if (over && ["hang-up", "mute", "interrupt"].includes(focused?.id)) byId("start").focus();
    if (state === "open") this.#page.hide();
    else this.#at(over ? "idle" : state);
    if (over || state === "open") this.#page.server.look();
  }

  #at(state) {
    const what = state === "listening" && this.#hearing ? "hearing" : state;
    document.body.dataset.call = what;
    byId("call-state").textContent = WORDS[what];
    byId("interrupt").disabled = !["thinking", "speaking", "held"].includes(what);
  }

  #told(message) {
    this.#transcript.take(message);
    if (message.type === "ready") this.#introduce(message.mind);
    if (message.type === "latencies") this.#time(message);
    if (message.type in AT) this.#at(AT[message.type]);
    if (message.type === "caller_started" || message.type === "caller_stopped") {
      this.#hearing = message.type === "caller_started";
      if (!byId("interrupt").disabled) return; // it is busy, and how is more interesting
      this.#at("listening");
    }
  }

  #time(latencies) {
    for (const [name, id] of Object.entries(NUMBERS)) show(id, latencies[name], milliseconds(latencies[name]));
    this.#answered.push(latencies.first_audio);
    const sorted = this.#answered.toSorted((a, b) => a - b);
    const typical = sorted[Math.floor((sorted.length - 1) / 2)];
    show("typical", typical, milliseconds(typical));
  }

  #introduce(mind) {
    byId("parrot").hidden = mind !== "parrot";
    byId("mind").textContent = ` with ${mind === "parrot" ? "a parrot" : mind}`;
  }

  /** A browser does not say why a socket was refused; the server does. */
  async #trouble(message, refused) {
    this.#page.show(message, "error");
    if (!refused) return;
    const [refusal, agent] = await Promise.all([this.#page.access.check(), this.#agent()]);
    if (refusal) this.#page.show(refusal, "error");
    else if (agent && agent.open >= agent.max) {
      this.#page.show(`All ${agent.max} conversations that this server holds are under way. Try again soon.`, "error");
    }
  }

  /** What there is to talk to; null if the server does not say. */
  async #agent() {
    try {
      const response = await fetch(this.#page.url("web/agent"), { cache: "no-store" });
      return response.ok ? await response.json() : null;
    } catch {
      return null;
    }
  }

  /** Redraw as long as there is a conversation. */
  #animate() {
    if (this.#animating) return;
    this.#animating = true;
    const frame = (now) => {
      const call = this.#call;
      const level = this.#player.level;
      this.#peak = Math.max(this.#peak, level);
      show("spoken-peak", this.#peak, decibels(this.#peak));
      if (call) {
        show("spoken", call.played, `${call.played.toFixed(1)} s`);
        this.#duplex.push(call.peak, level, now);
      }
      if (call || level > 0) requestAnimationFrame(frame);
      else {
        this.#animating = false;
        this.#player.rest();
      }
    };
    requestAnimationFrame(frame);
  }
}

function show(id, value, words) {
  const element = byId(id);
  element.value = value === null ? "" : value.toFixed(3);
  element.textContent = words;
}
