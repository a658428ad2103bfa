/** What a form needs to know of a value, out of its JSON schema. */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {"text" | "number" | "integer" | "boolean" | "choice" | "list" | "json"
 *   | "any" | "messages"} kind any is a text or JSON
 * @property {"path" | "query" | "body"} place where its value goes
 * @property {boolean} required
 * @property {string} description
 * @property {any} schema with what it refers to in it
 * @property {any[]} choices
 * @property {boolean} [isSpread] whether its value is an object of further inputs
 */

const DEEPEST = 20;

/**
 * Return a function that puts what a schema refers to in its place.
 * @param {any} document
 */
export function resolverOf(document) {
  return function resolve(schema, depth = 0) {
    if (schema?.$ref === undefined || depth > DEEPEST) return schema ?? {};
    const { $ref, ...siblings } = schema;
    const steps = $ref.replace(/^#\//, "").split("/");
    const names = steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    const found = names.reduce((value, name) => value?.[name], document);
    return { ...resolve(found, depth + 1), ...siblings };
  };
}

/**
 * Describe a value that a person is to give.
 * @param {{name: string, schema: any, place: Field["place"], required?: boolean,
 *   description?: string}} value
 * @param {(schema: any) => any} resolve
 * @returns {Field}
 */
export function fieldOf({ name, schema, place, required = false, description }, resolve) {
  const whole = flat(schema, resolve);
  return {
    name,
    place,
    required,
    schema: whole,
    kind: kindOf(whole, resolve),
    choices: choicesOf(whole),
    description: description ?? whole.description ?? "",
  };
}

/** Return the fields of an object's schema. */
export function fieldsOf(schema, place, resolve) {
  const { properties = {}, required = [] } = resolve(schema);
  return Object.entries(properties).map(([name, value]) =>
    fieldOf({ name, schema: value, place, required: required.includes(name) }, resolve),
  );
}

/** Follow references, and leave out what says no more than that there may be nothing. */
function flat(schema, resolve) {
  const { anyOf, oneOf, allOf, ...siblings } = resolve(schema);
  const options = (anyOf ?? oneOf ?? allOf ?? []).map(resolve);
  const left = options.filter(({ type }) => type !== "null");
  if (left.length === 1) return flat({ ...left[0], ...siblings }, resolve);
  return left.length === 0 ? siblings : { ...siblings, anyOf: left };
}

function kindOf(schema, resolve) {
  const options = schema.anyOf ?? [schema];
  if (options.some((option) => isConversation(option, resolve))) return "messages";
  if (choicesOf(schema).length > 0) return "choice";
  if (options.some(({ type }) => type === "object"))
    return options.some(isText) ? "any" : "json";
  if (schema.anyOf) return options.some(isText) ? "text" : "json";
  if (schema.type === "array") return isScalar(flat(schema.items, resolve)) ? "list" : "json";
  return (
    { string: "text", number: "number", integer: "integer", boolean: "boolean" }[schema.type] ??
    (schema.type === undefined ? "any" : "json")
  );
}

function choicesOf(schema) {
  return schema.enum ?? (schema.const === undefined ? [] : [schema.const]);
}

function isText({ type }) {
  return type === "string";
}

function isScalar({ type, anyOf }) {
  return !anyOf && ["string", "number", "integer"].includes(type);
}

/** Tell whether a schema is that of a list of messages, which have a role and a content. */
function isConversation(schema, resolve) {
  if (schema.type !== "array") return false;
  const items = resolve(schema.items);
  const kinds = (items.anyOf ?? items.oneOf ?? [items]).map(resolve);
  return kinds.some(({ properties = {} }) => "role" in properties && "content" in properties);
}
