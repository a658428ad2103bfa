/** Shows one turn: a request, and its answer as it arrives. */

import { ActivityView } from "./activity_view.js";
import { Answer } from "./answer.js";
import { citationsView, mediaView, sourcesView } from "./attachments.js";
import { button, copyButton, element, uniqueId } from "./elements.js";
import { InterruptCard } from "./interrupt_card.js";
import { MarkdownView } from "./markdown_view.js";
import { errorProblem } from "./problems.js";

/** After each rendering, the page pauses for this many times as long as the rendering took. */
const PAUSE_FACTOR = 3;

export class Turn {
  element;
  answer = new Answer(performance.now());
  request;
  /** @type {string | null} the text of the main input, null if there is none */
  text = null;
  /** @type {import("./problems.js").Problem | null} */
  problem = null;
  /** @type {InterruptCard | null} asks for what the run waits for, once it has ended */
  card = null;
  /** `early` gets what the run did before the answer's text, `late` what it did afterwards. */
  #parts = {
    early: element("div"),
    text: element("div", { class: "text" }),
    late: element("div"),
    media: element("div", { class: "media" }),
    citations: element("div", { class: "cited" }),
    sources: element("div", { class: "sources" }),
    problem: element("div"),
    interrupts: element("div"),
    statistics: element("p", { class: "numbers" }),
  };
  #cursor = element("span", { class: "cursor", "aria-hidden": "true" });
  #markdown = new MarkdownView(this.#parts.text);
  #isPlain = false;
  #isDone = false;
  #activity = new ActivityView(this.answer.activity, this.#parts.early, this.#parts.late);
  #shownCounts = { media: 0, citations: 0 };
  /** @type {number | null} */
  #frameRequest = null;
  #nextRenderAt = 0;
  #wrapRender;
  #onAnswer;

  /**
   * @param {number} number the position of the turn in its thread, from 1
   * @param {import("./request.js").ChainRequest} request
   * @param {string | Object<string, any>} textOrInputs what to show of the request
   * @param {{wrapRender: (render: () => void) => void,
   *   onShowDetails: (turn: Turn, tab: string) => void,
   *   onAnswer: (turn: Turn, answers: import("./interrupt_card.js").Answers) => void}} listeners
   *   `wrapRender` has to call the function that it gets
   */
  constructor(number, request, textOrInputs, { wrapRender, onShowDetails, onAnswer }) {
    this.number = number;
    this.request = request;
    this.#wrapRender = wrapRender;
    this.#onAnswer = onAnswer;
    const id = uniqueId("turn");
    const heading = element("h3", { id, class: "visually-hidden" }, `Question ${number}`);
    const { statistics, ...body } = this.#parts;
    const footer = element("footer", {}, statistics, this.#buttons(onShowDetails));
    this.element = element(
      "article",
      { class: "turn", "aria-labelledby": id, "aria-busy": "true" },
      heading,
      requestView(textOrInputs),
      element("div", { class: "answer" }, ...Object.values(body)),
      footer,
    );
    this.#render();
  }

  #buttons(onShowDetails) {
    const plain = button("Plain text", () => this.#togglePlain(plain), {
      class: "quiet",
      "aria-pressed": "false",
    });
    return element(
      "div",
      { class: "tools" },
      copyButton(() => this.answer.text, `answer ${this.number}`),
      plain,
      button("Events", () => onShowDetails(this, "Events"), { class: "quiet" }),
      button("Code", () => onShowDetails(this, "Code"), { class: "quiet" }),
    );
  }

  #togglePlain(control) {
    this.#isPlain = !this.#isPlain;
    control.setAttribute("aria-pressed", String(this.#isPlain));
    this.#parts.text.classList.toggle("plain", this.#isPlain);
    this.#markdown.clear();
    this.#render();
  }

  /**
   * Adds events to the answer; they are shown with the next frame.
   * @param {import("./transports.js").ChainEvent[]} events
   */
  addEvents(events) {
    const now = performance.now();
    for (const event of events) this.answer.add(event, now);
    this.#frameRequest ??= requestAnimationFrame((time) => this.#renderThrottled(time));
  }

  /**
   * Renders the answer, with pauses that leave the browser most of its time, however long it is.
   */
  #renderThrottled(time) {
    this.#frameRequest = null;
    if (time < this.#nextRenderAt) {
      this.#frameRequest = requestAnimationFrame((later) => this.#renderThrottled(later));
      return;
    }
    const start = performance.now();
    this.#wrapRender(() => this.#render());
    const end = performance.now();
    this.#nextRenderAt = end + PAUSE_FACTOR * (end - start);
  }

  /**
   * Ends the turn.
   * @param {import("./problems.js").Problem | null} problem what went wrong, or null
   */
  finish(problem) {
    cancelAnimationFrame(/** @type {number} */ (this.#frameRequest));
    this.answer.finish(performance.now());
    this.problem = problem ?? errorProblem(this.answer.error);
    this.#isDone = true;
    this.element.setAttribute("aria-busy", "false");
    this.#wrapRender(() => {
      this.#render();
      this.#parts.problem.append(...problemView(this.problem, this.answer.runId));
      this.#showCard();
    });
  }

  #showCard() {
    const { interrupts } = this.answer;
    if (interrupts.length === 0) return;
    this.card = new InterruptCard(interrupts, (answers) => this.#onAnswer(this, answers));
    this.#parts.interrupts.append(this.card.element);
  }

  /** Says that what the run waits for was answered, and goes on in another turn. */
  showAnswered() {
    this.card?.showAnswered();
    this.answer.activity.resume();
    this.#activity.update();
  }

  /** Whether the turn has ended with an answer. */
  get isComplete() {
    return this.#isDone && this.problem === null && this.card === null;
  }

  /** Whether the turn has ended because the server did not take the request, so nothing was run. */
  get isRefused() {
    const { status, mayBeDown = false, isExpected = false } = this.problem ?? {};
    const isRefusal = Boolean(status) && (Number(status) < 500 || status === 503);
    return this.answer.isEmpty && !isExpected && (mayBeDown || isRefusal);
  }

  /** What a screen reader announces at the end of the turn. */
  get announcement() {
    const { text, sourceDocuments } = this.answer;
    const count = sourceDocuments?.length ? ` ${sourceDocuments.length} sources.` : "";
    const problemText = this.problem ? ` ${this.problem.title}. ${this.problem.detail}` : "";
    const waiting = this.card ? " The run waits for your answer." : "";
    return `${text}${count}${problemText}${waiting}`.trim() || "The answer is empty.";
  }

  #render() {
    const { text, sources, statistics } = this.#parts;
    this.#cursor.remove();
    if (this.#isPlain) text.textContent = this.answer.text;
    else this.#markdown.update(this.answer.text, !this.#isDone);
    if (!this.#isDone) lastTextElement(text).append(this.#cursor);
    this.#activity.update();
    this.#renderGrowing("media", mediaView);
    this.#renderGrowing("citations", citationsView);
    if (this.answer.sourceDocuments && !sources.hasChildNodes())
      sources.append(...sourcesView(this.answer.sourceDocuments));
    statistics.textContent = statisticsText(this.answer);
  }

  /** Shows the media or the citations, once more only if there are more of them. */
  #renderGrowing(name, view) {
    const payloads = this.answer[name];
    if (payloads.length === this.#shownCounts[name]) return;
    this.#shownCounts[name] = payloads.length;
    this.#parts[name].replaceChildren(...view(payloads));
  }
}

