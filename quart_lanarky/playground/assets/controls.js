/** Creates a form control for a field: its label, input, hint and error message. */

import { element, uniqueId } from "./elements.js";

/**
 * @typedef {object} Control
 * @property {import("./schemas.js").Field} field
 * @property {HTMLElement} element all of the control
 * @property {HTMLElement} input
 * @property {() => any} read returns the value, undefined if none is to be sent; throws an Error
 *   whose message says why the value is invalid
 * @property {(message: string) => void} showError shows an error message, "" for none
 */

/**
 * Creates the control for a field.
 * @param {import("./schemas.js").Field} field
 * @param {Map<string, any>} savedValues the values entered before, by field name; kept up to date
 * @returns {Control}
 */
export function createControl(field, savedValues) {
  const inputKind = INPUT_KINDS[field.kind] ?? INPUT_KINDS.json;
  const id = uniqueId("field");
  const input = inputKind.createInput(field, {
    id,
    name: field.name,
    ...constraintAttributes(field.schema),
  });
  const errorElement = element("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  const hintElement = element("p", { class: "hint", id: `${id}-hint` }, hintText(field));
  input.setAttribute("aria-describedby", `${hintElement.id} ${errorElement.id}`);
  if (field.required && field.kind !== "boolean") input.required = true;
  bindSavedValue(input, savedValues, field.name);
  const control = {
    field,
    input,
    element: element(
      "div",
      { class: `field of-${field.kind}` },
      createLabel(field, id),
      input,
      hintElement,
      errorElement,
    ),
    read: () => readValid(input, inputKind.read, field),
    showError: (message) => showError(input, errorElement, message),
  };
  input.addEventListener("input", () => control.showError(""));
  return control;
}

/** @param {import("./schemas.js").Field} field */
function createLabel({ name, label, required }, id) {
  const optional = required ? null : element("span", { class: "optional" }, " optional");
  return element("label", { for: id }, label ?? element("code", {}, name), optional);
}

/**
 * Reads the value of a control, and shows why it is invalid if it is.
 * @param {Pick<Control, "read" | "showError">} control
 * @returns {any} undefined if it is invalid, or none is to be sent
 */
export function readOrShowError(control) {
  try {
    control.showError("");
    return control.read();
  } catch (error) {
    control.showError(error.message);
    return undefined;
  }
}

/**
 * Shows an error message at an input, "" for none.
 * @param {HTMLElement} input
 * @param {HTMLElement} errorElement
 * @param {string} message
 */
export function showError(input, errorElement, message) {
  errorElement.textContent = message;
  errorElement.hidden = message === "";
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Restores the saved value of an input, and saves each change. */
function bindSavedValue(input, savedValues, name) {
  const property = input.type === "checkbox" ? "checked" : "value";
  if (savedValues.has(name)) input[property] = savedValues.get(name);
  input.addEventListener("input", () => savedValues.set(name, input[property]));
}

/** Reads an input; throws an Error if the browser finds its value invalid. */
function readValid(input, read, field) {
  if (!input.checkValidity()) throw new Error(input.validationMessage);
  return read(input, field);
}

/** How each kind of field is entered: the input element, and how its value is read. */
const INPUT_KINDS = {
  text: {
    createInput: (field, attributes) =>
      field.location === "body"
        ? element("textarea", { rows: 2, ...attributes })
        : element("input", { type: "text", autocomplete: "off", ...attributes }),
    read: readText,
  },
  number: { createInput: createNumberInput, read: readNumber },
  integer: { createInput: createNumberInput, read: readNumber },
  boolean: {
    createInput({ schema }, { id, name }) {
      const checkbox = element("input", { type: "checkbox", id, name });
      checkbox.checked = schema.default === true;
      return checkbox;
    },
    read: ({ checked }, { required, schema }) =>
      required || checked !== (schema.default ?? false) ? checked : undefined,
  },
  choice: {
    createInput({ choices, required, schema }, { id, name }) {
      const emptyLabel = schema.default === undefined ? "" : `default: ${toText(schema.default)}`;
      const options = choices.map((choice, n) => element("option", { value: n }, toText(choice)));
      const emptyOption = required ? [] : [element("option", { value: "" }, emptyLabel)];
      return element("select", { id, name }, ...emptyOption, ...options);
    },
    read: ({ value }, { choices }) => (value === "" ? undefined : choices[Number(value)]),
  },
  list: {
    createInput: (_, { id, name }) => element("textarea", { rows: 3, id, name }),
    read: readList,
  },
  json: {
    createInput: ({ schema }, { id, name }) =>
      element("textarea", {
        rows: 4,
        id,
        name,
        class: "code",
        spellcheck: "false",
        placeholder: schema.type === "array" ? "[]" : "{}",
      }),
    read: readJson,
  },
};
INPUT_KINDS.messages = INPUT_KINDS.json;
INPUT_KINDS.any = { createInput: INPUT_KINDS.text.createInput, read: readTextOrJson };

function createNumberInput({ kind, schema }, attributes) {
  const step = schema.multipleOf ?? (kind === "integer" ? 1 : "any");
  const placeholder = schema.default ?? null;
  return element("input", { type: "number", step, placeholder, ...attributes });
}

function constraintAttributes({ type, minimum, maximum, minLength, maxLength, pattern }) {
  const isText = type === "string";
  return {
    min: minimum ?? null,
    max: maximum ?? null,
    minlength: isText ? (minLength ?? null) : null,
    maxlength: isText ? (maxLength ?? null) : null,
    // A pattern attribute has to match the whole value, the pattern of a schema any part of it.
    pattern: isText && pattern && isValidPattern(pattern) ? `[^]*(?:${pattern})[^]*` : null,
  };
}

function isValidPattern(pattern) {
  try {
    return Boolean(new RegExp(`[^]*(?:${pattern})[^]*`, "v"));
  } catch {
    return false; // a regular expression of the server may be invalid in the browser
  }
}

function readText({ value }, { required }) {
  return value === "" && !required ? undefined : value;
}

function readNumber({ value }, { kind }) {
  if (value === "") return undefined;
  const number = Number(value);
  if (kind === "integer" && !Number.isSafeInteger(number))
    throw new Error("A browser has no whole number of that size.");
  return number;
}

function readList({ value }, { required, schema }) {
  const lines = value.split("\n").filter((line) => line !== "");
  if (lines.length === 0 && !required) return undefined;
  if (schema.items?.type === "string" || schema.items?.enum) return lines;
  return lines.map((line) => (line.trim() === "" || isNaN(line) ? line : Number(line)));
}

function readJson({ value }, { required, holdsAdditionalInputs }) {
  if (value.trim() === "" && !required) return undefined;
  const parsed = parseJson(value);
  const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
  if (holdsAdditionalInputs && !isObject)
    throw new Error("Write a JSON object: the inputs by their names.");
  return parsed;
}

/**
 * Parses JSON; throws an Error with a message for the user.
 * @param {string} text
 * @returns {any}
 */
export function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${error.message}`);
  }
}

/** Reads a text or JSON: a value is JSON if it starts like an object, an array or a string. */
function readTextOrJson(input, field) {
  return /^\s*[{["]/.test(input.value) ? readJson(input, field) : readText(input, field);
}

/** Describes in a few words which values are valid, and the default. */
function hintText({ kind, description, schema }) {
  const { minimum, maximum, default: defaultValue, format } = schema;
  const range =
    minimum !== undefined && maximum !== undefined
      ? `From ${minimum} to ${maximum}.`
      : minimum !== undefined
        ? `At least ${minimum}.`
        : maximum !== undefined && `At most ${maximum}.`;
  const formatHints = {
    list: "One in each line.",
    json: "As JSON.",
    any: 'A text, or JSON that starts with {, [ or ".',
    messages: "As JSON: a list of messages.",
  };
  const showsDefault =
    defaultValue !== undefined && kind !== "choice" && !isEmptyValue(defaultValue);
  return [
    description,
    formatHints[kind],
    range,
    format && `Format: ${format}.`,
    showsDefault && `Default: ${toText(defaultValue)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** Tells whether a default is empty, and so need not be shown. */
function isEmptyValue(value) {
  return !value || Object.keys(value).length === 0;
}

function toText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
