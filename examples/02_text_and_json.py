"""Text and JSON, three ways to send one answer: hypercorn examples.02_text_and_json:app

In json mode an event's data is an object, in text mode the bare token; a client that asks for
`application/json` gets a JSON response and no stream. Open `/playground`, or paste:

    curl -N http://127.0.0.1:8000/json -H 'Content-Type: application/json' \
        -d '{"question": "What is a token?"}'

    curl -N http://127.0.0.1:8000/text -H 'Content-Type: application/json' \
        -d '{"question": "What is a token?"}'

    curl http://127.0.0.1:8000/json -H 'Content-Type: application/json' \
        -H 'Accept: application/json' -d '{"question": "What is a token?"}'

Choose json for programs: every token arrives exactly, whatever white space is in it.
"""

from typing import Any

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from quart import Quart

from examples.local_model import chat_model
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
# What routes do that name no mode. It is the default, and here to show where it can be set.
app.config["QUART_LANARKY_DEFAULT_MODE"] = "json"
lanarky = LanarkyExtension(app, playground="/playground")

PROMPT = ChatPromptTemplate.from_template(
    "Context: A token is the piece of text that a model writes at a time.\n\nQuestion: {question}"
)


def chat() -> Runnable[Any, Any]:
    """Answer a question."""
    return PROMPT | chat_model()


# Each adds POST and GET routes, the latter for an EventSource, and a WebSocket at /json/ws.
lanarky.add_chain("/json", chat)
lanarky.add_chain("/text", chat, mode="text")
