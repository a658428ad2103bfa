"""Ten mistakes that people make, and what they are told: what was wrong, where, what to write."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import pytest
from langchain_core.callbacks import StdOutCallbackHandler
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from pydantic import BaseModel
from quart import Quart, Response, abort
from quart.testing.app import LifespanError
from quart.testing.connections import WebsocketResponseError

from quart_lanarky import ChainTypeError, ConfigurationError, LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.callbacks import TokenStreamingCallbackHandler
from tests.adapters.chains import LCEL, MODEL

FAILURE = {"status_code": 500, "detail": "Internal Server Error"}


@pytest.fixture
def app() -> Quart:
    return Quart(__name__)


@pytest.fixture
def lanarky(app: Quart) -> LanarkyExtension:
    return LanarkyExtension(app)


async def failure_of(app: Quart, caplog: pytest.LogCaptureFixture, path: str = "/chat") -> str:
    """Ask, and return what the log says; the client learns nothing."""
    response = await app.test_client().post(path, json={"question": "hi"})
    assert (response.status_code, await response.get_json()) == (500, FAILURE)
    return caplog.text


async def start(app: Quart) -> None:
    async with app.test_app():
        pass


# -- 1. the decorators in the wrong order --------------------------------------------------


def in_the_wrong_order(app: Quart) -> None:
    @stream_chain
    @app.post("/chat")
    def chat() -> Runnable[Any, Any]:
        return LCEL


WRONG_ORDER = (
    r"the route /chat calls the chain factory chat\(\) itself, .*: put @stream_chain below the "
    "decorator of the route, next to the function"
)


@pytest.mark.usefixtures("lanarky")
async def test_decorators_in_the_wrong_order_stop_the_app_from_starting(app: Quart) -> None:
    in_the_wrong_order(app)
    with pytest.raises(LifespanError, match=WRONG_ORDER):  # a server logs it, and exits
        await start(app)


@pytest.mark.usefixtures("lanarky")
async def test_without_a_start_they_are_an_error_at_the_first_request(app: Quart) -> None:
    in_the_wrong_order(app)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=WRONG_ORDER):
            await app.test_client().post("/chat", json={"question": "hi"})


@pytest.mark.usefixtures("lanarky")
async def test_other_views_and_decorators_are_no_mistake(app: Quart) -> None:
    app.get("/plain")(lambda: "hi")
    app.post("/chat", endpoint="chat")(stream_chain(lambda: LCEL))
    await start(app)


# -- 2. the extension is forgotten ---------------------------------------------------------


async def test_a_forgotten_extension_is_named_in_the_log(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    app.post("/chat")(stream_chain(lambda: LCEL))
    logged = await failure_of(app, caplog)
    assert (
        "this app has chain routes but not the extension: call LanarkyExtension(app), or "
        "init_app(app), where the app is made" in logged
    )


# -- 3. and 6. what is returned is no chain ------------------------------------------------


def graph(**options: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("answer", lambda state: {"messages": MODEL.invoke(state["messages"])})
    builder.set_entry_point("answer")
    return builder.compile(**options)


@asynccontextmanager
async def managed() -> AsyncIterator[Runnable[Any, Any]]:
    yield LCEL


INSTEAD = (
    "return the chain itself, `return chain`, and not what `chain.invoke(...)` or "
    "`chain.stream(...)` returns"
)


@pytest.mark.parametrize(
    ("factory", "what", "advice"),
    [
        (lambda: LCEL.invoke({"question": "hi"}), "AIMessage", INSTEAD),
        (lambda: LCEL.ainvoke({"question": "hi"}), "AIMessage", INSTEAD),
        (lambda: LCEL.astream({"question": "hi"}), "AIMessageChunk", INSTEAD),
        (lambda: LCEL.stream({"question": "hi"}), "AIMessageChunk", INSTEAD),
        (lambda: "hi", "str", INSTEAD),
        (lambda: {"answer": "hi"}, "dict", INSTEAD),
        (lambda: None, "NoneType", "is there a `return chain` missing?"),
        (lambda: StateGraph(MessagesState), "StateGraph", "compile the graph: `return graph.com"),
        (
            managed,
            "_AsyncGeneratorContextManager",
            "leave @contextmanager or @asynccontextmanager out: a factory may simply yield",
        ),
        (lambda: 7, "int", "it has to be a chain, an agent or a graph"),
    ],
)
async def test_what_is_no_chain_is_logged_with_what_to_return(
    app: Quart, caplog: pytest.LogCaptureFixture, factory: Any, what: str, advice: str
) -> None:
    LanarkyExtension(app).add_chain("/chat", factory, websocket=False)
    logged = await failure_of(app, caplog)
    assert f"() gave {what}, which is no LangChain Runnable; {advice}" in logged


async def make() -> Runnable[Any, Any]:
    return LCEL


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        (LCEL.invoke, r"the method invoke\(\) of a RunnableSequence calls the chain: give the ch"),
        (LCEL.ainvoke, "give the chain itself"),
        (FakeListChatModel, "FakeListChatModel is a class: give an object of it, or a function"),
        (stream_chain(make), r"make\(\) is decorated with @stream_chain already: decorate it once"),
        ("chat", "add_chain takes a chain or a function that makes one, not 'chat'"),
        (None, "add_chain takes a chain or a function that makes one, not None"),
    ],
)
def test_add_chain_is_given_something_else(
    lanarky: LanarkyExtension, chain: Any, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        lanarky.add_chain("/chat", chain)


def test_add_chain_is_given_a_coroutine(lanarky: LanarkyExtension) -> None:
    made = make()
    with pytest.raises(ChainTypeError, match="give it the function, without calling it"):
        lanarky.add_chain("/chat", made)
    made.close()


@pytest.mark.parametrize("given", [LCEL, "text", 7])
def test_stream_chain_is_given_no_function(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a function that returns a chain, not "):
        stream_chain(given)


# -- 4. a method is missing ----------------------------------------------------------------


@pytest.mark.usefixtures("lanarky")
async def test_a_post_to_a_route_without_methods_is_explained_once(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    app.route("/chat/<k>", endpoint="chat")(stream_chain(lambda k=1: LCEL))
    app.get("/plain")(lambda: "hi")
    for path in ("/chat/1", "/chat/2", "/plain", "/nowhere"):
        assert (await app.test_client().post(path, json={})).status_code in (404, 405)
    told = (
        "POST to the chain route /chat/<k> got status 405, for it takes GET only: write "
        '@app.post(...) for a POST, or methods=["GET", "POST"]'
    )
    for method in ("PUT", "MADE-UP"):  # no mistake of the developer's, and a client makes up many
        assert (await app.test_client().open("/chat/1", method=method)).status_code == 405
    assert [record.getMessage() for record in caplog.records] == [told]


# -- 5. a wrong body -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (
            {"data": b"hi"},
            "send the inputs as JSON, with the header Content-Type: application/json",
        ),
        ({"form": {"question": "hi"}}, "send the inputs as JSON, with the header Content-Type"),
        ({"json": {}}, "question: Field required"),
        ({"json": {"input": "hi"}}, "input: Extra inputs are not permitted"),
    ],
)
async def test_a_wrong_body_is_a_400_that_says_what_to_send(
    app: Quart, lanarky: LanarkyExtension, sent: dict[str, Any], told: str
) -> None:
    lanarky.add_chain("/chat", LCEL)
    response = await app.test_client().post("/chat", **sent)
    assert response.status_code == 400
    assert told in (await response.get_json())["detail"]


@pytest.mark.parametrize("query", ["", "?k=many"])
async def test_a_parameter_of_the_factory_is_not_taken_for_a_field_of_the_body(
    app: Quart, query: str
) -> None:
    def make(k: int) -> Any:
        return LCEL

    LanarkyExtension(app).add_chain("/chat", make, websocket=False)
    response = await app.test_client().post(f"/chat{query}", json={"question": "hi", "k": 3})
    detail = (await response.get_json())["detail"]
    assert response.status_code == 400
    assert detail.startswith("the parameters in the path or the query string do not fit: k: ")


# -- 7. there is no key --------------------------------------------------------------------


def without_a_key() -> Runnable[Any, Any]:
    raise ValueError("the api_key option must be set")


async def without_a_key_either() -> AsyncIterator[Runnable[Any, Any]]:
    raise ValueError("the api_key option must be set")
    yield LCEL


@pytest.mark.parametrize("factory", [without_a_key, without_a_key_either])
@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_what_a_factory_raises_is_logged_with_its_name_and_route(
    app: Quart, caplog: pytest.LogCaptureFixture, factory: Any, accept: str
) -> None:
    LanarkyExtension(app).add_chain("/chat", factory)
    headers = {"Accept": accept}
    response = await app.test_client().post("/chat", json={"question": "hi"}, headers=headers)
    assert (response.status_code, response.content_type) == (500, "application/json")
    assert await response.get_json() == FAILURE
    assert (
        "ValueError: the api_key option must be set\nraised by the chain factory without_a_key"
        in (caplog.text)
    )
    assert "raised before a run of the chain route /chat could begin" in caplog.text
    with pytest.raises(WebsocketResponseError) as refused:
        async with app.test_client().websocket("/chat/ws") as socket:
            await socket.receive()
    assert await refused.value.response.get_json() == FAILURE


async def test_an_apps_own_error_handlers_and_debug_mode_stay_its_own(app: Quart) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/chat", without_a_key)
    lanarky.add_chain("/forbidden", lambda: abort(403))
    client = app.test_client()
    assert (await client.post("/forbidden", json={"question": "hi"})).status_code == 403

    @app.errorhandler(500)
    async def sorry(_: Exception) -> tuple[str, int]:
        return "sorry", 500

    response = await client.post("/chat", json={"question": "hi"})
    assert await response.get_data(as_text=True) == "sorry"

    @app.errorhandler(ValueError)
    async def no_key(_: ValueError) -> Response:
        return Response("no key", 502)

    assert (await client.post("/chat", json={"question": "hi"})).status_code == 502
    app.debug = True
    app.error_handler_spec.clear()
    if version("quart").startswith("0.20."):  # which leaves it to the server
        with pytest.raises(ValueError, match="api_key"):
            await client.post("/chat", json={"question": "hi"})
        return
    response = await client.post("/chat", json={"question": "hi"})  # Quart's page for developers
    page = await response.get_data(as_text=True)
    assert (response.status_code, "without_a_key" in page) == (500, True)


# -- 8. two names --------------------------------------------------------------------------


async def test_rules_whose_names_look_alike_are_two_routes(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    rules = ("/a/b", "/a-b", "/a_b")
    names = [lanarky.add_chain(rule, LCEL).name for rule in rules]
    assert names == ["chain_a_b", "chain_a_b_2", "chain_a_b_3"]
    for rule in rules:
        response = await app.test_client().post(rule, json={"question": "hi"})
        assert response.status_code == 200


def test_two_chains_at_one_rule_are_an_error(lanarky: LanarkyExtension) -> None:
    lanarky.add_chain("/chat", LCEL, methods=("GET",), websocket=False)
    lanarky.add_chain("/chat", LCEL, methods=("POST",), websocket=False)
    told = "two chains are served at GET /chat, chain_chat.stream and chain_chat_3.stream: only"
    with pytest.raises(ConfigurationError, match=told):
        lanarky.add_chain("/chat", LCEL)


async def test_two_decorated_chains_at_one_rule_stop_the_app(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    app.post("/chat", endpoint="one")(stream_chain(lambda: LCEL))
    app.post("/chat", endpoint="two")(stream_chain(lambda: LCEL))
    with pytest.raises(LifespanError, match=r"POST /chat, one and two: .* another rule"):
        await start(app)


def test_a_name_that_is_given_twice_is_an_error(lanarky: LanarkyExtension) -> None:
    lanarky.add_chain("/a", LCEL, name="mine")
    with pytest.raises(
        ConfigurationError, match="the name 'mine' of the route /b is that of anoth"
    ):
        lanarky.add_chain("/b", LCEL, name="mine")


# -- 9. an option or a setting is misspelt -------------------------------------------------


def with_stream_chain(**options: Any) -> None:
    stream_chain(**options)


def with_add_chain(**options: Any) -> None:
    LanarkyExtension().add_chain("/chat", LCEL, **options)


@pytest.mark.parametrize("take", [with_stream_chain, with_add_chain])
@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("output_keys", "there is no option output_keys=: did you mean output_key="),
        ("final_tags", "did you mean final_tag="),
        ("temperature", "there is no option temperature=: There are mode, output_key, final_tag, "),
    ],
)
def test_a_misspelt_option_is_named(take: Callable[..., None], option: str, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        take(**{option: "x"})


def test_a_misspelt_option_of_add_chain_alone_is_named() -> None:
    with pytest.raises(TypeError, match="did you mean methods="):
        with_add_chain(method=["GET"])


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("QUART_LANARKY_HEARTBEET", "no setting QUART_LANARKY_HEARTBEET: did you mean QUART_LANAR"),
        ("QUART_LANARKY_XYZ", "there is no setting QUART_LANARKY_XYZ: there are QUART_LANARKY_"),
        ("LANARKY_HEARTBEAT", "LANARKY_HEARTBEAT has no effect; did you mean QUART_LANARKY_HEARTB"),
    ],
)
def test_a_misspelt_setting_is_named(app: Quart, key: str, told: str) -> None:
    app.config[key] = 7
    with pytest.raises(ConfigurationError, match=told):
        LanarkyExtension(app)


def test_a_setting_from_the_environment_is_a_text(app: Quart) -> None:
    app.config["QUART_LANARKY_HEARTBEAT"] = "15"
    told = "QUART_LANARKY_HEARTBEAT must be a number, not the text '15': .* by float"
    with pytest.raises(ConfigurationError, match=told):
        LanarkyExtension(app)


@pytest.mark.parametrize("handlers", ["text", 7, (TokenStreamingCallbackHandler,), [None, None]])
def test_handlers_that_are_none_are_refused(handlers: Any) -> None:
    with pytest.raises(ConfigurationError, match="handlers= takes a handler class, or a pair"):
        stream_chain(handlers=handlers)


@pytest.mark.parametrize("handlers", [StdOutCallbackHandler, (StdOutCallbackHandler, dict)])
def test_callback_handlers_of_langchain_belong_into_the_config(handlers: Any) -> None:
    told = r'StdOutCallbackHandler sends no events: .* config=\{"callbacks": \[\.\.\.\]\}'
    with pytest.raises(ConfigurationError, match=told):
        stream_chain(handlers=handlers)


# -- 10. an annotation is wrong ------------------------------------------------------------


class Question(BaseModel):
    question: str


def of_request(request: Any, q: Question) -> Any: ...
def of_question(q: Question) -> Any: ...
def of_answer() -> str: ...  # type: ignore[empty-body]
async def of_answers() -> AsyncIterator[dict[str, Any]]: ...  # type: ignore[empty-body]
def of_model() -> Question: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (of_request, "declare them with input_model=Question or `-> Runnable.Question, str.`"),
        (of_question, r"of_question\(\): the parameter `q: .*Question` cannot come from a query"),
        (of_answer, "annotated with `-> str`, but a chain factory returns a chain"),
        (of_model, "annotated with `-> Question`, but .* write `-> Runnable.Question, str.`"),
    ],
)
def test_a_wrong_annotation_is_an_error_when_the_route_is_made(factory: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        stream_chain(factory)


def test_a_method_is_refused_when_it_is_decorated() -> None:
    with pytest.raises(ConfigurationError, match="leave out `self`, and put @staticmethod above"):

        class Chat:
            @stream_chain
            def post(self, k: int = 1) -> Runnable[Any, Any]:
                return LCEL


# -- and two more that were silent ---------------------------------------------------------


async def test_a_path_parameter_that_nothing_takes_is_logged(
    app: Quart, lanarky: LanarkyExtension, caplog: pytest.LogCaptureFixture
) -> None:
    lanarky.add_chain("/<tenant>/a", LCEL, websocket=False)
    lanarky.add_chain("/<tenant>/b", lambda tenant: LCEL, websocket=False)
    lanarky.add_chain("/<tenant>/c", LCEL, config=lambda asking: {}, websocket=False)
    await start(app)
    told = (
        "nothing is given the value of <tenant> in the path of the chain route /<tenant>/a: add a "
        "parameter of this name to its factory, or read quart.request.view_args in a config= "
        "function"
    )
    assert [record.getMessage() for record in caplog.records] == [told]


NO_THREAD = "the configuration of this graph names no thread_id, though it has the key"


@pytest.mark.parametrize("thread_id", [None, ""])
async def test_a_configuration_with_an_empty_thread_is_a_mistake(
    app: Quart, lanarky: LanarkyExtension, caplog: pytest.LogCaptureFixture, thread_id: Any
) -> None:
    checkpointed = graph(checkpointer=InMemorySaver())
    empty: Any = {"configurable": {"thread_id": thread_id}}
    for chain, config in ((checkpointed, empty), (checkpointed.with_config(empty), None)):
        with pytest.raises(ConfigurationError, match=NO_THREAD):
            lanarky.add_chain("/chat", chain, config=config)
    lanarky.add_chain("/chat", lambda: checkpointed, config=lambda asking: empty)
    assert NO_THREAD in await failure_of(app, caplog)


@pytest.mark.parametrize("config", [None, {"tags": ["a"]}, {"configurable": {"user": "a"}}])
async def test_a_checkpointer_without_a_thread_is_told_to_the_client(
    app: Quart, lanarky: LanarkyExtension, config: Any
) -> None:
    lanarky.add_chain("/chat", graph(checkpointer=InMemorySaver()), config=config)
    response = await app.test_client().post("/chat", json={"messages": "hi"})
    assert response.status_code == 400
    assert "?thread_id=" in (await response.get_json())["detail"]


THREAD = {"configurable": {"thread_id": "1"}}


async def test_a_thread_may_come_from_anywhere(app: Quart, lanarky: LanarkyExtension) -> None:
    checkpointed = graph(checkpointer=InMemorySaver())
    lanarky.add_chain("/0", checkpointed, config=THREAD)
    lanarky.add_chain("/1", checkpointed, config=lambda asking: THREAD)
    lanarky.add_chain("/2", checkpointed.with_config(THREAD))
    lanarky.add_chain("/3", lambda: checkpointed.with_config(THREAD))
    lanarky.add_chain("/4", graph())
    for number in range(5):
        response = await app.test_client().post(f"/{number}", json={"messages": "hi"})
        assert '"token": "i"' in await response.get_data(as_text=True)