/** Returns the element that contains the last character. */
function lastTextElement(root) {
  let current = root;
  while (/^(?:DIV|UL|OL|LI|BLOCKQUOTE|PRE|TABLE|TBODY|TR)$/.test(current.tagName)) {
    const last = current.lastElementChild;
    if (!last || !TEXT_CONTAINERS.test(last.tagName)) break;
    current = last;
  }
  return current;
}
const TEXT_CONTAINERS = /^(?:DIV|P|H\d|UL|OL|LI|BLOCKQUOTE|PRE|CODE|TABLE|TBODY|TR|TD)$/;

function requestView(textOrInputs) {
  if (typeof textOrInputs === "string") return element("div", { class: "asked" }, textOrInputs);
  const rows = Object.entries(textOrInputs).flatMap(([name, value]) => [
    element("dt", {}, name),
    element("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
  ]);
  return element("dl", { class: "asked" }, ...rows);
}

function problemView(problem, runId) {
  if (problem === null) return [];
  const run = runId && element("p", {}, "Run ", element("code", {}, runId));
  const advice = problem.advice ? element("p", {}, problem.advice) : null;
  const box = element(
    "div",
    { class: problem.isExpected ? "problem quiet" : "problem" },
    element("strong", {}, problem.title),
    element("p", {}, problem.detail),
    advice,
    run || null,
  );
  return [box];
}

function statisticsText({
  timeToFirstToken,
  tokenCount,
  tokensPerSecond,
  totalTime,
  usage,
  runId,
}) {
  const count = tokenCount === 1 ? "1 token" : `${tokenCount} tokens`;
  const { input_tokens: inputTokens, output_tokens: outputTokens } = usage ?? {};
  return [
    timeToFirstToken !== null && `first token ${formatDuration(timeToFirstToken)}`,
    tokenCount > 0 && count,
    tokensPerSecond !== null && `${tokensPerSecond.toFixed(1)} tokens/s`,
    totalTime !== null && `total ${formatDuration(totalTime)}`,
    inputTokens !== undefined && `usage ${inputTokens} in, ${outputTokens} out`,
    runId && `run ${runId.slice(0, 8)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/**
 * Formats a duration, in milliseconds below one second, otherwise in seconds.
 * @param {number} milliseconds
 * @returns {string}
 */
export function formatDuration(milliseconds) {
  return milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(2)} s`;
}
