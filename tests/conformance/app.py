"""The app behind the conformance suite: a route for each row in each mode."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.language_models import BaseChatModel
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableWithMessageHistory
from langgraph.checkpoint.memory import InMemorySaver
from quart import Quart

from quart_lanarky import LanarkyExtension
from tests.conformance.models import Behaviour, Cache, Kit, everything
from tests.conformance.rows import Row
from tests.conformance.table import ROWS

app = Quart(__name__)
lanarky = LanarkyExtension(app)

caches: defaultdict[str, Cache] = defaultdict(Cache)
"""By the name that a test gave: cold when it is first used, warm from then on."""


def factory(row: Row) -> Callable[..., Any]:
    """Return a chain factory for the row, whose parameters choose the cell."""

    async def build(behaviour: Behaviour, cache: str = "") -> Runnable[Any, Any]:
        return row.build(Kit(behaviour, caches[cache] if cache else None))

    return build


for row in (row for row in ROWS if not row.is_missing):
    lanarky.add_chain(f"/json/{row.id}", factory(row), mode="json", **row.options)
    lanarky.add_chain(f"/text/{row.id}", factory(row), mode="text", **row.options)


# -- memory that outlives a connection -----------------------------------------------------

saver = InMemorySaver()
histories: defaultdict[str, InMemoryChatMessageHistory] = defaultdict(InMemoryChatMessageHistory)


def whose(asking: Any) -> dict[str, Any]:
    """Take from the request whose conversation it is."""
    name = asking.headers["X-Conversation"]
    return {"configurable": {"thread_id": name, "session_id": name}}


def reader() -> BaseChatModel:
    return Kit("stream").chat(lambda messages: "I read:\n" + everything(messages))


def remembering_graph() -> Runnable[Any, Any]:
    return create_agent(reader(), checkpointer=saver)


def remembering_chain() -> Runnable[Any, Any]:
    prompt = ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("past"), ("human", "{messages}")]
    )
    return RunnableWithMessageHistory(
        prompt | reader(),
        lambda session_id: histories[session_id],
        input_messages_key="messages",
        history_messages_key="past",
    )


lanarky.add_chain("/memory/graph", remembering_graph, config=whose)
lanarky.add_chain("/memory/chain", remembering_chain, config=whose)
