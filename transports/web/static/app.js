/** The page, and its listen mode: what the user does goes to a Speech, what becomes of it is shown. */

import { Access } from "./access.js";
import { FORMATS } from "./decoders.js";
import { decibels } from "./meter.js";
import { Player } from "./player.js";
import { ServerWatch } from "./server.js";
import { curlCommand, readSettings } from "./settings.js";
import { Speech } from "./speech.js";
import { TalkView } from "./talk/view.js";
import { Waveform } from "./waveform.js";

const SERVER = {
  ready: ({ open, max }) => `Ready · ${open} of ${max} streams in use`,
  full: ({ max }) => `Full: all ${max} streams are in use`,
  loading: () => "The model is loading…",
  restarting: () => "The voice has crashed and is being started again…",
  draining: () => "The server is shutting down",
  failed: () => "The server's voice has failed; its log says why",
  gone: () => "The server cannot be reached; trying again…",
};

const byId = (id) => document.getElementById(id);
const url = (path) => new URL(path, document.baseURI);

const form = byId("form");
const text = byId("text");
const player = new Player();
const waveform = new Waveform(byId("waveform"));
const server = new ServerWatch(url("ready"), showServer);
const access = new Access(url("wallet/self/api-credit"), byId("access"), byId("key"));
const talk = new TalkView({ url, request: voiceRequest, access, server, show: showMessage, hide: hideMessage });

let speech = null;
let peak = 0;
let voicesShown = false;
let animating = false;

function speak() {
  if (!text.value.trim()) {
    showMessage("There is nothing to say yet.", "note");
    text.focus();
    return;
  }
  silence();
  const settings = readSettings(form);
  peak = 0;
  hideMessage();
  forgetDownload();
  const mine = new Speech(player, settings.format, {
    state(state) {
      showState(state);
      if (state === "done" || state === "error") {
        showNumbers(player.level);
        offerDownload(mine);
      }
      if (state !== "connecting") server.look();
    },
    note: (message) => showMessage(message, "note"),
    trouble: (message) => {
      showMessage(message, "error");
      showAccess();
    },
    sent: (length) => showSent(settings.trickle ? length : 0),
  });
  speech = mine;
  mine.run(url("v1/tts/live"), settings.request, settings.text, settings.trickle, access.key);
  showNumbers(0); // not those of the one before until the next frame
  animate();
}

function stop() {
  if (byId("stop").disabled) return;
  silence();
  offerDownload(speech);
  showState("idle");
  server.look();
}

function silence() {
  if (["connecting", "speaking"].includes(document.body.dataset.state)) speech.stop();
}

function showState(state) {
  const busy = state === "connecting" || state === "speaking";
  const hadFocus = document.activeElement === byId("stop");
  document.body.dataset.state = state;
  byId("stop").disabled = !busy;
  byId("speak").textContent = busy ? "Again" : "Speak";
  text.readOnly = busy;
  if (!busy) showSent(0);
  if (!busy && hadFocus) byId("speak").focus();
}

/** Redraw as long as there is something to hear. */
function animate() {
  if (animating) return;
  animating = true;
  requestAnimationFrame(function frame() {
    const level = player.level;
    const busy = ["connecting", "speaking"].includes(document.body.dataset.state);
    peak = Math.max(peak, level);
    showNumbers(level);
    if (busy || level > 0) requestAnimationFrame(frame);
    else {
      animating = false;
      player.rest();
    }
  });
}

function showNumbers(level) {
  const { meter, firstByte, firstSound, chunks } = speech;
  const played = player.played;
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  showNumber("first-byte", firstByte, firstByte === null ? "–" : `${firstByte.toFixed(0)} ms`);
  showNumber("first-sound", firstSound, firstSound === null ? "–" : `${firstSound.toFixed(0)} ms`);
  showNumber("played", played, `${played.toFixed(1)} s`);
  showNumber("received", meter.seconds, `${meter.seconds.toFixed(1)} s, ${(bytes / 1000).toFixed(0)} kB`);
  showNumber("peak", peak, decibels(peak));
  showNumber("gaps", player.gaps, String(player.gaps));
  byId("level").value = level;
  waveform.draw(meter.peaks, played);
}

