"""The app behind the tests of factories that clean up: what they open is anyio's."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from quart import Quart, jsonify
from quart.typing import ResponseReturnValue

from quart_lanarky import LanarkyExtension
from tests.live.models import PacedModel

app = Quart(__name__)
app.config["QUART_LANARKY_RUN_TIMEOUT"] = 1.5
app.config["QUART_LANARKY_MAX_RUNS"] = 20
lanarky = LanarkyExtension(app)

PROMPT = ChatPromptTemplate.from_template("{question}")

steps: dict[str, Counter[str]] = {}
"""How often the factory of each key has got to each of its steps."""

tenant = ContextVar("tenant", default="nobody")


def note(key: str, step: str) -> None:
    steps.setdefault(key, Counter())[step] += 1


async def read_for_ever() -> None:
    await anyio.sleep_forever()


async def session(
    key: str, setup: float = 0.0, delay: float = 0.0, cleanup: float = 0.0, count: int = 5
) -> AsyncIterator[Runnable[Any, Any]]:
    """Do as the session of an MCP client does: its reader runs in a task group."""
    note(key, "opened")
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_for_ever)
            try:
                await anyio.sleep(setup)
                yield PROMPT | PacedModel(delay=delay, count=count)
            finally:
                tasks.cancel_scope.cancel()
        note(key, "after the group")
        with anyio.CancelScope():
            await anyio.sleep(cleanup)
        note(key, "after a wait")
    finally:
        note(key, "closed")


async def failing_session(key: str) -> AsyncIterator[Runnable[Any, Any]]:
    """Have a task that fails once the chain has been made."""

    async def fail() -> None:
        await anyio.sleep(0.1)
        raise RuntimeError("the reader has failed")

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            yield PROMPT | PacedModel(delay=0.05, count=10)
    finally:
        note(key, "closed")


def thread(key: str, setup: float = 0.0) -> Iterator[Runnable[Any, Any]]:
    note(key, "opened")
    time.sleep(setup)
    yield PROMPT | PacedModel(delay=0, count=5)
    note(key, "closed")


def slow(key: str, setup: float = 0.0) -> Runnable[Any, Any]:
    note(key, "opened")
    time.sleep(setup)
    note(key, "closed")
    return PROMPT | PacedModel(delay=0, count=5)


async def naming(key: str) -> AsyncIterator[Runnable[Any, Any]]:
    token = tenant.set(key)
    yield RunnableLambda(lambda _: tenant.get())
    tenant.reset(token)
    note(key, "closed")


for factory in (session, failing_session, thread, slow, naming):
    lanarky.add_chain(f"/{factory.__name__.replace('_', '-')}", factory)


@app.get("/steps/<key>")
async def steps_of(key: str) -> ResponseReturnValue:
    return jsonify(steps.get(key, {}))


@app.get("/live")
async def live() -> ResponseReturnValue:
    ours = [task for task in asyncio.all_tasks() if "YieldingFactory" in repr(task)]
    return jsonify(runs=lanarky.registry.count, factories=len(ours))
