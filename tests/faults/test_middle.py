"""Whatever goes wrong in the middle of a run, its stream ends properly and the next one works."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.clients import Frame, names, post_sse, socket, text, turn
from tests.live.models import SECRET
from tests.servers import Server, hypercorn, served

TRANSPORTS = ["sse", "json", "ws"]

APP = "tests.faults.middle:app"

FAILED = {"status_code": 500, "detail": "Internal Server Error"}
QUESTION = {"question": "x"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with hypercorn(APP, tmp_path_factory.mktemp("middle"), LOG_LEVEL="INFO") as server:
        yield server


# -- what a client gets --------------------------------------------------------------------


async def ask(
    server: Server, transport: str, path: str, inputs: Any, **query: str
) -> list[list[Frame]]:
    """Ask twice, on a WebSocket within one connection; return the events of both answers.

    A JSON response counts as a `completion` or an `error`, and its end as `end`.
    """
    parameters = str(httpx.QueryParams(query))
    query_string = f"?{parameters}" if parameters else ""
    if transport == "ws":
        async with socket(server, f"{path}/ws{query_string}") as connection:
            return [await turn(connection, inputs) for _ in range(2)]
    once = _ask_sse if transport == "sse" else _ask_json
    return [await once(server, path + query_string, inputs) for _ in range(2)]


async def _ask_sse(server: Server, path: str, inputs: Any) -> list[Frame]:
    events = await post_sse(server, path, inputs)
    return [{"event": event.name, "data": event.data and _data_of(event.data)} for event in events]


def _data_of(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


async def _ask_json(server: Server, path: str, inputs: Any) -> list[Frame]:
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        response = await client.post(path, json=inputs, headers={"Accept": "application/json"})
    document = response.json()
    if response.status_code == 200:
        said = {"event": "completion", "data": {"token": document["output"]}}
    else:
        assert response.status_code == document["status_code"]
        said = {"event": "error", "data": document}
    return [said, {"event": "end", "data": {}}]


async def check_the_next(server: Server, transport: str) -> None:
    for frames in await ask(server, transport, "/quick", QUESTION):
        assert names(frames) == ["completion", "end"]
        assert text(frames) == "0 1 2 "


def check_failure(frames: list[Frame]) -> None:
    assert names(frames)[-2:] == ["error", "end"]
    assert [frame["data"] for frame in frames if frame["event"] == "error"] == [FAILED]
    assert sum(frame["event"] == "end" for frame in frames) == 1
    assert SECRET not in str(frames)


# -- models --------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "fault",
    [
        "raises",
        "raises no Exception",
        "raises what cannot be printed",
        "raises a group",
        "raises TimeoutError",
        "raises CancelledError",
        "raises StopAsyncIteration",
        "raises GeneratorExit",
        "cancels its own task",
        "exhausts the stack",
    ],
)
async def test_a_model_that_fails_after_two_tokens_gives_tokens_error_and_end(
    server: Server, transport: str, fault: str
) -> None:
    for frames in await ask(server, transport, "/faulty", QUESTION, fault=fault):
        check_failure(frames)
        assert text(frames) == ("" if transport == "json" else "one two ")
    await check_the_next(server, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("half a surrogate pair", "one \ud800"),
        ("10 MB", "one " + "x" * 10_000_000),
        ("control characters", "one a\0b\r\n\n\r\u2028\x85 c"),
        ("nothing", "one "),
        ("no blocks", "one "),
    ],
)
async def test_an_unusual_token_arrives_unchanged(
    server: Server, transport: str, kind: str, expected: str
) -> None:
    for frames in await ask(server, transport, "/babbling/json", QUESTION, kind=kind):
        assert names(frames) == ["completion", "end"]
        assert text(frames) == expected
    await check_the_next(server, transport)


@pytest.mark.parametrize("transport", ["sse", "ws"])
@pytest.mark.parametrize("kind", ["half a surrogate pair", "control characters"])
async def test_an_unusual_token_does_not_break_text_mode(
    server: Server, transport: str, kind: str
) -> None:
    for frames in await ask(server, transport, "/babbling/text", QUESTION, kind=kind):
        assert [frame["event"] for frame in frames] == ["completion", "completion", "end"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["None", "a number", "a list of None"])
async def test_a_token_that_is_no_text_is_an_error(
    server: Server, transport: str, kind: str
) -> None:
    for frames in await ask(server, transport, "/babbling/json", QUESTION, kind=kind):
        check_failure(frames)
    await check_the_next(server, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_chunk_of_a_wrong_type_is_an_error(server: Server, transport: str) -> None:
    for frames in await ask(server, transport, "/chunkless", QUESTION):
        check_failure(frames)


# -- outputs -------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "kind",
    [
        "a circle",
        "too many brackets",
        "an object that cannot be printed",
        "a key of half a surrogate pair",
        "a number of 5000 digits",
    ],
)
async def test_an_output_that_cannot_be_sent_is_an_error_and_not_an_empty_answer(
    server: Server, transport: str, kind: str
) -> None:
    for frames in await ask(server, transport, "/odd", {"input": "x"}, kind=kind):
        check_failure(frames)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "kind", ["an object", "a set", "bytes", "no number", "half a surrogate pair", "None"]
)
async def test_an_unusual_output_is_sent_or_the_answer_is_empty(
    server: Server, transport: str, kind: str
) -> None:
    for frames in await ask(server, transport, "/odd", {"input": "x"}, kind=kind):
        assert names(frames) in (["completion", "end"], ["end"])


# -- handlers ------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("handler", ["start", "token", "end", "sends-bytes", "sends-nan"])
async def test_a_handler_that_raises_does_not_stop_the_answer(
    server: Server, transport: str, handler: str
) -> None:
    for frames in await ask(server, transport, f"/handler/{handler}", QUESTION):
        assert names(frames) == ["completion", "end"]
        assert text(frames) == "0 1 2 "


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("handler", ["start-aborts", "token-aborts", "end-aborts"])
async def test_a_handler_with_raise_error_gives_error_and_end(
    server: Server, transport: str, handler: str
) -> None:
    for frames in await ask(server, transport, f"/handler/{handler}", QUESTION):
        check_failure(frames)


async def test_a_handler_that_cannot_be_made_is_an_error(server: Server) -> None:
    for frames in await ask(server, "ws", "/handler/made", QUESTION):
        check_failure(frames)
    async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
        response = await client.post("/handler/made", json=QUESTION)
    assert response.status_code == 500
    assert SECRET not in response.text


# -- time ----------------------------------------------------------------------------------


async def test_a_loop_that_is_blocked_for_two_seconds_only_delays_answers(
    server: Server,
) -> None:
    asking = [
        asyncio.create_task(ask(server, each, "/paced", QUESTION, delay="0.1", count="8"))
        for each in TRANSPORTS
    ]
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        await asyncio.sleep(0.5)
        await client.post("/block/2.0")
    for answers in await asyncio.gather(*asking):
        for frames in answers:
            assert names(frames) == ["completion", "end"]
            assert text(frames) == "".join(f"{number} " for number in range(8))
    await asyncio.gather(*(check_the_next(server, each) for each in TRANSPORTS))


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("impatient")
    with hypercorn(APP, folder, QUART_LANARKY_RUN_TIMEOUT="0.5") as server:
        yield server


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_that_hangs_is_abandoned_after_the_run_timeout(
    impatient: Server, transport: str
) -> None:
    for frames in await ask(impatient, transport, "/faulty", QUESTION, fault="hangs"):
        assert names(frames)[-2:] == ["error", "end"]
        assert frames[-2]["data"]["status_code"] == 504
    await check_the_next(impatient, transport)


# -- signals and the log -------------------------------------------------------------------


async def check_runs_that_succeed_and_fail(server: Server) -> None:
    for transport in TRANSPORTS:
        await check_the_next(server, transport)
        for frames in await ask(server, transport, "/faulty", QUESTION, fault="raises"):
            check_failure(frames)


async def test_a_signal_receiver_that_raises_affects_no_run_and_no_other_receiver(
    tmp_path: Path,
) -> None:
    with served(APP, tmp_path, RECEIVERS="raise") as server:
        await check_runs_that_succeed_and_fail(server)
        httpx.post(f"{server.url}/fill-the-log/raises")
        await check_runs_that_succeed_and_fail(server)
        heard = httpx.get(f"{server.url}/heard").json()
    assert heard == {"run-started": 24, "run-finished": 12, "run-failed": 12}


@pytest.mark.parametrize("how", ["raises", "stderr-closed", "silent"])
async def test_a_full_log_does_not_affect_any_run(tmp_path: Path, how: str) -> None:
    with served(APP, tmp_path, LOG_LEVEL="INFO") as server:
        httpx.post(f"{server.url}/fill-the-log/{how}")
        await check_runs_that_succeed_and_fail(server)
        for frames in await ask(server, "ws", "/handler/made", QUESTION):
            check_failure(frames)
