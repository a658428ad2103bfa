"""Options of routes, factories that clean up, and faults: every stream ends as it should."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.live.clients import ask, names, post_sse, socket, text, turn
from tests.live.models import SECRET
from tests.servers import Server

TRANSPORTS = ["sse", "ws"]
ASK = {"question": "?"}


async def log(server: Server, key: str) -> Any:
    async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
        return (await client.get(f"/options/log/{key}")).json()


async def wait_until_closed(server: Server, key: str) -> None:
    async with asyncio.timeout(5):
        while (await log(server, key))["closed"] == 0:
            await asyncio.sleep(0.01)
    assert await log(server, key) == {"opened": 1, "closed": 1, "heard": None}


# -- factories that clean up ---------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("path", ["yielding", "yielding-in-a-thread"])
async def test_a_factory_cleans_up_after_the_stream(
    server: Server, path: str, transport: str
) -> None:
    key = uuid4().hex
    frames = await ask(server, transport, f"/options/{path}", ASK, f"?key={key}")
    assert names(frames) == ["completion", "end"]
    await wait_until_closed(server, key)


async def test_a_factory_cleans_up_after_a_json_response(server: Server) -> None:
    key = uuid4().hex
    url = f"{server.url}/options/yielding?key={key}"
    answer = httpx.post(url, json=ASK, headers={"Accept": "application/json"})
    assert answer.json() == {"output": "0 1 2 3 4 "}
    await wait_until_closed(server, key)


async def test_a_factory_cleans_up_after_invalid_inputs(server: Server) -> None:
    key = uuid4().hex
    url = f"{server.url}/options/yielding?key={key}"
    assert httpx.post(url, json={"wrong": 1}).status_code == 400
    await wait_until_closed(server, key)


async def test_a_factory_cleans_up_after_a_disconnect(server: Server) -> None:
    key = uuid4().hex
    path = f"/options/yielding?key={key}&delay=0.01"
    async with (
        httpx.AsyncClient(base_url=server.url, verify=False) as client,
        client.stream("POST", path, json=ASK) as response,
    ):
        chunks = response.aiter_raw()  # whose end would close the connection
        await anext(chunks)
        assert await log(server, key) == {"opened": 1, "closed": 0, "heard": None}
    await wait_until_closed(server, key)


async def test_on_a_websocket_a_factory_cleans_up_after_the_last_turn(server: Server) -> None:
    key = uuid4().hex
    async with socket(server, f"/options/yielding/ws?key={key}") as connection:
        for _ in range(2):
            assert text(await turn(connection, ASK)) == "0 1 2 3 4 "
        assert await log(server, key) == {"opened": 1, "closed": 0, "heard": None}
    await wait_until_closed(server, key)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_plain_function_may_return_a_coroutine(server: Server, transport: str) -> None:
    assert text(await ask(server, transport, "/options/awaited", ASK)) == "all of ?"


async def test_a_factory_that_yields_nothing_is_an_error(server: Server) -> None:
    answer = httpx.post(f"{server.url}/options/yielding-nothing", json=ASK)
    assert answer.status_code == 500
    server.wait_for_log("yielding_nothing() gave NoneType, which is no LangChain Runnable")


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("yielding-twice", "yielding_twice() yields more than once"),
        ("failing-to-clean-up", "failing_to_clean_up() failed to clean up"),
    ],
)
async def test_an_exception_during_cleanup_is_logged_and_not_sent(
    server: Server, path: str, logged: str
) -> None:
    events = await post_sse(server, f"/options/{path}", ASK)
    assert [event.name for event in events] == ["completion", "end"]
    server.wait_for_log(logged)


# -- configuration and inputs --------------------------------------------------------------


async def test_config_can_be_a_function_of_the_request(server: Server) -> None:
    headers = {"X-User": uuid4().hex}
    user = headers["X-User"]
    [token, _] = await post_sse(server, "/options/configured", ASK, headers=headers)
    assert token.json() == {"token": f"{user} ['mine']"}
    async with socket(server, "/options/configured/ws", additional_headers=headers) as connection:
        assert text(await turn(connection, ASK)) == f"{user} ['mine']"
    traced = (await log(server, user))["heard"]
    assert len(traced) == 2 * 6  # the sequence, its prompt and its function
    assert traced[0] == "start ['mine']"


async def test_a_config_dict_applies_to_all_requests(server: Server) -> None:
    [token, _] = await post_sse(server, "/options/configured-once", ASK)
    assert token.json() == {"token": "all ['fixed']"}


async def test_a_config_function_can_refuse_the_request(server: Server) -> None:
    assert httpx.post(f"{server.url}/options/configured", json=ASK).status_code == 401
    with pytest.raises(InvalidStatus, match="401"):
        async with socket(server, "/options/configured/ws"):
            pass


async def test_a_config_function_that_raises_is_an_error_before_the_stream(server: Server) -> None:
    answer = httpx.post(f"{server.url}/options/failing-config", json=ASK)
    assert answer.status_code == 500
    assert SECRET not in answer.text


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_input_model_replaces_the_inputs_of_the_chain(
    server: Server, transport: str
) -> None:
    path = "/options/input-model"
    assert text(await ask(server, transport, path, {"q": "ab", "times": 2})) == "abab"


@pytest.mark.parametrize("path", ["input-model", "under-a-decorator"])
def test_an_input_model_names_each_wrong_field(server: Server, path: str) -> None:
    wrong = {"q": "a", "times": 4, "question": "ab"}
    answer = httpx.post(f"{server.url}/options/{path}", json=wrong)
    assert answer.status_code == 400
    fields = {error["field"] for error in answer.json()["errors"]}
    assert "question" in fields


# -- faults --------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("path", "inputs"),
    [
        ("broken-tool/react", {"input": '[["Action: break_down\\nAction Input: now"]]'}),
        ("broken-tool/agent", {"messages": "break"}),
    ],
)
async def test_a_tool_that_raises_gives_error_then_end(
    server: Server, path: str, inputs: Any, transport: str
) -> None:
    frames = await ask(server, transport, f"/options/{path}", inputs)
    assert names(frames) == ["error", "end"]
    assert SECRET not in str(frames)
    logged = server.wait_for_log(f"run {frames[-1]['data']['run_id']} failed\n")
    assert f"RuntimeError: {SECRET}" in logged


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_chain_that_raises_after_its_tokens_gives_tokens_error_and_end(
    server: Server, transport: str
) -> None:
    frames = await ask(server, transport, "/options/fails-after-its-tokens", ASK)
    assert [frame["event"] for frame in frames] == [*["completion"] * 5, "error", "end"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_model_that_returns_nothing_fails_as_in_langchain(
    server: Server, transport: str
) -> None:
    frames = await ask(server, transport, "/options/nothing", ASK)
    assert names(frames) == ["error", "end"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_handler_that_raises_does_not_stop_the_chain(
    server: Server, transport: str
) -> None:
    frames = await ask(server, transport, "/options/broken-handler", ASK)
    assert names(frames) == ["completion", "end"]
    assert text(frames) == "0 1 2 3 4 "
    server.wait_for_log(f"Error in Breaking{'Streaming' if transport == 'sse' else 'WebSocket'}")


def test_the_json_response_has_the_status_of_the_failure(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/options/broken-tool/agent",
        json={"messages": "break"},
        headers={"Accept": "application/json"},
    )
    assert answer.status_code == 500
    assert answer.json() == {"status_code": 500, "detail": "Internal Server Error"}
