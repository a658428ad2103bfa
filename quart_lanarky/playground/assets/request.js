/** Builds a request from the form's values. */

/**
 * @typedef {object} ChainRequest
 * @property {"sse" | "websocket"} transport
 * @property {string} method
 * @property {string} url
 * @property {"json" | "text"} mode
 * @property {Object<string, any> | null} inputs null if they are in the URL
 * @property {string} urlWithoutInputs
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
  for (const [{ name, location }, value] of parameters)
    if (location === "query") appendToQuery(url, name, value);
  const { transport, method, mode } = endpoint;
  return withInputs({ transport, method, mode, urlWithoutInputs: url.href }, inputs);
}

/**
 * Returns a request with other inputs and the same parameters.
 * @param {Omit<ChainRequest, "url" | "inputs">} request
 * @param {Object<string, any>} inputs their values, by name
 * @returns {ChainRequest}
 */
export function withInputs(request, inputs) {
  const url = new URL(request.urlWithoutInputs);
  if (request.method !== "GET") return { ...request, url: url.href, inputs };
  for (const [name, value] of Object.entries(inputs)) appendToQuery(url, name, value);
  return { ...request, url: url.href, inputs: null };
}

function appendToQuery(url, name, value) {
  for (const each of queryValues(value)) url.searchParams.append(name, toText(each));
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
