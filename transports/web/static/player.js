// How far ahead of the clock sound is scheduled when none is playing: what a script sees of the clock lags by about
// one buffer of the audio hardware, and a source that is started too late would overlap with the next one.
const LEAD_SECONDS = 0.025;
// What is broken off fades, for a cut is heard as a click.
const FADE_SECONDS = 0.008;

/** Plays samples without a gap as they come, and knows what has been heard of them. */
export class Player {
  #context = null;
  #input;
  #analyser;
  #window;
  #sources = new Set();
  #runs = []; // stretches without a gap: {start, samples}, in seconds of the context's clock
  #ending = null;

  /**
   * Get ready for a new stream. To be called from a user's gesture, without which browsers stay mute.
   * @param {number} rate of its samples, in Hz
   */
  async open(rate) {
    this.stop();
    if (this.#context?.sampleRate !== rate) {
      this.#context?.close();
      // At the stream's own rate: resampled once by the browser, not source by source with a seam each time.
      this.#context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
      this.#analyser = new AnalyserNode(this.#context, { fftSize: 2 ** Math.floor(Math.log2(rate / 10)) });
      this.#analyser.connect(this.#context.destination);
      this.#window = new Float32Array(this.#analyser.fftSize);
    }
    this.#runs = [];
    this.#input = new GainNode(this.#context);
    this.#input.connect(this.#analyser);
    await this.#context.resume();
  }

  /**
   * Play samples after all that came before.
   * @param {Float32Array} samples
   * @returns {number} when their first one is due, on the clock of `performance.now()`, in milliseconds
   */
  push(samples) {
    const { currentTime, sampleRate } = this.#context;
    let run = this.#runs.at(-1);
    if (!run || run.start + run.samples / sampleRate < currentTime) {
      run = { start: currentTime + LEAD_SECONDS, samples: 0 };
      this.#runs.push(run);
    }
    const when = run.start + run.samples / sampleRate;
    run.samples += samples.length;

    const buffer = new AudioBuffer({ length: samples.length, sampleRate });
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#input);
    source.onended = () => {
      this.#sources.delete(source);
      if (!this.#sources.size) this.#ending?.();
    };
    this.#sources.add(source);
    source.start(when);
    return performance.now() + (when - currentTime) * 1000;
  }

  /** @returns {Promise<void>} that all that was pushed has been played, or dropped by `stop()` */
  end() {
    if (!this.#sources.size) return Promise.resolve();
    return new Promise((resolve) => {
      this.#ending = resolve;
    });
  }

  /** Silence, at once; what was not played never will be. */
  stop() {
    const now = this.#context?.currentTime;
    const rate = this.#context?.sampleRate;
    this.#input?.gain.setValueAtTime(1, now).linearRampToValueAtTime(0, now + FADE_SECONDS);
    this.#runs = this.#runs.map(({ start, samples }) => ({
      start,
      samples: Math.min(Math.max(now - start, 0) * rate, samples),
    }));
    for (const source of this.#sources) {
      source.onended = null;
      source.stop(now + FADE_SECONDS);
    }
    this.#sources.clear();
    this.#ending?.();
    this.#ending = null;
  }

  /** Let the audio hardware rest until the next `open()`. */
  rest() {
    this.#context?.suspend();
  }

  /** Seconds of the stream that have been heard. */
  get played() {
    return this.#context ? this.#until(this.#context.currentTime) : 0;
  }

  /** The same, but by what has left the loudspeaker, as far as the browser knows how long that takes. */
  get heard() {
    return this.#context ? this.#until(this.#context.currentTime - (this.#context.outputLatency || 0)) : 0;
  }

  /** How often the stream ran dry. */
  get gaps() {
    return Math.max(this.#runs.length - 1, 0);
  }

  /** The loudest sample of the last tenth of a second that went to the speaker, 0 to 1. */
  get level() {
    if (!this.#context) return 0;
    this.#analyser.getFloatTimeDomainData(this.#window);
    return this.#window.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
  }

  #until(time) {
    const { sampleRate } = this.#context;
    return this.#runs.reduce(
      (sum, { start, samples }) => sum + Math.min(Math.max(time - start, 0), samples / sampleRate),
      0,
    );
  }
}
