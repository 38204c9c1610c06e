const BAR = 3; // CSS pixels
const GAP = 2;
const BAR_SECONDS = 0.08;

/** Draws two voices over the last seconds: above the line who calls, below it who answers. */
export class Duplex {
  #canvas;
  #context;
  #bars = []; // [caller, agent], the loudest of each
  #began = null;
  #colours;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
    this.#fit();
  }

  /** Begin anew. */
  clear() {
    this.#bars = [];
    this.#began = null;
    this.#draw();
  }

  /**
   * @param {number} caller peak of this moment, 0 to 1
   * @param {number} agent
   * @param {number} now in milliseconds
   */
  push(caller, agent, now) {
    const most = this.#fitting;
    const late = this.#began !== null && now - this.#began > (this.#bars.length + most) * BAR_SECONDS * 1000;
    if (late) this.#bars = []; // nobody was looking
    if (late || this.#began === null) this.#began = now;
    while (now - this.#began >= this.#bars.length * BAR_SECONDS * 1000) this.#bars.push([0, 0]);
    if (this.#bars.length > 2 * most) {
      this.#began += most * BAR_SECONDS * 1000;
      this.#bars.splice(0, most);
    }
    const bar = this.#bars.at(-1);
    bar[0] = Math.max(bar[0], caller);
    bar[1] = Math.max(bar[1], agent);
    this.#draw();
  }

  get #fitting() {
    return Math.max(Math.floor((this.#canvas.clientWidth + GAP) / (BAR + GAP)), 1);
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#context;
    context.clearRect(0, 0, width, height);
    const middle = height / 2;
    const shown = this.#bars.slice(-this.#fitting);
    for (let at = 0; at < this.#fitting; at++) {
      const [caller, agent] = shown[at] ?? [null, null];
      const x = at * (BAR + GAP);
      this.#bar(x, middle - 1, -1, caller, this.#colours.caller);
      this.#bar(x, middle + 1, 1, agent, this.#colours.agent);
    }
  }

  #bar(x, y, direction, peak, colour) {
    const room = this.#canvas.clientHeight / 2 - 1;
    const size = Math.max((peak ?? 0) ** 0.6 * room, 2);
    this.#context.fillStyle = peak > 0.01 ? colour : this.#colours.empty;
    this.#context.beginPath();
    this.#context.roundRect(x, direction < 0 ? y - size : y, BAR, size, BAR / 2);
    this.#context.fill();
  }

  #fit() {
    const style = getComputedStyle(this.#canvas);
    this.#colours = {
      caller: style.getPropertyValue("--quiet"),
      agent: style.getPropertyValue("--accent"),
      empty: style.getPropertyValue("--line"),
    };
    const scale = devicePixelRatio;
    this.#canvas.width = this.#canvas.clientWidth * scale;
    this.#canvas.height = this.#canvas.clientHeight * scale;
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.#draw();
  }
}
