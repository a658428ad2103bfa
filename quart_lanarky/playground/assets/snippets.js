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

/**
 * What the code in Python does with each event. A terminal cannot take back what it shows, so after
 * a `retract` what is left of the answer begins a new line.
 */
const handleInPython = (token) => `    if name == "completion":
        tokens.append(${token})
        print(tokens[-1], end="", flush=True)
    elif name == "retract":
        del tokens[-data["tokens"] :]
        print("\\n" + "".join(tokens), end="", flush=True)
    elif name == "source_documents":
        sources = data["source_documents"]
    elif name == "interrupt":  # send {"resume": {id: answer}} to go on
        print("Interrupts:", json.dumps(data["interrupts"]))
    elif name == "error":
        print(data["detail"], file=sys.stderr)
    elif name == "end":
        break
else:
    print("The answer was cut off.", file=sys.stderr)
print()
for source in sources:
    print("Source:", source["metadata"], source["page_content"][:80])
`;

/** What the code in JavaScript does with each event, and with the answer once it has ended. */
const handleInJavaScript = (token) => `const tokens = [];
let sources = [];
let isComplete = false;

function handle(name, data) {
  if (name === "completion") tokens.push(${token});
  if (name === "retract") tokens.splice(-data.tokens);
  if (name === "source_documents") sources = data.source_documents;
  // Send { resume: { [id]: answer } } to go on.
  if (name === "interrupt") console.log("Interrupts:", JSON.stringify(data.interrupts));
  if (name === "error") console.error(data.detail);
  if (name === "end") isComplete = true;
}

function finish() {
  console.log(tokens.join(""));
  for (const { metadata, page_content: text } of sources)
    console.log("Source:", metadata, text.slice(0, 80));
  if (!isComplete) console.error("The answer was cut off.");
}
`;

/** The expression for a token in the data of its event, by mode and language. */
const TOKENS = {
  json: { python: 'data["token"]', javascript: "data.token" },
  text: { python: "data", javascript: "data" },
};

/** The expression for the data of a server-sent event, of which `text` is the text. */
const EVENT_DATA = {
  json: { python: "json.loads(text)", javascript: "JSON.parse(text)" },
  text: {
    python: 'text if name in ("completion", "reasoning") else json.loads(text or "null")',
    javascript:
      '["completion", "reasoning"].includes(name) ? text : JSON.parse(text || "null")',
  },
};

function pythonHttp({ method, url, inputs, mode }) {
  const json = inputs === null ? "" : `, json=inputs`;
  return `import json
import sys

import httpx

url = ${toPython(url)}
${inputs === null ? "" : `inputs = ${toPython(inputs)}\n`}

def events():
    with httpx.stream(${toPython(method)}, url${json}, timeout=None) as response:
        if not response.is_success:
            sys.exit(response.read().decode())
        rest = ""
        for received in response.iter_text():
            *blocks, rest = (rest + received).split("\\n\\n")
            for lines in (block.split("\\n") for block in blocks):
                name = "".join(line[7:] for line in lines if line.startswith("event: "))
                text = "\\n".join(line[6:] for line in lines if line.startswith("data:"))
                if name:
                    yield name, ${EVENT_DATA[mode].python}


tokens, sources = [], []
for name, data in events():
${handleInPython(TOKENS[mode].python)}`;
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
${handleInJavaScript(TOKENS[mode].javascript)}
const response = await fetch(url${options});
if (!response.ok) throw new Error(await response.text());
let rest = "";
for await (const received of response.body.pipeThrough(new TextDecoderStream())) {
  const blocks = (rest + received).split("\\n\\n");
  rest = blocks.pop();
  for (const lines of blocks.map((block) => block.split("\\n"))) {
    const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
    const dataLines = lines.filter((line) => line.startsWith("data:"));
    const text = dataLines.map((line) => line.slice(6)).join("\\n");
    if (name) handle(name, ${EVENT_DATA[mode].javascript});
  }
}
finish();
`;
}

function pythonWebSocket({ url, inputs, mode }) {
  return `import json
import sys

from websockets.sync.client import connect

url = ${toPython(url)}
inputs = ${toPython(inputs)}


def events():
    with connect(url) as socket:
        socket.send(json.dumps(inputs))
        for message in socket:
            frame = json.loads(message)
            yield frame["event"], frame["data"]


tokens, sources = [], []
for name, data in events():
${handleInPython(TOKENS[mode].python)}`;
}

function javascriptWebSocket({ url, inputs, mode }) {
  return `// For a browser, or Node.js 22 and later: older ones have no WebSocket.
const url = ${toJavaScript(url)};
const inputs = ${toJavaScript(inputs)};

${handleInJavaScript(TOKENS[mode].javascript)}
const socket = new WebSocket(url);
socket.onopen = () => socket.send(JSON.stringify(inputs));
socket.onmessage = (message) => {
  const { event, data } = JSON.parse(message.data);
  handle(event, data);
  if (event === "end") socket.close();
};
socket.onclose = finish;
`;
}
