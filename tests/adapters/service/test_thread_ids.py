"""Which thread a request runs on: what the client proposes, the app names, and the owner has."""

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from quart import Quart, abort, session
from quart.testing.connections import WebsocketResponseError

from quart_lanarky import ConfigurationError, LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.service.thread_ids import _warn_of_memory
from quart_lanarky.settings import WORKERS_VARIABLE

ID = "the thread is not known: thread_id: is missing"


def history_graph(**compiled: Any) -> Any:
    """Return a graph that answers with how many messages its thread has."""

    def answer(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(str(len(state["messages"])))]}

    graph = StateGraph(MessagesState).add_node("answer", answer)
    return graph.add_edge("__start__", "answer").compile(**compiled)


@pytest.fixture
def memory() -> InMemorySaver:
    return InMemorySaver()


@pytest.fixture
def graph(memory: InMemorySaver) -> Any:
    return history_graph(checkpointer=memory)


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    app.secret_key = "a"
    return app


def threads(memory: InMemorySaver) -> set[str]:
    return {each.config["configurable"]["thread_id"] for each in memory.list(None)}


async def ask(app: Quart, path: str, **headers: str) -> Any:
    response = await app.test_client().post(
        path, json={"messages": "hi"}, headers={"Accept": "application/json", **headers}
    )
    body = await response.get_json()
    return body["output"] if response.status_code == 200 else body


async def test_the_client_names_the_thread(app: Quart, graph: Any, memory: InMemorySaver) -> None:
    LanarkyExtension(app).add_chain("/chat", graph)
    assert [await ask(app, "/chat?thread_id=a") for _ in range(2)] == ["1", "3"]
    assert await ask(app, "/chat?thread_id=b") == "1"
    response = await app.test_client().get("/chat?thread_id=b&messages=hi")
    assert '"token": "3"' in await response.get_data(as_text=True)
    async with app.test_client().websocket("/chat/ws?thread_id=a") as socket:
        await socket.send_json({"messages": "hi"})
        assert json.loads(await socket.receive())["data"] == {"token": "5"}
    assert threads(memory) == {"a", "b"}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_missing_thread_is_said_to_be(app: Quart, graph: Any, accept: str) -> None:
    LanarkyExtension(app).add_chain("/chat", graph)
    problem = await ask(app, "/chat", Accept=accept)
    assert problem["status_code"] == 400
    assert [each["field"] for each in problem["errors"]] == ["thread_id"]
    assert "?thread_id=..." in problem["errors"][0]["message"]
    with pytest.raises(WebsocketResponseError) as refused:
        async with app.test_client().websocket("/chat/ws") as socket:
            await socket.receive()
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    "wrong", ["", "a b", "a/b", "a%00", "%C3%A4", "x" * 129, "a%0A", '["a","b"]', "a:b", "None%20"]
)
async def test_what_is_no_id_is_refused(
    app: Quart, graph: Any, memory: InMemorySaver, wrong: str
) -> None:
    LanarkyExtension(app).add_chain("/chat", graph)
    problem = await ask(app, f"/chat?thread_id={wrong}")
    assert (problem["status_code"], problem["errors"][0]["field"]) == (400, "thread_id")
    assert threads(memory) == set()


async def test_only_one_is_given(app: Quart, graph: Any) -> None:
    LanarkyExtension(app).add_chain("/chat", graph)
    assert (await ask(app, "/chat?thread_id=a&thread_id=b"))["status_code"] == 400


@pytest.mark.parametrize("name", ["checkpoint_id", "checkpoint_ns", "configurable"])
async def test_a_client_sets_nothing_else(app: Quart, graph: Any, name: str) -> None:
    LanarkyExtension(app).add_chain("/chat", graph)
    assert (await ask(app, f"/chat?thread_id=a&{name}=b"))["status_code"] == 400


async def test_a_function_names_the_thread(app: Quart, graph: Any, memory: InMemorySaver) -> None:
    async def by_path(asking: Any, proposed: str | None) -> str:
        if proposed == "x":
            abort(403)
        return f"{asking.view_args['name']}/{proposed}"

    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/threads/<name>/chat", graph, thread=by_path)
    lanarky.add_chain("/mine", graph, thread=lambda asking, proposed: asking.headers["X-User"])
    assert await ask(app, "/threads/a/chat?thread_id=b") == "1"
    assert await ask(app, "/threads/c/chat") == "1"
    assert await ask(app, "/mine", **{"X-User": "a/b"}) == "3"
    assert threads(memory) == {"a/b", "c/None"}
    response = await app.test_client().post("/threads/a/chat?thread_id=x", json={"messages": "a"})
    assert response.status_code == 403
    async with app.test_client().websocket("/threads/a/chat/ws?thread_id=b") as socket:
        await socket.send_json({"messages": "hi"})
        assert json.loads(await socket.receive())["data"] == {"token": "5"}


