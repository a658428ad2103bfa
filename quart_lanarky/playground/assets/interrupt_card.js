/** Asks for the answers to what a run waits for, and shows what was answered. */

import { createAnswerField } from "./answer_fields.js";
import { element, uniqueId } from "./elements.js";

/**
 * @typedef {object} Interrupt
 * @property {string} id
 * @property {any} value
 * @property {any} response_schema
 * @property {string} [step] the step before or after which the graph waits
 *
 * @typedef {object} Answers
 * @property {Object<string, any>} byId by the ids of the interrupts
 * @property {string} text what was answered, in words
 */

export class InterruptCard {
  element;
  #interrupts;
  #fields;
  #form;
  #heading;
  #questions;
  #error = element("div");
  #button;
  /** @type {string[]} what was answered to each */
  #texts = [];

  /**
   * @param {Interrupt[]} interrupts
   * @param {(answers: Answers) => void} onAnswer is called when the answers are to be sent
   */
  constructor(interrupts, onAnswer) {
    this.#interrupts = interrupts;
    this.#fields = interrupts.map(createAnswerField);
    this.#heading = element("h4", { id: uniqueId("interrupt") }, titleOf(interrupts));
    this.#questions = this.#fields.map(({ element: field }, n) => this.#question(field, n));
    this.#button = element("button", { type: "submit", class: "primary" }, actionOf(interrupts));
    const controls = element("fieldset", {}, ...this.#questions, this.#button);
    this.#form = element("form", { novalidate: true }, controls, this.#error);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(onAnswer);
    });
    this.#form.addEventListener("keydown", (event) => this.#handleKeydown(event));
    this.element = element(
      "section",
      { class: "interrupt", role: "group", tabindex: "-1", "aria-labelledby": this.#heading.id },
      this.#heading,
      this.#form,
    );
  }

  #question(field, n) {
    const { step } = this.#interrupts[n];
    const place = ["The graph waits at the step ", element("code", {}, step ?? ""), "."];
    const isOne = this.#interrupts.length === 1;
    const heading = isOne ? null : element("h5", {}, `Question ${n + 1}`);
    const group = { class: "question", role: "group", "aria-label": `Question ${n + 1}` };
    return element("div", group, heading, step ? element("p", {}, ...place) : null, field);
  }

  #submit(onAnswer) {
    const answers = this.#fields.map((field) => field.read());
    const invalid = /** @type {HTMLElement | null} */ (
      this.#form.querySelector("[aria-invalid]:not([hidden] *)")
    );
    if (invalid) {
      invalid.focus();
      return;
    }
    const byId = Object.fromEntries(this.#interrupts.map(({ id }, n) => [id, answers[n]]));
    this.#texts = answers.map((answer, n) => this.#fields[n].describe(answer));
    onAnswer({ byId, text: this.#texts.join("\n") });
  }

  /** Sends on Ctrl+Enter in a text box; Enter breaks the line there. */
  #handleKeydown(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  /** Moves the focus to the card. */
  focus() {
    this.element.focus();
    this.element.scrollIntoView({ block: "nearest" });
  }

  /** Whether the answers are on their way; nothing can be changed meanwhile. */
  set isSending(isSending) {
    /** @type {HTMLFieldSetElement} */ (this.#form.firstElementChild).disabled = isSending;
    if (isSending) this.#error.replaceChildren();
  }

  /**
   * Shows that the answers were refused; they can be changed and sent again.
   * @param {Pick<import("./problems.js").Problem, "title" | "detail" | "fields">} problem
   */
  showRefusal({ title, detail, fields = [] }) {
    this.isSending = false;
    const items = fields.map(({ field, message }) =>
      element("li", {}, element("code", {}, field), ` ${message}`),
    );
    const list = items.length > 0 ? element("ul", {}, ...items) : null;
    const box = { class: "problem" };
    this.#error.replaceChildren(
      element("div", box, element("strong", {}, title), element("p", {}, detail), list),
    );
  }

  /** Shows what was answered, in place of the controls. */
  showAnswered() {
    if (this.element.classList.contains("answered")) return;
    this.isSending = true; // for good: the style sheet hides what could be changed
    this.element.classList.add("answered");
    this.#heading.textContent = "Answered";
    this.#questions.forEach((question, n) =>
      question.append(element("p", { class: "given" }, this.#texts[n])),
    );
  }
}

function titleOf(interrupts) {
  if (interrupts.length > 1) return `${interrupts.length} questions wait for your answers`;
  return interrupts[0].step === undefined ? "Waits for your answer" : "Paused";
}

function actionOf(interrupts) {
  return interrupts.every(({ step }) => step !== undefined) ? "Continue" : "Send answer";
}
