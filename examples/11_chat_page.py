"""A chat page of one's own, HTML and server-sent events: hypercorn examples.11_chat_page:app

Open `/`: a conversation that streams, with sources, a stop button and errors, and no library. The
page asks nobody but this app, and its Content-Security-Policy says so to the browser. It sends the
earlier turns along with each question, so the server keeps nothing. What it asks is:

    curl -N http://127.0.0.1:8000/chat -H 'Content-Type: application/json' \
        -d '{"question": "Why does nginx hold back my events?"}'

Replace the chain by your own, and its name in the heading; the script fits any chain.
"""

from functools import cache
from operator import itemgetter
from typing import Any, Literal

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from pydantic import BaseModel, Field
from quart import Quart, Response

from examples.local_model import chat_model
from examples.retrieval import MarkdownRetriever
from quart_lanarky import LanarkyExtension, stream_chain

app = Quart(__name__)
LanarkyExtension(app, playground="/playground")

# -- the chain -----------------------------------------------------------------------------

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer from the context alone.\n\nContext:\n\n{sections}"),
        ("placeholder", "{history}"),
        ("human", "{question}"),
    ]
)


class Turn(BaseModel):
    """What was said before. A client may be lying, but never in the name of the system."""

    role: Literal["user", "assistant"]
    content: str


class Question(BaseModel):
    """What the page sends."""

    question: str = Field(min_length=1, max_length=2000)
    history: list[Turn] = Field(default=[], max_length=20)


@cache
def library() -> MarkdownRetriever:
    """Return the search over `examples/library`."""
    return MarkdownRetriever.from_folder()


def sections(found: dict[str, list[Document]]) -> str:
    """Put the documents into one text for the prompt."""
    return "\n\n".join(document.page_content for document in found["context"])


@app.post("/chat")
@stream_chain(input_model=Question)
def chat() -> Runnable[Any, Any]:
    """Answer from the library, with sources."""
    return (
        RunnablePassthrough.assign(context=itemgetter("question") | library())
        | RunnablePassthrough.assign(sections=sections)
        | RunnablePassthrough.assign(answer=PROMPT | chat_model())
    )


# -- the page ------------------------------------------------------------------------------

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Ask the library</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="chat.css">
  <script type="module" src="chat.js"></script>
</head>
<body>
  <h1>Ask the library</h1>
  <div id="log" role="log" aria-label="Conversation"></div>
  <form>
    <label for="question">Your question</label>
    <textarea id="question" rows="2" maxlength="2000" required autofocus></textarea>
    <button id="ask">Ask</button>
    <button id="stop" type="button" hidden>Stop</button>
    <span id="status" role="status"></span>
  </form>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light dark; --soft: #f1f1f4; --quiet: #595f69; --accent: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --soft: #26282d; --quiet: #a9b0bb; --accent: #8ab4f8; }
}
* { box-sizing: border-box; }
body { max-width: 45rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
article { margin: 1rem 0; padding: 0.75rem 1rem; border-radius: 0.5rem; overflow-wrap: anywhere; }
article.user { background: var(--soft); }
h1 { font-size: 1.25rem; }
h2 { margin: 0; font-size: 0.875rem; color: var(--quiet); }
p { margin: 0; white-space: pre-wrap; }
article[aria-busy="true"] p::after { content: "\\2588"; color: var(--accent); }
.error { font-weight: bold; }
.error::before { content: "Error: "; }
details { margin-top: 0.5rem; font-size: 0.875rem; }
blockquote { margin: 0.25rem 0 0.75rem; color: var(--quiet); }
form { position: sticky; bottom: 0; padding: 0.5rem 0; background: Canvas; }
label { display: block; }
textarea { width: 100%; padding: 0.5rem; font: inherit; }
button { min-height: 2.75rem; padding: 0 1.25rem; font: inherit; }
"""

SCRIPT = """
const find = (selector) => document.querySelector(selector);
const [log, form, box] = ["#log", "form", "textarea"].map(find);
const [send, stop, status] = ["#ask", "#stop", "#status"].map(find);
const history = []; // whole turns: what was stopped or failed is not told to the model
let asking = null; // the AbortController of the question in progress

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (question && !asking) ask(question);
});

