const STEPS = [
  ["transcript", "words known"],
  ["decided", "turn decided"],
  ["first_token", "first token"],
  ["first_audio", "first sound"],
];
const FULL_SECONDS = 1.5; // of the track, so that one reply's strip compares with the next one's

/**
 * @param {{transcript: number, decided: number, first_token: number, first_audio: number}} latencies each in seconds
 *   from the end of the caller's voice
 * @returns {HTMLElement} them on a line of time
 */
export function latencyStrip(latencies) {
  const strip = document.createElement("figure");
  strip.className = "strip";
  const track = document.createElement("div");
  const legend = document.createElement("figcaption");
  const full = Math.max(FULL_SECONDS, ...STEPS.map(([name]) => latencies[name]));
  let from = 0;
  for (const [name, words] of STEPS) {
    const until = Math.max(from, latencies[name]);
    const part = document.createElement("span");
    part.dataset.step = name;
    part.style.width = `${(100 * (until - from)) / full}%`;
    track.append(part);
    from = until;
    const entry = document.createElement("span");
    entry.dataset.step = name;
    entry.textContent = `${words} ${milliseconds(latencies[name])}`;
    legend.append(entry, " ");
  }
  strip.append(track, legend);
  return strip;
}

/** @param {number} seconds */
export const milliseconds = (seconds) => `${Math.round(seconds * 1000)} ms`.replace("-", "−");
