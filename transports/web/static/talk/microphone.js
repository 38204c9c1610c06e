/** What the worklet makes of a microphone, in Hz. */
export const HEARING_RATE = 16000;

const WORKLET = new URL("capture.worklet.js", import.meta.url);
const WANTED = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const INSECURE =
  "Browsers give a microphone only to pages at https:// and on localhost. Put a proxy with a certificate before " +
  "the server, or forward its port to this machine.";
const REFUSALS = {
  NotAllowedError: "The page may not use the microphone. Allow it in the browser's address bar, then start again.",
  NotFoundError: "There is no microphone. Plug one in, then start again.",
  NotReadableError: "The microphone cannot be opened; another program may have it.",
};

/** The user's microphone, while it is wanted. */
export class Microphone {
  #stream = null;
  #context = null;
  #muted = false;
  #closed = false;

  /**
   * Ask for it, and listen. Rejects with an Error in words for the user.
   * @param {(pcm: ArrayBuffer, peak: number) => void} heard called every 40 ms with mono samples of 16 bit
   * @param {() => void} lost called when it is gone
   */
  async open(heard, lost) {
    if (!isSecureContext || !navigator.mediaDevices || !("AudioWorkletNode" in globalThis)) throw new Error(INSECURE);
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
    } catch (error) {
      throw new Error(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
    if (this.#closed) return this.close();
    this.muted = this.#muted;
    const [track] = this.#stream.getAudioTracks();
    track.onended = lost;
    const context = new AudioContext({ latencyHint: "interactive" });
    this.#context = context;
    await context.audioWorklet.addModule(WORKLET);
    if (this.#closed) return;
    const capture = new AudioWorkletNode(context, "capture");
    capture.port.onmessage = ({ data }) => this.#closed || heard(data.pcm, data.peak);
    new MediaStreamAudioSourceNode(context, { mediaStream: this.#stream }).connect(capture);
    capture.connect(context.destination); // silent, but what leads nowhere is not run everywhere
    await context.resume();
  }

  /** Deaf, but still counting: the server hears silence. */
  set muted(muted) {
    this.#muted = muted;
    for (const track of this.#stream?.getTracks() ?? []) track.enabled = !muted;
  }

  /** Let go of it. */
  close() {
    this.#closed = true;
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    if (this.#context?.state !== "closed") this.#context?.close();
  }
}
