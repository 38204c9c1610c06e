import { FORMATS } from "./decoders.js";

/**
 * @param {HTMLFormElement} form
 * @returns {{text: string, trickle: boolean, format: "pcm" | "wav" | "opus" | "mp3", request: object}} what was
 *   chosen; `request` has the fields of a TTSRequest, without those that are at their defaults
 */
export function readSettings(form) {
  const data = new FormData(form);
  const format = data.get("format");
  const request = { format };
  if (data.get("voice")) request.reference_id = data.get("voice");
  if (data.get("latency") !== "balanced") request.latency = data.get("latency");
  const [speed, volume] = [Number(data.get("speed")), Number(data.get("volume"))];
  if (speed !== 1 || volume !== 0) request.prosody = { speed, volume };
  return { text: data.get("text"), trickle: data.has("trickle"), format, request };
}

/**
 * @param {URL} url of `/v1/tts`
 * @param {{text: string, format: string, request: object}} settings
 * @param {boolean} keyed whether the server asks for an API key, which is not shown
 * @returns {string} a command that saves the same speech to a file
 */
export function curlCommand(url, { text, format, request }, keyed) {
  const body = quote(JSON.stringify({ text, ...request }));
  const file = `speech.${FORMATS[format].suffix}`;
  const key = keyed ? '  -H "Authorization: Bearer $FISH_API_KEY" \\\n' : "";
  return `curl -N ${quote(url.href)} \\\n${key}  -H 'Content-Type: application/json' \\\n  -d ${body} \\\n  -o ${file}`;
}

function quote(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
