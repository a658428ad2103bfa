"""Waits that end from outside."""

from __future__ import annotations

import asyncio

import pytest

from quart_lanarky.runs.cancellation import InterruptedWaitError, Interruption


async def _wait(interruption: Interruption, event: asyncio.Event) -> None:
    async with interruption.heeded():
        await event.wait()


async def test_it_ends_all_the_waits_there_are() -> None:
    interruption = Interruption()
    waits = [asyncio.create_task(_wait(interruption, asyncio.Event())) for _ in range(3)]
    await asyncio.sleep(0)
    assert interruption.count == 3
    interruption.interrupt()
    interruption.interrupt()  # once more is nothing more
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(end) for end in ends] == [InterruptedWaitError] * 3
    assert interruption.count == 0


async def test_a_wait_that_is_over_and_one_to_come_are_let_be() -> None:
    interruption = Interruption()
    over = asyncio.Event()
    over.set()
    await _wait(interruption, over)
    interruption.interrupt()
    to_come = asyncio.create_task(_wait(interruption, event := asyncio.Event()))
    await asyncio.sleep(0.01)
    event.set()
    await to_come


async def test_the_timeouts_of_others_are_their_own() -> None:
    interruption = Interruption()
    with pytest.raises(TimeoutError):
        async with interruption.heeded():
            raise TimeoutError


async def test_a_cancellation_is_no_interruption() -> None:
    interruption = Interruption()
    wait = asyncio.create_task(_wait(interruption, asyncio.Event()))
    await asyncio.sleep(0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert interruption.count == 0
