"""Invalid frames: their client gets the right close code, and others are not affected."""

import asyncio
import json
import time
import zlib
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quart_lanarky.errors import InputError
from quart_lanarky.protocols.native.requests import parse_message, parse_object
from quart_lanarky.protocols.sse import Decoder
from tests.faults.clients import vitals, wait_until
from tests.faults.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    QUESTION,
    TEXT,
    FrameSocket,
    close_frame,
    frame,
    frame_socket,
)
from tests.live.clients import ask, names
from tests.servers import Server

MB = 2**20

PATH = "/quick/ws"


async def read_turn(client: FrameSocket) -> list[dict[str, object]]:
    """Return the events up to the next `end`; what comes between them is not looked at."""
    events: list[dict[str, object]] = []
    while not events or events[-1]["event"] != "end":
        opcode, payload = await client.receive()
        if opcode == TEXT:
            events.append(json.loads(payload))
    return events


async def check_that_others_are_served(server: Server) -> None:
    assert names(await ask(server, "ws", "/quick", {"question": "x"})) == ["completion", "end"]


# -- what is broken ------------------------------------------------------------------------

BROKEN = {
    "text that is no UTF-8": (frame(b"\xff"), 1007),
    "half a surrogate pair": (frame(b"\xed\xa0\x80"), 1007),
    "text that ends within a character": (frame(b"\xe2\x82"), 1007),
    "opcode 3": (frame(b"", 3), 1002),
    "opcode 11": (frame(b"", 11), 1002),
    "a reserved bit": (frame(QUESTION, reserved=4), 1002),
    "all reserved bits": (frame(QUESTION, reserved=7), 1002),
    "no mask": (frame(QUESTION, masked=False), 1002),
    "a continuation of nothing": (frame(b"x", CONTINUATION), 1002),
    "a new message within another": (frame(b"x", fin=False) + frame(b"y"), 1002),
    "a ping that is too long": (frame(b"x" * 126, PING), 1002),
    "a ping in fragments": (frame(b"x", PING, fin=False), 1002),
    "a length in more bytes than it needs": (b"\x81\xfe\x00\x01\0\0\0\0x", 1002),
    "a length beyond all bounds": (b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", 1002),
    "a close frame of one byte": (frame(b"x", CLOSE), 1002),
    "a close frame with a code that is none": (close_frame(999), 1002),
    "a close frame with a code that is not sent": (close_frame(1006), 1002),
    "a close frame with a reason that is no UTF-8": (close_frame(1000, b"\xff"), 1007),
    "a close frame that is too long": (close_frame(1000, b"x" * 124), 1002),
}


@pytest.mark.parametrize(("broken", "expected"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_frame_gets_the_close_code_for_its_error(
    serve: Server, broken: bytes, expected: int
) -> None:
    async with frame_socket(serve, PATH) as client:
        await client.send(broken)
        async with asyncio.timeout(1):
            assert await client.close_code() == expected


async def test_broken_frames_leak_nothing_and_others_are_served(either: Server) -> None:
    async def send_and_wait(broken: bytes) -> None:
        async with frame_socket(either, PATH) as client:
            await client.send(frame(QUESTION) + broken)
            assert await client.was_cut(within=3)

    before = await vitals(either)
    await asyncio.gather(*(send_and_wait(broken) for broken, _ in BROKEN.values()))
    await check_that_others_are_served(either)
    remains = ("live", "sessions", "our_tasks", "fds")
    await wait_until(
        lambda now: all(now[name] <= before[name] for name in remains), lambda: vitals(either), 5
    )


# -- what is not ---------------------------------------------------------------------------

WHOLE = {
    "fragments": frame(QUESTION[:5], fin=False) + frame(QUESTION[5:], CONTINUATION),
    "fragments of one byte": frame(QUESTION[:1], fin=False)
    + b"".join(frame(QUESTION[i : i + 1], CONTINUATION, fin=False) for i in range(1, 17))
    + frame(b"", CONTINUATION),
    "fragments with pings and pongs between them": frame(QUESTION[:5], fin=False)
    + frame(b"ping", PING)
    + frame(QUESTION[5:9], CONTINUATION, fin=False)
    + frame(b"pong", PONG)
    + frame(QUESTION[9:], CONTINUATION),
    "fragments within a character": frame('"ü'.encode()[:2], fin=False)
    + frame('"ü'.encode()[2:], CONTINUATION),
    "empty fragments": frame(fin=False) + frame(QUESTION, CONTINUATION),
    "a pong that nobody asked for": frame(b"x", PONG) + frame(QUESTION),
}


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE.keys())
async def test_a_message_can_be_fragmented(either: Server, whole: bytes) -> None:
    async with frame_socket(either, PATH) as client:
        await client.send(whole)
        assert [each["event"] for each in await read_turn(client)] == ["completion"] * 3 + ["end"]


async def test_a_message_can_arrive_byte_by_byte(either: Server) -> None:
    async with frame_socket(either, PATH) as client:
        for byte in frame(QUESTION):
            await client.send(bytes([byte]))
        assert len(await read_turn(client)) == 4


async def test_a_ping_is_answered_during_a_turn(either: Server) -> None:
    async with frame_socket(either, "/paced/ws") as client:
        await client.send(frame(QUESTION), frame(b"are you there?", PING))
        async with asyncio.timeout(1):
            while await client.receive() != (PONG, b"are you there?"):
                pass


REFUSED = {
    "an empty binary message": frame(b"", BINARY),
    "a binary message": frame(QUESTION, BINARY),
    "a broken object": frame(b'{"question": '),
    "an object without the question": frame(b"{}"),
    "an object that is nested too deeply": frame(b'{"question": ' + b"[" * 100_000),
    "a number that is too long": frame(b'{"question": ' + b"9" * 100_000 + b"}"),
    "an object where a text belongs": frame(b'{"question": {}}'),
    "no number": frame(b'{"question": NaN}'),
    "two objects": frame(QUESTION + QUESTION),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
async def test_an_invalid_message_is_a_400_and_the_connection_stays_open(
    either: Server, refused: bytes
) -> None:
    async with frame_socket(either, PATH) as client:
        await client.send(refused, frame(QUESTION))
        error, end = await read_turn(client)
        assert error["data"]["status_code"] == 400  # type: ignore[index]
        assert (error["event"], end["event"]) == ("error", "end")
        assert len(await read_turn(client)) == 4


async def test_an_empty_message_is_an_empty_question(either: Server) -> None:
    async with frame_socket(either, PATH) as client:
        await client.send(frame(), frame(fin=False), frame(b"", CONTINUATION))
        for _ in range(2):
            assert len(await read_turn(client)) == 4


# -- compression ---------------------------------------------------------------------------


def compressed(text: bytes, times: int = 1) -> bytes:
    """Return `text`, so many times, as a frame of a client that compresses."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(compressor.compress(text) for _ in range(times))
    data += compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(data.removesuffix(b"\x00\x00\xff\xff"), reserved=4)


DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"


async def test_a_message_may_be_compressed(either: Server) -> None:
    async with frame_socket(either, PATH, Sec_WebSocket_Extensions=DEFLATE) as client:
        await client.send(compressed(b'{"question": "' + b"x" * 500_000 + b'"}'))
        while (await client.receive())[0] != TEXT:
            pass


async def test_a_small_frame_that_inflates_to_200_megabytes_is_closed_with_1009(
    serve: Server,
) -> None:
    await check_that_others_are_served(serve)
    before = (await vitals(serve, "?collect"))["rss"]
    process = Path(f"/proc/{serve.process.pid}")
    (process / "clear_refs").write_text("5")
    async with frame_socket(serve, PATH, Sec_WebSocket_Extensions=DEFLATE) as client:
        await client.send(compressed(b"x" * MB, 200))
        assert await client.close_code() == 1009
    lines = (process / "status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    assert peak - before < 20 * MB


async def test_a_frame_that_inflates_to_200_megabytes_does_not_block_other_clients(
    either: Server,
) -> None:
    async with frame_socket(either, PATH, Sec_WebSocket_Extensions=DEFLATE) as client:
        await client.send(compressed(b"x" * MB, 200))
        assert await client.close_code() == 1009
        await check_that_others_are_served(either)


async def test_invalid_compressed_data_is_closed_with_1007(serve: Server) -> None:
    async with frame_socket(serve, PATH, Sec_WebSocket_Extensions=DEFLATE) as client:
        await client.send(frame(b"\xff" * 100, reserved=4))
        assert await client.close_code() == 1007


# -- anything ------------------------------------------------------------------------------


def parses_or_refuses(parse: object, data: str | bytes | None) -> None:
    """Check that it is parsed or refused with `InputError`."""
    try:
        parse(data)  # type: ignore[operator]
    except InputError as refused:
        json.loads(refused.get_body())


LONG = [
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"a": ' + "9" * 100_000 + "}",
    '{"a": 1e' + "9" * 1000 + "}",
    '{"a": "\ud800"}',
    '{"\\ud800": "\\udfff"}',
    "\ufeff{}",
    "{" + "\0" * 1000,
    '{"a": -Infinity}',
]
TEXTS = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates as well


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_any_text_is_parsed_or_is_an_input_error(text: str) -> None:
    parses_or_refuses(parse_message, text)
    parses_or_refuses(parse_object, text)
    parses_or_refuses(parse_object, text.encode("utf-8", "surrogatepass"))


@given(st.binary() | TEXTS | TEXTS.map("{{{}".format) | st.none())
def test_any_json_is_parsed_or_is_an_input_error(data: str | bytes | None) -> None:
    parses_or_refuses(parse_message, data)
    if data is not None:
        parses_or_refuses(parse_object, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(JSON)
def test_json_is_read_exactly_or_refused(value: object) -> None:
    text = json.dumps({"it": value})
    if "NaN" in text or "Infinity" in text:
        parses_or_refuses(parse_message, text)
    else:
        assert parse_message(text) == parse_object(text) == {"it": value}


FIELDS = [b"data: x", b"event: y", b"id: z", b"retry: 5", b": comment", b"data", b"\xef\xbb\xbf"]
LINES = st.lists(st.sampled_from([*FIELDS, b"\n", b"\r", b"\r\n", b"\0", b"\xff"])).map(b"".join)


@given(st.lists(st.binary() | LINES))
def test_any_bytes_are_decoded_alike_under_any_split(pieces: list[bytes]) -> None:
    whole, split = Decoder(), Decoder()
    events = whole.feed(b"".join(pieces))
    assert [event for piece in pieces for event in split.feed(piece)] == events


def test_the_sse_decoder_reads_a_long_line_in_linear_time() -> None:
    decoder = Decoder()
    decoder.feed(b"data: ")
    began = time.monotonic()
    for _ in range(1000):
        decoder.feed(b"x" * 4096)
    assert [len(event.data) for event in decoder.feed(b"\n\n")] == [1000 * 4096]
    assert time.monotonic() - began < 1


ANY_FRAME = st.builds(
    frame,
    st.binary(max_size=200),
    st.integers(0, 15),
    fin=st.booleans(),
    reserved=st.integers(0, 7),
    masked=st.booleans(),
)


@given(st.lists(st.binary(max_size=200) | ANY_FRAME, min_size=1, max_size=5).map(b"".join))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_server_survives_any_bytes(either: Server, data: bytes) -> None:
    asyncio.run(send_and_disconnect(either, data))
    assert httpx.get(f"{either.url}/ping", headers={"Connection": "close"}).text == "pong"


async def send_and_disconnect(server: Server, data: bytes) -> None:
    async with frame_socket(server, PATH) as client:
        await client.send(data)
        await client.was_cut(within=0.01)
