/** Decodes server-sent events from a stream of text, as the HTML standard specifies. */

/** @typedef {{name: string, data: string, id: string | null}} ServerSentEvent */

export class EventDecoder {
  #incompleteLine = "";
  #isAtStart = true;
  #eventName = "";
  /** @type {string[]} */
  #data = [];
  /** @type {string | null} */
  #id = null;

  /**
   * Decodes the next piece of the stream.
   * @param {string} text
   * @returns {ServerSentEvent[]} the events that this piece completes
   */
  push(text) {
    if (this.#isAtStart && text) {
      text = text.replace(/^\uFEFF/, "");
      this.#isAtStart = false;
    }
    // A CR at the end may be the first half of a CRLF: keep it until the next piece.
    const lines = (this.#incompleteLine + text).split(/\r\n|\n|\r(?!$)/);
    this.#incompleteLine = /** @type {string} */ (lines.pop());
    return lines.flatMap((line) => this.#processLine(line));
  }

  #processLine(line) {
    if (line === "") return this.#dispatch();
    const [, field, value] = /** @type {string[]} */ (/^([^:]*):? ?([^]*)$/.exec(line));
    if (field === "event") this.#eventName = value;
    if (field === "data") this.#data.push(value);
    if (field === "id" && !value.includes("\0")) this.#id = value;
    return [];
  }

  #dispatch() {
    const event = { name: this.#eventName || "message", data: this.#data.join("\n"), id: this.#id };
    const isEmpty = this.#data.length === 0;
    [this.#eventName, this.#data] = ["", []];
    return isEmpty ? [] : [event];
  }
}
