"""Waits that end from outside."""

from __future__ import annotations

import asyncio

import pytest

from quart_lanarky.runs.cancellation import CancelGroup, WaitCancelledError


async def _wait(group: CancelGroup, event: asyncio.Event) -> None:
    async with group.scope():
        await event.wait()


async def test_it_ends_all_the_waits_there_are() -> None:
    group = CancelGroup()
    waits = [asyncio.create_task(_wait(group, asyncio.Event())) for _ in range(3)]
    await asyncio.sleep(0)
    assert group.count == 3
    group.cancel()
    group.cancel()  # once more is nothing more
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(end) for end in ends] == [WaitCancelledError] * 3
    assert group.count == 0


async def test_a_wait_that_is_over_and_one_to_come_are_let_be() -> None:
    group = CancelGroup()
    over = asyncio.Event()
    over.set()
    await _wait(group, over)
    group.cancel()
    to_come = asyncio.create_task(_wait(group, event := asyncio.Event()))
    await asyncio.sleep(0.01)
    event.set()
    await to_come


async def test_the_timeouts_of_others_are_their_own() -> None:
    group = CancelGroup()
    with pytest.raises(TimeoutError):
        async with group.scope():
            raise TimeoutError


async def test_a_cancellation_is_no_interruption() -> None:
    group = CancelGroup()
    wait = asyncio.create_task(_wait(group, asyncio.Event()))
    await asyncio.sleep(0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert group.count == 0
