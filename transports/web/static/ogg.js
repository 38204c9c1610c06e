import { concat, spells } from "./bytes.js";

const HEADER = 27; // bytes of a page before its segment table, RFC 3533

/** Takes the packets out of an Ogg stream with one logical bitstream, as it arrives. */
export class OggDemuxer {
  #rest = new Uint8Array();
  #packet = new Uint8Array(); // the beginning of one that goes on in the next page

  /**
   * @param {Uint8Array} bytes the next of the stream
   * @returns {Uint8Array[]} the packets that they complete
   */
  push(bytes) {
    const data = concat(this.#rest, bytes);
    const packets = [];
    let at = 0;
    for (;;) {
      if (data.length < at + HEADER) break;
      if (!spells(data, at, "OggS")) throw new Error("The Ogg stream is damaged.");
      const lacing = data.subarray(at + HEADER, at + HEADER + data[at + HEADER - 1]);
      const body = at + HEADER + data[at + HEADER - 1];
      const end = body + lacing.reduce((sum, size) => sum + size, 0);
      if (data.length < body || data.length < end) break;
      this.#split(data.subarray(body, end), lacing, packets);
      at = end;
    }
    this.#rest = data.slice(at);
    return packets;
  }

  #split(body, lacing, packets) {
    let start = 0;
    let end = 0;
    for (const size of lacing) {
      end += size;
      if (size === 255) continue; // the packet goes on
      packets.push(concat(this.#packet, body.slice(start, end)));
      this.#packet = new Uint8Array();
      start = end;
    }
    this.#packet = concat(this.#packet, body.slice(start, end));
  }
}
