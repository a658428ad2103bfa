"""Every stream ends with exactly one `end`, and the details of an error are logged, not sent."""

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.live.clients import ask, names, read_turn, socket, text, turn
from tests.live.models import SECRET
from tests.servers import Server

TRANSPORTS = ["sse", "ws"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("after", [0, 5])
async def test_a_chain_that_raises_gives_error_then_end(
    server: Server, transport: str, after: int
) -> None:
    frames = await ask(server, transport, "/failing", {"question": "go"}, f"?after={after}")
    assert [f["event"] for f in frames] == ["completion"] * after + ["error", "end"]
    assert frames[-2]["data"] == {"status_code": 500, "detail": "Internal Server Error"}
    assert SECRET not in str(frames)
    logged = server.wait_for_log(f"run {frames[-1]['data']['run_id']} failed\n")
    assert logged.startswith("Traceback")
    assert f"RuntimeError: {SECRET}" in logged


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_that_does_not_stream_gives_its_whole_answer_once(
    server: Server, transport: str
) -> None:
    frames = await ask(server, transport, "/silent", {"question": "it"})
    assert [f["event"] for f in frames] == ["completion", "end"]
    assert text(frames) == "all of it"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_chain_without_a_model_gives_its_output_once(
    server: Server, transport: str
) -> None:
    frames = await ask(server, transport, "/function", {"input": "it"})
    assert [f["event"] for f in frames] == ["completion", "end"]
    assert text(frames) == "you said it"


async def test_turns_of_a_websocket_are_answered_in_order(server: Server) -> None:
    async with socket(server, "/echo/ws") as connection:
        for number in range(3):
            await connection.send(f"q{number}")
        answers = [text(await read_turn(connection)) for _ in range(3)]
    assert [answer.split(":")[0] for answer in answers] == ["q0", "q1", "q2"]


async def test_stop_ends_the_turn_in_progress_and_the_next_one_is_served(server: Server) -> None:
    async with socket(server, "/paced/ws?delay=0.005") as connection:
        await connection.send('{"question": "to be stopped"}')
        await connection.recv()
        frames = await turn(connection, '{"event": "stop"}')
        assert names(frames)[-1] == "end"
        assert "error" not in names(frames)
        assert len(frames) < 50
        await connection.send('{"question": "and again"}')
        await connection.recv()


async def test_stop_reaches_a_turn_that_has_not_started(server: Server) -> None:
    async with socket(server, "/paced/ws") as connection:
        await connection.send('{"question": "never asked"}')
        frames = await turn(connection, '{"event": "stop"}')
    assert names(frames) in (["end"], ["completion", "end"])


async def test_stop_without_a_turn_is_ignored(server: Server) -> None:
    async with socket(server, "/echo/ws") as connection:
        await connection.send('{"event": "stop"}')
        assert names(await turn(connection, "hi")) == ["completion", "end"]


async def test_more_turns_than_the_queue_holds_close_the_socket_with_1008(server: Server) -> None:
    async with socket(server, "/paced/ws") as connection:
        for number in range(5):  # one in progress, three waiting (as the app has it), one more
            await connection.send(f"q{number}")
        with pytest.raises(ConnectionClosed) as closed:
            await read_turn(connection)  # which would never end
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "too many queued turns")


@pytest.mark.parametrize("path", ["/retrieval", "/failing"])
async def test_a_head_request_calls_no_chain(server: Server, path: str) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        response = await client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in response.headers


@pytest.mark.parametrize(
    ("kind", "logged"), [("raises", SECRET), ("none", "gave NoneType"), ("text", "gave str")]
)
async def test_a_factory_that_returns_no_chain_is_a_500_with_the_reason_only_in_the_log(
    server: Server, kind: str, logged: str
) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        response = await client.post(f"/broken/{kind}", json={"question": "go"})
    assert response.status_code == 500
    assert SECRET not in response.text
    assert "NoneType" not in response.text
    server.wait_for_log(logged)
