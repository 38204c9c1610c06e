/** The API key, on a server that asks for one. It stays in this tab, and leaves it when the tab is closed. */

const STORED = "parrotfish-key";

export class Access {
  #url;
  #field;
  #input;
  #asked = false;

  /**
   * @param {URL} url of something that only who has a key may see
   * @param {HTMLElement} field shown when a key is needed
   * @param {HTMLInputElement} input that takes it
   */
  constructor(url, field, input) {
    this.#url = url;
    this.#field = field;
    this.#input = input;
    input.value = sessionStorage.getItem(STORED) ?? "";
    input.addEventListener("change", () => {
      sessionStorage.setItem(STORED, this.key);
      this.check();
    });
  }

  /** What was typed in, "" for nothing. */
  get key() {
    return this.#input.value.trim();
  }

  /** Whether the server has asked for a key. */
  get asked() {
    return this.#asked;
  }

  /**
   * Ask the server. Shows the field if the key is missing or not good.
   * @returns {Promise<string | null>} why the server refuses us, null if it does not
   */
  async check() {
    try {
      const response = await fetch(this.#url, {
        cache: "no-store",
        headers: this.key ? { Authorization: `Bearer ${this.key}` } : {},
      });
      if (response.status !== 401) return null;
      this.#asked = true;
      this.#field.hidden = false;
      const { message } = await response.json();
      return this.key ? message : "This server asks for an API key.";
    } catch {
      return null; // whether it can be reached at all is told elsewhere
    }
  }
}
