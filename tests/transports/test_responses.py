"""A response owns its run, and what the run needs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import ClassVar

import pytest
from quart import Quart, Response

from quart_lanarky import LanarkyExtension
from quart_lanarky.errors import ServerBusyError
from quart_lanarky.events import Event, SourceDocument, completion, source_documents
from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import CONTENT_TYPE, HEARTBEAT, Decoder
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.transports.json_response import json_answer
from quart_lanarky.transports.sse_response import EventStreamResponse


async def produce() -> None:
    raise AssertionError("nobody reads this run")


class Resource:
    """Something that a run needs, and that is closed."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.closed = asyncio.Event()
        self.stack.push_async_callback(self._close)

    async def _close(self) -> None:
        self.closed.set()


def run_of(work: Callable[[EventStream], Awaitable[object]]) -> Run:
    stream = EventStream(flush_interval=0)
    return Run(stream, lambda: work(stream))


async def say_hi(stream: EventStream) -> str:
    await stream.send(completion("hi"))
    return "hi"


async def hang(stream: EventStream) -> None:
    await say_hi(stream)
    await asyncio.Event().wait()


@pytest.fixture
def lanarky() -> LanarkyExtension:
    return LanarkyExtension()


@pytest.fixture
def app(lanarky: LanarkyExtension) -> Quart:
    """Make an app that answers at once, or not before its client leaves."""
    app = Quart(__name__)
    lanarky.init_app(app)

    @app.get("/quick")
    async def quick() -> Response:
        return EventStreamResponse(run_of(say_hi))

    @app.get("/hanging")
    async def hanging() -> Response:
        return EventStreamResponse(run_of(hang))

    @app.get("/json")
    async def as_json() -> Response:
        run = run_of(say_hi)
        return await json_answer(run, lambda: run.result)

    @app.get("/hanging/json")
    async def hanging_as_json() -> Response:
        return await json_answer(run_of(hang), lambda: None)

    return app


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


async def test_resources_are_open_for_as_long_as_the_run_goes_on(app: Quart) -> None:
    resource = Resource()
    was_closed: list[bool] = []

    async def work(stream: EventStream) -> None:
        await say_hi(stream)
        was_closed.append(resource.closed.is_set())

    @app.get("/resource")
    async def view() -> Response:
        async with resource.stack as stack:
            return EventStreamResponse(run_of(work), stack)

    response = await app.test_client().get("/resource")
    assert await response.get_data()
    assert was_closed == [False]
    assert resource.closed.is_set()


