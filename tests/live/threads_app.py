"""Graphs with threads, one route for each way of meeting another run."""

import asyncio
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.runs.run_locks import OnBusy


async def answer(state: Any) -> dict[str, Any]:
    """Say how many messages there were, after a while where that is asked for."""
    if state["messages"][-1].text == "wait":
        await asyncio.sleep(0.7)
    return {"messages": [AIMessage(str(len(state["messages"])))]}


graph = StateGraph(MessagesState).add_node("answer", answer).add_edge("__start__", "answer")
ready = graph.compile(checkpointer=InMemorySaver())

app = Quart(__name__)
lanarky = LanarkyExtension(app)
WAYS: tuple[OnBusy, ...] = ("wait", "reject", "cancel")
for way in WAYS:
    lanarky.add_chain(f"/{way}", ready, on_busy=way)


@app.get("/locked")
async def locked() -> dict[str, int]:
    """Say how many threads are locked."""
    return {"count": lanarky.registry.locks.count}
