"""Waits that are cancelled from outside."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from quart_lanarky.runs.cancellation import CancelGroup, WaitCancelledError, renew_cancellation


async def _wait(group: CancelGroup, event: asyncio.Event) -> None:
    async with group.scope():
        await event.wait()


async def test_cancel_ends_all_current_waits() -> None:
    group = CancelGroup()
    waits = [asyncio.create_task(_wait(group, asyncio.Event())) for _ in range(3)]
    await asyncio.sleep(0)
    assert group.count == 3
    group.cancel()
    group.cancel()  # a second call changes nothing
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(end) for end in ends] == [WaitCancelledError] * 3
    assert group.count == 0


async def test_cancel_affects_neither_past_nor_later_waits() -> None:
    group = CancelGroup()
    over = asyncio.Event()
    over.set()
    await _wait(group, over)
    group.cancel()
    to_come = asyncio.create_task(_wait(group, event := asyncio.Event()))
    await asyncio.sleep(0.01)
    event.set()
    await to_come


async def test_a_timeout_error_raised_inside_a_scope_passes_through() -> None:
    group = CancelGroup()
    with pytest.raises(TimeoutError):
        async with group.scope():
            raise TimeoutError


async def test_the_cancellation_of_a_task_stays_a_cancelled_error() -> None:
    group = CancelGroup()
    wait = asyncio.create_task(_wait(group, asyncio.Event()))
    await asyncio.sleep(0)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert group.count == 0


async def _swallow(begun: asyncio.Event) -> None:
    """Swallow a cancellation and go on, as `asyncio.wait_for` can in Python 3.11."""
    with suppress(asyncio.CancelledError):
        begun.set()
        await asyncio.Event().wait()
    renew_cancellation()
    await asyncio.Event().wait()


async def test_a_swallowed_cancellation_is_renewed() -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(_swallow(begun))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_the_renewed_cancellation_of_a_timeout_is_still_its_own() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await _swallow(asyncio.Event())
    await asyncio.sleep(0)  # nothing is left of it


async def test_a_task_that_nobody_cancelled_goes_on() -> None:
    renew_cancellation()
    await asyncio.sleep(0)
