/**
 * Connect. The answer's `onopen`, `onmessage` and `onclose` are the caller's.
 * @param {URL} url with http or https
 * @param {string} key for servers that ask for one, or ""; a browser can send it only as a subprotocol
 * @returns {WebSocket} which takes and gives binary messages as ArrayBuffers
 */
export function webSocket(url, key) {
  const address = new URL(url);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address, key ? ["parrotfish", `parrotfish.key.${key}`] : []);
  socket.binaryType = "arraybuffer";
  return socket;
}

/**
 * @param {URL} url
 * @returns {Error} what a browser does not say of a socket that did not open
 */
export const noConnection = (url) => new Error(`No connection to ${url.host}. Is the server running?`);
