/** The live protocol, `/v1/tts/live`: msgpack maps in binary frames, both ways. */

import { noConnection, webSocket } from "./socket.js";

const { encode, decode } = globalThis.MessagePack;

/**
 * One WebSocket, used for one utterance. To close it is to cancel.
 *
 * `listener.audio(bytes)` takes each slice of the container stream, `listener.log(message)` what the server has
 * to say, `listener.refused(message)` why it is about to end the utterance, and `listener.finished(reason)` that it
 * is over: "stop", "error", or "lost" when the socket went first.
 */
export class LiveSocket {
  #socket;
  #listener;
  #over = false;

  /** @param {{audio: (bytes: Uint8Array) => void, log: (message: string) => void, refused: (message: string) => void, finished: (reason: string) => void}} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /**
   * Connect. Rejects when the server cannot be reached, or refuses us.
   * @param {URL} url of the API, with http or https
   * @param {string} key for servers that ask for one, or ""
   */
  open(url, key) {
    const socket = webSocket(url, key);
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        socket.onclose = () => this.#finish("lost");
        resolve();
      };
      socket.onmessage = ({ data }) => this.#receive(decode(new Uint8Array(data)));
      socket.onclose = () => reject(noConnection(url));
    });
  }

  /** @param {object} request fields of a TTSRequest */
  start(request) {
    this.#send({ event: "start", request: { text: "", ...request } });
  }

  /** @param {string} text more of the utterance, a token or a book */
  text(text) {
    this.#send({ event: "text", text });
  }

  /** No more text. */
  stop() {
    this.#send({ event: "stop" });
  }

  /** Close the socket; the listener hears no more. */
  close() {
    this.#over = true;
    this.#socket?.close();
  }

  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encode(message));
  }

  #receive(message) {
    if (this.#over) return;
    if (message.event === "audio") this.#listener.audio(message.audio);
    else if (message.event === "log") this.#listener.log(message.message);
    else if (message.event === "error") this.#listener.refused(message.error);
    else if (message.event === "finish") {
      this.#finish(message.reason);
      this.#socket.close();
    }
  }

  #finish(reason) {
    if (this.#over) return;
    this.#over = true;
    this.#listener.finished(reason);
  }
}
