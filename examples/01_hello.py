"""Hello, one route: hypercorn examples.01_hello:app

A function that returns a chain becomes two routes, one for each transport. Open `/playground`,
read `/docs`, or paste:

    curl -N http://127.0.0.1:8000/chat -H 'Content-Type: application/json' \
        -d '{"question": "What is Quart?"}'

Replace `chat_model()` by a model of your own, such as `init_chat_model("openai:gpt-4.1-mini")`.
"""

from typing import Any

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable
from quart import Quart

from examples.local_model import chat_model
from quart_lanarky import LanarkyExtension, stream_chain

app = Quart(__name__)
LanarkyExtension(app, playground="/playground")

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "You are a friendly assistant. Quart is a web framework for Python's asyncio."),
        ("human", "{question}"),
    ]
)


@app.post("/chat")
@app.websocket("/chat/ws")
@stream_chain
def chat() -> Runnable[Any, Any]:
    """Answer a question."""
    return PROMPT | chat_model()
