/** The questions that one route was asked, one below the other. */

import { element } from "./elements.js";
import { ProblemError } from "./problems.js";
import { Conversation, askOverHttp } from "./transports.js";
import { Turn } from "./turn.js";

const NEAR = 48; // pixels from the bottom at which a reader counts as being there

const STOPPED = { title: "Stopped", detail: "You stopped the answer.", isQuiet: true };
const BROKEN = { title: "This page failed", detail: "The console of the browser says more." };

export class Thread {
  element = element("div", { class: "thread" });
  /** @type {Turn[]} */
  turns = [];
  #conversation;
  #scroller;
  #listeners;
  /** @type {AbortController | null} */
  #stopping = null;

  /**
   * @param {HTMLElement} scroller what scrolls when answers grow
   * @param {{onTurn: (turn: Turn) => void, onDetails: (turn: Turn, tab: string) => void,
   *   onEvents: () => void, onState: (state: string) => void}} listeners
   */
  constructor(scroller, { onTurn, onDetails, onEvents, onState }) {
    this.#scroller = scroller;
    const onDraw = (draw) => {
      this.#keepAtBottom(draw);
      onEvents();
    };
    this.#listeners = { onTurn, onDetails, onDraw };
    this.#conversation = new Conversation(onState);
  }

  get isAnswering() {
    return this.#stopping !== null;
  }

  /** The conversation so far, as messages. */
  get messages() {
    return this.turns
      .filter(({ isComplete }) => isComplete)
      .flatMap(({ text, answer }) => [
        { role: "user", content: text },
        { role: "assistant", content: answer.text },
      ]);
  }

  /**
   * Ask, and show the answer while it comes.
   * @param {import("./transports.js").Question} question
   * @param {import("./composer.js").Given} given
   * @returns {Promise<Turn>} when it is over
   */
  async ask(question, { text, inputs }) {
    this.#stopping = new AbortController();
    const turn = new Turn(this.turns.length + 1, question, text ?? inputs, this.#listeners);
    turn.text = text;
    this.turns.push(turn);
    this.element.append(turn.element);
    this.#listeners.onTurn(turn);
    this.toBottom();
    const { signal } = this.#stopping;
    const problem = await this.#answer(question, signal, (events) => turn.take(events));
    this.#stopping = null;
    turn.finish(signal.aborted ? STOPPED : problem);
    return turn;
  }

  /** Have a question answered; return what went wrong, or null. */
  async #answer(question, signal, onEvents) {
    try {
      if (question.transport === "sse") await askOverHttp(question, signal, onEvents);
      else await this.#conversation.ask(question, signal, onEvents);
      return null;
    } catch (error) {
      if (error instanceof ProblemError) return error.problem;
      if (!signal.aborted) console.error(error);
      return BROKEN;
    }
  }

  stop() {
    this.#stopping?.abort();
  }

  /** Do what makes the thread longer; whoever was at its end stays there. */
  #keepAtBottom(draw) {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const wasAtBottom = scrollHeight - scrollTop - clientHeight < NEAR;
    draw();
    if (wasAtBottom && this.element.isConnected) this.toBottom();
  }

  toBottom() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}
