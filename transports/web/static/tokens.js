export const TOKENS_PER_SECOND = 20;

/**
 * Cut a text about where a language model's tokenizer would: short words whole, with the space before them, long
 * ones in pieces, punctuation by itself.
 * @param {string} text
 * @returns {string[]} which joined are the text
 */
export function tokenize(text) {
  return text.match(/ ?[\p{L}\p{M}\p{N}']{1,6}| ?[^\s\p{L}\p{M}\p{N}']|\s+/gu) ?? [];
}

/**
 * Hand out tokens at the pace of a model, by the clock: a browser that slows its timers down gets several at once.
 * @param {string[]} tokens
 * @param {(token: string) => void} write
 * @param {AbortSignal} signal ends it early
 * @returns {Promise<void>} that the last one is written, or that it was ended
 */
export function trickle(tokens, write, signal) {
  return new Promise((resolve) => {
    const begun = performance.now();
    let next = 0;
    const timer = setInterval(step, 1000 / TOKENS_PER_SECOND);
    signal.addEventListener("abort", leave);
    step();

    function step() {
      const due = 1 + Math.floor(((performance.now() - begun) / 1000) * TOKENS_PER_SECOND);
      while (next < Math.min(due, tokens.length)) write(tokens[next++]);
      if (next === tokens.length) leave();
    }

    function leave() {
      clearInterval(timer);
      resolve();
    }
  });
}
