/** Creates the form for the answer to an interrupt: by its value, or by the schema of its answer. */

import { createChoices } from "./choices.js";
import { createControl, readOrShowError } from "./controls.js";
import { batchedActions, createDecision, singleAction } from "./decisions.js";
import { element, uniqueId } from "./elements.js";
import { formatJson } from "./json_text.js";
import { createResolver, fieldOf, fieldsOf } from "./schemas.js";

const MAX_RADIO_CHOICES = 6; // more of them are a list to select from

/**
 * @typedef {object} AnswerField
 * @property {HTMLElement} element
 * @property {() => any} read returns the answer; marks what is invalid with `aria-invalid`
 * @property {(answer: any) => string} describe says in words what was answered
 */

/**
 * Creates the form for the answer to an interrupt, with what it asks.
 * @param {import("./interrupt_card.js").Interrupt} interrupt
 * @returns {AnswerField}
 */
export function createAnswerField({ value, response_schema: schema, step }) {
  if (step !== undefined) return stepField();
  const resolve = createResolver(schema);
  const actions = batchedActions(value);
  if (actions) return batchedField(actions);
  const action = singleAction(value, schema, resolve);
  if (action) return createDecision(action);
  const field = schema ? schemaField(schema, resolve) : freeField();
  return { ...field, element: element("div", {}, questionView(value), field.element) };
}

/** Shows what a graph asks. */
function questionView(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return element("p", { class: "asks" }, value);
  return element("pre", { class: "asks", tabindex: "0" }, formatJson(value));
}

/** A step before or after which a graph waits asks for nothing but to go on. */
function stepField() {
  return { element: element("div"), read: () => null, describe: () => "Continue" };
}

function batchedField(actions) {
  const fields = actions.map(createDecision);
  return {
    element: element("div", { class: "actions" }, ...fields.map((field) => field.element)),
    read: () => ({ decisions: fields.map((field) => field.read()) }),
    describe: ({ decisions }) => decisions.map((each, n) => fields[n].describe(each)).join("\n"),
  };
}

function schemaField(schema, resolve) {
  const field = answerControlOf(schema, resolve);
  const options = choiceOptions(field);
  if (options) return plainField(createChoices("Your answer", options), labelIn(options));
  const isForm = field.kind === "json" && Object.keys(field.schema.properties ?? {}).length > 0;
  return isForm ? objectField(field.schema, resolve) : plainField(createControl(field, new Map()));
}

function answerControlOf(schema, resolve) {
  const named = { name: "answer", schema, location: /** @type {"body"} */ ("body") };
  return { ...fieldOf({ ...named, required: true }, resolve), label: "Your answer" };
}

/** Returns the choices of a field that has only a few, otherwise null. */
function choiceOptions({ kind, choices }) {
  if (kind === "boolean")
    return [
      { label: "Yes", value: true },
      { label: "No", value: false },
    ];
  if (kind !== "choice" || choices.length > MAX_RADIO_CHOICES) return null;
  return choices.map((value) => ({ label: formatJson(value), value }));
}

function labelIn(options) {
  return (answer) => options.find(({ value }) => value === answer)?.label ?? formatJson(answer);
}

function plainField(control, describe = formatJson) {
  return { element: control.element, read: () => readOrShowError(control), describe };
}

/** A form with a control for each property of an object. */
function objectField(schema, resolve) {
  const controls = fieldsOf(schema, "body", resolve).map((field) => createControl(field, new Map()));
  const legend = element("legend", { class: "visually-hidden" }, "Your answer");
  const entryOf = (control) => [control.field.name, readOrShowError(control)];
  return {
    element: element("fieldset", {}, legend, ...controls.map((control) => control.element)),
    read: () => Object.fromEntries(controls.map(entryOf).filter(([, value]) => value !== undefined)),
    describe: formatJson,
  };
}

/** An answer of which nothing is known: a text, or JSON if one says so. */
function freeField() {
  const field = { ...answerControlOf({ type: "string" }, createResolver({})) };
  const text = createControl(field, new Map());
  const json = createControl(
    { ...field, label: "Your answer, as JSON", kind: "json", schema: {} },
    new Map(),
  );
  const isJson = element("input", { type: "checkbox", id: uniqueId("as-json") });
  const label = element("label", { for: isJson.id }, "as JSON");
  json.element.hidden = true;
  isJson.addEventListener("change", () => {
    const [from, to] = isJson.checked ? [text, json] : [json, text];
    [from.element.hidden, to.element.hidden] = [true, false];
    [/** @type {any} */ (to.input).value] = [/** @type {any} */ (from.input).value];
  });
  const read = () => readOrShowError(isJson.checked ? json : text);
  const choice = element("p", { class: "switch" }, isJson, label);
  const root = element("div", {}, text.element, json.element, choice);
  return { element: root, read, describe: formatJson };
}
