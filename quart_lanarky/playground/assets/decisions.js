/** Asks for decisions about the tools that an agent wants to call, as LangChain's middleware does. */

import { createChoices } from "./choices.js";
import { createControl, readOrShowError } from "./controls.js";
import { element } from "./elements.js";
import { formatJson, toJson } from "./json_text.js";

const LABELS = { approve: "Approve", edit: "Edit", reject: "Reject", respond: "Respond" };

/**
 * @typedef {object} Action a call of a tool that a person has to decide about
 * @property {string} name
 * @property {any} args
 * @property {string} description
 * @property {string[]} allowed the decisions that are allowed
 */

/**
 * Returns the actions of an interrupt that asks about several at once, null if it is another one.
 * @param {any} value
 * @returns {Action[] | null}
 */
export function batchedActions(value) {
  const requests = value?.action_requests;
  const configs = Array.isArray(value?.review_configs) ? value.review_configs : [];
  if (!Array.isArray(requests) || requests.length === 0 || !requests.every(isAction)) return null;
  return requests.map((request, n) => {
    const isOfRequest = (config) => config?.action_name === request.name;
    const config = isOfRequest(configs[n]) ? configs[n] : configs.find(isOfRequest);
    return actionOf(request, config?.allowed_decisions);
  });
}

/**
 * Returns the action of an interrupt that asks about one call of a tool, null if it is another one.
 * @param {any} value
 * @param {any} schema the schema of its answer, which has the decisions that are allowed
 * @param {(schema: any) => any} resolve resolves a reference
 * @returns {Action | null}
 */
export function singleAction(value, schema, resolve) {
  if (value?.type !== "tool_approval" || !isAction(value)) return null;
  const { oneOf, anyOf, ...only } = resolve(schema);
  const types = (oneOf ?? anyOf ?? [only]).map((option) => resolve(option).properties?.type?.const);
  return actionOf(value, types);
}

function isAction(value) {
  return typeof value?.name === "string" && value.args !== undefined;
}

function actionOf({ name, args, description = "" }, allowed) {
  const known = Object.keys(LABELS);
  const named = Array.isArray(allowed) ? known.filter((each) => allowed.includes(each)) : [];
  return { name, args, description, allowed: named.length > 0 ? named : known };
}

/**
 * Creates the form for one decision.
 * @param {Action} action
 * @returns {import("./answer_fields.js").AnswerField} its answer is the decision
 */
export function createDecision({ name, args, description, allowed }) {
  const details = new Map(
    allowed.filter((each) => DETAILS[each]).map((each) => [each, DETAILS[each](args)]),
  );
  const show = (chosen) => details.forEach((each, type) => (each.element.hidden = type !== chosen));
  const options = allowed.map((value) => ({ label: LABELS[value], value }));
  const choices = createChoices(`Decision about ${name}`, options, show);
  show(null);
  const read = () => {
    const type = readOrShowError(choices);
    const detail = details.get(type);
    return { type, ...(detail ? toDecision(type, name, readOrShowError(detail)) : {}) };
  };
  return {
    element: element(
      "div",
      { class: "action" },
      element("h5", {}, element("code", {}, name)),
      description ? element("p", { class: "description" }, description) : null,
      element("pre", { tabindex: "0", "aria-label": `Arguments of ${name}` }, formatJson(args)),
      choices.element,
      ...[...details.values()].map((each) => each.element),
    ),
    read,
    describe: (decision) => describeDecision(name, decision),
  };
}

/** What a decision needs besides its type: a control for it. */
const DETAILS = {
  __proto__: null,
  edit(args) {
    const control = createDetail("args", "Arguments", "json", { type: "object" });
    const input = /** @type {HTMLTextAreaElement} */ (control.input);
    input.value = toJson(args);
    return { ...control, read: () => readObject(control) };
  },
  reject: () => createDetail("message", "Reason, for the model", "text", {}, false),
  respond: () => createDetail("message", "Answer in place of the tool", "text", {}),
};

function createDetail(name, label, kind, schema, required = true) {
  const field = { name, label, kind, required, schema, choices: [], description: "" };
  return createControl({ ...field, location: "body" }, new Map());
}

function readObject(control) {
  const value = control.read();
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error("Write a JSON object: the arguments by their names.");
  return value;
}

function toDecision(type, name, detail) {
  if (type === "edit") return { edited_action: { name, args: detail } };
  return detail === undefined ? {} : { message: detail };
}

function describeDecision(name, { type, message, edited_action: edited }) {
  const detail = edited ? JSON.stringify(edited.args) : message;
  return `${LABELS[type]} ${name}${detail ? `: ${detail}` : ""}`;
}
