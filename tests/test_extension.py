"""LanarkyExtension: settings, several apps, and chains added before or after."""

from functools import partial
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from quart import Blueprint, Quart

from quart_lanarky import ChainTypeError, ConfigurationError, LanarkyExtension, stream_chain
from quart_lanarky.settings import SETTING_KEYS, Settings, current_settings
from tests.adapters.chains import LCEL


def routes(app: Quart) -> set[tuple[str, str]]:
    """Return the rules of an app, each with a method or `ws`."""
    return {
        (rule.rule, "ws" if rule.websocket else method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }


CHAIN_ROUTES = {("/qa", "GET"), ("/qa", "POST"), ("/qa/ws", "ws")}


def test_the_app_knows_its_extension() -> None:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    assert app.extensions["QUART_LANARKY"] is lanarky


def test_settings_have_defaults_that_the_app_can_see_and_override() -> None:
    app = Quart(__name__)
    app.config["QUART_LANARKY_DEFAULT_MODE"] = "text"
    LanarkyExtension(app)
    assert {key: app.config[key] for key in SETTING_KEYS.values()} == {
        key: getattr(Settings(default_mode="text"), name) for name, key in SETTING_KEYS.items()
    }


def test_a_setting_that_makes_no_sense_stops_the_app_from_starting() -> None:
    app = Quart(__name__)
    app.config["QUART_LANARKY_MAX_RUNS"] = 0
    with pytest.raises(ConfigurationError, match="QUART_LANARKY_MAX_RUNS must be at least 1"):
        LanarkyExtension(app)


@pytest.mark.parametrize(("mode", "token"), [("text", "hi"), ("json", '{"token": "hi"}')])
async def test_the_default_mode_is_that_of_routes_which_name_none(mode: str, token: str) -> None:
    app = Quart(__name__)
    app.config["QUART_LANARKY_DEFAULT_MODE"] = mode
    lanarky = LanarkyExtension(app)
    chain = RunnableLambda(lambda _: "hi")
    lanarky.add_chain("/default", chain)
    lanarky.add_chain("/named", chain, mode="json")
    client = app.test_client()
    default = await (await client.get("/default?input=x")).get_data(as_text=True)
    named = await (await client.get("/named?input=x")).get_data(as_text=True)
    assert f"\ndata: {token}\n" in default
    assert '\ndata: {"token": "hi"}\n' in named


async def ready() -> Any:
    return RunnableLambda(lambda _: "hi")


@pytest.mark.parametrize("factory", [ready, partial(ready), lambda: ready()])  # noqa: PLW0108  # the point
async def test_an_async_factory_is_awaited_however_it_is_wrapped(factory: Any) -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/chat", factory)
    response = await app.test_client().get("/chat?input=x")
    assert '{"token": "hi"}' in await response.get_data(as_text=True)


async def test_without_the_extension_the_error_says_what_to_call() -> None:
    app = Quart(__name__)
    app.post("/chat")(stream_chain(lambda: LCEL))
    async with app.test_request_context("/"):
        with pytest.raises(ConfigurationError, match=r"call LanarkyExtension\(app\)"):
            current_settings()
    response = await app.test_client().post("/chat", json={"question": "hi"})
    assert response.status_code == 500


@pytest.mark.parametrize(
    ("options", "methods", "has_websocket"),
    [
        ({"methods": ("POST",)}, {"POST"}, True),
        ({"methods": ["GET"]}, {"GET", "HEAD"}, True),
        ({"websocket": False}, {"GET", "HEAD", "POST"}, False),
        ({"methods": ("POST",), "websocket": False}, {"POST"}, False),
        ({"methods": ()}, None, True),
    ],
)
def test_add_chain_leaves_out_what_is_not_wanted(
    options: dict[str, Any], methods: set[str] | None, has_websocket: bool
) -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/qa", LCEL, **options)
    rules = {rule.rule: rule for rule in app.url_map.iter_rules()}
    found = rules["/qa"].methods if "/qa" in rules else None
    assert (found and found - {"OPTIONS"}) == methods
    assert ("/qa/ws" in rules) is has_websocket


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": "POST"}, "methods= takes .*, one of them or none, not 'POST'"),
        ({"methods": ("POST", "PUT")}, "methods= takes .*, not .*'PUT'"),
        ({"methods": ("post",)}, "methods= takes .*, not .*'post'"),
        ({"methods": None}, "methods= takes .*, not None"),
        ({"methods": (), "websocket": False}, "methods= is empty and websocket= is False"),
    ],
)
def test_add_chain_refuses_methods_that_serve_nothing(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LanarkyExtension().add_chain("/qa", LCEL, **options)


def test_add_chain_registers_post_get_and_a_websocket() -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/qa", LCEL)
    assert routes(app) >= CHAIN_ROUTES


def test_chains_added_before_the_app_are_registered_with_it_and_with_the_next() -> None:
    lanarky = LanarkyExtension()
    lanarky.add_chain("/qa", LCEL)
    first, second = Quart("first"), Quart("second")
    lanarky.init_app(first)
    lanarky.init_app(second)
    assert routes(first) >= CHAIN_ROUTES
    assert routes(second) >= CHAIN_ROUTES


def test_a_blueprint_is_named_after_its_rule_unless_it_is_named() -> None:
    lanarky = LanarkyExtension()
    assert lanarky.add_chain("/", LCEL).name == "chain_root"
    assert lanarky.add_chain("/help/<lang>/q-a", LCEL).name == "chain_help_lang_q_a"
    assert lanarky.add_chain("/qa", LCEL, name="mine").name == "mine"


@pytest.mark.parametrize("chain", [None, "chain", 7])
def test_what_is_no_chain_and_makes_none_is_refused_when_it_is_added(chain: Any) -> None:
    with pytest.raises(ChainTypeError, match="a chain or a function that makes one"):
        LanarkyExtension().add_chain("/qa", chain)


def test_a_factory_is_not_called_when_it_is_added() -> None:
    def needs_a_key() -> None:
        pytest.fail("nothing is called at import")

    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/qa", needs_a_key)
    app.post("/chat")(stream_chain(needs_a_key))


def test_an_unknown_mode_of_a_route_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="'text' or 'json'"):
        stream_chain(mode="xml")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="'text' or 'json'"):
        LanarkyExtension().add_chain("/qa", LCEL, mode="xml")


def test_the_view_keeps_the_name_and_the_docstring_of_its_factory() -> None:
    @stream_chain
    def chat() -> None:
        """Chat."""

    assert (chat.__name__, chat.__doc__) == ("chat", "Chat.")  # type: ignore[attr-defined]


async def test_another_adapter_makes_the_routes_of_its_own_chains() -> None:
    class Words:
        def chain_blueprint(self, rule: str, chain: Any, /, **options: Any) -> Blueprint:
            blueprint = Blueprint("words", __name__)

            @blueprint.get(rule)
            async def say() -> str:
                return f"{chain} {options}"

            return blueprint

    app = Quart(__name__)
    LanarkyExtension(app, adapter=Words()).add_chain("/say", "hi", mode="text")
    response = await app.test_client().get("/say")
    assert await response.get_data(as_text=True) == "hi {'mode': 'text'}"
