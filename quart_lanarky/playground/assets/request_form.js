/** Shows the form for an endpoint's parameters and inputs, with its send and stop buttons. */

import { createControl, readOrShowError } from "./controls.js";
import { button, element, uniqueId } from "./elements.js";
import { createShowChoice, isShowField } from "./show_choice.js";

/**
 * Names of parameters by which the server finds a conversation, and so keeps its messages itself.
 */
const CONVERSATION_ID_NAME = /thread|session|conversation|chat_?id/i;

const MAX_EXAMPLES = 4;

const KEYBOARD_HINT = "Enter sends, Shift+Enter breaks the line, Esc stops.";

/**
 * @typedef {object} FormValues the values entered in a form
 * @property {Map<import("./schemas.js").Field, any>} parameters
 * @property {Object<string, any>} inputs
 * @property {string | null} text the text of the main input, null if the form has none
 */

export class RequestForm {
  element;
  #endpoint;
  #parameterControls;
  #showChoice;
  #inputControls;
  #mainControl;
  #historyField;
  #historySwitch;
  #sendButton = button("Send", null, { type: "submit", class: "primary" });
  #stopButton;
  #savedValues;

  /**
   * @param {import("./api_specs.js").Endpoint} endpoint
   * @param {Map<string, any>} savedValues the values entered before, by field name; kept up to date
   * @param {{onSend: () => void, onStop: () => void}} listeners
   */
  constructor(endpoint, savedValues, { onSend, onStop }) {
    this.#endpoint = endpoint;
    this.#savedValues = savedValues;
    this.#stopButton = button("Stop", onStop, { class: "primary stop", hidden: true });
    const { mainField, historyField, otherFields } = classifyInputs(endpoint);
    const showField = endpoint.parameters.find((field) => isShowField(field, endpoint));
    this.#showChoice = showField && createShowChoice(showField, endpoint.shows, savedValues);
    this.#parameterControls = endpoint.parameters
      .filter((field) => field !== showField)
      .map((field) => createControl(field, savedValues));
    this.#inputControls = otherFields.map((field) => createControl(field, savedValues));
    this.#historyField = historyField;
    this.#mainControl = mainField && this.#createMainControl(mainField);
    this.#historySwitch = historyField && this.#createHistorySwitch(endpoint);
    this.element = element(
      "form",
      { novalidate: true, "aria-label": "Ask" },
      ...this.#createContents(),
    );
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      onSend();
    });
    this.element.addEventListener("keydown", (event) => this.#handleKeydown(event));
  }

  #createContents() {
    const isChat = Boolean(this.#mainControl);
    const buttons = element("div", { class: "buttons" }, this.#sendButton, this.#stopButton);
    const mainElement =
      this.#mainControl?.element ?? element("p", { class: "hint" }, "Ctrl+Enter sends.");
    const sendRow = element("div", { class: "ask" }, mainElement, buttons);
    const examples = isChat ? this.#createExamples() : null;
    const isOther = ({ field }) => isChat && Boolean(field.holdsAdditionalInputs);
    const inputs = this.#inputControls.filter((control) => !isOther(control));
    const keys = isChat ? element("p", { class: "hint keys" }, KEYBOARD_HINT) : null;
    return [
      createSection("Parameters", this.#parameterControls),
      createFieldset("Inputs", inputs),
      createSection("Other inputs", this.#inputControls.filter(isOther)),
      examples,
      sendRow,
      this.#historySwitch?.element,
      this.#showChoice?.element,
      keys,
    ].filter(Boolean);
  }

  /** Creates the control of the main input: the large text box of a chat. */
  #createMainControl(field) {
    const kind = field.kind === "any" ? "any" : "text";
    const control = createControl(
      { ...field, kind, location: "body", description: "" },
      this.#savedValues,
    );
    const input = /** @type {HTMLTextAreaElement} */ (control.input);
    input.rows = 1;
    input.placeholder = "Ask something";
    control.element.classList.add("main");
    return control;
  }

  /** Creates a button for each example of the main input, which writes it into the text box. */
  #createExamples() {
    const { input, field } = this.#mainControl;
    const write = (text) => {
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.focus();
    };
    const examples = examplesOf(field, this.#endpoint.examples);
    if (examples.length === 0) return null;
    const buttons = examples.map((text) =>
      button(text, () => write(text), { "aria-label": `Example: ${text}` }),
    );
    return element("div", { class: "examples" }, ...buttons);
  }

  /** Creates the switch that decides whether earlier messages are sent too. */
  #createHistorySwitch({ parameters, keepsHistory }) {
    const isKeptByServer =
      keepsHistory || parameters.some(({ name }) => CONVERSATION_ID_NAME.test(name));
    const input = element("input", { type: "checkbox", id: uniqueId("earlier") });
    input.checked = this.#savedValues.get("#earlier") ?? !isKeptByServer;
    input.addEventListener("change", () => this.#savedValues.set("#earlier", input.checked));
    const label = element("label", { for: input.id }, "Send earlier messages too");
    return { input, element: element("p", { class: "switch" }, input, label) };
  }

  /** Sends the form on Enter in the main input, and on Ctrl+Enter in any other text box. */
  #handleKeydown(event) {
    if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
    const isMain = event.target === this.#mainControl?.input;
    if (!isMain && !((event.ctrlKey || event.metaKey) && event.target.tagName === "TEXTAREA"))
      return;
    event.preventDefault();
    if (!this.#sendButton.hidden) this.element.requestSubmit();
  }

  /**
   * Reads the values of all fields; shows an error at the first invalid field.
   * @param {{role: string, content: string}[]} earlierMessages the conversation so far
   * @returns {FormValues | null} null if a field is invalid
   */
  readValues(earlierMessages) {
    /** @returns {[import("./schemas.js").Field, any]} */
    const readEntry = (control) => [control.field, readOrShowError(control)];
    const hasValue = ([, value]) => value !== undefined;
    const allValues = new Map(this.#controls.map(readEntry));
    const invalidControl = this.#controls.find(({ input }) => input.hasAttribute("aria-invalid"));
    if (invalidControl) {
      revealAndFocus(invalidControl);
      return null;
    }
    const values = new Map([...allValues].filter(hasValue));
    const isParameter = (field) => this.#endpoint.parameters.includes(field);
    const parameters = new Map([...values].filter(([field]) => isParameter(field)));
    const inputValues = [...values].filter(
      ([field]) => !isParameter(field) && field !== this.#mainControl?.field,
    );
    const inputs = Object.fromEntries(
      inputValues.filter(([{ holdsAdditionalInputs }]) => !holdsAdditionalInputs).map(toEntry),
    );
    inputValues
      .filter(([{ holdsAdditionalInputs }]) => holdsAdditionalInputs)
      .forEach(([, value]) => Object.assign(inputs, value));
    return { parameters, ...this.#withMainInput(inputs, earlierMessages) };
  }

  /** Adds the main input, and the earlier messages if they are to be sent. */
  #withMainInput(inputs, earlierMessages) {
    if (!this.#mainControl) return { inputs, text: null };
    const text = this.#mainControl.input.value;
    const messages = this.#historySwitch?.input.checked ? earlierMessages : [];
    const { name } = this.#mainControl.field;
    // If the messages are the main input themselves, its text is the last of them.
    const isSameField = this.#historyField?.name === name;
    const mainInput = isSameField
      ? [...messages, { role: "user", content: text }]
      : this.#mainControl.read();
    const historyInput =
      this.#historyField && !isSameField ? { [this.#historyField.name]: messages } : {};
    return { text, inputs: { ...inputs, ...historyInput, [name]: mainInput } };
  }

  /**
   * Shows validation errors of the server at their fields, and focuses the first of these.
   * @param {{field: string, message: string}[]} fieldErrors those without a field here are ignored
   */
  showErrors(fieldErrors) {
    const invalidControls = fieldErrors.map((fieldError) => {
      const [name] = fieldError.field.split(".");
      const control = this.#controls.find(({ field }) => field.name === name);
      const path = fieldError.field === name ? "" : `${fieldError.field}: `;
      control?.showError(path + fieldError.message);
      return control;
    });
    const first = invalidControls.find(Boolean);
    if (first) revealAndFocus(first);
  }

  /** Whether an answer is in progress; the stop button then replaces the send button. */
  set isAnswering(isAnswering) {
    const focused = /** @type {HTMLButtonElement} */ (document.activeElement);
    const hadFocus = [this.#sendButton, this.#stopButton].includes(focused);
    this.#sendButton.hidden = isAnswering;
    this.#stopButton.hidden = !isAnswering;
    if (hadFocus) (isAnswering ? this.#stopButton : this.#firstFocusable).focus();
  }

  /** Empties the main input for the next request. */
  clearMainInput() {
    if (!this.#mainControl) return;
    this.#mainControl.input.value = "";
    this.#savedValues.delete(this.#mainControl.field.name);
  }

  /** Whether something is written in the main input. */
  get hasDraft() {
    return Boolean(this.#mainControl?.input.value);
  }

  /** Focuses the first control. */
  focus() {
    this.#firstFocusable.focus();
  }

  get #controls() {
    const parameterControls = [...this.#parameterControls, this.#showChoice];
    return [...parameterControls, ...this.#inputControls, this.#mainControl].filter(Boolean);
  }

  get #firstFocusable() {
    return this.#mainControl?.input ?? this.#inputControls[0]?.input ?? this.#sendButton;
  }
}

function toEntry([{ name }, value]) {
  return [name, value];
}

/**
 * Decides which input is the main one, shown as a chat box, and which one is the history.
 * @returns the two, null if there are none, and the other fields
 */
function classifyInputs({ inputs, allowsAdditionalInputs }) {
  const additionalInputs = {
    name: "inputs",
    kind: "json",
    location: "body",
    schema: {},
    holdsAdditionalInputs: true,
  };
  const additionalField = {
    ...additionalInputs,
    required: false,
    choices: [],
    description: "Any other inputs.",
  };
  const textFields = inputs.filter(({ kind }) => kind === "text");
  const historyFields = inputs.filter(({ kind }) => kind === "messages");
  const historyField = historyFields.length === 1 ? historyFields[0] : null;
  const isChat = textFields.length <= 1 && (historyField || inputs.length === 1);
  const untypedField = inputs.find(({ kind }) => kind === "any");
  const mainField = isChat ? (textFields[0] ?? historyField ?? untypedField ?? null) : null;
  const otherFields = inputs.filter(
    (field) => mainField === null || (field !== mainField && field !== historyField),
  );
  return {
    mainField,
    historyField: mainField && historyField,
    otherFields: allowsAdditionalInputs ? [...otherFields, additionalField] : otherFields,
  };
}

/** Creates a section of fields, collapsed unless one has to be filled in; null without any. */
function createSection(name, controls) {
  if (controls.length === 0) return null;
  const summary = element("summary", {}, name);
  const isOpen = controls.some(({ field, input }) => field.required && input.value === "");
  const fieldset = createFieldset(name, controls);
  const section = element("details", { class: "section", open: isOpen }, summary, fieldset);
  const updateSummary = () => (summary.textContent = summaryOf(name, controls));
  section.addEventListener("input", updateSummary);
  updateSummary();
  return section;
}

/** Returns the texts that the schema of a field or of all inputs has as examples of the field. */
function examplesOf({ name, schema }, inputExamples) {
  const examples = [...(schema.examples ?? []), ...inputExamples.map((each) => each?.[name])];
  const texts = examples.filter((each) => typeof each === "string" && each !== "");
  return [...new Set(texts)].slice(0, MAX_EXAMPLES);
}

function createFieldset(name, controls) {
  if (controls.length === 0) return null;
  const legend = element("legend", { class: "visually-hidden" }, name);
  return element("fieldset", {}, legend, ...controls.map((control) => control.element));
}

/** Opens the section that hides a control, and focuses its input. */
function revealAndFocus({ input }) {
  const details = input.closest("details");
  if (details) details.open = true;
  input.focus();
}

/** Returns the name of a section with the values that are filled in. */
function summaryOf(name, controls) {
  const filledIn = controls.filter(({ input }) => input.type !== "checkbox" && input.value !== "");
  const values = filledIn.map(({ field, input }) => `${field.name} ${displayedValue(input)}`);
  return [name, ...values].join(" · ");
}

function displayedValue(input) {
  return input.selectedOptions?.[0].textContent ?? input.value;
}
