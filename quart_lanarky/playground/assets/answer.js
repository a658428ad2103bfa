/** What is known of an answer while its events come. */

/**
 * @typedef {object} Recorded an event with the milliseconds after which it came
 * @property {string} name
 * @property {string} data
 * @property {number} at
 */

export class Answer {
  /** @type {string[]} */
  tokens = [];
  text = "";
  /** @type {any[] | null} */
  sources = null;
  /** @type {{name: string, payload: any, isEarly: boolean}[]} events of the app's own */
  notes = [];
  /** @type {{status_code: number, detail: string} | null} */
  error = null;
  /** @type {Object<string, any> | null} */
  usage = null;
  /** @type {string | null} */
  runId = null;
  /** @type {Recorded[]} */
  events = [];
  /** @type {number | null} */
  total = null;
  received = 0;
  #started;
  /** @type {number | null} */
  #first = null;
  /** @type {number | null} */
  #last = null;

  /** @param {number} now the time on the page's clock at which it was asked */
  constructor(now) {
    this.#started = now;
  }

  /** Take an event that came at `now`. */
  take({ name, data, payload, id = null }, now) {
    const at = now - this.#started;
    this.events.push({ name, data, at });
    const take = TAKE[name];
    if (name === "completion") this.#time(at);
    if (take) take(this, payload, id);
    else this.notes.push({ name, payload, isEarly: this.text === "" });
  }

  /** Note when all was over. */
  finish(now) {
    this.total = now - this.#started;
  }

  #time(at) {
    this.#first ??= at;
    this.#last = at;
    this.received++;
  }

  /** Milliseconds until the first token came, or null. */
  get timeToFirst() {
    return this.#first;
  }

  /** Tokens per second after the first one, or null. */
  get pace() {
    const [first, last] = /** @type {number[]} */ ([this.#first, this.#last]);
    const seconds = (last - first) / 1000;
    return this.received > 1 && seconds > 0 ? (this.received - 1) / seconds : null;
  }
}

const TAKE = {
  completion(answer, payload) {
    const token = typeof payload === "string" ? payload : payload.token;
    answer.tokens.push(token);
    answer.text += token;
  },
  retract(answer, { tokens }) {
    const gone = answer.tokens.splice(-tokens).join("");
    answer.text = answer.text.slice(0, answer.text.length - gone.length);
  },
  source_documents(answer, payload) {
    answer.sources = payload.source_documents;
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
