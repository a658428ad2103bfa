/** Reads the chain routes from the app's API specs. */

import { responseError, throwUnreachable } from "./problems.js";
import { createResolver, fieldOf, fieldsOf } from "./schemas.js";

/** The extension field that marks chain routes, in the OpenAPI and in the AsyncAPI spec. */
const CHAIN_EXTENSION = "x-chain";
const METHODS = ["post", "put", "patch", "get"]; // in order of preference

/**
 * @typedef {object} Endpoint a route with one of its transports
 * @property {"sse" | "websocket"} transport
 * @property {string} method the HTTP method, "WebSocket" for a WebSocket
 * @property {string} path with its parameters in braces
 * @property {"json" | "text"} mode
 * @property {import("./schemas.js").Field[]} parameters
 * @property {import("./schemas.js").Field[]} inputs
 * @property {boolean} allowsAdditionalInputs whether inputs may be sent that are not listed
 * @property {any[]} examples of all inputs together
 * @property {boolean} keepsHistory whether the server keeps the messages of a conversation
 * @property {string[]} shows what the route sends besides the answer
 *
 * @typedef {object} Route
 * @property {string} key the path of its first endpoint
 * @property {string} summary
 * @property {Endpoint[]} endpoints
 */

/**
 * Loads the API specs, and finds the chain routes in them.
 * @param {{openapi: string, asyncapi: string}} urls the URLs of the two specs
 * @returns {Promise<{title: string, description: string, routes: Route[]}>} what describes the app,
 *   and its chain routes
 */
export async function loadApiSpecs({ openapi, asyncapi }) {
  const [openapiSpec, asyncapiSpec] = await Promise.all([openapi, asyncapi].map(fetchJson));
  const { title = "", description = "" } = openapiSpec.info ?? {};
  return { title, description, routes: routesOf(openapiSpec, asyncapiSpec) };
}

async function fetchJson(url) {
  const headers = { Accept: "application/json" };
  const response = await fetch(url, { headers, cache: "no-store" }).catch(throwUnreachable);
  const isJson = response.headers.get("Content-Type")?.includes("json");
  if (!response.ok || !isJson) throw await responseError(response);
  return response.json();
}

/**
 * Finds the chain routes: those of the OpenAPI spec, each with its WebSocket if it has one, then
 * those that have only a WebSocket.
 * @param {any} openapiSpec
 * @param {any} asyncapiSpec
 * @returns {Route[]}
 */
export function routesOf(openapiSpec, asyncapiSpec) {
  const websocketEndpoints = new Map(
    websocketEndpointsOf(asyncapiSpec).map((endpoint) => [endpoint.path, endpoint]),
  );
  const httpEndpoints = httpEndpointsOf(openapiSpec);
  const websocketPaths = new Set(httpEndpoints.map(({ websocketPath }) => websocketPath));
  const websocketOnly = [...websocketEndpoints.values()].filter(
    ({ path }) => !websocketPaths.has(path),
  );
  return [
    ...httpEndpoints.map(({ endpoint, websocketPath }) =>
      routeOf([endpoint, websocketEndpoints.get(websocketPath)]),
    ),
    ...websocketOnly.map((endpoint) => routeOf([endpoint])),
  ];
}

function routeOf(endpoints) {
  const [first] = endpoints;
  return { key: first.path, summary: first.summary, endpoints: endpoints.filter(Boolean) };
}

/** Returns the endpoint of each chain route in the OpenAPI spec, with the path of its WebSocket. */
function httpEndpointsOf(spec) {
  const resolve = createResolver(spec);
  return Object.entries(spec.paths ?? {}).flatMap(([path, item]) => {
    const method = METHODS.find((name) => item[name]?.[CHAIN_EXTENSION]);
    if (!method) return [];
    const extension = item[method][CHAIN_EXTENSION];
    return [
      {
        endpoint: httpEndpointOf(path, method, item[method], resolve),
        websocketPath: extension.websocket,
      },
    ];
  });
}

