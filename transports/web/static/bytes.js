/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 * @returns {Uint8Array} one after the other
 */
export function concat(first, second) {
  if (!first.length) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {string} text ASCII
 * @returns {boolean} whether the bytes at `at` spell `text`
 */
export function spells(bytes, at, text) {
  return [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}
