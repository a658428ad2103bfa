/** Collects what the events of an answer contain, and measures how fast its tokens arrive. */

import { Activity } from "./activity.js";

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
  activity = new Activity();
  /** @type {any[]} the payloads of the `citation` events */
  citations = [];
  /** @type {any[]} the payloads of the `media` events */
  media = [];
  /** @type {import("./interrupt_card.js").Interrupt[]} what the run waits for */
  interrupts = [];
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
    const handle = isOurs(name, payload) ? HANDLERS[name] : undefined;
    if (name === "completion") this.#recordToken(elapsed);
    if (handle) handle(this, payload, id);
    else this.activity.addCustom({ name, payload }, this.text === "");
  }

  /**
   * Records that the answer has ended.
   * @param {number} now the time of the end, as `performance.now()` returns it
   */
  finish(now) {
    this.totalTime = now - this.#startedAt;
    this.activity.finish(this.interrupts.length > 0);
  }

  /** Whether nothing has come but why there is no answer. */
  get isEmpty() {
    return this.events.every(({ name }) => name === "error" || name === "end");
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

/** What each event changes in an answer, by its name; any other name is an event of the app's own. */
const HANDLERS = {
  __proto__: null, // an event may be called like a property of all objects
  completion(answer, payload) {
    const token = textOf(payload);
    answer.activity.endReasoning();
    answer.tokens.push(token);
    answer.text += token;
  },
  retract(answer, { tokens }) {
    const removed = answer.tokens.splice(-tokens).join("");
    answer.text = answer.text.slice(0, answer.text.length - removed.length);
    if (answer.text === "") answer.activity.moveBeforeText();
  },
  source_documents(answer, payload) {
    answer.sourceDocuments = payload.source_documents;
  },
  tool_call(answer, payload) {
    answer.activity.addToolCall(payload, answer.text === "");
  },
  tool_progress(answer, payload) {
    answer.activity.addToolProgress(payload, answer.text === "");
  },
  tool_result(answer, payload) {
    answer.activity.addToolResult(payload, answer.text === "");
  },
  reasoning(answer, payload) {
    answer.activity.addReasoning(textOf(payload), answer.text === "");
  },
  step(answer, payload) {
    answer.activity.addStep(payload);
  },
  custom(answer, { name, data, namespace }) {
    const entry = { name: name ?? "custom", payload: data, namespace };
    answer.activity.addCustom(entry, answer.text === "");
  },
  citation(answer, payload) {
    answer.citations.push(payload);
  },
  media(answer, payload) {
    answer.media.push(payload);
  },
  interrupt(answer, payload) {
    answer.interrupts = payload.interrupts;
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

/** What the payloads of events have at least: the app may have events of its own with such names. */
const REQUIRED_FIELDS = {
  __proto__: null,
  tool_call: ["id", "name"],
  tool_progress: ["id"],
  tool_result: ["id", "name"],
  step: ["name", "status"],
  custom: ["data"],
  citation: ["url"],
  media: ["type"],
  interrupt: ["interrupts"],
};

function isOurs(name, payload) {
  const required = REQUIRED_FIELDS[name];
  if (!required) return true;
  const { namespace = [] } = payload ?? {};
  return Array.isArray(namespace) && required.every((field) => payload?.[field] !== undefined);
}

/** Returns the token of a payload, which in text mode is the token itself. */
function textOf(payload) {
  return typeof payload === "string" ? payload : payload.token;
}
