"""The client receives the text of the model unchanged, whatever characters are in it."""

import json

import pytest

from tests.live.clients import ask, names, post_sse, socket, text, turn
from tests.servers import Server

TOKENS = [
    "line1\nline2",
    " lead",
    "",
    "\r\n",
    "\r",
    "\u2028",
    "\u0085",
    "😀",
    "\n\n",
    "\n\nevent: error\ndata: x\n\n",
    "trail ",
    "\ud83d",  # half a surrogate pair
    '"}\n\n',
]
SAID = [token for token in TOKENS if token]  # an empty token is nothing to send
INPUTS = {"question": json.dumps(TOKENS)}


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_json_mode_is_exact(server: Server, transport: str) -> None:
    frames = await ask(server, transport, "/recite/json", INPUTS)
    assert [f["data"]["token"] for f in frames if f["event"] == "completion"] == SAID
    assert names(frames) == ["completion", "end"]


async def test_text_mode_over_sse_is_exact_up_to_the_kind_of_line_break(server: Server) -> None:
    events = await post_sse(server, "/recite/text", INPUTS)
    assert {event.name for event in events[:-1]} == {"completion"}
    assert [event.data for event in events[:-1]] == [
        token.replace("\r\n", "\n").replace("\r", "\n").replace("\ud83d", "?") for token in SAID
    ]
    assert (events[-1].name, events[-1].data) == ("end", "")


async def test_text_mode_over_a_websocket_is_exact(server: Server) -> None:
    async with socket(server, "/recite/text/ws") as connection:
        frames = await turn(connection, INPUTS)
    assert [frame["data"] for frame in frames] == [*SAID, ""]
    assert names(frames) == ["completion", "end"]


async def test_a_websocket_frame_is_pure_ascii(server: Server) -> None:
    async with socket(server, "/recite/json/ws") as connection:
        await connection.send(json.dumps({"question": '["\u2028😀"]'}))
        frame = await connection.recv()
    assert isinstance(frame, str)
    assert frame.isascii()
    assert json.loads(frame)["data"] == {"token": "\u2028😀"}


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_ten_thousand_tokens_arrive_in_order(server: Server, transport: str) -> None:
    frames = await ask(server, transport, "/eager", {"question": "go"})
    assert text(frames) == "".join(f"{number} " for number in range(10_000))
    assert len(frames) == 10_001
