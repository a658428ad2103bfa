/** Describes the field of a form from the JSON schema of its value. */

/**
 * @typedef {object} Field a parameter or an input
 * @property {string} name
 * @property {"text" | "number" | "integer" | "boolean" | "choice" | "list" | "json"
 *   | "any" | "messages"} kind "any" takes a text or JSON
 * @property {"path" | "query" | "body"} location where its value is sent
 * @property {boolean} required
 * @property {string} description
 * @property {any} schema with its reference resolved
 * @property {any[]} choices
 * @property {string} [label] what it is called in words, if not by its name
 * @property {boolean} [holdsAdditionalInputs] whether its value is an object of further inputs
 */

const MAX_REF_DEPTH = 20;

/**
 * Creates a function that resolves the reference of a schema, if the schema is one.
 * @param {any} spec the API spec to which references point
 * @returns {(schema: any) => any}
 */
export function createResolver(spec) {
  return function resolve(schema, depth = 0) {
    if (schema?.$ref === undefined || depth > MAX_REF_DEPTH) return schema ?? {};
    const { $ref, ...siblings } = schema;
    const steps = $ref.replace(/^#\//, "").split("/");
    const names = steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    const found = names.reduce((value, name) => value?.[name], spec);
    return { ...resolve(found, depth + 1), ...siblings };
  };
}

/**
 * Describes a parameter or an input as a field.
 * @param {{name: string, schema: any, location: Field["location"], required?: boolean,
 *   description?: string}} value
 * @param {(schema: any) => any} resolve resolves a reference
 * @returns {Field}
 */
export function fieldOf({ name, schema, location, required = false, description }, resolve) {
  const simplified = simplify(schema, resolve);
  return {
    name,
    location,
    required,
    schema: simplified,
    kind: kindOf(simplified, resolve),
    choices: choicesOf(simplified),
    description: description ?? simplified.description ?? "",
  };
}

/**
 * Describes the properties of an object's schema as fields.
 * @param {any} schema
 * @param {Field["location"]} location where their values are sent
 * @param {(schema: any) => any} resolve resolves a reference
 * @returns {Field[]}
 */
export function fieldsOf(schema, location, resolve) {
  const { properties = {}, required = [] } = resolve(schema);
  return Object.entries(properties).map(([name, value]) =>
    fieldOf({ name, schema: value, location, required: required.includes(name) }, resolve),
  );
}

/** Resolves references, and removes alternatives that only allow null. */
function simplify(schema, resolve) {
  const { anyOf, oneOf, allOf, ...siblings } = resolve(schema);
  const options = (anyOf ?? oneOf ?? allOf ?? []).map(resolve);
  const remaining = options.filter(({ type }) => type !== "null");
  if (remaining.length === 1) return simplify({ ...remaining[0], ...siblings }, resolve);
  return remaining.length === 0 ? siblings : { ...siblings, anyOf: remaining };
}

function kindOf(schema, resolve) {
  const options = schema.anyOf ?? [schema];
  if (options.some((option) => isMessageList(option, resolve))) return "messages";
  if (choicesOf(schema).length > 0) return "choice";
  if (options.some(({ type }) => type === "object")) return options.some(isText) ? "any" : "json";
  if (schema.anyOf) return options.some(isText) ? "text" : "json";
  if (schema.type === "array") return isScalar(simplify(schema.items, resolve)) ? "list" : "json";
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

/** Tells whether a schema is a list of messages, which are objects with a role and a content. */
function isMessageList(schema, resolve) {
  if (schema.type !== "array") return false;
  const items = resolve(schema.items);
  const itemSchemas = (items.anyOf ?? items.oneOf ?? [items]).map(resolve);
  return itemSchemas.some(({ properties = {} }) => "role" in properties && "content" in properties);
}
