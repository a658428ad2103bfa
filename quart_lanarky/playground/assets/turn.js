/** One question and its answer, on the page. */

import { Answer } from "./answer.js";
import { button, copyButton, element, freshId } from "./elements.js";
import { MarkdownView } from "./markdown_view.js";

/** For each millisecond of drawing, so many are left to everything else. */
const REST = 3;

export class Turn {
  element;
  answer = new Answer(performance.now());
  question;
  /** @type {string | null} the question, where it is one text */
  text = null;
  /** @type {import("./problems.js").Problem | null} */
  problem = null;
  #parts = {
    early: element("div", { class: "notes" }),
    text: element("div", { class: "text" }),
    late: element("div", { class: "notes" }),
    sources: element("div", { class: "sources" }),
    problem: element("div"),
    numbers: element("p", { class: "numbers" }),
  };
  #cursor = element("span", { class: "cursor", "aria-hidden": "true" });
  #markdown = new MarkdownView(this.#parts.text);
  #isPlain = false;
  #isDone = false;
  #shownNotes = 0;
  /** @type {number | null} */
  #frame = null;
  #rested = 0;
  #onDraw;

  /**
   * @param {number} number
   * @param {import("./transports.js").Question} question
   * @param {string | Object<string, any>} asked the text, or the inputs
   * @param {{onDraw: (draw: () => void) => void,
   *   onDetails: (turn: Turn, tab: string) => void}} listeners
   */
  constructor(number, question, asked, { onDraw, onDetails }) {
    this.number = number;
    this.question = question;
    this.#onDraw = onDraw;
    const id = freshId("turn");
    const heading = element("h3", { id, class: "visually-hidden" }, `Question ${number}`);
    const { numbers, ...body } = this.#parts;
    const foot = element("footer", {}, numbers, this.#buttons(onDetails));
    this.element = element(
      "article",
      { class: "turn", "aria-labelledby": id, "aria-busy": "true" },
      heading,
      askedView(asked),
      element("div", { class: "answer" }, ...Object.values(body)),
      foot,
    );
    this.#draw();
  }

  #buttons(onDetails) {
    const plain = button("Plain text", () => this.#togglePlain(plain), {
      class: "quiet",
      "aria-pressed": "false",
    });
    return element(
      "div",
      { class: "tools" },
      copyButton(() => this.answer.text, `answer ${this.number}`),
      plain,
      button("Events", () => onDetails(this, "Events"), { class: "quiet" }),
      button("Code", () => onDetails(this, "Code"), { class: "quiet" }),
    );
  }

  #togglePlain(control) {
    this.#isPlain = !this.#isPlain;
    control.setAttribute("aria-pressed", String(this.#isPlain));
    this.#parts.text.classList.toggle("plain", this.#isPlain);
    this.#markdown.clear();
    this.#draw();
  }

  /** Take events; they are shown with the next frame. */
  take(events) {
    const now = performance.now();
    for (const event of events) this.answer.take(event, now);
    this.#frame ??= requestAnimationFrame((time) => this.#drawInTime(time));
  }

  /** Draw, but leave the browser most of its time, however long the answer is. */
  #drawInTime(time) {
    this.#frame = null;
    if (time < this.#rested) {
      this.#frame = requestAnimationFrame((later) => this.#drawInTime(later));
      return;
    }
    const start = performance.now();
    this.#onDraw(() => this.#draw());
    const end = performance.now();
    this.#rested = end + REST * (end - start);
  }

  /**
   * End it.
   * @param {import("./problems.js").Problem | null} problem
   */
  finish(problem) {
    cancelAnimationFrame(/** @type {number} */ (this.#frame));
    this.answer.finish(performance.now());
    this.problem = problem ?? failureOf(this.answer);
    this.#isDone = true;
    this.element.setAttribute("aria-busy", "false");
    this.#onDraw(() => {
      this.#draw();
      this.#parts.problem.append(...problemView(this.problem, this.answer.runId));
    });
  }

  get isComplete() {
    return this.#isDone && this.problem === null;
  }

  /** What is read out when all is over. */
  get spoken() {
    const { text, sources } = this.answer;
    const count = sources?.length ? ` ${sources.length} sources.` : "";
    const trouble = this.problem ? ` ${this.problem.title}. ${this.problem.detail}` : "";
    return `${text}${count}${trouble}`.trim() || "The answer is empty.";
  }

  #draw() {
    const { text, sources, numbers } = this.#parts;
    this.#cursor.remove();
    if (this.#isPlain) text.textContent = this.answer.text;
    else this.#markdown.update(this.answer.text, !this.#isDone);
    if (!this.#isDone) endOf(text).append(this.#cursor);
    this.#drawNotes();
    if (this.answer.sources && !sources.hasChildNodes())
      sources.append(...sourcesView(this.answer.sources));
    numbers.textContent = numbersOf(this.answer);
  }

  #drawNotes() {
    const fresh = this.answer.notes.slice(this.#shownNotes);
    for (const note of fresh) this.#parts[note.isEarly ? "early" : "late"].append(noteView(note));
    this.#shownNotes += fresh.length;
  }
}

