/** The same question as code: for a shell, for Python, for JavaScript. Anything may be in it. */

/**
 * Return the code that asks a question.
 * @param {import("./transports.js").Question} question
 * @returns {{name: string, code: string}[]}
 */
export function snippetsOf(question) {
  if (question.transport === "websocket")
    return [
      { name: "Python", code: pythonWebSocket(question) },
      { name: "JavaScript", code: javascriptWebSocket(question) },
    ];
  return [
    { name: "curl", code: curl(question) },
    { name: "Python", code: pythonHttp(question) },
    { name: "JavaScript", code: javascriptHttp(question) },
  ];
}

/** Quote a word for a POSIX shell: within single quotes nothing is special but their end. */
export function shell(text) {
  return /^[\w./:=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function curl({ method, url, inputs }) {
  const words = [`curl -N ${shell(url)}`];
  if (inputs !== null) {
    if (method !== "POST") words.push(`-X ${method}`);
    words.push("-H 'Content-Type: application/json'", `-d ${shell(JSON.stringify(inputs))}`);
  }
  return words.join(" \\\n  ");
}

/** Write a value of JSON as Python does; its strings are the same. */
export function python(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Object.entries(value).map(([key, item]) =>
    Array.isArray(value) ? python(item, inner) : `${JSON.stringify(key)}: ${python(item, inner)}`,
  );
  if (items.length === 0) return open + close;
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent}${close}`;
}

/** Write a value of JSON as JavaScript does, where one key means something else. */
export function javascript(value) {
  return JSON.stringify(value, null, 2).replaceAll(/^( *)"__proto__":/gm, '$1["__proto__"]:');
}

const TOKEN = {
  json: { python: 'json.loads(data)["token"]', javascript: "JSON.parse(data).token" },
  text: { python: "data", javascript: "data" },
};

function pythonHttp({ method, url, inputs, mode }) {
  const json = inputs === null ? "" : `, json=inputs`;
  return `import json

import httpx

url = ${python(url)}
${inputs === null ? "" : `inputs = ${python(inputs)}\n`}
with httpx.stream(${python(method)}, url${json}, timeout=None) as response:
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
                print(${TOKEN[mode].python}, end="", flush=True)
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
  method: ${javascript(method)},
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(inputs),
}`;
  return `const url = ${javascript(url)};
${inputs === null ? "" : `const inputs = ${javascript(inputs)};\n`}
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
    if (name === "completion") answer += ${TOKEN[mode].javascript};
    if (name === "error") console.error(JSON.parse(data).detail);
  }
}
console.log(answer);
`;
}

const FRAME_TOKEN = {
  json: { python: 'frame["data"]["token"]', javascript: "data.token" },
  text: { python: 'frame["data"]', javascript: "data" },
};

function pythonWebSocket({ url, inputs, mode }) {
  return `import json

from websockets.sync.client import connect

inputs = ${python(inputs)}

with connect(${python(url)}) as socket:
    socket.send(json.dumps(inputs))
    for message in socket:
        frame = json.loads(message)
        if frame["event"] == "completion":
            print(${FRAME_TOKEN[mode].python}, end="", flush=True)
        elif frame["event"] == "error":
            print(frame["data"]["detail"])
        elif frame["event"] == "end":
            break
print()
`;
}

function javascriptWebSocket({ url, inputs, mode }) {
  return `const inputs = ${javascript(inputs)};

const socket = new WebSocket(${javascript(url)});
let answer = "";
socket.onopen = () => socket.send(JSON.stringify(inputs));
socket.onmessage = (message) => {
  const { event, data } = JSON.parse(message.data);
  if (event === "completion") answer += ${FRAME_TOKEN[mode].javascript};
  if (event === "error") console.error(data.detail);
  if (event === "end") {
    console.log(answer);
    socket.close();
  }
};
`;
}
