/** Shows the turns of one route, one below the other, and sends its requests. */

import { element } from "./elements.js";
import { ProblemError } from "./problems.js";
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
   *   onUpdate: () => void, onConnectionState: (state: string) => void}} listeners
   */
  constructor(scroller, { onNewTurn, onShowDetails, onUpdate, onConnectionState }) {
    this.#scroller = scroller;
    const wrapRender = (render) => {
      this.#keepScrolledToBottom(render);
      onUpdate();
    };
    this.#listeners = { onNewTurn, onShowDetails, wrapRender };
    this.#connection = new WebSocketConnection(onConnectionState);
  }

  get isAnswering() {
    return this.#abortController !== null;
  }

  /** The complete turns so far, as messages. */
  get messages() {
    return this.turns
      .filter(({ isComplete }) => isComplete)
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
  async send(request, { text, inputs }) {
    this.#abortController = new AbortController();
    const turn = new Turn(this.turns.length + 1, request, text ?? inputs, this.#listeners);
    turn.text = text;
    this.turns.push(turn);
    this.element.append(turn.element);
    this.#listeners.onNewTurn(turn);
    this.scrollToBottom();
    const { signal } = this.#abortController;
    const problem = await this.#receiveAnswer(request, signal, (events) => turn.addEvents(events));
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