/** Return the element in which the last letter is. */
function endOf(root) {
  let end = root;
  while (/^(?:DIV|UL|OL|LI|BLOCKQUOTE|PRE|TABLE|TBODY|TR)$/.test(end.tagName)) {
    const last = end.lastElementChild;
    if (!last || !BLOCKS.test(last.tagName)) break;
    end = last;
  }
  return end;
}
const BLOCKS = /^(?:DIV|P|H\d|UL|OL|LI|BLOCKQUOTE|PRE|CODE|TABLE|TBODY|TR|TD)$/;

function askedView(asked) {
  if (typeof asked === "string") return element("div", { class: "asked" }, asked);
  const rows = Object.entries(asked).flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
  ]);
  return element("dl", { class: "asked" }, ...rows);
}

function noteView({ name, payload }) {
  const line = typeof payload === "string" ? payload : JSON.stringify(payload);
  const whole = typeof payload === "string" ? payload : JSON.stringify(payload, null, 2);
  const summary = element("summary", {}, element("code", {}, name), " ", element("span", {}, line));
  return element("details", { class: "note" }, summary, element("pre", {}, whole));
}

function sourcesView(documents) {
  if (documents.length === 0) return [element("p", { class: "hint" }, "No sources were found.")];
  const heading = element(
    "h4",
    {},
    documents.length === 1 ? "1 source" : `${documents.length} sources`,
  );
  return [heading, ...documents.map(sourceView)];
}

function sourceView({ page_content: text, metadata, id }, n) {
  const { title, source } = metadata;
  const name = String(title ?? source ?? id ?? `Document ${n + 1}`);
  const place = title && source ? element("span", { class: "place" }, String(source)) : null;
  const start = element("span", { class: "start" }, beginningOf(text));
  const summary = element("summary", {}, element("strong", {}, name), place, start);
  const facts = Object.entries(id === null ? metadata : { id, ...metadata }).flatMap(
    ([key, value]) => [
      element("dt", {}, key),
      element("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
    ],
  );
  const content = element("p", { class: "content" }, text);
  return element("details", { class: "source" }, summary, content, element("dl", {}, ...facts));
}

/** Return how a text begins, after its heading, which is often the name of the document. */
function beginningOf(text) {
  const bare = text
    .trimStart()
    .slice(0, 400)
    .replace(/^#{1,6} .*\n/, "");
  return bare.replace(/\s+/g, " ").trim().slice(0, 160);
}

/** Return what the `error` event of an answer says. */
function failureOf({ error }) {
  if (!error) return null;
  const title = `The run failed with status ${error.status_code}`;
  return { title, detail: error.detail, advice: "The log of the server says more." };
}

function problemView(problem, runId) {
  if (problem === null) return [];
  const run = runId && element("p", {}, "Run ", element("code", {}, runId));
  const advice = problem.advice ? element("p", {}, problem.advice) : null;
  const box = element(
    "div",
    { class: problem.isQuiet ? "problem quiet" : "problem" },
    element("strong", {}, problem.title),
    element("p", {}, problem.detail),
    advice,
    run || null,
  );
  return [box];
}

function numbersOf({ timeToFirst, received, pace, total, usage, runId }) {
  const count = received === 1 ? "1 token" : `${received} tokens`;
  const { input_tokens: read, output_tokens: written } = usage ?? {};
  return [
    timeToFirst !== null && `first token ${inSeconds(timeToFirst)}`,
    received > 0 && count,
    pace !== null && `${pace.toFixed(1)} tokens/s`,
    total !== null && `total ${inSeconds(total)}`,
    read !== undefined && `usage ${read} in, ${written} out`,
    runId && `run ${runId.slice(0, 8)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** Write a time as people read it best. */
export function inSeconds(milliseconds) {
  return milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(2)} s`;
}
