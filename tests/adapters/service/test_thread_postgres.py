"""Threads in a real PostgreSQL, over a pool of connections."""

import asyncio
import random
from collections.abc import Iterator

import pytest
from langchain.agents import create_agent

from tests.adapters.postgres import FOUND, postgres
from tests.adapters.service.test_thread_repair import (
    MODEL,
    TOOLS,
    ended,
    messages_of,
    run_on,
    thread_of,
)
from tests.adapters.strict_model import check_conversation

pool = pytest.importorskip("psycopg_pool", reason="psycopg is not installed: make .venv/.agents")
aio = pytest.importorskip(
    "langgraph.checkpoint.postgres.aio", reason="langgraph-checkpoint-postgres is not installed"
)
pytestmark = pytest.mark.skipif(not FOUND, reason="PostgreSQL is not installed: apt postgresql")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with postgres() as running:
        yield running


async def test_a_stopped_turn_leaves_a_thread_that_goes_on(address: str) -> None:
    options = {"autocommit": True, "prepare_threshold": 0}
    async with pool.AsyncConnectionPool(address, kwargs=options, open=False, max_size=4) as opened:
        saver = aio.AsyncPostgresSaver(opened)
        await saver.setup()
        graph = create_agent(MODEL, TOOLS, checkpointer=saver)
        chance = random.Random(24)
        for number in range(15):
            thread = thread_of(graph, str(number))
            stopped = run_on(thread)
            await asyncio.sleep(chance.uniform(0, 0.08))
            stopped.stop()
            await ended(stopped)
            assert (await ended(run_on(thread))).outcome == "finished"
            check_conversation(await messages_of(thread))