async def test_a_function_that_names_none_asks_the_client_for_one(app: Quart, graph: Any) -> None:
    LanarkyExtension(app).add_chain("/chat", graph, thread=lambda asking, proposed: proposed)
    assert ID in (await ask(app, "/chat"))["detail"]
    assert await ask(app, "/chat?thread_id=a") == "1"


@pytest.mark.parametrize("wrong", [7, b"a", ["a"]])
async def test_a_function_returns_a_text(app: Quart, graph: Any, wrong: Any) -> None:
    LanarkyExtension(app).add_chain("/chat", graph, thread=lambda *_: wrong)
    assert (await ask(app, "/chat"))["status_code"] == 500


# -- who else names it ---------------------------------------------------------------------

NAMED = {"configurable": {"thread_id": "fixed"}}


async def test_what_the_app_names_is_not_the_clients(
    app: Quart, graph: Any, memory: InMemorySaver
) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/config", graph, config=NAMED)
    lanarky.add_chain("/function", graph, config=lambda asking: NAMED)
    lanarky.add_chain("/bound", graph.with_config(NAMED))
    lanarky.add_chain("/binding", graph.bind(a=1).with_config(NAMED))
    for path in ("config", "function", "bound"):
        assert (await ask(app, f"/{path}?thread_id=a"))["errors"][0]["field"] == "thread_id"
    assert [await ask(app, "/config"), await ask(app, "/function")] == ["1", "3"]
    assert threads(memory) == {"fixed"}


async def test_a_function_that_configures_no_thread_leaves_it_to_the_client(
    app: Quart, graph: Any, memory: InMemorySaver
) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/chat", graph, config=lambda asking: {"configurable": {"user": "ada"}})
    lanarky.add_chain("/none", graph, config=lambda asking: None)
    assert await ask(app, "/chat?thread_id=a") == "1"
    assert await ask(app, "/none?thread_id=a") == "3"
    assert (await ask(app, "/chat"))["status_code"] == 400


@pytest.mark.parametrize("is_bound", [False, True])
def test_two_do_not_name_it(graph: Any, is_bound: bool) -> None:
    options: Any = {"thread": lambda *_: "a"}
    chain = graph.with_config(NAMED) if is_bound else graph
    with pytest.raises(ConfigurationError, match=r"both name the thread_id"):
        LanarkyExtension().add_chain("/a", chain, config=None if is_bound else NAMED, **options)
    with pytest.raises(ConfigurationError, match=r"both name the thread_id"):
        stream_chain(config=NAMED, **options)


async def test_a_function_that_names_a_second_one_is_a_mistake(
    app: Quart, graph: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/chat", graph, config=lambda asking: NAMED, thread=lambda *_: "a")
    assert (await ask(app, "/chat"))["status_code"] == 500
    assert "both name the thread_id" in caplog.text


def test_a_thread_without_a_memory_is_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="this one has no checkpointer"):
        LanarkyExtension().add_chain("/chat", history_graph(), thread=lambda *_: "a")
    with pytest.raises(ConfigurationError, match="thread= takes a function"):
        stream_chain(thread="a")  # type: ignore[call-overload]  # the point of the test


async def test_a_parameter_of_the_factory_comes_first(
    app: Quart, graph: Any, memory: InMemorySaver
) -> None:
    def by_name(thread_id: str) -> Runnable[Any, Any]:
        return graph.with_config(configurable={"thread_id": f"its/{thread_id}"})  # type: ignore[no-any-return]

    LanarkyExtension(app).add_chain("/chat", by_name)
    assert await ask(app, "/chat?thread_id=a b") == "1"
    assert threads(memory) == {"its/a b"}


async def test_a_graph_within_a_chain_gets_the_thread_of_a_function(
    app: Quart, graph: Any, memory: InMemorySaver
) -> None:
    chain = RunnableLambda(lambda given: {"messages": given["messages"]}) | graph
    LanarkyExtension(app).add_chain("/chat", chain, thread=lambda asking, proposed: proposed)
    assert await ask(app, "/chat?thread_id=a") == "1"
    assert threads(memory) == {"a"}


async def test_an_input_of_this_name_is_still_one(app: Quart) -> None:
    chain = RunnableLambda(lambda given: given["thread_id"])
    LanarkyExtension(app).add_chain("/echo", chain)
    response = await app.test_client().get("/echo?thread_id=no+id")
    assert '"token": "no id"' in await response.get_data(as_text=True)
    response = await app.test_client().post("/echo?thread_id=a", json={"thread_id": "b"})
    assert response.status_code == 400


# -- owners --------------------------------------------------------------------------------


