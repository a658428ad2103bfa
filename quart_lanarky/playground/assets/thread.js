/** Shows the turns of one route, one below the other, and sends its requests. */

import { element } from "./elements.js";
import { ProblemError } from "./problems.js";
import { withInputs } from "./request.js";
import { WebSocketConnection, sendOverHttp } from "./transports.js";
import { Turn } from "./turn.js";

/** Within this many pixels of the bottom, the view counts as scrolled to the bottom. */
const BOTTOM_TOLERANCE = 48;

const STOPPED = { title: "Stopped", detail: "You stopped the answer.", isExpected: true };
const PAGE_ERROR = { title: "This page failed", detail: "The console of the browser says more." };

export class Thread {
  element = element("div", { class: "thread" });
  /** @type {Turn[]} */
  turns = [];
  #connection;
  #scroller;
  #listeners;
  /** @type {AbortController | null} */
  #abortController = null;

  /**
   * @param {HTMLElement} scroller the element that scrolls as answers grow
   * @param {{onNewTurn: (turn: Turn) => void, onShowDetails: (turn: Turn, tab: string) => void,
   *   onAnswer: (turn: Turn, answers: import("./interrupt_card.js").Answers) => void,
   *   onUpdate: () => void, onConnectionState: (state: string) => void}} listeners
   */
  constructor(scroller, { onNewTurn, onShowDetails, onAnswer, onUpdate, onConnectionState }) {
    this.#scroller = scroller;
    const wrapRender = (render) => {
      this.#keepScrolledToBottom(render);
      onUpdate();
    };
    this.#listeners = { onNewTurn, onShowDetails, onAnswer, wrapRender };
    this.#connection = new WebSocketConnection(onConnectionState);
  }

  get isAnswering() {
    return this.#abortController !== null;
  }

  /** The complete turns so far, as messages. */
  get messages() {
    return this.turns
      .filter(({ isComplete, text }) => isComplete && text !== null)
      .flatMap(({ text, answer }) => [
        { role: "user", content: text },
        { role: "assistant", content: answer.text },
      ]);
  }

  /**
   * Sends a request, and shows the answer as it arrives.
   * @param {import("./request.js").ChainRequest} request
   * @param {import("./request_form.js").FormValues} values the values that it was built from
   * @returns {Promise<Turn>} the turn, once it has ended
   */
  send(request, { text, inputs }) {
    const turn = new Turn(this.turns.length + 1, request, text ?? inputs, this.#listeners);
    turn.text = text;
    return this.#run(turn, (events) => turn.addEvents(events));
  }

  /**
   * Sends the answers to what a turn waits for, and shows how it goes on, as a turn of its own. If
   * they are refused, that is shown where they were given.
   * @param {Turn} interrupted
   * @param {import("./interrupt_card.js").Answers} answers
   * @returns {Promise<Turn>} the new turn, once it has ended
   */
  async resume(interrupted, { byId, text }) {
    const card = /** @type {import("./interrupt_card.js").InterruptCard} */ (interrupted.card);
    const request = withInputs(interrupted.request, { resume: byId });
    const turn = new Turn(this.turns.length + 1, request, text, this.#listeners);
    card.isSending = true;
    await this.#run(turn, (events) => {
      turn.addEvents(events);
      if (!turn.answer.isEmpty) interrupted.showAnswered();
    });
    if (turn.isRefused) this.#refuse(turn, interrupted);
    else interrupted.showAnswered();
    return turn;
  }

  /** Takes a turn out of the thread whose answers were refused. */
  #refuse(turn, interrupted) {
    this.turns.pop();
    turn.element.remove();
    interrupted.card.showRefusal(turn.problem);
    this.#listeners.onNewTurn(interrupted);
  }

  /** Adds a turn, and sends its request. */
  async #run(turn, onEvents) {
    this.#abortController = new AbortController();
    this.turns.push(turn);
    this.element.append(turn.element);
    this.#listeners.onNewTurn(turn);
    this.scrollToBottom();
    const { signal } = this.#abortController;
    const problem = await this.#receiveAnswer(turn.request, signal, onEvents);
    this.#abortController = null;
    turn.finish(signal.aborted ? STOPPED : problem);
    return turn;
  }

  /** Sends a request and receives the answer; returns what went wrong, or null. */
  async #receiveAnswer(request, signal, onEvents) {
    try {
      if (request.transport === "sse") await sendOverHttp(request, signal, onEvents);
      else await this.#connection.send(request, signal, onEvents);
      return null;
    } catch (error) {
      if (error instanceof ProblemError) return error.problem;
      if (!signal.aborted) console.error(error);
      return PAGE_ERROR;
    }
  }

  /** Stops the answer in progress. */
  stop() {
    this.#abortController?.abort();
  }

  /** Ends the thread: stops its answer, and closes its connection. */
  close() {
    this.stop();
    this.#connection.close();
  }

  /**
   * Calls a function that may make the thread longer; keeps it scrolled to the bottom if it was.
   */
  #keepScrolledToBottom(render) {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const wasAtBottom = scrollHeight - scrollTop - clientHeight < BOTTOM_TOLERANCE;
    render();
    if (wasAtBottom && this.element.isConnected) this.scrollToBottom();
  }

  /** Scrolls to the last turn. */
  scrollToBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}
