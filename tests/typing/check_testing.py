"""What a type checker says of `quart_lanarky.testing`: mypy reads this file, and nobody runs it."""

from typing import assert_type

from quart import Quart, Response

from quart_lanarky.testing import (
    ClosedError,
    Conversation,
    EncodedEvent,
    RefusedError,
    answer_of,
    connect,
    stream,
)

client = Quart(__name__).test_client()


async def over_http() -> None:
    async for event in stream(client, "/chat", json={"question": "Hello?"}):
        assert_type(event, EncodedEvent)
    asked = stream(client, "/chat", query_string={"question": "Hello?"}, headers={"X-User": "me"})
    events = [event async for event in asked]
    assert_type(answer_of(events), str)
    answer_of(events, "text")
    answer_of(events, mode="html")  # type: ignore[arg-type]
    answer_of("events")  # type: ignore[arg-type]
    stream(client, "/chat", {"question": "Hello?"})  # type: ignore[call-arg]  # by its name only
    await stream(client, "/chat")  # type: ignore[misc]  # it is no coroutine
    for _ in stream(client, "/chat"):  # type: ignore[attr-defined]  # nor a list
        pass


async def over_a_websocket() -> None:
    async with connect(client, "/chat/ws", headers={"Origin": "https://example.org"}) as talk:
        assert_type(talk, Conversation)
        assert_type([event async for event in talk.ask({"question": "Hello?"})], list[EncodedEvent])
        assert_type([event async for event in talk.ask("Hello?")], list[EncodedEvent])
        assert_type(await talk.send("And now?"), None)
        assert_type([event async for event in talk.turn()], list[EncodedEvent])
        assert_type(await talk.stop(), None)
        talk.ask(["Hello?"])  # type: ignore[arg-type]
    async with connect("/chat/ws"):  # type: ignore[call-arg, arg-type]
        pass


def tell(error: RefusedError | ClosedError) -> int:
    if isinstance(error, RefusedError):
        assert_type(error.errors, dict[str, str])
        assert_type(error.response, Response)
        return error.status_code
    return error.code
