/** Names the conversations of the page, so that the server can keep each in a thread of its own. */

/** The parameter by which a route takes the id of a thread. */
const PARAMETER = "thread_id";

/**
 * Tells whether a route takes the id of a thread from its clients.
 * @param {import("./api_specs.js").Endpoint} endpoint
 * @returns {boolean}
 */
export function takesThreadId({ parameters }) {
  return parameters.some(
    ({ name, location, schema }) =>
      name === PARAMETER && location === "query" && schema.default === undefined,
  );
}

/**
 * Begins a new conversation: gives it an id where the route takes one.
 * @param {import("./api_specs.js").Route} route
 * @param {Map<string, any>} savedValues the values of the form's fields, by name
 */
export function beginConversation({ endpoints }, savedValues) {
  if (endpoints.some(takesThreadId)) savedValues.set(PARAMETER, newId());
}

/** Returns a random UUID; pages served over plain HTTP have no `randomUUID`. */
function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