async def test_a_client_that_leaves_before_the_body_begins_gives_its_place_back(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    resource = Resource()

    async def view() -> None:
        async with app.test_request_context("/"):
            EventStreamResponse(Run(EventStream(), produce), resource.stack)
            assert lanarky.registry.count == 1

    await asyncio.create_task(view())
    async with asyncio.timeout(1):
        await resource.closed.wait()
    assert lanarky.registry.count == 0


async def test_a_response_that_another_one_takes_the_place_of_gives_its_place_back(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    @app.after_request
    async def replace(response: Response) -> Response:
        return Response("closed for today", 200)

    response = await app.test_client().get("/hanging")
    assert await response.get_data(as_text=True) == "closed for today"
    await asyncio.sleep(0.01)
    assert lanarky.registry.count == 0


@pytest.mark.parametrize("path", ["/quick", "/json"])
async def test_a_run_that_is_read_to_its_end_gives_its_place_back(
    app: Quart, lanarky: LanarkyExtension, path: str
) -> None:
    app.config["QUART_LANARKY_MAX_RUNS"] = 1
    for _ in range(3):
        response = await app.test_client().get(path)
        assert response.status_code == 200
        assert "hi" in await response.get_data(as_text=True)
        assert lanarky.registry.count == 0


@pytest.mark.parametrize("path", ["/hanging", "/hanging/json"])
async def test_a_client_that_leaves_ends_the_run_and_gives_its_place_back(
    app: Quart, lanarky: LanarkyExtension, path: str
) -> None:
    async with asyncio.timeout(5), app.test_client().request(path) as connection:
        await connection.send_complete()
        while not lanarky.registry.count:
            await asyncio.sleep(0.01)
        await connection.disconnect()
    assert lanarky.registry.count == 0


@pytest.mark.parametrize("path", ["/quick", "/json"])
@pytest.mark.parametrize("reason", ["too many runs are live", "the server is shutting down"])
async def test_where_there_is_no_room_the_answer_is_503(
    app: Quart, lanarky: LanarkyExtension, path: str, reason: str
) -> None:
    app.config["QUART_LANARKY_MAX_RUNS"] = 1
    if "shutting" in reason:
        await lanarky.drain(0)
    async with app.test_request_context("/"):
        run = run_of(hang)
        lanarky.registry._runs.add(run)
        response = await app.test_client().get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert (await response.get_json())["detail"].startswith(reason)
    assert lanarky.registry._runs == {run}


async def test_a_run_without_room_is_refused_where_it_is_made_and_keeps_nothing_open(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    await lanarky.drain(0)
    resource = Resource()
    async with app.test_request_context("/"):
        with pytest.raises(ServerBusyError):
            await json_answer(Run(EventStream(), produce), lambda: None)
        async with resource.stack as stack:
            with pytest.raises(ServerBusyError):
                EventStreamResponse(Run(EventStream(), produce), stack)
    assert resource.closed.is_set()


async def test_a_stream_in_which_nothing_happens_has_heartbeats(app: Quart) -> None:
    app.config["QUART_LANARKY_HEARTBEAT"] = 0.02
    decoder = Decoder()
    async with asyncio.timeout(5), app.test_client().request("/hanging") as connection:
        await connection.send_complete()
        first, *rest = [await connection.receive() for _ in range(4)]
        await connection.disconnect()
    assert [event.name for event in decoder.feed(first)] == ["completion"]
    assert rest == [HEARTBEAT] * 3
    assert decoder.feed(b"".join(rest)) == []
    assert decoder.comments == 3


async def test_heartbeats_do_not_get_into_a_json_response(app: Quart) -> None:
    @app.get("/slow")
    async def slow() -> Response:
        run = run_of(lambda _: asyncio.sleep(0.1))
        return await json_answer(run, lambda: "slow")

    app.config["QUART_LANARKY_HEARTBEAT"] = 0.01
    response = await app.test_client().get("/slow")
    assert json.loads(await response.get_data()) == {"output": "slow"}


async def test_an_output_that_is_no_json_is_a_500_whose_reason_is_only_logged(
    app: Quart, lanarky: LanarkyExtension, caplog: pytest.LogCaptureFixture
) -> None:
    def output() -> str:
        raise TypeError("what-only-the-log-may-know")

    @app.get("/no-json")
    async def no_json() -> Response:
        return await json_answer(run_of(say_hi), output)

    response = await app.test_client().get("/no-json")
    error = {"status_code": 500, "detail": "Internal Server Error"}
    assert (response.status_code, await response.get_json()) == (500, error)
    assert "what-only-the-log-may-know" in caplog.text
    assert lanarky.registry.count == 0


async def test_a_run_that_a_shutdown_ends_is_a_503_that_says_when_to_try_again(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    asking = asyncio.create_task(app.test_client().get("/hanging/json"))
    async with asyncio.timeout(5):
        while not lanarky.registry.count:
            await asyncio.sleep(0.01)
        await lanarky.drain(0.01)
        response = await asking
    detail = "the server is shutting down"
    assert await response.get_json() == {"status_code": 503, "detail": detail}
    assert (response.status_code, response.headers.get("Retry-After")) == (503, "5")


async def test_aborting_a_reader_ends_the_request_though_the_client_stays(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    run = run_of(hang)

    @app.get("/held")
    async def hold() -> Response:
        return EventStreamResponse(run)

    async def ask() -> None:
        async with app.test_client().request("/held") as connection:
            await connection.send_complete()
            await connection.receive()
            [reader] = lanarky.registry._readers[run]
            reader.abort()

    asking = asyncio.create_task(ask())
    await asyncio.wait({asking}, timeout=5)
    assert asking.done()
    assert asking.cancelled() or asking.exception() is None
    assert lanarky.registry.count == 0


# -- how the events are encoded ------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "of_the_stream", "token"),
    [
        (None, None, '{"token": "hi"}'),
        ("json", None, '{"token": "hi"}'),
        ("text", None, "hi"),
        (None, "text", "hi"),
        ("json", "text", '{"token": "hi"}'),
    ],
)
async def test_a_response_is_encoded_in_the_mode_of_its_run(
    app: Quart, mode: str | None, of_the_stream: str | None, token: str
) -> None:
    @app.get("/said")
    async def said() -> Response:
        stream = EventStream(flush_interval=0)
        stream.mode = of_the_stream
        return EventStreamResponse(Run(stream, lambda: say_hi(stream), mode=mode))

    response = await app.test_client().get("/said")
    assert response.content_type == CONTENT_TYPE
    first, end = Decoder().feed(await response.get_data(as_text=False))
    assert first == EncodedEvent("completion", token)
    assert (end.name, end.data == "") == ("end", token == "hi")


class Shout:
    """A protocol of somebody's own, with a state that is empty at first."""

    def __len__(self) -> int:
        return 0

    content_type = "text/x-shout"
    headers: ClassVar = {"X-Volume": "11"}
    heartbeat = b"!"

    def encode(self, batch: Sequence[Event]) -> bytes:
        return b"".join(event.name.upper().encode() for event in batch)


async def test_a_response_is_encoded_by_another_protocol_where_one_is_given(app: Quart) -> None:
    app.config["QUART_LANARKY_HEARTBEAT"] = 0.02

    @app.get("/shout")
    async def shout() -> Response:
        return EventStreamResponse(run_of(hang), encoder=Shout())

    async with asyncio.timeout(5), app.test_client().request("/shout") as connection:
        await connection.send_complete()
        said = [await connection.receive() for _ in range(3)]
        assert connection.headers is not None
        assert connection.headers["Content-Type"] == "text/x-shout"
        assert connection.headers["X-Volume"] == "11"
        await connection.disconnect()
    assert said == [b"COMPLETION", b"!", b"!"]


async def test_the_json_response_is_the_same_whatever_the_mode_of_its_run(app: Quart) -> None:
    document = SourceDocument(page_content="a", metadata={}, id=None, type="Document")

    async def look_up(stream: EventStream) -> str:
        await stream.send(source_documents([document]))
        return await say_hi(stream)

    @app.get("/looked-up/<mode>")
    async def looked_up(mode: str) -> Response:
        stream = EventStream(flush_interval=0)
        run = Run(stream, lambda: look_up(stream), mode=mode)
        return await json_answer(run, lambda: run.result)

    for mode in ("text", "json"):
        response = await app.test_client().get(f"/looked-up/{mode}")
        assert await response.get_json() == {
            "output": "hi",
            "source_documents": [document.model_dump(mode="json")],
        }


async def test_a_stream_is_not_cut_by_quarts_own_timeout(app: Quart) -> None:
    app.config["RESPONSE_TIMEOUT"] = 0.05

    async def pace(stream: EventStream) -> None:
        for _ in range(4):
            await asyncio.sleep(0.03)
            await say_hi(stream)

    @app.get("/paced")
    async def paced() -> Response:
        return EventStreamResponse(run_of(pace))

    stream = await (await app.test_client().get("/paced")).get_data(as_text=False)
    names = [event.name for event in Decoder().feed(stream)]
    assert names == ["completion"] * 4 + ["end"]


async def test_a_handler_that_the_work_makes_may_say_the_mode(app: Quart) -> None:
    @app.get("/late-mode")
    async def late() -> Response:
        stream = EventStream()

        async def work() -> None:
            stream.mode = "text"  # as a handler with that mode does
            await stream.send(completion("hi"))

        return EventStreamResponse(Run(stream, work))

    response = await app.test_client().get("/late-mode")
    assert b"data: hi\n" in await response.get_data()