function httpEndpointOf(path, method, operation, resolve) {
  const allParameters = (operation.parameters ?? []).map(resolve);
  const parameters = allParameters.filter(
    ({ in: location }) => location === "path" || location === "query",
  );
  const isInput = (parameter) => parameter[CHAIN_EXTENSION] === "input";
  const toField = (parameter) =>
    fieldOf({ ...parameter, location: parameter.in, schema: schemaOf(parameter) }, resolve);
  const bodySchema = resolve(operation.requestBody).content?.["application/json"]?.schema;
  return {
    transport: "sse",
    method: method.toUpperCase(),
    path,
    ...optionsOf(operation),
    summary: summaryOf(operation),
    parameters: parameters.filter((each) => !isInput(each)).map(toField),
    ...(bodySchema
      ? inputsOf(bodySchema, resolve)
      : queryInputs(parameters.filter(isInput), toField)),
  };
}

/** Returns what the extension says of an operation or a channel. */
function optionsOf({ [CHAIN_EXTENSION]: extension }) {
  const { mode, keeps_history: keepsHistory = false, show: shows = [] } = extension;
  return { mode, keepsHistory, shows };
}

/** Returns the summary, "" for the default one, which only repeats the path. */
function summaryOf({ summary = "" }) {
  return summary.startsWith("Ask /") ? "" : summary;
}

function schemaOf({ schema, content }) {
  return schema ?? content?.["application/json"]?.schema ?? {};
}

function inputsOf(schema, resolve) {
  const ownSchema = withoutResume(schema, resolve);
  const { properties, additionalProperties, examples = [] } = resolve(ownSchema);
  return {
    examples,
    inputs: fieldsOf(ownSchema, "body", resolve),
    allowsAdditionalInputs: properties === undefined || additionalProperties === true,
  };
}

/** Returns the schema of a chain's own inputs where the answer to an interrupt may be sent instead. */
function withoutResume(schema, resolve) {
  const { anyOf, oneOf } = resolve(schema);
  const options = anyOf ?? oneOf ?? [];
  const isResume = (option) => resolve(option).properties?.resume !== undefined;
  return options.some(isResume) ? (options.find((each) => !isResume(each)) ?? schema) : schema;
}

/**
 * Returns the inputs of a GET, which are query parameters. One with `explode` stands for additional
 * inputs of any name.
 */
function queryInputs(parameters, toField) {
  const declared = parameters.filter(({ explode }) => !explode);
  return {
    examples: [],
    inputs: declared.map(toField),
    allowsAdditionalInputs: declared.length < parameters.length,
  };
}

/** Returns the endpoint of each chain route in the AsyncAPI spec. */
function websocketEndpointsOf(spec) {
  const resolve = createResolver(spec);
  return Object.entries(spec.channels ?? {})
    .filter(([, channel]) => channel[CHAIN_EXTENSION])
    .map(([name, channel]) => ({
      transport: "websocket",
      method: "WebSocket",
      path: channel.address,
      ...optionsOf(channel),
      summary: summaryOf(channel),
      parameters: channelParameters(channel, resolve),
      ...inputsOf(inputMessage(spec, name, resolve).payload, resolve),
    }));
}

function channelParameters(channel, resolve) {
  const pathParameters = Object.entries(channel.parameters ?? {}).map(([name, { description }]) =>
    fieldOf(
      { name, description, location: "path", required: true, schema: { type: "string" } },
      resolve,
    ),
  );
  return [...pathParameters, ...fieldsOf(channel.bindings?.ws?.query ?? {}, "query", resolve)];
}

/** Returns the first message that the app receives in a turn, whose payload is the inputs. */
function inputMessage(spec, name, resolve) {
  const receiveOperation = Object.values(spec.operations ?? {}).find(
    ({ action, channel }) => action === "receive" && channel.$ref === `#/channels/${name}`,
  );
  return resolve(resolve(receiveOperation?.messages[0] ?? {}));
}
