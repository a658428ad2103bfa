/** The chain routes of the app, out of the documents in which it describes itself. */

import { fieldOf, fieldsOf, resolverOf } from "./schemas.js";
import { refusalOf, unreachable } from "./problems.js";

/** The field by which both documents mark what is a chain route. */
const MARK = "x-chain";
const METHODS = ["post", "put", "patch", "get"]; // the one that is asked is the first that there is

/**
 * @typedef {object} Way one way to ask a route
 * @property {"sse" | "websocket"} transport
 * @property {string} method
 * @property {string} path with its parameters in braces
 * @property {"json" | "text"} mode
 * @property {import("./schemas.js").Field[]} parameters
 * @property {import("./schemas.js").Field[]} inputs
 * @property {boolean} takesAnything whether inputs may be sent that are not listed
 *
 * @typedef {object} Route
 * @property {string} key
 * @property {string} summary
 * @property {Way[]} ways
 */

/**
 * Read the documents.
 * @param {{openapi: string, asyncapi: string}} places their URLs
 * @returns {Promise<{title: string, description: string, routes: Route[]}>}
 */
export async function readDocuments({ openapi, asyncapi }) {
  const [http, sockets] = await Promise.all([openapi, asyncapi].map(fetchJson));
  const { title = "", description = "" } = http.info ?? {};
  return { title, description, routes: routesOf(http, sockets) };
}

async function fetchJson(url) {
  const headers = { Accept: "application/json" };
  const response = await fetch(url, { headers, cache: "no-store" }).catch(unreachable);
  const isJson = response.headers.get("Content-Type")?.includes("json");
  if (!response.ok || !isJson) throw await refusalOf(response);
  return response.json();
}

/** Return the chain routes: those of OpenAPI with their WebSockets, and the other WebSockets. */
export function routesOf(http, sockets) {
  const channels = new Map(channelsOf(sockets).map((way) => [way.path, way]));
  const found = operationsOf(http);
  const twins = new Set(found.map(({ twin }) => twin));
  const alone = [...channels.values()].filter(({ path }) => !twins.has(path));
  return [
    ...found.map(({ way, twin }) => route([way, channels.get(twin)])),
    ...alone.map((way) => route([way])),
  ];
}

function route(ways) {
  const [first] = ways;
  return { key: first.path, summary: first.summary, ways: ways.filter(Boolean) };
}

function operationsOf(document) {
  const resolve = resolverOf(document);
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) => {
    const method = METHODS.find((name) => item[name]?.[MARK]);
    if (!method) return [];
    const mark = item[method][MARK];
    return [{ way: operationWay(path, method, item[method], resolve), twin: mark.websocket }];
  });
}

function operationWay(path, method, operation, resolve) {
  const all = (operation.parameters ?? []).map(resolve);
  const listed = all.filter(({ in: place }) => place === "path" || place === "query");
  const isInput = (parameter) => parameter[MARK] === "input";
  const field = (parameter) =>
    fieldOf({ ...parameter, place: parameter.in, schema: schemaOf(parameter) }, resolve);
  const body = resolve(operation.requestBody).content?.["application/json"]?.schema;
  return {
    transport: "sse",
    method: method.toUpperCase(),
    path,
    mode: operation[MARK].mode,
    summary: summaryOf(operation),
    parameters: listed.filter((each) => !isInput(each)).map(field),
    ...(body ? inputsOf(body, resolve) : queryInputs(listed.filter(isInput), field)),
  };
}

/** Leave out the summary of what has none of its own: it only repeats the path. */
function summaryOf({ summary = "" }) {
  return summary.startsWith("Ask /") ? "" : summary;
}

function schemaOf({ schema, content }) {
  return schema ?? content?.["application/json"]?.schema ?? {};
}

function inputsOf(schema, resolve) {
  const { properties, additionalProperties } = resolve(schema);
  return {
    inputs: fieldsOf(schema, "body", resolve),
    takesAnything: properties === undefined || additionalProperties === true,
  };
}

/** A GET has its inputs in the query string; what `explode` marks stands for any others. */
function queryInputs(parameters, field) {
  const listed = parameters.filter(({ explode }) => !explode);
  return { inputs: listed.map(field), takesAnything: listed.length < parameters.length };
}

function channelsOf(document) {
  const resolve = resolverOf(document);
  return Object.entries(document.channels ?? {})
    .filter(([, channel]) => channel[MARK])
    .map(([name, channel]) => ({
      transport: "websocket",
      method: "WebSocket",
      path: channel.address,
      mode: channel[MARK].mode,
      summary: summaryOf(channel),
      parameters: channelParameters(channel, resolve),
      ...inputsOf(inputMessage(document, name, resolve).payload, resolve),
    }));
}

function channelParameters(channel, resolve) {
  const path = Object.entries(channel.parameters ?? {}).map(([name, { description }]) =>
    fieldOf(
      { name, description, place: "path", required: true, schema: { type: "string" } },
      resolve,
    ),
  );
  return [...path, ...fieldsOf(channel.bindings?.ws?.query ?? {}, "query", resolve)];
}

/** The inputs of a turn are the first message that the app receives. */
function inputMessage(document, name, resolve) {
  const receive = Object.values(document.operations ?? {}).find(
    ({ action, channel }) => action === "receive" && channel.$ref === `#/channels/${name}`,
  );
  return resolve(resolve(receive?.messages[0] ?? {}));
}
