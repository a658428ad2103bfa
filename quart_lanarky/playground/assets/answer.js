/** Collects what the events of an answer contain, and measures how fast its tokens arrive. */

/**
 * @typedef {object} ReceivedEvent
 * @property {string} name
 * @property {string} data
 * @property {number} elapsed milliseconds between the request and the event
 */

export class Answer {
  /** @type {string[]} */
  tokens = [];
  text = "";
  /** @type {any[] | null} */
  sourceDocuments = null;
  /** @type {{name: string, payload: any, isBeforeText: boolean}[]} */
  customEvents = [];
  /** @type {import("./problems.js").ErrorPayload | null} */
  error = null;
  /** @type {Object<string, any> | null} */
  usage = null;
  /** @type {string | null} */
  runId = null;
  /** @type {ReceivedEvent[]} */
  events = [];
  /** @type {number | null} */
  totalTime = null;
  /** The number of `completion` events, those included whose tokens were retracted later. */
  tokenCount = 0;
  #startedAt;
  /** @type {number | null} */
  #firstTokenAt = null;
  /** @type {number | null} */
  #lastTokenAt = null;

  /** @param {number} now the time of the request, as `performance.now()` returns it */
  constructor(now) {
    this.#startedAt = now;
  }

  /**
   * Adds an event.
   * @param {import("./transports.js").ChainEvent} event
   * @param {number} now the time at which it arrived, as `performance.now()` returns it
   */
  add({ name, data, payload, id = null }, now) {
    const elapsed = now - this.#startedAt;
    this.events.push({ name, data, elapsed });
    const handle = HANDLERS[name];
    if (name === "completion") this.#recordToken(elapsed);
    if (handle) handle(this, payload, id);
    else this.customEvents.push({ name, payload, isBeforeText: this.text === "" });
  }

  /**
   * Records that the answer has ended.
   * @param {number} now the time of the end, as `performance.now()` returns it
   */
  finish(now) {
    this.totalTime = now - this.#startedAt;
  }

  #recordToken(elapsed) {
    this.#firstTokenAt ??= elapsed;
    this.#lastTokenAt = elapsed;
    this.tokenCount++;
  }

  /** Milliseconds from the request to the first token, null before that. */
  get timeToFirstToken() {
    return this.#firstTokenAt;
  }

  /** Tokens per second since the first token, null if fewer than two have arrived. */
  get tokensPerSecond() {
    const [first, last] = /** @type {number[]} */ ([this.#firstTokenAt, this.#lastTokenAt]);
    const seconds = (last - first) / 1000;
    return this.tokenCount > 1 && seconds > 0 ? (this.tokenCount - 1) / seconds : null;
  }
}

/** What each event changes in an answer, by its name; any other name is a custom event. */
const HANDLERS = {
  completion(answer, payload) {
    const token = typeof payload === "string" ? payload : payload.token;
    answer.tokens.push(token);
    answer.text += token;
  },
  retract(answer, { tokens }) {
    const removed = answer.tokens.splice(-tokens).join("");
    answer.text = answer.text.slice(0, answer.text.length - removed.length);
  },
  source_documents(answer, payload) {
    answer.sourceDocuments = payload.source_documents;
  },
  error(answer, payload) {
    answer.error = payload;
  },
  end(answer, payload, id) {
    answer.usage = payload?.usage ?? null;
    answer.runId = payload?.run_id ?? id?.split("/")[0] ?? null;
  },
  ping() {},
};
