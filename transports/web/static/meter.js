const WINDOW_SECONDS = 0.01;
const AUDIBLE_RMS = 0.01;

/** Looks at decoded samples: where they become audible, and how loud each 10 ms is. */
export class Meter {
  /** Peaks of consecutive 10 ms, 0 to 1. */
  peaks = [];
  /** Index of the first sample of the first 10 ms with an RMS above 0.01; null until it came. */
  onset = null;
  /** Samples so far. */
  samples = 0;
  #size;
  #rate;
  #filled = 0;
  #energy = 0;
  #peak = 0;

  /** @param {number} rate in Hz */
  constructor(rate) {
    this.#rate = rate;
    this.#size = Math.round(rate * WINDOW_SECONDS);
  }

  /** Seconds so far. */
  get seconds() {
    return this.samples / this.#rate;
  }

  /** @param {Float32Array} samples the next of the stream */
  push(samples) {
    for (const sample of samples) {
      this.#energy += sample * sample;
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      this.samples += 1;
      this.#filled += 1;
      if (this.#filled === this.#size) this.#close();
    }
  }

  #close() {
    if (this.onset === null && Math.sqrt(this.#energy / this.#size) > AUDIBLE_RMS) {
      this.onset = this.samples - this.#size;
    }
    this.peaks.push(this.#peak);
    this.#filled = this.#energy = this.#peak = 0;
  }
}

/** @param {number} peak 0 to 1 */
export const decibels = (peak) => (peak ? `${(20 * Math.log10(peak)).toFixed(1)} dB`.replace("-", "−") : "–");
