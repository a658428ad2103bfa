"""The locks of runs: in order, without leaks, whatever becomes of those who wait."""

import asyncio
from contextlib import suppress

import pytest

from quart_lanarky.errors import ConfigurationError, ThreadBusyError
from quart_lanarky.runs.run_locks import OnBusy, RunLock, RunLocks, check_on_busy


class Stopped:
    """A run that notes that it was stopped."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def stop(self, reason: str = "") -> None:
        self.reasons.append(reason)


@pytest.fixture
def locks() -> RunLocks:
    return RunLocks()


def lock_of(locks: RunLocks, key: str = "a", on_busy: OnBusy = "wait") -> tuple[RunLock, Stopped]:
    run = Stopped()
    return RunLock(locks, key, run, on_busy), run


async def test_who_came_first_is_first(locks: RunLocks) -> None:
    order: list[int] = []

    async def work(number: int) -> None:
        lock, _ = lock_of(locks)
        await lock.acquire()
        order.append(number)
        await asyncio.sleep(0)
        order.append(number)
        lock.release()

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == [number for number in range(20) for _ in "ab"]
    assert locks.count == 0


async def test_keys_do_not_wait_for_each_other(locks: RunLocks) -> None:
    first, second = lock_of(locks)[0], lock_of(locks, "b")[0]
    await first.acquire()
    await second.acquire()
    assert locks.count == 2
    first.release()
    second.release()
    assert locks.count == 0


async def test_a_second_one_is_refused(locks: RunLocks) -> None:
    first, second = lock_of(locks)[0], lock_of(locks, on_busy="reject")[0]
    await first.acquire()
    with pytest.raises(ThreadBusyError):
        await second.acquire()
    second.release()
    first.release()
    await second.acquire()
    second.release()
    assert locks.count == 0


async def test_the_newest_cancels_all_before_it(locks: RunLocks) -> None:
    first, held = lock_of(locks)
    second, waiting = lock_of(locks)
    third, newest = lock_of(locks, on_busy="cancel")
    await first.acquire()
    tasks = [asyncio.create_task(each.acquire()) for each in (second, third)]
    await asyncio.sleep(0)
    assert [len(each.reasons) for each in (held, waiting, newest)] == [1, 1, 0]
    first.release()
    await tasks[0]
    assert not tasks[1].done()
    second.release()
    await tasks[1]
    third.release()
    assert locks.count == 0


@pytest.mark.parametrize("is_granted", [False, True])
async def test_who_is_cancelled_while_it_waits_is_left_out(
    locks: RunLocks, is_granted: bool
) -> None:
    first, second, third = (lock_of(locks)[0] for _ in "abc")
    await first.acquire()
    waiting, last = (asyncio.create_task(each.acquire()) for each in (second, third))
    await asyncio.sleep(0)
    if is_granted:  # and cancelled in the same step, before it knows
        first.release()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    first.release()
    await asyncio.wait_for(last, 1)
    third.release()
    assert locks.count == 0


async def test_it_is_taken_once_and_may_be_given_back_twice(locks: RunLocks) -> None:
    lock, _ = lock_of(locks)
    await lock.acquire()
    await lock.acquire()
    lock.release()
    lock.release()
    assert locks.count == 0


def test_there_are_three_ways() -> None:
    for known in ("wait", "reject", "cancel"):
        check_on_busy(known)
    with pytest.raises(ConfigurationError, match="on_busy= is one of 'wait', 'reject', 'cancel'"):
        check_on_busy("queue")
