/**
 * From container bytes to samples, as they arrive.
 *
 * A decoder has `push(bytes)`, and `finish()`, a promise that everything has been handed to its sink. The sink is
 * called with mono Float32Arrays.
 */

import { concat, spells } from "./bytes.js";
import { Mp3Splitter } from "./mp3.js";
import { OggDemuxer } from "./ogg.js";

const WAV_HEADER = 44;

/** What the page asks for: the sample rate of each format, its file suffix and media type. */
export const FORMATS = {
  pcm: { rate: 44100, suffix: "pcm", mime: "application/octet-stream" },
  wav: { rate: 44100, suffix: "wav", mime: "audio/wav" },
  opus: { rate: 48000, suffix: "opus", mime: "audio/ogg" },
  mp3: { rate: 44100, suffix: "mp3", mime: "audio/mpeg" },
};

/**
 * @param {"pcm" | "wav" | "opus" | "mp3"} format
 * @param {(samples: Float32Array) => void} sink
 * @param {(error: Error) => void} failed
 * @returns {Promise<{push: Function, finish: Function, close: Function, streams: boolean}>} `streams` is false where
 *   this browser can decode the format only when it is complete
 */
export async function createDecoder(format, sink, failed) {
  if (format === "pcm") return new PcmDecoder(sink, 0);
  if (format === "wav") return new PcmDecoder(sink, WAV_HEADER);
  const config = { codec: format, sampleRate: FORMATS[format].rate, numberOfChannels: 1 };
  const supported =
    "AudioDecoder" in globalThis && (await AudioDecoder.isConfigSupported(config).catch(() => null))?.supported;
  if (!supported) return new WholeDecoder(sink, config.sampleRate);
  return new PacketDecoder(config, format === "opus" ? new OpusPackets() : new Mp3Packets(), sink, failed);
}

/** Signed 16-bit little-endian samples, after `skip` bytes of header. */
class PcmDecoder {
  streams = true;
  #sink;
  #skip;
  #rest = new Uint8Array();

  constructor(sink, skip) {
    this.#sink = sink;
    this.#skip = skip;
  }

  push(bytes) {
    const data = concat(this.#rest, bytes);
    const skipped = Math.min(this.#skip, data.length);
    this.#skip -= skipped;
    const whole = skipped + ((data.length - skipped) & ~1);
    this.#rest = data.slice(whole);
    const view = new DataView(data.buffer, data.byteOffset + skipped, whole - skipped);
    const samples = new Float32Array(view.byteLength / 2);
    for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true) / 32768;
    if (samples.length) this.#sink(samples);
  }

  async finish() {}

  close() {}
}

/** Opus packets out of Ogg pages; `skip` samples at the start of the stream are not to be played (RFC 7845). */
class OpusPackets {
  skip = 0;
  #ogg = new OggDemuxer();

  push(bytes) {
    const packets = [];
    for (const data of this.#ogg.push(bytes)) {
      if (spells(data, 0, "OpusHead")) this.skip = data[10] | (data[11] << 8);
      else if (!spells(data, 0, "OpusTags")) packets.push({ data, seconds: 0.02 });
    }
    return packets;
  }
}

/** MP3 frames with their lengths. */
class Mp3Packets {
  skip = 0;
  #splitter = new Mp3Splitter();

  push(bytes) {
    return this.#splitter.push(bytes).map(({ data, rate }) => ({ data, seconds: 1152 / rate }));
  }
}

/** Decodes packet by packet with WebCodecs. */
class PacketDecoder {
  streams = true;
  #packets;
  #decoder;
  #seconds = 0;
  #sink;

  constructor(config, packets, sink, failed) {
    this.#packets = packets;
    this.#sink = sink;
    this.#decoder = new AudioDecoder({ output: (audio) => this.#output(audio), error: failed });
    this.#decoder.configure(config);
  }

  push(bytes) {
    for (const { data, seconds } of this.#packets.push(bytes)) {
      this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: this.#seconds * 1e6, data }));
      this.#seconds += seconds;
    }
  }

  async finish() {
    if (this.#decoder.state === "configured") await this.#decoder.flush();
  }

  close() {
    if (this.#decoder.state !== "closed") this.#decoder.close();
  }

  #output(audio) {
    const samples = new Float32Array(audio.numberOfFrames);
    audio.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    audio.close();
    const skipped = Math.min(this.#packets.skip, samples.length);
    this.#packets.skip -= skipped;
    if (skipped < samples.length) this.#sink(samples.subarray(skipped));
  }
}

/** Keeps everything and decodes it at the end: what is left where there is no WebCodecs. */
class WholeDecoder {
  streams = false;
  #sink;
  #rate;
  #chunks = [];

  constructor(sink, rate) {
    this.#sink = sink;
    this.#rate = rate;
  }

  push(bytes) {
    this.#chunks.push(bytes);
  }

  async finish() {
    if (!this.#chunks.length) return;
    const data = await new Blob(this.#chunks).arrayBuffer();
    const audio = await new OfflineAudioContext(1, 1, this.#rate).decodeAudioData(data);
    this.#sink(audio.getChannelData(0));
  }

  close() {
    this.#chunks = [];
  }
}
