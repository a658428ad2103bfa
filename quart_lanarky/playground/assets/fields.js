/** Controls for the values that a person gives, each with its label and what is wrong with it. */

import { element, freshId } from "./elements.js";

/**
 * @typedef {object} Control
 * @property {import("./schemas.js").Field} field
 * @property {HTMLElement} element
 * @property {HTMLElement} input
 * @property {() => any} read gives its value, undefined where nothing is to be sent; throws an
 *   Error whose message says what is wrong
 * @property {(message: string) => void} complain
 */

/**
 * Make the control for a field.
 * @param {import("./schemas.js").Field} field
 * @param {Map<string, any>} memory what was given before, by name
 * @returns {Control}
 */
export function controlOf(field, memory) {
  const kind = KINDS[field.kind] ?? KINDS.json;
  const id = freshId("field");
  const input = kind.make(field, { id, name: field.name, ...limitsOf(field.schema) });
  const problem = element("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  const hint = element("p", { class: "hint", id: `${id}-hint` }, hintOf(field));
  input.setAttribute("aria-describedby", `${hint.id} ${problem.id}`);
  if (field.required && field.kind !== "boolean") input.required = true;
  remember(input, memory, field.name);
  const control = {
    field,
    input,
    element: element(
      "div",
      { class: `field of-${field.kind}` },
      labelOf(field, id),
      input,
      hint,
      problem,
    ),
    read: () => readChecked(input, kind.read, field),
    complain: (message) => complain(input, problem, message),
  };
  input.addEventListener("input", () => control.complain(""));
  return control;
}

function labelOf({ name, required }, id) {
  const optional = required ? null : element("span", { class: "optional" }, " optional");
  return element("label", { for: id }, element("code", {}, name), optional);
}

function complain(input, place, message) {
  place.textContent = message;
  place.hidden = message === "";
  if (message) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Keep what is given, for when the person comes back. */
function remember(input, memory, name) {
  const property = input.type === "checkbox" ? "checked" : "value";
  if (memory.has(name)) input[property] = memory.get(name);
  input.addEventListener("input", () => memory.set(name, input[property]));
}

/** Read a control; what the browser sees to be wrong is not sent. */
function readChecked(input, read, field) {
  if (!input.checkValidity()) throw new Error(input.validationMessage);
  return read(input, field);
}

const KINDS = {
  text: {
    make: (field, attributes) =>
      field.place === "body"
        ? element("textarea", { rows: 2, ...attributes })
        : element("input", { type: "text", autocomplete: "off", ...attributes }),
    read: readText,
  },
  number: { make: makeNumber, read: readNumber },
  integer: { make: makeNumber, read: readNumber },
  boolean: {
    make({ schema }, { id, name }) {
      const made = element("input", { type: "checkbox", id, name });
      made.checked = schema.default === true;
      return made;
    },
    read: ({ checked }, { required, schema }) =>
      required || checked !== (schema.default ?? false) ? checked : undefined,
  },
  choice: {
    make({ choices, required, schema }, { id, name }) {
      const nothing = schema.default === undefined ? "" : `default: ${shown(schema.default)}`;
      const options = choices.map((choice, n) => element("option", { value: n }, shown(choice)));
      const first = required ? [] : [element("option", { value: "" }, nothing)];
      return element("select", { id, name }, ...first, ...options);
    },
    read: ({ value }, { choices }) => (value === "" ? undefined : choices[Number(value)]),
  },
  list: {
    make: (_, { id, name }) => element("textarea", { rows: 3, id, name }),
    read: readList,
  },
  json: {
    make: ({ schema }, { id, name }) =>
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
KINDS.messages = KINDS.json;
KINDS.any = { make: KINDS.text.make, read: readAny };

function makeNumber({ kind, schema }, attributes) {
  const step = schema.multipleOf ?? (kind === "integer" ? 1 : "any");
  const placeholder = schema.default ?? null;
  return element("input", { type: "number", step, placeholder, ...attributes });
}

function limitsOf({ type, minimum, maximum, minLength, maxLength, pattern }) {
  const isText = type === "string";
  return {
    min: minimum ?? null,
    max: maximum ?? null,
    minlength: isText ? (minLength ?? null) : null,
    maxlength: isText ? (maxLength ?? null) : null,
    // A control's pattern is for the whole value, that of a schema for some part of it.
    pattern: isText && pattern && isPattern(pattern) ? `[^]*(?:${pattern})[^]*` : null,
  };
}

function isPattern(pattern) {
  try {
    return Boolean(new RegExp(`[^]*(?:${pattern})[^]*`, "v"));
  } catch {
    return false; // the server's dialect has it, the browser's has not
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

function readJson({ value }, { required }) {
  if (value.trim() === "" && !required) return undefined;
  try {
    return JSON.parse(value);
  } catch (error) {
    throw new Error(`This is no JSON: ${error.message}`);
  }
}

/** Read what may be a text or JSON: as JSON what starts as an object, a list or a quote does. */
function readAny(input, field) {
  return /^\s*[{["]/.test(input.value) ? readJson(input, field) : readText(input, field);
}

/** Say what fits, in a few words. */
function hintOf({ kind, description, schema }) {
  const { minimum, maximum, default: usual, format } = schema;
  const range =
    minimum !== undefined && maximum !== undefined
      ? `From ${minimum} to ${maximum}.`
      : minimum !== undefined
        ? `At least ${minimum}.`
        : maximum !== undefined && `At most ${maximum}.`;
  const words = {
    list: "One in each line.",
    json: "As JSON.",
    any: 'A text, or JSON that starts with {, [ or ".',
    messages: "As JSON: a list of messages.",
  };
  const isUsual = usual !== undefined && kind !== "choice" && !isNothing(usual);
  return [
    description,
    words[kind],
    range,
    format && `Format: ${format}.`,
    isUsual && `Default: ${shown(usual)}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** Tell whether a default goes without saying. */
function isNothing(value) {
  return !value || Object.keys(value).length === 0;
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
