"""A graph that keeps threads: hypercorn examples.07_langgraph:app

A LangGraph graph of two nodes, of which the last one speaks, with a checkpointer: each thread is a
conversation, over requests and connections. Open `/playground`, or paste (the cookies say who you
are):

    curl -N -c cookies -b cookies 'http://127.0.0.1:8000/chat?thread=tea' \
        -H 'Content-Type: application/json' -d '{"messages": "My name is Ada."}'

    curl -N -c cookies -b cookies 'http://127.0.0.1:8000/chat?thread=tea' \
        -H 'Content-Type: application/json' -d '{"messages": "What is my name?"}'

Whoever can name a thread can read it, so the client does not choose the whole name: the server puts
the visitor in front. Replace `InMemorySaver`, which forgets when the process ends and grows until
then, by a checkpointer with a database.
"""

import json
import os
import secrets
from functools import cache
from typing import Annotated, Any

from langchain_core.messages import SystemMessage, trim_messages
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import Field
from quart import Quart, session

from examples.local_model import chat_model
from examples.retrieval import MarkdownRetriever
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
# It signs the cookie. All workers need the same one, and it has to outlive them.
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
lanarky = LanarkyExtension(app, playground="/playground")

MAIN = "main"
"""The thread of those who name none."""

RECENT = 20
"""How many messages of a thread the model is shown."""


class State(MessagesState):
    """What the nodes hand on, beside the conversation."""

    notes: str


@cache
def library() -> MarkdownRetriever:
    """Return the search over `examples/library`."""
    return MarkdownRetriever.from_folder()


async def search(state: State) -> dict[str, Any]:
    """Find notes on what was asked."""
    found = await library().ainvoke(state["messages"][-1].text)
    return {"notes": "\n\n".join(document.page_content for document in found)}


async def answer(state: State) -> dict[str, Any]:
    """Answer from the notes and from what was said before. The graph can end here: it speaks."""
    recent = trim_messages(
        state["messages"], max_tokens=RECENT, token_counter=len, start_on="human"
    )
    notes = SystemMessage(f"You are a friendly assistant.\n\nContext:\n\n{state['notes']}")
    return {"messages": [await chat_model().ainvoke([notes, *recent])]}


# The client sends messages; the notes are none of its business.
builder = StateGraph(State, input_schema=MessagesState)
builder.add_node(search).add_node(answer)
builder.add_edge(START, "search").add_edge("search", "answer").add_edge("answer", END)
graph = builder.compile(checkpointer=InMemorySaver())


@app.before_request
@app.before_websocket
async def know_visitor() -> None:
    """Give each browser an id in a signed cookie. With a login, take the user's."""
    session.setdefault("visitor", secrets.token_urlsafe())


def own_thread(request: Any) -> RunnableConfig:
    """Name the thread: the visitor, whom the client cannot choose, and the name that it can."""
    thread = request.args.get("thread", MAIN)
    return {"configurable": {"thread_id": json.dumps([session["visitor"], thread])}}


Thread = Annotated[str, Field(max_length=100, description="Which of your conversations.")]


def talk(thread: Thread = MAIN) -> Runnable[Any, Any]:
    """Go on with a conversation."""
    return graph  # the thread is for `own_thread`; it is a parameter to be checked and documented


lanarky.add_chain("/chat", talk, config=own_thread)
