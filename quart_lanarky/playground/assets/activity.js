/** Collects what a run does besides answering: its tools, reasoning, steps and custom events. */

/**
 * @typedef {object} ToolEntry a call of a tool
 * @property {"tool"} kind
 * @property {string} name
 * @property {any} args undefined if they are not known
 * @property {string[]} namespace
 * @property {any[]} progress the latest of what the tool said
 * @property {number} progressCount
 * @property {any} result undefined as long as there is none
 * @property {"running" | "done" | "failed" | "cancelled" | "paused" | "resumed"} status
 * @property {boolean} isBeforeText
 *
 * @typedef {object} ReasoningEntry a part of what the model thinks, without another entry in between
 * @property {"reasoning"} kind
 * @property {string} text
 * @property {boolean} isDone
 * @property {boolean} isBeforeText
 *
 * @typedef {object} CustomEntry an event of the app's own
 * @property {"custom"} kind
 * @property {string} name
 * @property {any} payload
 * @property {string[]} namespace
 * @property {boolean} isBeforeText
 *
 * @typedef {ToolEntry | ReasoningEntry | CustomEntry} Entry
 *
 * @typedef {object} Step a step of a graph, or a subagent
 * @property {string} name
 * @property {string[]} namespace
 * @property {string} status
 * @property {string | null} agent
 */

const MAX_ENTRIES = 500; // those after it are in the list of events alone
const MAX_PROGRESS = 50; // the latest that are kept of each tool
const MAX_STEPS = 200;

export class Activity {
  /** @type {Entry[]} */
  entries = [];
  /** How many further entries there were. */
  omittedCount = 0;
  /** @type {Step[]} the latest ones */
  steps = [];
  stepCount = 0;
  /** @type {Set<Entry>} */
  #changed = new Set();
  /** @type {Map<string, ToolEntry>} by the ids of their calls */
  #tools = new Map();

  /** Returns the entries that were added or changed since the last call, in their order. */
  takeChanges() {
    const changes = [...this.#changed];
    this.#changed.clear();
    return changes;
  }

  /**
   * Adds a call of a tool.
   * @param {{id: string, name: string, args?: any, namespace?: string[]}} call
   * @param {boolean} isBeforeText whether the answer's text has not begun
   * @returns {ToolEntry}
   */
  addToolCall({ id, name, args, namespace = [] }, isBeforeText) {
    /** @type {ToolEntry} */
    const entry = {
      kind: "tool",
      name,
      args,
      namespace,
      progress: [],
      progressCount: 0,
      result: undefined,
      status: "running",
      isBeforeText,
    };
    this.#tools.set(id, entry);
    this.#add(entry);
    return entry;
  }

  /** Adds what a tool says of how far it is. */
  addToolProgress({ id, data, namespace }, isBeforeText) {
    const call = { id, name: "tool", namespace };
    const entry = this.#tools.get(id) ?? this.addToolCall(call, isBeforeText);
    entry.progressCount++;
    entry.progress.push(data);
    if (entry.progress.length > MAX_PROGRESS) entry.progress.shift();
    this.#markChanged(entry);
  }

  /** Adds the result of a tool; its call may have been in an earlier run, before an interrupt. */
  addToolResult({ id, name, status, content, namespace }, isBeforeText) {
    const call = { id, name, namespace };
    const entry = this.#tools.get(id) ?? this.addToolCall(call, isBeforeText);
    entry.result = content;
    entry.status = status === "error" ? "failed" : "done";
    this.#markChanged(entry);
  }

  /** Adds some more of what the model thinks. */
  addReasoning(token, isBeforeText) {
    const last = this.entries.at(-1);
    if (last?.kind !== "reasoning" || last.isDone) {
      this.#add({ kind: "reasoning", text: token, isDone: false, isBeforeText });
    } else {
      last.text += token;
      this.#markChanged(last);
    }
  }

  /** Ends the part of the reasoning that is in progress: what follows is the answer. */
  endReasoning() {
    const last = this.entries.at(-1);
    if (last?.kind !== "reasoning" || last.isDone) return;
    last.isDone = true;
    this.#markChanged(last);
  }

  /** Adds an event of the app's own. */
  addCustom({ name, payload, namespace = [] }, isBeforeText) {
    this.#add({ kind: "custom", name, payload, namespace, isBeforeText });
  }

  /** Adds that a step has begun or ended. */
  addStep({ name, namespace = [], status, agent = null }) {
    const isSame = (step) =>
      step.status === "started" && step.name === name && isEqual(step.namespace, namespace);
    const running = status === "started" ? undefined : this.steps.findLast(isSame);
    if (running) {
      running.status = status;
      return;
    }
    this.stepCount++;
    this.steps.push({ name, namespace, status, agent });
    if (this.steps.length > MAX_STEPS) this.steps.shift();
  }

  /** Says that the text before the entries was taken back. */
  moveBeforeText() {
    for (const entry of this.entries.filter(({ isBeforeText }) => !isBeforeText)) {
      entry.isBeforeText = true;
      this.#changed.add(entry);
    }
  }

  /**
   * Ends everything that is in progress.
   * @param {boolean} isInterrupted whether the run waits for a person, and goes on later
   */
  finish(isInterrupted) {
    this.endReasoning();
    for (const tool of this.#tools.values()) {
      if (tool.status !== "running") continue;
      tool.status = isInterrupted ? "paused" : "cancelled";
      this.#markChanged(tool);
    }
    for (const step of this.steps)
      if (step.status === "started") step.status = isInterrupted ? "interrupted" : "cancelled";
  }

  /** Says that what waits for a person goes on in another run. */
  resume() {
    for (const tool of this.#tools.values()) {
      if (tool.status !== "paused") continue;
      tool.status = "resumed";
      this.#markChanged(tool);
    }
  }

  #add(entry) {
    this.endReasoning();
    if (this.entries.length === MAX_ENTRIES) {
      this.omittedCount++;
      return;
    }
    this.entries.push(entry);
    this.#changed.add(entry);
  }

  #markChanged(entry) {
    if (this.omittedCount === 0 || this.entries.includes(entry)) this.#changed.add(entry);
  }
}

function isEqual(one, other) {
  return one.length === other.length && one.every((each, n) => each === other[n]);
}