function showNumber(id, value, words) {
  const element = byId(id);
  element.value = value === null ? "" : value.toFixed(3);
  element.textContent = words;
}

function showMessage(message, kind) {
  const element = byId("message");
  element.dataset.kind = kind;
  element.textContent = message;
  element.hidden = false;
}

function hideMessage() {
  byId("message").hidden = true;
}

/** The text behind the text area: it gives it its height, and marks what has left. */
function showSent(length) {
  const mark = document.createElement("mark");
  mark.textContent = text.value.slice(0, length);
  byId("sent").replaceChildren(mark, `${text.value.slice(length)}\n`);
}

function offerDownload({ chunks, format }) {
  if (!chunks.length) return;
  const { suffix, mime } = FORMATS[format];
  const link = byId("download");
  link.href = URL.createObjectURL(new Blob(chunks, { type: mime }));
  link.download = `parrotfish.${suffix}`;
  link.textContent = `Download .${suffix}`;
  link.hidden = false;
}

function forgetDownload() {
  const link = byId("download");
  URL.revokeObjectURL(link.href);
  link.hidden = true;
}

function showServer(state, streams) {
  document.body.dataset.server = state;
  const words = SERVER[state](streams ?? {});
  if (byId("server").textContent !== words) byId("server").textContent = words;
  if (state === "gone") voicesShown = false; // another model may come back
  if ((state === "ready" || state === "full") && !voicesShown) showVoices();
}

/** A browser does not say why a socket was refused; the server does. */
async function showAccess() {
  const refusal = await access.check();
  if (refusal) showMessage(refusal, "error");
  showCommand();
}

async function showVoices() {
  const response = await fetch(url("web/voices"));
  if (!response.ok) return;
  const { model, default: usual, voices } = await response.json();
  const before = new FormData(form).get("voice");
  const chosen = voices.some(({ id }) => id === before) ? before : usual;
  byId("voices").replaceChildren(...voices.map((voice) => voiceCard(voice, voice.id === chosen)));
  byId("model").textContent = `Speaking with ${model}`;
  voicesShown = true;
  showCommand();
}

function voiceCard({ id, name, description }, chosen) {
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "voice", value: id });
  input.defaultChecked = chosen;
  const title = document.createElement("strong");
  title.textContent = name;
  const about = document.createElement("small");
  about.textContent = description;
  const face = document.createElement("span");
  face.append(title, about);
  const card = document.createElement("label");
  card.append(input, face);
  return card;
}

function showCommand() {
  byId("speed-value").textContent = `${Number(byId("speed").value).toFixed(2)}×`;
  byId("volume-value").textContent = `${byId("volume").value.replace("-", "−")} dB`;
  byId("curl").textContent = curlCommand(url("v1/tts"), readSettings(form), access.asked);
}

/** What was chosen that goes for a conversation, too. */
function voiceRequest() {
  const { reference_id, prosody } = readSettings(form).request;
  return { reference_id, prosody };
}

/** Listen or talk, as the address says. */
function showMode() {
  const mode = location.hash === "#talk" ? "talk" : "listen";
  if (mode === document.body.dataset.mode) return;
  stop();
  talk.hangUp();
  hideMessage();
  document.body.dataset.mode = mode;
  for (const link of document.querySelectorAll(".modes a")) {
    if (link.hash === `#${mode}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (mode === "talk") talk.look();
}

async function copyCommand() {
  getSelection().selectAllChildren(byId("curl")); // all that is left to do where there is no clipboard
  await navigator.clipboard?.writeText(byId("curl").textContent);
  byId("copy").textContent = navigator.clipboard ? "Copied" : "Selected";
  setTimeout(() => (byId("copy").textContent = "Copy"), 2000);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  speak();
});
form.addEventListener("input", showCommand);
text.addEventListener("input", () => showSent(0));
document.addEventListener("keydown", (event) => {
  const talks = document.body.dataset.mode === "talk";
  if (event.key === "Escape") talks ? talk.interrupt() : stop();
  else if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !talks) speak();
});
byId("stop").addEventListener("click", stop);
byId("copy").addEventListener("click", copyCommand);
addEventListener("hashchange", showMode);

showMode();
showSent(0);
showCommand();
access.check().then(showCommand);
server.look();
