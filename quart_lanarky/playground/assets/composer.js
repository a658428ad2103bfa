/** Where a person asks: the parameters, the inputs, and the buttons that send and stop. */

import { button, element, freshId } from "./elements.js";
import { controlOf } from "./fields.js";

const KEPT_BY_SERVER = /thread|session|conversation|chat_?id/i;

const KEYS = "Enter sends, Shift+Enter breaks the line, Esc stops.";

/**
 * @typedef {object} Given what a person gives
 * @property {Map<import("./schemas.js").Field, any>} parameters
 * @property {Object<string, any>} inputs
 * @property {string | null} text the question, where it is one text
 */

export class Composer {
  element;
  #way;
  #parameters;
  #inputs;
  #main;
  #history;
  #earlier;
  #send = button("Send", null, { type: "submit", class: "primary" });
  #stop;
  #memory;

  /**
   * @param {import("./documents.js").Way} way
   * @param {Map<string, any>} memory what was given before
   * @param {{onAsk: () => void, onStop: () => void}} listeners
   */
  constructor(way, memory, { onAsk, onStop }) {
    this.#way = way;
    this.#memory = memory;
    this.#stop = button("Stop", onStop, { class: "primary stop", hidden: true });
    const { main, history, others } = sorted(way);
    this.#parameters = way.parameters.map((field) => controlOf(field, memory));
    this.#inputs = others.map((field) => controlOf(field, memory));
    this.#history = history;
    this.#main = main && this.#mainBox(main);
    this.#earlier = history && this.#earlierSwitch(way.parameters);
    this.element = element("form", { novalidate: true, "aria-label": "Ask" }, ...this.#parts());
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      onAsk();
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  #parts() {
    const buttons = element("div", { class: "buttons" }, this.#send, this.#stop);
    const first = this.#main?.element ?? element("p", { class: "hint" }, "Ctrl+Enter sends.");
    const ask = element("div", { class: "ask" }, first, buttons);
    const inputs = group("Inputs", this.#inputs);
    const keys = this.#main && element("p", { class: "hint keys" }, KEYS);
    return [this.#parameterBox(), inputs, ask, this.#earlier?.element, keys].filter(Boolean);
  }

  /** Parameters are folded away, unless one of them has to be given. */
  #parameterBox() {
    if (this.#parameters.length === 0) return null;
    const isNeeded = this.#parameters.some(({ field }) => field.required);
    const summary = element("summary", {}, "Parameters");
    const box = group("Parameters", this.#parameters);
    const made = element("details", { class: "parameters", open: isNeeded }, summary, box);
    const show = () => (summary.textContent = summaryOf(this.#parameters));
    made.addEventListener("input", show);
    show();
    return made;
  }

  #mainBox(field) {
    const kind = field.kind === "any" ? "any" : "text";
    const control = controlOf({ ...field, kind, place: "body", description: "" }, this.#memory);
    const input = /** @type {HTMLTextAreaElement} */ (control.input);
    input.rows = 1;
    input.placeholder = "Ask something";
    control.element.classList.add("main");
    return control;
  }

  #earlierSwitch(parameters) {
    const isKept = parameters.some(({ name }) => KEPT_BY_SERVER.test(name));
    const input = element("input", { type: "checkbox", id: freshId("earlier") });
    input.checked = this.#memory.get("#earlier") ?? !isKept;
    input.addEventListener("change", () => this.#memory.set("#earlier", input.checked));
    const label = element("label", { for: input.id }, "Send earlier messages too");
    return { input, element: element("p", { class: "switch" }, input, label) };
  }

  #key(event) {
    if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
    const isMain = event.target === this.#main?.input;
    if (!isMain && !((event.ctrlKey || event.metaKey) && event.target.tagName === "TEXTAREA"))
      return;
    event.preventDefault();
    if (!this.#send.hidden) this.element.requestSubmit();
  }

  /**
   * Read what was given, or say at the first field that is wrong why, and return null.
   * @param {{role: string, content: string}[]} earlier the conversation so far
   * @returns {Given | null}
   */
  read(earlier) {
    /** @returns {[import("./schemas.js").Field, any]} */
    const read = (control) => [control.field, valueOf(control)];
    const known = ([, value]) => value !== undefined;
    const all = new Map(this.#controls.map(read));
    const wrong = this.#controls.find(({ input }) => input.hasAttribute("aria-invalid"));
    if (wrong) {
      reveal(wrong);
      return null;
    }
    const values = new Map([...all].filter(known));
    const isParameter = (field) => this.#way.parameters.includes(field);
    const parameters = new Map([...values].filter(([field]) => isParameter(field)));
    const given = [...values].filter(
      ([field]) => !isParameter(field) && field !== this.#main?.field,
    );
    const inputs = Object.fromEntries(given.filter(([{ isSpread }]) => !isSpread).map(named));
    given.filter(([{ isSpread }]) => isSpread).forEach(([, value]) => Object.assign(inputs, value));
    return { parameters, ...this.#withQuestion(inputs, earlier) };
  }

  /** Add the question, and the conversation before it. */
  #withQuestion(inputs, earlier) {
    if (!this.#main) return { inputs, text: null };
    const text = this.#main.input.value;
    const before = this.#earlier?.input.checked ? earlier : [];
    const { name } = this.#main.field;
    const isOne = this.#history?.name === name; // the question is the last one of the messages
    const question = isOne ? [...before, { role: "user", content: text }] : this.#main.read();
    const history = this.#history && !isOne ? { [this.#history.name]: before } : {};
    return { text, inputs: { ...inputs, ...history, [name]: question } };
  }

  /** Show what the server found wrong where it is; what has no field here is in its answer. */
  complain(problems) {
    const wrong = problems.map((problem) => {
      const [name] = problem.field.split(".");
      const control = this.#controls.find(({ field }) => field.name === name);
      const path = problem.field === name ? "" : `${problem.field}: `;
      control?.complain(path + problem.message);
      return control;
    });
    const first = wrong.find(Boolean);
    if (first) reveal(first);
  }

  /** Say whether an answer is in progress. */
  set isAnswering(isAnswering) {
    const focused = /** @type {HTMLButtonElement} */ (document.activeElement);
    const hadFocus = [this.#send, this.#stop].includes(focused);
    this.#send.hidden = isAnswering;
    this.#stop.hidden = !isAnswering;
    if (hadFocus) (isAnswering ? this.#stop : this.#first).focus();
  }

  /** Empty the question, for the next one. */
  clear() {
    if (!this.#main) return;
    this.#main.input.value = "";
    this.#memory.delete(this.#main.field.name);
  }

  focus() {
    this.#first.focus();
  }

  get #controls() {
    return [...this.#parameters, ...this.#inputs, this.#main].filter(Boolean);
  }

  get #first() {
    return this.#main?.input ?? this.#inputs[0]?.input ?? this.#send;
  }
}

function named([{ name }, value]) {
  return [name, value];
}

/** Decide which input is the question, and which one the conversation before it. */
function sorted({ inputs, takesAnything }) {
  const anything = { name: "inputs", kind: "json", place: "body", schema: {}, isSpread: true };
  const free = { ...anything, required: false, choices: [], description: "Any other inputs." };
  const texts = inputs.filter(({ kind }) => kind === "text");
  const histories = inputs.filter(({ kind }) => kind === "messages");
  const history = histories.length === 1 ? histories[0] : null;
  const isChat = texts.length <= 1 && (history || inputs.length === 1) && !takesAnything;
  const untyped = inputs.find(({ kind }) => kind === "any");
  const main = isChat ? (texts[0] ?? history ?? untyped ?? null) : null;
  const others = inputs.filter((field) => main === null || (field !== main && field !== history));
  return {
    main,
    history: main && history,
    others: takesAnything ? [...others, free] : others,
  };
}

function group(name, controls) {
  if (controls.length === 0) return null;
  const legend = element("legend", { class: "visually-hidden" }, name);
  return element("fieldset", {}, legend, ...controls.map((control) => control.element));
}

function valueOf(control) {
  try {
    control.complain("");
    return control.read();
  } catch (error) {
    control.complain(error.message);
    return undefined;
  }
}

/** Bring a control into view, and the person to it. */
function reveal({ input }) {
  const folded = input.closest("details");
  if (folded) folded.open = true;
  input.focus();
}

function summaryOf(controls) {
  const given = controls.filter(({ input }) => input.type !== "checkbox" && input.value !== "");
  const values = given.map(({ field, input }) => `${field.name} ${chosen(input)}`);
  return ["Parameters", ...values].join(" · ");
}

function chosen(input) {
  return input.selectedOptions?.[0].textContent ?? input.value;
}
