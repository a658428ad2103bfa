"""A response owns its run, and what the run needs."""

import asyncio
from contextlib import AsyncExitStack

from quart import Quart

from quart_lanarky.responses import EventStreamResponse
from quart_lanarky.runs import Run
from quart_lanarky.streams import EventStream


async def produce() -> None:
    raise AssertionError("nobody reads this run")


async def test_resources_are_closed_when_the_body_is_never_entered() -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    async def view() -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close)
            EventStreamResponse(Run(EventStream(), produce), stack.pop_all())
        await asyncio.sleep(0)
        assert not closed.is_set()  # the request goes on

    async with Quart(__name__).app_context():
        await asyncio.create_task(view())
    async with asyncio.timeout(1):
        await closed.wait()
