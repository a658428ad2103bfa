/** Server-sent events out of text that comes in any pieces, as the HTML standard says. */

/** @typedef {{name: string, data: string, id: string | null}} ServerSentEvent */

export class EventDecoder {
  #rest = "";
  #isFirst = true;
  #name = "";
  /** @type {string[]} */
  #data = [];
  /** @type {string | null} */
  #id = null;

  /**
   * Take some more text.
   * @param {string} text
   * @returns {ServerSentEvent[]} the events that are complete by now
   */
  push(text) {
    if (this.#isFirst && text) {
      text = text.replace(/^\uFEFF/, "");
      this.#isFirst = false;
    }
    // A CR at the end may be half of a CRLF: it waits for what follows it.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = /** @type {string} */ (lines.pop());
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const [, field, value] = /** @type {string[]} */ (/^([^:]*):? ?([^]*)$/.exec(line));
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    if (field === "id" && !value.includes("\0")) this.#id = value;
    return [];
  }

  #dispatch() {
    const event = { name: this.#name || "message", data: this.#data.join("\n"), id: this.#id };
    const isEmpty = this.#data.length === 0;
    [this.#name, this.#data] = ["", []];
    return isEmpty ? [] : [event];
  }
}
