"""The app behind the tests of shapes: a route for each kind of input, and a look at its loop."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_classic.chains import ConversationChain
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel, Field
from quart import Quart, jsonify
from quart.typing import ResponseReturnValue

from quart_lanarky import LanarkyExtension

app = Quart(__name__)
for name, value in os.environ.items():
    if name.startswith("QUART_LANARKY_"):
        app.config[name] = json.loads(value)
lanarky = LanarkyExtension(app)

model = FakeListChatModel(responses=["Hi!"])


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]
    notes: dict[str, Any]


class Question(BaseModel):
    question: str
    tags: list[str] = Field(default_factory=list)
    scores: dict[str, float] = Field(default_factory=dict)


async def reply(state: State) -> dict[str, Any]:
    return {"messages": [await model.ainvoke(state["messages"][-1:])]}


def say_hi(_: Any) -> str:
    return "Hi!"


def typed(question: Question) -> str:
    return "Hi!"


def history() -> Runnable[Any, Any]:
    parts = [MessagesPlaceholder("history", optional=True), ("human", "{question}")]
    return ChatPromptTemplate.from_messages(parts) | model


graph = StateGraph(State)
graph.add_node("reply", reply)
graph.add_edge(START, "reply")

lanarky.add_chain("/messages", model)
lanarky.add_chain("/history", history())
lanarky.add_chain("/graph", graph.compile())
lanarky.add_chain("/classic", lambda: ConversationChain(llm=model))
lanarky.add_chain("/any", RunnableLambda(say_hi))
lanarky.add_chain("/open", RunnablePassthrough.assign(context=RunnableLambda(say_hi)) | say_hi)
lanarky.add_chain("/model", RunnableLambda(say_hi), input_model=Question)
lanarky.add_chain("/typed", RunnableLambda(typed))
lanarky.add_chain("/map", model.map())
lanarky.add_chain("/quick", lambda: model)

longest: float = 0
"""The longest time for which nobody else had a turn, in CPU seconds of this process."""


@app.before_serving
async def watch_the_loop() -> None:
    app.add_background_task(_watch)


async def _watch() -> None:
    """Note how much CPU time passes between two turns of this task.

    CPU time, for on a busy machine any process waits, and of the process, for a thread that holds
    the interpreter's lock keeps the loop waiting as well.
    """
    global longest  # noqa: PLW0603  # one process, one loop
    before = time.process_time()
    while True:
        await asyncio.sleep(0.001)
        now = time.process_time()
        longest = max(longest, now - before)
        before = now


@app.post("/reset")
async def reset() -> ResponseReturnValue:
    """Begin to look anew."""
    global longest  # noqa: PLW0603
    longest = 0
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    return jsonify(bytes=_memory("VmRSS"))


@app.get("/seen")
async def seen() -> ResponseReturnValue:
    """Say how long others waited since the reset, and how large the process was at its largest."""
    return jsonify(seconds=longest, bytes=_memory("VmHWM"))


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024