box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

// To hang up is to stop: the server cancels the chain of a client that leaves.
stop.addEventListener("click", () => asking?.abort());

async function ask(question) {
  asking = new AbortController();
  box.value = "";
  const text = element("p");
  const answer = element("article", element("h2", "Answer"), text);
  const asked = element("article", element("h2", "You"), element("p", question));
  asked.className = "user";
  log.append(asked, answer);
  busy(answer, true);
  status.textContent = "Answering …";
  scrollTo(0, document.body.scrollHeight);
  const tokens = [];
  try {
    const inputs = { question, history: history.slice(-20) };
    for await (const { name, data } of events("chat", inputs, asking.signal)) {
      if (name === "completion") tokens.push(data.token);
      if (name === "retract") tokens.splice(-data.tokens); // they were not the answer
      if (name === "error") throw new Error(data.detail);
      const isFollowing = innerHeight + scrollY > document.body.scrollHeight - 50;
      if (name === "source_documents") answer.append(sources(data.source_documents));
      text.textContent = tokens.join("");
      if (isFollowing) scrollTo(0, document.body.scrollHeight); // else they read further up
    }
    history.push({ role: "user", content: question });
    history.push({ role: "assistant", content: text.textContent });
    status.textContent = "";
  } catch (error) {
    if (!asking.signal.aborted) answer.append(failure(error.message));
    status.textContent = asking.signal.aborted ? "Stopped." : "";
  }
  asking = null;
  busy(answer, false);
}

// Server-sent events in the answer to a POST, which an EventSource cannot send.
async function* events(url, inputs, signal) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(inputs),
    signal,
  });
  if (!response.ok) throw new Error(await reason(response));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The connection was lost.");
    const blocks = (rest + value).split("\\n\\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const name = /^event: (.*)$/m.exec(block)?.[1];
      if (name === "end") return;
      if (name) yield { name, data: JSON.parse(/^data: (.*)$/m.exec(block)[1]) };
    }
  }
}

async function reason(response) {
  const problem = await response.json().catch(() => ({})); // a proxy may answer with a page
  return problem.detail ?? `the server answered with status ${response.status}`;
}

// Text only: what a model or a document says is never taken for HTML.
function element(tag, ...content) {
  const made = document.createElement(tag);
  made.append(...content);
  return made;
}

function sources(documents) {
  const summary = element("summary", `Sources (${documents.length})`);
  return element("details", summary, ...documents.flatMap((each) => [
    element("strong", each.metadata.title ?? each.metadata.source ?? "Source"),
    element("blockquote", each.page_content),
  ]));
}

function failure(message) {
  const line = element("p", message);
  line.className = "error";
  return line;
}

// A screen reader waits with what is busy: it reads answers, not tokens.
function busy(answer, isBusy) {
  const [shown, gone] = isBusy ? [stop, send] : [send, stop];
  answer.setAttribute("aria-busy", isBusy);
  shown.hidden = false;
  if (document.activeElement === gone) (isBusy ? stop : box).focus(); // what is hidden loses it
  gone.hidden = true;
}
"""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@app.get("/")
async def page() -> Response:
    """Show the page."""
    return Response(PAGE, content_type="text/html; charset=utf-8", headers=HEADERS)


@app.get("/chat.css")
async def style() -> Response:
    """Send its style."""
    return Response(STYLE, content_type="text/css; charset=utf-8", headers=HEADERS)


@app.get("/chat.js")
async def script() -> Response:
    """Send its script."""
    return Response(SCRIPT, content_type="text/javascript; charset=utf-8", headers=HEADERS)