async def test_threads_of_different_owners_are_different(
    app: Quart, graph: Any, memory: InMemorySaver
) -> None:
    async def owner(asking: Any) -> str | None:
        return asking.headers.get("X-User")  # type: ignore[no-any-return]

    lanarky = LanarkyExtension(app, owner=owner)
    lanarky.add_chain("/chat", graph)
    lanarky.add_chain("/any", graph, thread=lambda asking, proposed: asking.headers["X-Id"])
    whose = [("a", "b:c"), ("a:b", "c"), ("None", "c"), (None, "c"), ('a","b', "c"), ("a", 'b","c')]
    for user, name in whose:
        headers = {"X-Id": name} | ({"X-User": user} if user else {})
        assert await ask(app, "/any", **headers) == "1"
        assert await ask(app, "/any", **headers) == "3"
    assert threads(memory) == {json.dumps(each) for each in whose}
    assert await ask(app, "/chat?thread_id=c", **{"X-User": "a:b"}) == "5"
    async with app.test_client().websocket("/chat/ws?thread_id=c") as socket:
        await socket.send_json({"messages": "hi"})
        assert json.loads(await socket.receive())["data"] == {"token": "5"}


async def test_an_owner_may_read_the_session(app: Quart, graph: Any, memory: InMemorySaver) -> None:
    LanarkyExtension(app, owner=lambda asking: session.get("user")).add_chain("/chat", graph)

    @app.get("/login/<user>")
    async def login(user: str) -> str:
        session["user"] = user
        return "in"

    for user in ("ada", "eve"):
        client = app.test_client()
        await client.get(f"/login/{user}")
        response = await client.post("/chat?thread_id=a", json={"messages": "hi"})
        assert '"token": "1"' in await response.get_data(as_text=True)
    assert threads(memory) == {'["ada", "a"]', '["eve", "a"]'}


async def test_what_the_app_names_itself_has_no_owner(
    app: Quart, graph: Any, memory: InMemorySaver
) -> None:
    LanarkyExtension(app, owner=lambda asking: "a").add_chain("/chat", graph, config=NAMED)
    assert await ask(app, "/chat") == "1"
    assert threads(memory) == {"fixed"}


async def test_an_owner_is_a_text(app: Quart, graph: Any) -> None:
    LanarkyExtension(app, owner=lambda asking: 7).add_chain("/chat", graph)  # type: ignore[arg-type,return-value]
    assert (await ask(app, "/chat?thread_id=a"))["status_code"] == 500
    with pytest.raises(ConfigurationError, match="owner= takes a function"):
        LanarkyExtension(owner="ada")  # type: ignore[arg-type]  # the point of the test


# -- the API docs --------------------------------------------------------------------------


async def specs(app: Quart) -> tuple[Any, Any]:
    client = app.test_client()
    openapi = await (await client.get("/openapi.json")).get_json()
    asyncapi = await (await client.get("/asyncapi.json")).get_json()
    return openapi, asyncapi


async def test_the_api_docs_have_it_where_a_client_sends_it(app: Quart, graph: Any) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/required", graph)
    lanarky.add_chain("/optional", lambda: graph, thread=lambda *_: "a")
    lanarky.add_chain("/config", graph, config=NAMED)
    lanarky.add_chain("/stateless", history_graph())
    openapi, asyncapi = await specs(app)
    for path, required in [("required", True), ("optional", False)]:
        for method in ("get", "post"):
            found = {
                each["name"]: each for each in openapi["paths"][f"/{path}"][method]["parameters"]
            }
            assert found["thread_id"]["required"] is required
            assert found["thread_id"]["schema"]["pattern"]
    for path in ("config", "stateless"):
        found = openapi["paths"][f"/{path}"]["post"].get("parameters", [])
        assert "thread_id" not in [each["name"] for each in found]
    queries = {
        channel["address"]: channel["bindings"]["ws"].get("query", {})
        for channel in asyncapi["channels"].values()
    }
    assert queries["/required/ws"]["required"] == ["thread_id"]
    assert "thread_id" in queries["/optional/ws"]["properties"]
    assert queries["/config/ws"] == queries["/stateless/ws"] == {}


async def test_a_session_that_a_websocket_changes_is_warned_of(
    app: Quart, graph: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def visitor(request: Any, proposed: str | None) -> str:
        return str(session.setdefault("visitor", "a"))

    LanarkyExtension(app).add_chain("/visited", graph, thread=visitor)
    for _ in range(2):
        async with app.test_client().websocket("/visited/ws") as connection:
            await connection.send('{"messages": "hi"}')
            await connection.receive()
    [warning] = [r.message for r in caplog.records if "set no cookie" in r.message]
    assert warning.startswith("/visited/ws: the session was changed")


@pytest.mark.parametrize(("workers", "warnings"), [("", 0), ("1", 0), ("2", 1), ("x", 0)])
async def test_memory_with_several_workers_is_warned_of(
    app: Quart,
    graph: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    workers: str,
    warnings: int,
) -> None:
    monkeypatch.setenv(WORKERS_VARIABLE, workers)
    _warn_of_memory.cache_clear()
    LanarkyExtension(app).add_chain("/chat", graph)
    for _ in range(2):
        await ask(app, "/chat?thread_id=a")
    said = [r for r in caplog.records if "in the memory of one worker" in r.message]
    assert len(said) == warnings
