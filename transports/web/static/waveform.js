const BAR = 3; // CSS pixels
const GAP = 2;
const MIN_SECONDS = 6; // a short utterance does not fill the width
const WINDOWS_PER_SECOND = 100; // as the meter has them

/** Draws the peaks of a stream, that part of it coloured which has been heard. */
export class Waveform {
  #canvas;
  #context;
  #colours;
  #drawn = [[], 0];

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
    this.#fit();
  }

  /**
   * @param {number[]} peaks of consecutive 10 ms, 0 to 1
   * @param {number} played seconds of them that have been heard
   */
  draw(peaks, played) {
    this.#drawn = [peaks, played];
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#context;
    context.clearRect(0, 0, width, height);
    const bars = Math.max(Math.floor((width + GAP) / (BAR + GAP)), 1);
    const perBar = Math.max(peaks.length, MIN_SECONDS * WINDOWS_PER_SECOND) / bars;
    const heard = (played * WINDOWS_PER_SECOND) / perBar;
    for (let bar = 0; bar < bars; bar++) {
      const from = Math.floor(bar * perBar);
      const here = peaks.slice(from, Math.max(Math.floor((bar + 1) * perBar), from + 1));
      const size = here.length ? Math.max(Math.max(...here) ** 0.7 * height, BAR) : BAR;
      context.fillStyle = here.length ? this.#colours[bar < heard ? "played" : "waiting"] : this.#colours.empty;
      context.beginPath();
      context.roundRect(bar * (BAR + GAP), (height - size) / 2, BAR, size, BAR / 2);
      context.fill();
    }
  }

  #fit() {
    const style = getComputedStyle(this.#canvas);
    this.#colours = {
      played: style.getPropertyValue("--accent"),
      waiting: style.getPropertyValue("--waiting"),
      empty: style.getPropertyValue("--line"),
    };
    const scale = devicePixelRatio;
    this.#canvas.width = this.#canvas.clientWidth * scale;
    this.#canvas.height = this.#canvas.clientHeight * scale;
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw(...this.#drawn);
  }
}
