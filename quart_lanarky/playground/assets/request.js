/** Builds a request from the form's values. */

/**
 * @typedef {object} ChainRequest
 * @property {"sse" | "websocket"} transport
 * @property {string} method
 * @property {string} url
 * @property {"json" | "text"} mode
 * @property {Object<string, any> | null} inputs null if they are in the URL
 */

/**
 * Builds a request.
 * @param {import("./api_specs.js").Endpoint} endpoint
 * @param {string} root the root URL of the app
 * @param {Map<import("./schemas.js").Field, any>} parameters their values
 * @param {Object<string, any>} inputs their values, by name
 * @returns {ChainRequest}
 */
export function buildRequest(endpoint, root, parameters, inputs) {
  const url = new URL(root);
  if (endpoint.transport === "websocket") url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.pathname = url.pathname.replace(/\/$/, "") + fillPath(endpoint.path, parameters);
  const queryParameters = [...parameters].filter(([{ location }]) => location === "query");
  const queryInputs = endpoint.method === "GET" ? Object.entries(inputs) : [];
  for (const [name, value] of [
    ...queryParameters.map(([{ name }, value]) => [name, value]),
    ...queryInputs,
  ])
    for (const each of queryValues(value)) url.searchParams.append(name, toText(each));
  return {
    transport: endpoint.transport,
    method: endpoint.method,
    mode: endpoint.mode,
    url: url.href,
    inputs: endpoint.method === "GET" ? null : inputs,
  };
}

/** Replaces the parameters in a path with their values. */
function fillPath(path, parameters) {
  const values = new Map([...parameters].map(([{ name }, value]) => [name, value]));
  return path.replaceAll(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(values.get(name) ?? ""));
}

/**
 * Returns the values of a query parameter: a list of plain values repeats it, any other is JSON.
 */
function queryValues(value) {
  const isPlain = Array.isArray(value) && value.every((item) => typeof item !== "object");
  return isPlain ? value : [value];
}

function toText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
