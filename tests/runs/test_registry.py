"""The registry of live runs: how many it takes, and how they are drained."""

import asyncio

import pytest
from langchain_core.prompts import ChatPromptTemplate

from quart_lanarky.errors import ServerBusyError
from quart_lanarky.runs import registry as live
from quart_lanarky.runs.registry import RunRegistry
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream

SECRET = "what-only-the-client-may-know"
PROMPT = ChatPromptTemplate.from_template("{question}")


class Session:
    """A session that records the calls of the registry, and ends at one of them."""

    def __init__(self, runs: RunRegistry, ends_when: str = "") -> None:
        self.calls: list[str] = []
        self._runs = runs
        self._end = asyncio.Event()
        self._ends_when = ends_when

    def shut_down(self) -> None:
        self._record("shut_down")

    def force_disconnect(self) -> None:
        self._record("force_disconnect")

    def _record(self, what: str) -> None:
        self.calls.append(what)
        if what == self._ends_when:
            self._end.set()

    async def serve(self) -> None:
        with self._runs.session(self):
            await self._end.wait()


def run_of(seconds: float = 60) -> Run:
    return Run(EventStream(), lambda: asyncio.sleep(seconds))


class Watcher:
    """Removes a run from the registry when it has ended."""

    timeout = None

    def __init__(self, runs: RunRegistry) -> None:
        self._runs = runs

    def started(self, run: Run) -> None: ...

    def ended(self, run: Run) -> None:
        self._runs.remove(run)


async def live_run(runs: RunRegistry, seconds: float = 60) -> "tuple[Run, asyncio.Task[list[str]]]":
    """Start a run of the registry; its reader gives the names of its events."""
    run = run_of(seconds)
    runs.add(run, None)
    run.watch(Watcher(runs))

    async def read() -> list[str]:
        async with runs.read(run) as batches:
            return [event.name async for batch in batches for event in batch]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    return run, reading


# -- admission -----------------------------------------------------------------------------


def test_runs_are_admitted_up_to_the_limit() -> None:
    runs = RunRegistry()
    first, second, third = run_of(), run_of(), run_of()
    runs.add(first, 2)
    runs.add(second, 2)
    with pytest.raises(ServerBusyError, match="too many runs are live now"):
        runs.add(third, 2)
    assert runs.count == 2
    runs.remove(first)
    runs.remove(first)
    runs.add(third, 2)
    assert runs.count == 2


def test_without_a_limit_all_runs_are_admitted() -> None:
    runs = RunRegistry()
    for _ in range(2000):
        runs.add(run_of(), None)
    assert runs.count == 2000


async def test_a_run_counts_while_its_chain_is_being_made() -> None:
    runs = RunRegistry()
    async with runs.reserve(1):
        assert runs.count == 1
        with pytest.raises(ServerBusyError):
            runs.check_capacity(1)
        with pytest.raises(ServerBusyError):
            runs.add(run_of(), 1)
    runs.add(run_of(), 1)
    with pytest.raises(ServerBusyError):
        async with runs.reserve(1):
            pytest.fail("there was no room")
    assert runs.count == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError])
async def test_a_run_whose_factory_fails_frees_its_slot(error: type[Exception]) -> None:
    runs = RunRegistry()
    with pytest.raises(error):
        async with runs.reserve(1):
            raise error
    assert runs.count == 0


async def test_no_run_is_admitted_during_shutdown() -> None:
    runs = RunRegistry()
    await runs.drain(0)
    for limit in (None, 7):
        with pytest.raises(ServerBusyError, match="the server is shutting down"):
            runs.add(run_of(), limit)
        with pytest.raises(ServerBusyError, match="the server is shutting down"):
            runs.check_capacity(limit)
    assert runs.count == 0


# -- draining ------------------------------------------------------------------------------


async def test_a_drain_without_live_runs_returns_at_once() -> None:
    await asyncio.wait_for(RunRegistry().drain(60), 1)


async def test_a_drain_returns_with_the_last_run() -> None:
    runs = RunRegistry()
    _, first = await live_run(runs, 0.05)
    _, second = await live_run(runs, 0.1)
    await asyncio.wait_for(runs.drain(60), 5)
    assert [await first, await second] == [["end"], ["end"]]
    assert runs.count == 0


async def test_runs_that_outlast_the_drain_timeout_are_shut_down() -> None:
    runs = RunRegistry()
    run, reading = await live_run(runs)
    await asyncio.wait_for(runs.drain(0.05), 5)
    assert await reading == ["error", "end"]
    assert (run.outcome, run.reason) == ("cancelled", "the server is shutting down")


async def test_clients_that_do_not_read_the_end_are_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "SHUTDOWN_FLUSH_TIMEOUT", 0.05)
    runs, run = RunRegistry(), run_of()
    runs.add(run, None)
    run.watch(Watcher(runs))

    async def own() -> None:
        async with runs.read(run):
            await asyncio.Event().wait()

    owner = asyncio.create_task(own())
    await asyncio.sleep(0)
    await asyncio.wait_for(runs.drain(0), 5)
    await asyncio.wait({owner}, timeout=5)
    assert owner.cancelled()
    assert runs.count == 0


