/**
 * What a microphone hears, as mono samples of 16 bit at the rate that the server listens at.
 *
 * Posts `{pcm: ArrayBuffer, peak: number}` every 40 ms, the peak from 0 to 1.
 */

const RATE = 16000;
const SAMPLES = 640;
const LOBES = 8; // of the sinc, on either side

/** Any rate to `RATE`, by a windowed sinc in as many phases as the two rates' ratio has. */
class Resampler {
  #half;
  #phases;
  #step;
  #kernels;
  #past;
  #filled;
  #at;
  #phase = 0;

  /** @param {number} rate of what is pushed, in Hz */
  constructor(rate) {
    const common = gcd(Math.round(rate), RATE);
    this.#step = Math.round(rate) / common;
    this.#phases = RATE / common;
    const cutoff = Math.min(1, RATE / rate) * 0.92; // room for the filter's slope
    this.#half = Math.ceil(LOBES / cutoff);
    this.#kernels = Array.from({ length: this.#phases }, (_, phase) => this.#kernel(phase / this.#phases, cutoff));
    this.#past = new Float32Array(2 * this.#half + 4096);
    this.#at = this.#half - 1;
    this.#filled = this.#at;
  }

  /**
   * @param {Float32Array} samples the next ones, at most 2048
   * @param {(sample: number) => void} sink
   */
  push(samples, sink) {
    if (this.#filled + samples.length > this.#past.length) {
      const from = this.#at - this.#half + 1;
      this.#past.copyWithin(0, from, this.#filled);
      this.#filled -= from;
      this.#at -= from;
    }
    this.#past.set(samples, this.#filled);
    this.#filled += samples.length;
    while (this.#at + this.#half < this.#filled) {
      const kernel = this.#kernels[this.#phase];
      const from = this.#at - this.#half + 1;
      let sum = 0;
      for (let i = 0; i < kernel.length; i++) sum += kernel[i] * this.#past[from + i];
      sink(sum);
      this.#phase += this.#step;
      this.#at += Math.floor(this.#phase / this.#phases);
      this.#phase %= this.#phases;
    }
  }

  #kernel(fraction, cutoff) {
    const taps = Float32Array.from({ length: 2 * this.#half }, (_, i) => {
      const x = i - this.#half + 1 - fraction;
      const window = Math.cos((Math.PI * x) / (2 * this.#half + 2)) ** 2;
      return (x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x)) * window;
    });
    const sum = taps.reduce((total, tap) => total + tap, 0);
    return taps.map((tap) => tap / sum);
  }
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

class Capture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate);
  #message = new Int16Array(SAMPLES);
  #written = 0;
  #peak = 0;

  process([channels]) {
    if (channels.length) this.#resampler.push(mixed(channels), (sample) => this.#write(sample));
    return true;
  }

  #write(sample) {
    const clipped = Math.max(-1, Math.min(1, sample));
    this.#peak = Math.max(this.#peak, Math.abs(clipped));
    this.#message[this.#written++] = Math.round(clipped * 32767);
    if (this.#written < SAMPLES) return;
    this.port.postMessage({ pcm: this.#message.buffer, peak: this.#peak }, [this.#message.buffer]);
    this.#message = new Int16Array(SAMPLES);
    this.#written = this.#peak = 0;
  }
}

function mixed(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

registerProcessor("capture", Capture);
