/** A question out of what was given: where it goes, and what is in it. */

/**
 * Make a question.
 * @param {import("./documents.js").Way} way
 * @param {string} root the URL at which the app is mounted
 * @param {Map<import("./schemas.js").Field, any>} parameters
 * @param {Object<string, any>} inputs
 * @returns {import("./transports.js").Question}
 */
export function questionOf(way, root, parameters, inputs) {
  const url = new URL(root);
  if (way.transport === "websocket") url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.pathname = url.pathname.replace(/\/$/, "") + filled(way.path, parameters);
  const query = [...parameters].filter(([{ place }]) => place === "query");
  const inUrl = way.method === "GET" ? Object.entries(inputs) : [];
  for (const [name, value] of [...query.map(([{ name }, value]) => [name, value]), ...inUrl])
    for (const each of repeated(value)) url.searchParams.append(name, written(each));
  return {
    transport: way.transport,
    method: way.method,
    mode: way.mode,
    url: url.href,
    inputs: way.method === "GET" ? null : inputs,
  };
}

function filled(path, parameters) {
  const values = new Map([...parameters].map(([{ name }, value]) => [name, value]));
  return path.replaceAll(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(values.get(name) ?? ""));
}

/** A list of plain values is a parameter that comes several times; any other is JSON. */
function repeated(value) {
  const isPlain = Array.isArray(value) && value.every((item) => typeof item !== "object");
  return isPlain ? value : [value];
}

function written(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
