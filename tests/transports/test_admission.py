"""Admission: what signals and the log say of a run, and what is refused."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda
from quart import Quart
from quart.testing import WebsocketResponseError

from quart_lanarky import LanarkyExtension
from quart_lanarky.errors import ServerBusyError
from quart_lanarky.runs import signals
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.signals import (
    RunReport,
    run_cancelled,
    run_failed,
    run_finished,
    run_started,
)
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.settings import Settings
from quart_lanarky.transports import admission
from quart_lanarky.transports.admission import current_registry, register_run, reserve_slot
from tests.live import models

SECRET = "what-only-the-client-may-know"
PROMPT = ChatPromptTemplate.from_template("{question}")


def run_of(seconds: float = 60) -> Run:
    return Run(EventStream(), lambda: asyncio.sleep(seconds))


class HangingModel(models.TestModel):
    """Says one token and hangs."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        yield SECRET
        await asyncio.Event().wait()


class CountingModel(models.SilentModel):
    """Says what it costs."""

    async def _agenerate(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> ChatResult:
        usage = UsageMetadata(input_tokens=3, output_tokens=4, total_tokens=7)
        message = AIMessage(SECRET, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def lanarky() -> LanarkyExtension:
    extension = LanarkyExtension()
    extension.add_chain("/echo", PROMPT | models.EchoModel())
    extension.add_chain("/silent", PROMPT | models.SilentModel())
    extension.add_chain("/failing", PROMPT | models.FailingModel(after=2))
    extension.add_chain("/hanging/<key>", lambda key: PROMPT | HangingModel())
    extension.add_chain("/counting", PROMPT | CountingModel())
    return extension


@pytest.fixture
def app(lanarky: LanarkyExtension) -> Quart:
    app = Quart(__name__)
    lanarky.init_app(app)
    return app


Reports = list[tuple[str, RunReport]]


@pytest.fixture
def reports(app: Quart) -> Iterator[Reports]:
    """Collect the reports that the signals of the app carry."""
    collected: Reports = []

    def note(name: str) -> Any:
        return lambda sender, run: collected.append((name, run))

    kinds = {
        "started": run_started,
        "finished": run_finished,
        "failed": run_failed,
        "cancelled": run_cancelled,
    }
    with ExitStack() as stack:
        for name, signal in kinds.items():
            stack.enter_context(signal.connected_to(note(name), sender=app))
        yield collected


Lines = Callable[[], list[str]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    """Return the lines about runs; see in the end that nothing secret is in any line at all."""
    caplog.set_level(logging.INFO)

    def of_runs() -> list[str]:
        records = [record for record in caplog.records if record.levelno == logging.INFO]
        return [r.getMessage() for r in records if r.name == "quart_lanarky.runs"]

    yield of_runs
    assert SECRET not in caplog.text


TRANSPORTS = ["sse", "json", "websocket"]


async def ask(
    app: Quart,
    transport: str,
    path: str,
    *,
    leaves: bool = False,
    say: str = "",
    status: int = 200,
) -> None:
    """Ask over a transport, and read the answer to its end or leave at the first of it."""
    inputs = {"question": SECRET}
    client = app.test_client()
    if transport == "websocket":
        async with client.websocket(f"{path}/ws") as socket:
            await socket.send_json(inputs)
            event = (await socket.receive_json())["event"]
            if say:
                await socket.send(say)
            while event != "end" and not leaves:
                event = (await socket.receive_json())["event"]
        return
    headers = {"Accept": "application/json"} if transport == "json" else {}
    if not leaves:
        response = await client.post(path, json=inputs, headers=headers)
        assert response.status_code == (status if transport == "json" else 200)
        return
    before = models.asked[SECRET]
    async with client.request(path + f"?question={SECRET}", headers=headers) as connection:
        await connection.send_complete()
        while models.asked[SECRET] == before:
            await asyncio.sleep(0.01)
        await connection.disconnect()


async def settle(lanarky: LanarkyExtension) -> None:
    """Wait until no run is live, which is soon."""
    async with asyncio.timeout(5):
        while lanarky.registry.count:
            await asyncio.sleep(0.01)


def check_reports(reports: Reports, outcome: str, transport: str) -> RunReport:
    """See that there are two reports, of one run, and return the last."""
    assert [name for name, _ in reports] == ["started", outcome]
    (_, first), (_, last) = reports
    assert first == RunReport(last.run_id, last.route, last.transport)
    assert (last.transport, isinstance(last.run_id, UUID)) == (transport, True)
    return last


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_run_that_finishes_is_reported_with_its_tokens_and_its_times(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines, transport: str
) -> None:
    await ask(app, transport, "/echo")
    await settle(lanarky)
    report = check_reports(reports, "finished", transport)
    assert report.route == ("/echo/ws" if transport == "websocket" else "/echo")
    assert (report.tokens, report.reason, report.usage) == (20, None, None)
    assert report.time_to_first_token is not None
    assert 0 < report.time_to_first_token < report.duration < 5
    [line] = lines()
    assert re.fullmatch(
        rf"run {report.run_id} finished: route {report.route}, {transport}, "
        r"20 tokens in 0\.\d{3} s, the first after 0\.\d{3} s, usage None",
        line,
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_that_does_not_stream_has_one_token(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, transport: str
) -> None:
    await ask(app, transport, "/silent")
    await settle(lanarky)
    assert check_reports(reports, "finished", transport).tokens == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_usage_that_the_model_has_is_reported(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines, transport: str
) -> None:
    await ask(app, transport, "/counting")
    await settle(lanarky)
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert check_reports(reports, "finished", transport).usage == usage
    assert lines()[0].endswith(f"usage {usage}")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_run_that_fails_is_reported_with_the_kind_of_its_error(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines, transport: str
) -> None:
    await ask(app, transport, "/failing", status=500)
    await settle(lanarky)
    report = check_reports(reports, "failed", transport)
    assert (report.tokens, report.reason) == (2, "RuntimeError")
    [line] = lines()
    assert line.startswith(f"run {report.run_id} failed (RuntimeError): route {report.route}, ")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_run_that_takes_too_long_has_failed(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines, transport: str
) -> None:
    app.config["QUART_LANARKY_RUN_TIMEOUT"] = 0.5  # and not before the run has begun
    await ask(app, transport, "/hanging/7", status=504)
    await settle(lanarky)
    report = check_reports(reports, "failed", transport)
    assert (report.tokens, report.reason) == (1, "it took too long")
    assert len(lines()) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_run_whose_client_leaves_is_cancelled(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines, transport: str
) -> None:
    await ask(app, transport, "/hanging/7", leaves=True)
    await settle(lanarky)
    report = check_reports(reports, "cancelled", transport)
    assert (report.tokens, report.reason) == (1, "the client left")
    assert len(lines()) == 1


async def test_a_run_that_its_client_stops_is_cancelled(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines
) -> None:
    await ask(app, "websocket", "/hanging/7", say='{"event": "stop"}')
    await settle(lanarky)
    report = check_reports(reports, "cancelled", "websocket")
    assert report.reason == "the client stopped it"
    assert len(lines()) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_run_that_a_shutdown_ends_is_cancelled(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines, transport: str
) -> None:
    asking = asyncio.create_task(ask(app, transport, "/hanging/7", status=503))
    async with asyncio.timeout(5):
        while not reports:
            await asyncio.sleep(0.01)
        await lanarky.drain(0.05)
        await asking
    report = check_reports(reports, "cancelled", transport)
    assert report.reason == "the server is shutting down"
    assert len(lines()) == 1


async def test_the_route_is_the_rule_and_not_what_a_client_made_of_it(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines
) -> None:
    await ask(app, "sse", f"/hanging/{SECRET}", leaves=True)
    await settle(lanarky)
    assert check_reports(reports, "cancelled", "sse").route == "/hanging/<key>"
    assert len(lines()) == 1


async def test_what_is_refused_is_no_run(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, lines: Lines
) -> None:
    client = app.test_client()
    assert (await client.post("/echo", json={"wrong": SECRET})).status_code == 400
    async with client.websocket("/echo/ws") as socket:
        await socket.send_json({"wrong": SECRET})
        assert (await socket.receive_json())["data"]["status_code"] == 400
        assert (await socket.receive_json())["event"] == "end"
    await lanarky.drain(0)
    assert (await client.post("/echo", json={"question": SECRET})).status_code == 503
    assert (reports, lines(), lanarky.registry.count) == ([], [], 0)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_receivers_that_raise_or_take_their_time_do_not_harm_a_run(
    app: Quart,
    lanarky: LanarkyExtension,
    reports: Reports,
    caplog: pytest.LogCaptureFixture,
    transport: str,
) -> None:
    received: list[UUID] = []

    def fail(sender: object, run: RunReport) -> None:
        raise RuntimeError("the disk is full")

    async def take_time(sender: object, run: RunReport) -> None:
        await asyncio.sleep(0.05)
        received.append(run.run_id)

    with ExitStack() as stack:
        for signal in (run_started, run_finished):
            stack.enter_context(signal.connected_to(fail, sender=app))
            stack.enter_context(signal.connected_to(take_time, sender=app))
        await ask(app, transport, "/echo")
        await settle(lanarky)
        assert received in ([], [reports[0][1].run_id])
        await asyncio.sleep(0.1)
    report = check_reports(reports, "finished", transport)
    assert received == [report.run_id] * 2
    assert caplog.text.count("RuntimeError: the disk is full") == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_logging_that_raises_keeps_no_answer_back(
    app: Quart,
    lanarky: LanarkyExtension,
    reports: Reports,
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(admission.logger, "info", fail)
    for _ in range(2):
        reports.clear()
        await ask(app, transport, "/echo")
        await settle(lanarky)
        check_reports(reports, "finished", transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_not_even_where_a_receiver_raises_as_well(
    app: Quart, lanarky: LanarkyExtension, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(signals.logger, "exception", fail)
    with run_started.connected_to(fail, sender=app), run_finished.connected_to(fail, sender=app):
        await asyncio.wait_for(ask(app, transport, "/echo"), 5)
    await settle(lanarky)


# -- what is let in ------------------------------------------------------------------------


async def test_an_app_without_the_extension_bounds_nothing() -> None:
    app, run = Quart(__name__), run_of(0)
    assert current_registry() is None
    async with reserve_slot(Settings(max_runs=1)), reserve_slot(Settings(max_runs=1)):
        pass
    async with app.app_context():
        assert current_registry() is None
        reader = register_run(run, "sse")
    async with reader as batches:
        assert [e.name async for batch in batches for e in batch] == ["end"]


async def test_a_run_is_counted_from_when_it_is_admitted(
    app: Quart, lanarky: LanarkyExtension, reports: Reports
) -> None:
    app.config["QUART_LANARKY_MAX_RUNS"] = 1
    async with app.test_request_context("/nowhere"):
        assert current_registry() is lanarky.registry
        run = run_of(0)
        reader = register_run(run, "sse")
        with pytest.raises(ServerBusyError):
            register_run(run_of(), "json")
        assert lanarky.registry.count == 1
        async with reader:
            pass
    assert lanarky.registry.count == 0
    assert check_reports(reports, "cancelled", "sse").route is None


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_one_run_too_many_gets_503_with_retry_after(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, transport: str
) -> None:
    app.config["QUART_LANARKY_MAX_RUNS"] = 1
    asking = asyncio.create_task(ask(app, transport, "/hanging/7", status=503))
    async with asyncio.timeout(5):
        while not reports:
            await asyncio.sleep(0.01)
        response = await app.test_client().post("/echo", json={"question": "hi"})
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        with pytest.raises(WebsocketResponseError) as refusal:
            async with app.test_client().websocket("/echo/ws") as socket:
                await socket.receive()
        assert refusal.value.response.status_code == 503
        await lanarky.drain(0)
        await asking
    assert lanarky.registry.count == 0


async def test_a_chain_is_not_even_made_where_there_is_no_room(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    made: list[str] = []
    may_go_on = asyncio.Event()

    async def slow(name: str) -> Runnable[Any, Any]:
        made.append(name)
        await may_go_on.wait()
        return RunnableLambda(lambda _: "made")

    lanarky.add_chain("/slow", slow)
    app.config["QUART_LANARKY_MAX_RUNS"] = 1
    client = app.test_client()
    first = asyncio.create_task(client.get("/slow?name=first&input=x"))
    async with asyncio.timeout(5):
        while not made:
            await asyncio.sleep(0.01)
        assert lanarky.registry.count == 1
        assert (await client.get("/slow?name=second&input=x")).status_code == 503
        may_go_on.set()
        assert '"made"' in await (await first).get_data(as_text=True)
        await settle(lanarky)
        assert (await client.get("/slow?name=third&input=x")).status_code == 200
    assert made == ["first", "third"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_chain_that_takes_too_long_to_make_is_a_504_and_counts_no_more(
    app: Quart, lanarky: LanarkyExtension, reports: Reports, transport: str
) -> None:
    noted: list[str] = []

    async def slow() -> AsyncIterator[Runnable[Any, Any]]:
        noted.append("opened")
        try:
            await asyncio.Event().wait()
            yield RunnableLambda(str)
        finally:
            noted.append("closed")

    lanarky.add_chain("/slow", slow)
    app.config["QUART_LANARKY_RUN_TIMEOUT"] = 0.5
    client = app.test_client()
    if transport == "websocket":
        with pytest.raises(WebsocketResponseError) as refusal:
            async with client.websocket("/slow/ws") as socket:
                await socket.receive()
        response = refusal.value.response
    else:
        accept = "application/json" if transport == "json" else "text/event-stream"
        response = await client.get("/slow?input=x", headers={"Accept": accept})
    assert response.status_code == 504
    assert await response.get_json() == {
        "status_code": 504,
        "detail": "the server was not ready within 0.5 seconds",
    }
    assert noted == ["opened", "closed"]
    assert (lanarky.registry.count, reports) == (0, [])


async def test_a_chain_that_was_made_while_the_server_shut_down_is_cleaned_up(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[Runnable[Any, Any]]:
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            yield RunnableLambda(str)
        finally:
            closed.set()

    lanarky.add_chain("/slow", slow)
    asking = asyncio.create_task(app.test_client().get("/slow?input=x"))
    async with asyncio.timeout(5):
        await asked.wait()
        await lanarky.drain(0)
        assert (await asking).status_code == 503
        await closed.wait()
