"""A chat with memory on a WebSocket: hypercorn examples.03_websocket_chat:app

The function is called once for each connection, so what it makes is the connection's own: the
memory begins with it and ends with it, and no two clients ever see each other's. Open
`/playground`, say "My name is Ada.", and ask "What is my name?".

A page that reconnects begins anew. To remember for longer, keep the histories by user, as
`09_auth_and_limits.py` knows them, or let a checkpointer do it, as `07_langgraph.py` does.
"""

from collections import deque
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnablePassthrough
from quart import Quart

from examples.local_model import chat_model
from quart_lanarky import LanarkyExtension, stream_chain

app = Quart(__name__)
LanarkyExtension(app, playground="/playground")

REMEMBERED = 20
"""Messages, questions and answers: what a prompt has room for, and a process memory."""

PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "You are a friendly assistant."),
        ("placeholder", "{history}"),
        ("human", "{question}"),
    ]
)


@app.websocket("/chat")
@stream_chain
def chat() -> Runnable[Any, Any]:
    """Answer questions, and remember those that were asked on this connection."""
    history: deque[BaseMessage] = deque(maxlen=REMEMBERED)

    def remember(run: Any) -> None:
        """Keep a question and its answer; it is not called for what failed or was stopped."""
        history.extend([HumanMessage(run.inputs["question"]), run.outputs["output"]])

    chain = RunnablePassthrough.assign(history=lambda _: list(history)) | PROMPT | chat_model()
    return chain.with_listeners(on_end=remember)
