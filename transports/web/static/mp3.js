import { concat } from "./bytes.js";

// ISO 11172-3, layer III: kbit/s and Hz by their index in the frame header.
const KBPS = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const RATES = [44100, 48000, 32000];
const HEADER = 4;

/** Takes the frames out of an MPEG-1 layer III stream without tags, as it arrives. */
export class Mp3Splitter {
  #rest = new Uint8Array();

  /**
   * @param {Uint8Array} bytes the next of the stream
   * @returns {{data: Uint8Array, rate: number}[]} the frames that they complete
   */
  push(bytes) {
    const data = concat(this.#rest, bytes);
    const frames = [];
    let at = 0;
    while (data.length >= at + HEADER) {
      if (data[at] !== 0xff || (data[at + 1] & 0xfe) !== 0xfa) throw new Error("The MP3 stream is damaged.");
      const rate = RATES[(data[at + 2] >> 2) & 3];
      const padding = (data[at + 2] >> 1) & 1;
      const size = Math.floor((144_000 * KBPS[data[at + 2] >> 4]) / rate) + padding;
      if (!(size > HEADER)) throw new Error("The MP3 stream is damaged.");
      if (data.length < at + size) break;
      frames.push({ data: data.slice(at, at + size), rate });
      at += size;
    }
    this.#rest = data.slice(at);
    return frames;
  }
}
