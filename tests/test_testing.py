"""Reading streams in the tests of an app with `quart_lanarky.testing`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from quart import Quart, abort, session, websocket

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.events import completion, json_event, retract
from quart_lanarky.protocols.native.encode import encode
from quart_lanarky.testing import (
    ClosedError,
    Conversation,
    EncodedEvent,
    RefusedError,
    answer_of,
    connect,
    stream,
)

WORDS = ["One", " two\n", " thr\u00e9e"]


def chain(written: list[str], *, forever: bool = False) -> Any:
    """Return a chain that records each word when it is sent, and its cancellation."""

    async def write(_: AsyncIterator[Any]) -> AsyncIterator[str]:
        try:
            for word in WORDS:
                written.append(word)
                yield word
            while forever:
                await asyncio.sleep(0.01)
                written.append("more")
                yield "more"
        except asyncio.CancelledError:
            written.append("cancelled")
            raise

    return RunnableGenerator(write)


@pytest.fixture
def written() -> list[str]:
    return []


@pytest.fixture
def app(written: list[str]) -> Quart:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/words", lambda: chain(written))
    lanarky.add_chain("/text", lambda: chain(written), mode="text")
    lanarky.add_chain("/forever", lambda: chain(written, forever=True))

    @app.post("/echo")
    @app.get("/echo")
    @app.websocket("/echo/ws")
    @stream_chain
    def echo(loud: bool = False) -> Any:
        def say(inputs: dict[str, str]) -> str:
            return inputs["text"].upper() if loud else inputs["text"]

        return RunnableLambda(say).with_types(input_type=dict[str, str])

    @app.get("/teapot")
    async def teapot() -> None:
        abort(418, "short and stout")

    @app.websocket("/shut/ws")
    async def shut() -> None:
        abort(401)

    @app.websocket("/left/ws")
    async def left() -> None:
        await websocket.receive()
        await websocket.close(4000)

    return app


async def read(events: AsyncIterator[EncodedEvent]) -> list[EncodedEvent]:
    return [event async for event in events]


async def test_a_stream_is_read_to_its_end(app: Quart) -> None:
    events = await read(stream(app.test_client(), "/words", json={"input": "?"}))
    assert [event.name for event in events] == ["completion"] * 3 + ["end"]
    assert answer_of(events) == "".join(WORDS)


async def test_a_client_keeps_the_cookies_of_a_stream(app: Quart) -> None:
    def count(_: Any) -> dict[str, Any]:
        session["asked"] = session.get("asked", 0) + 1
        return {}

    app.secret_key = "signs the session"
    app.extensions["QUART_LANARKY"].add_chain(
        "/counted", RunnableLambda(lambda _: "yes"), config=count
    )
    client = app.test_client()
    for _ in range(3):
        await read(stream(client, "/counted", json={"input": "?"}))
    async with client.session_transaction() as kept:
        assert kept["asked"] == 3
    await read(stream(app.test_client(use_cookies=False), "/counted", json={"input": "?"}))


async def test_events_arrive_as_they_are_sent_and_not_at_the_end(app: Quart) -> None:
    events = stream(app.test_client(), "/forever", json={"input": "?"})
    async with aclosing(events):
        assert answer_of([await anext(events) for _ in range(4)]) == "".join(WORDS) + "more"


async def test_leaving_the_loop_disconnects_and_the_run_ends(
    app: Quart, written: list[str]
) -> None:
    async with aclosing(stream(app.test_client(), "/forever", json={"input": "?"})) as events:
        async for _ in events:
            break
    assert written[-1] == "cancelled"


async def test_a_get_has_its_inputs_and_parameters_in_the_query_string(app: Quart) -> None:
    client = app.test_client()
    events = await read(stream(client, "/echo", query_string={"text": "a&b", "loud": "1"}))
    assert answer_of(events) == "A&B"


async def test_a_post_has_its_inputs_in_the_body(app: Quart) -> None:
    client = app.test_client()
    query = {"loud": "true"}
    events = await read(stream(client, "/echo", json={"text": "h\u00e9"}, query_string=query))
    assert answer_of(events) == "H\u00c9"


async def test_a_refused_error_has_the_problem_of_each_field(app: Quart) -> None:
    with pytest.raises(RefusedError, match=r"status 400: .*loud") as refused:
        await read(stream(app.test_client(), "/echo", json={}, query_string={"loud": "perhaps"}))
    assert refused.value.status_code == 400
    assert list(refused.value.errors) == ["loud"]
    assert refused.value.response.content_type == "application/json"


async def test_a_refused_error_has_the_text_of_a_foreign_response(app: Quart) -> None:
    with pytest.raises(RefusedError, match="short and stout") as refused:
        await read(stream(app.test_client(), "/teapot"))
    assert (refused.value.status_code, refused.value.errors) == (418, {})


async def test_a_json_response_is_no_stream(app: Quart) -> None:
    wanted = {"Accept": "application/json"}
    with pytest.raises(RefusedError, match="status 200"):
        await read(stream(app.test_client(), "/words", json={"input": "?"}, headers=wanted))


async def test_an_exception_of_the_app_is_raised_in_the_test(app: Quart) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    app.asgi_app = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await read(stream(app.test_client(), "/words"))
    with pytest.raises(ZeroDivisionError):
        async with connect(app.test_client(), "/words/ws") as conversation:
            await read(conversation.ask("?"))


async def test_a_long_response_is_not_repeated_in_the_error() -> None:
    app = Quart(__name__)

    @app.get("/broken")
    async def broken() -> tuple[str, int]:
        return "a traceback " * 100, 500

    with pytest.raises(RefusedError, match=r"status 500: Internal Server Error$") as refused:
        await read(stream(app.test_client(), "/broken"))
    assert "a traceback" in await refused.value.response.get_data(as_text=True)


async def test_tokens_are_bare_in_text_mode_on_both_transports(app: Quart) -> None:
    events = await read(stream(app.test_client(), "/text", json={"input": "?"}))
    assert [event.data for event in events] == [*WORDS, ""]
    async with connect(app.test_client(), "/text/ws") as conversation:
        assert await read(conversation.ask({"input": "?"})) == [
            EncodedEvent("completion", word) for word in WORDS
        ] + [EncodedEvent("end", "")]
    assert answer_of(events, "text") == "".join(WORDS)


async def test_a_conversation_has_a_turn_for_each_question(app: Quart) -> None:
    async with connect(app.test_client(), "/echo/ws", query_string={"loud": "1"}) as conversation:
        for text in ("one", "two"):
            events = await read(conversation.ask({"text": text}))
            assert [event.name for event in events] == ["completion", "end"]
            assert answer_of(events) == text.upper()


async def test_a_turn_can_be_stopped(app: Quart, written: list[str]) -> None:
    async with connect(app.test_client(), "/forever/ws") as conversation:
        seen = []
        async for event in conversation.ask({"input": "?"}):
            seen.append(event)
            if len(seen) == 2:
                await conversation.stop()
    assert seen[-1].name == "end"
    assert written[-1] == "cancelled"


async def test_unread_events_of_a_turn_are_discarded_before_the_next(app: Quart) -> None:
    async with connect(app.test_client(), "/words/ws") as conversation:
        async with aclosing(conversation.ask({"input": "?"})) as events:
            async for _ in events:
                break
        assert answer_of(await read(conversation.ask({"input": "?"}))) == "".join(WORDS)


async def test_queued_turns_are_read_one_by_one(app: Quart) -> None:
    async with connect(app.test_client(), "/echo/ws") as conversation:
        await conversation.send({"text": "one"})
        await conversation.send({"text": "two"})
        answers = [answer_of(await read(conversation.turn())) for _ in range(2)]
    assert answers == ["one", "two"]


async def test_a_bare_text_can_be_sent(app: Quart) -> None:
    async with connect(app.test_client(), "/echo/ws") as conversation:
        events = await read(conversation.ask("no object"))
    assert [event.name for event in events] == ["error", "end"]


async def test_closing_a_conversation_ends_its_run(app: Quart, written: list[str]) -> None:
    async with connect(app.test_client(), "/forever/ws") as conversation:
        async with aclosing(conversation.ask({"input": "?"})) as events:
            await anext(events)
    assert written[-1] == "cancelled"


async def test_a_refused_handshake_is_an_error_at_the_first_turn(app: Quart) -> None:
    with pytest.raises(RefusedError) as refused:
        async with connect(app.test_client(), "/shut/ws") as conversation:
            await read(conversation.ask("?"))
    assert refused.value.status_code == 401


async def test_a_cross_origin_handshake_is_refused(app: Quart) -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    with pytest.raises(RefusedError) as refused:
        async with connect(app.test_client(), "/echo/ws", headers=foreign) as conversation:
            await read(conversation.ask({"text": "?"}))
    assert refused.value.status_code == 403


async def test_closed_error_has_the_close_code(app: Quart) -> None:
    async with connect(app.test_client(), "/left/ws") as conversation:
        with pytest.raises(ClosedError, match="4000"):
            await read(conversation.ask("?"))


async def test_an_app_that_ends_without_a_close_does_not_block_the_test() -> None:
    ended = asyncio.ensure_future(asyncio.sleep(0))

    class Silent:
        """A connection whose app has ended."""

        _task = ended
        _asgi_send = None

        async def send(self, _: str) -> None: ...

        async def receive(self) -> str:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(ClosedError, match="1006"):
        await read(Conversation(Silent()).ask("?"))


async def test_pings_are_not_yielded_as_events() -> None:
    app = Quart(__name__)
    app.config["QUART_LANARKY_HEARTBEAT"] = 0.02

    async def wait(_: dict[str, str]) -> str:
        await asyncio.sleep(0.2)
        return "late"

    LanarkyExtension(app).add_chain("/late", RunnableLambda(wait))
    async with connect(app.test_client(), "/late/ws") as conversation:
        events = await read(conversation.ask({"input": "?"}))
    assert [event.name for event in events] == ["completion", "end"]


@pytest.mark.parametrize("mode", ["json", "text"])
def test_the_answer_excludes_retracted_tokens(mode: Any) -> None:
    said = [completion(token) for token in ("Let me", " see", ".", "42")]
    events = [*said[:3], retract(3), json_event("tool", {"name": "calculator"}), said[3]]
    assert answer_of([encode(event, mode) for event in events], mode) == "42"


def test_a_token_that_looks_like_json_is_text_in_text_mode() -> None:
    event = encode(completion('{"token": 1}'), "text")
    assert event == EncodedEvent("completion", '{"token": 1}')
    assert answer_of([event], mode="text") == '{"token": 1}'


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="mode must be"):
        answer_of([], mode="xml")  # type: ignore[arg-type]
