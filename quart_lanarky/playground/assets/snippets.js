/** Writes a request as code for curl, Python and JavaScript, with all of its values escaped. */

/**
 * Writes the code that sends a request and prints the answer.
 * @param {import("./request.js").ChainRequest} request
 * @returns {{name: string, code: string}[]} the code for each tool or language
 */
export function snippetsOf(request) {
  if (request.transport === "websocket")
    return [
      { name: "Python", code: pythonWebSocket(request) },
      { name: "JavaScript", code: javascriptWebSocket(request) },
    ];
  return [
    { name: "curl", code: curl(request) },
    { name: "Python", code: pythonHttp(request) },
    { name: "JavaScript", code: javascriptHttp(request) },
  ];
}

/**
 * Quotes a word for a POSIX shell; within single quotes, only a single quote is special.
 * @param {string} text
 * @returns {string}
 */
export function quoteForShell(text) {
  return /^[\w./:=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function curl({ method, url, inputs }) {
  const args = [`curl -N ${quoteForShell(url)}`];
  if (inputs !== null) {
    if (method !== "POST") args.push(`-X ${method}`);
    args.push("-H 'Content-Type: application/json'", `-d ${quoteForShell(JSON.stringify(inputs))}`);
  }
  return args.join(" \\\n  ");
}

/**
 * Writes a JSON value as a Python literal; strings are the same in both.
 * @param {any} value
 * @param {string} [indent] the indent of the line that it starts in
 * @returns {string}
 */
export function toPython(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Object.entries(value).map(([key, item]) =>
    Array.isArray(value)
      ? toPython(item, inner)
      : `${JSON.stringify(key)}: ${toPython(item, inner)}`,
  );
  if (items.length === 0) return open + close;
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

/**
 * Writes a JSON value as a JavaScript literal; the key `__proto__` has to be a computed one there.
 * @param {any} value
 * @returns {string}
 */
export function toJavaScript(value) {
  return JSON.stringify(value, null, 2).replaceAll(/^( *)"__proto__":/gm, '$1["__proto__"]:');
}

/** The expression for the token of a server-sent event, by mode and language. */
const TOKEN_EXPRESSIONS = {
  json: { python: 'json.loads(data)["token"]', javascript: "JSON.parse(data).token" },
  text: { python: "data", javascript: "data" },
};

function pythonHttp({ method, url, inputs, mode }) {
  const json = inputs === null ? "" : `, json=inputs`;
  return `import json

import httpx

url = ${toPython(url)}
${inputs === null ? "" : `inputs = ${toPython(inputs)}\n`}
with httpx.stream(${toPython(method)}, url${json}, timeout=None) as response:
    response.raise_for_status()
    name, lines = "", []
    for line in response.iter_lines():
        field, _, value = line.partition(":")
        if field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            lines.append(value.removeprefix(" "))
        elif not line:
            data = "\\n".join(lines)
            if name == "completion":
                print(${TOKEN_EXPRESSIONS[mode].python}, end="", flush=True)
            elif name == "error":
                print(json.loads(data)["detail"])
            name, lines = "", []
print()
`;
}

function javascriptHttp({ method, url, inputs, mode }) {
  const options =
    inputs === null
      ? ""
      : `, {
  method: ${toJavaScript(method)},
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(inputs),
}`;
  return `const url = ${toJavaScript(url)};
${inputs === null ? "" : `const inputs = ${toJavaScript(inputs)};\n`}
const response = await fetch(url${options});
if (!response.ok) throw new Error(await response.text());
let answer = "";
let rest = "";
for await (const bytes of response.body.pipeThrough(new TextDecoderStream())) {
  const blocks = (rest + bytes).split("\\n\\n");
  rest = blocks.pop();
  for (const block of blocks) {
    const lines = block.split("\\n");
    const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
    const said = lines.filter((line) => line.startsWith("data:"));
    const data = said.map((line) => line.slice(6)).join("\\n");
    if (name === "completion") answer += ${TOKEN_EXPRESSIONS[mode].javascript};
    if (name === "error") console.error(JSON.parse(data).detail);
  }
}
console.log(answer);
`;
}

/** The expression for the token of a WebSocket message, by mode and language. */
const FRAME_TOKEN_EXPRESSIONS = {
  json: { python: 'frame["data"]["token"]', javascript: "data.token" },
  text: { python: 'frame["data"]', javascript: "data" },
};

function pythonWebSocket({ url, inputs, mode }) {
  return `import json

from websockets.sync.client import connect

inputs = ${toPython(inputs)}

with connect(${toPython(url)}) as socket:
    socket.send(json.dumps(inputs))
    for message in socket:
        frame = json.loads(message)
        if frame["event"] == "completion":
            print(${FRAME_TOKEN_EXPRESSIONS[mode].python}, end="", flush=True)
        elif frame["event"] == "error":
            print(frame["data"]["detail"])
        elif frame["event"] == "end":
            break
print()
`;
}

function javascriptWebSocket({ url, inputs, mode }) {
  return `const inputs = ${toJavaScript(inputs)};

const socket = new WebSocket(${toJavaScript(url)});
let answer = "";
socket.onopen = () => socket.send(JSON.stringify(inputs));
socket.onmessage = (message) => {
  const { event, data } = JSON.parse(message.data);
  if (event === "completion") answer += ${FRAME_TOKEN_EXPRESSIONS[mode].javascript};
  if (event === "error") console.error(data.detail);
  if (event === "end") {
    console.log(answer);
    socket.close();
  }
};
`;
}