async def test_a_session_is_shut_down_at_once_and_the_drain_waits_for_it() -> None:
    runs = RunRegistry()
    session = Session(runs, ends_when="shut_down")
    serving = asyncio.create_task(session.serve())
    await asyncio.sleep(0)
    await asyncio.wait_for(runs.drain(60), 1)
    await asyncio.wait_for(serving, 1)
    assert session.calls == ["shut_down"]


async def test_a_session_that_does_not_end_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SHUTDOWN_FLUSH_TIMEOUT", 0.05)
    runs = RunRegistry()
    session = Session(runs, ends_when="force_disconnect")
    serving = asyncio.create_task(session.serve())
    await asyncio.sleep(0)
    await asyncio.wait_for(runs.drain(0.05), 5)
    await asyncio.wait_for(serving, 1)
    assert session.calls == ["shut_down", "force_disconnect"]


async def test_a_session_that_begins_during_a_drain_is_shut_down() -> None:
    runs = RunRegistry()
    await runs.drain(0)
    session = Session(runs, ends_when="shut_down")
    await asyncio.wait_for(session.serve(), 1)
    assert session.calls == ["shut_down"]


async def test_a_session_that_has_ended_is_not_shut_down() -> None:
    runs = RunRegistry()
    session = Session(runs)
    with runs.session(session):
        pass
    await runs.drain(0)
    assert session.calls == []


async def test_a_drain_cancels_a_running_factory_at_once() -> None:
    runs = RunRegistry()

    async def make() -> None:
        async with runs.reserve(None):
            await asyncio.Event().wait()

    making = asyncio.create_task(make())
    await asyncio.sleep(0)
    await asyncio.wait_for(runs.drain(60), 5)
    with pytest.raises(ServerBusyError, match="the server is shutting down"):
        await asyncio.wait_for(making, 5)
    assert runs.count == 0


async def test_a_factory_that_is_slow_to_cancel_does_not_block_a_second_drain() -> None:
    runs = RunRegistry()

    async def make() -> None:
        async with runs.reserve(None):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.1)

    making = asyncio.create_task(make())
    await asyncio.sleep(0)
    await asyncio.wait_for(runs.drain(0), 5)
    await asyncio.sleep(0.01)
    await asyncio.wait_for(runs.drain(0), 5)
    with pytest.raises(ServerBusyError):
        await making


async def test_two_concurrent_drains_both_return() -> None:
    runs = RunRegistry()
    _, reading = await live_run(runs, 0.1)
    async with asyncio.timeout(5):
        await asyncio.gather(runs.drain(60), runs.drain(60))
    assert await reading == ["end"]


async def test_a_second_drain_can_be_shorter_than_the_first() -> None:
    runs = RunRegistry()
    _, reading = await live_run(runs)
    first = asyncio.create_task(runs.drain(60))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await runs.drain(0)
        assert await reading == ["error", "end"]
        await first


# -- readers -------------------------------------------------------------------------------


async def test_a_run_starts_with_its_first_reader_and_ends_with_its_last() -> None:
    runs, run = RunRegistry(), run_of()
    first, second = runs.read(run), runs.read(run)
    async with first:
        async with second:
            await asyncio.sleep(0)
        assert run.outcome is None
    assert (run.outcome, run.reason) == ("cancelled", "the client left")


async def test_another_policy_can_let_a_run_continue_without_a_reader() -> None:
    left: list[Run] = []

    async def note(run: Run) -> None:
        left.append(run)

    runs, run = RunRegistry(on_left=note), run_of(0)
    async with runs.read(run):
        assert left == []
    assert left == [run]
    assert run.outcome is None
    await asyncio.sleep(0.05)
    assert run.outcome == "finished"
    await run.close("it is over")


async def test_a_discarded_reader_frees_the_slot_of_its_run() -> None:
    runs, run = RunRegistry(), run_of()
    runs.add(run, 1)
    run.watch(Watcher(runs))
    runs.read(run).discard_unstarted()
    assert runs.count == 0
    assert run.outcome is None


async def test_abort_does_nothing_after_a_reader_has_left() -> None:
    runs, run = RunRegistry(), run_of(0)
    reader = runs.read(run)
    async with reader as batches:
        assert [event.name async for batch in batches for event in batch] == ["end"]
    reader.abort()
    await asyncio.sleep(0)
    assert not runs._readers


async def test_a_reader_of_a_run_that_has_ended_has_limited_time_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "DELIVERY_TIMEOUT", 0.05)

    async def keep(run: Run) -> None: ...

    runs, run = RunRegistry(on_left=keep), run_of(0)
    async with runs.read(run):
        await asyncio.sleep(0.02)
    assert run.outcome == "finished"

    async def stall() -> None:
        async with runs.read(run):
            await asyncio.Event().wait()

    stalled = asyncio.create_task(stall())
    await asyncio.wait({stalled}, timeout=5)
    assert stalled.cancelled()
    await run.close("it is over")


async def test_a_run_that_is_left_and_goes_on_keeps_its_stream_open() -> None:
    async def keep(run: Run) -> None: ...

    runs, run = RunRegistry(on_left=keep), run_of()
    async with runs.read(run) as batches:
        reading = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        reading.cancel()
    assert run.stream.is_open
    await run.close("the test is over")
