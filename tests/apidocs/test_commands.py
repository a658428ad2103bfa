"""`quart lanarky` prints the API specs and lists the chain routes, without a server."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from langchain_core.runnables import RunnablePassthrough
from openapi_spec_validator import validate
from pydantic import BaseModel
from quart import Quart
from quart_schema import Contact, Info, QuartSchema, document_response, hide

from quart_lanarky import LanarkyExtension, stream_chain
from tests.adapters.chains import LCEL
from tests.apidocs.routes import StepsStreaming, StepsWebSocket
from tests.apidocs.specs import fetch, without_repetition
from tests.servers import ROOT


class Order(BaseModel):
    number: int
    note: str | None = None


class Thread(BaseModel):
    text: str
    replies: list["Thread"] = []


def needy(user: str) -> Any:
    return LCEL


@pytest.fixture
def app() -> Quart:
    app = Quart("shop")
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/qa", LCEL)
    lanarky.add_chain("/order/<int:top>", lambda top: LCEL, input_model=Order)
    app.post("/tell")(stream_chain(mode="text", handlers=(StepsStreaming, StepsWebSocket))(needy))
    return app


def run(app: Quart, *args: str) -> Result:
    return app.test_cli_runner().invoke(args=["lanarky", *args])


def printed(app: Quart, *args: str) -> Any:
    result = run(app, *args)
    assert result.exit_code == 0, result.exception
    return json.loads(result.output, object_pairs_hook=without_repetition)


def test_openapi_prints_the_spec(app: Quart) -> None:
    spec = printed(app, "openapi")
    validate(spec)
    assert spec["openapi"] == "3.2.0"
    assert spec["paths"].keys() == {"/qa", "/order/{top}", "/tell"}
    assert [p["name"] for p in spec["paths"]["/qa"]["get"]["parameters"]] == ["question"]


def test_asyncapi_prints_the_spec(app: Quart) -> None:
    spec = printed(app, "asyncapi")
    assert spec["asyncapi"] == "3.0.0"
    assert spec["channels"].keys() == {"qa", "order_int_top"}
    assert spec["components"]["schemas"]["QaInput"]["required"] == ["question"]
    assert "servers" not in spec  # nobody knows yet


@pytest.mark.parametrize("what", ["openapi", "asyncapi"])
async def test_the_printed_spec_is_the_served_one(app: Quart, what: str) -> None:
    served = await fetch(app, f"/{what}.json")
    lines: list[str] = []

    def in_a_thread() -> None:
        lines.append(run(app, what).output)

    await asyncio.to_thread(in_a_thread)
    spec = json.loads(lines[0])
    for key in ("servers", "externalDocs"):  # known only within a request
        served.pop(key, None)
        spec.pop(key, None)
    assert spec == served


@pytest.mark.parametrize("option", ["-o", "--output"])
@pytest.mark.parametrize("what", ["openapi", "asyncapi"])
def test_a_spec_is_written_to_a_file(app: Quart, what: str, option: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    result = run(app, what, option, str(path))
    assert (result.exit_code, result.output) == (0, "")
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text) == printed(app, what)


def test_a_file_that_cannot_be_written_is_an_error(app: Quart, tmp_path: Path) -> None:
    assert run(app, "openapi", "-o", str(tmp_path)).exit_code == 2
    assert run(app, "openapi", "-o", str(tmp_path / "no" / "such.json")).exit_code != 0


def test_routes_are_listed_in_columns(app: Quart) -> None:
    result = run(app, "routes")
    assert result.exit_code == 0
    heading, *lines = [line for line in result.output.splitlines() if not line.startswith("...")]
    assert heading.split() == ["PATH", "TRANSPORT", "MODE", "HANDLERS", "INPUTS"]
    starts = [heading.index(name) for name in heading.split()]
    rows = set()
    for line in lines:
        cells = [line[i:j].strip() for i, j in zip(starts, [*starts[1:], None], strict=True)]
        assert all(i == 0 or line[i - 1] == " " for i in starts)
        assert line == line.rstrip()
        rows.add(tuple(cells))
    tokens = "TokenStreamingCallbackHandler, SourceDocumentStreamingCallbackHandler"
    over_ws = "TokenWebSocketCallbackHandler, SourceDocumentWebSocketCallbackHandler"
    any_, order = "as fit the chain", "/order/<int:top>"
    assert rows == {
        ("/qa", "GET, POST", "json", tokens, "question"),
        ("/qa/ws", "WebSocket", "json", over_ws, "question"),
        (order, "GET, POST", "json", any_, "number, [note]"),
        (f"{order}/ws", "WebSocket", "json", any_, "number, [note]"),
        ("/tell", "POST", "text", "StepsStreaming", "..."),
    }


def take_any(inputs: dict[str, Any]) -> str:
    return str(inputs)


async def failing() -> Any:
    raise LookupError("there is no key")


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (lambda thread_id, k=1: LCEL, "is called for requests alone, which have its thread_id;"),
        (failing, "the factory could not be called, as the log says;"),
        (RunnablePassthrough.assign(a=take_any), "the chain may read inputs that cannot be seen;"),
    ],
)
def test_the_list_says_why_inputs_are_unknown_and_how_to_declare_them(
    factory: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/fine", LCEL)
    lanarky.add_chain("/desk", factory, websocket=False)
    *_, last = run(app, "routes").output.splitlines()
    assert last.startswith("... of /desk: ")
    assert why in last
    assert last.endswith("declare them with input_model= or `-> Runnable[Question, str]`")
    if "requests alone" in why:
        [logged] = [record.getMessage() for record in caplog.records]
        assert "route 'desk'" in logged
        assert "only a request can give its factory thread_id); declare its inputs with" in logged


def test_hidden_routes_are_not_listed(app: Quart) -> None:
    app.get("/secret")(hide(stream_chain(lambda: LCEL)))
    assert "/secret" not in run(app, "routes").output


def test_the_default_mode_is_that_of_the_app(app: Quart) -> None:
    app.config["QUART_LANARKY_DEFAULT_MODE"] = "text"
    [line] = [line for line in run(app, "routes").output.splitlines() if line.startswith("/qa ")]
    assert line.split()[3] == "text"


def test_recursive_inputs_are_listed(app: Quart) -> None:
    app.extensions["QUART_LANARKY"].add_chain("/thread", LCEL, input_model=Thread)
    lines = run(app, "routes").output.splitlines()
    [line] = [line for line in lines if line.startswith("/thread ")]
    assert line.endswith("  text, [replies]")


def test_an_app_without_chain_routes_has_an_empty_list() -> None:
    app = Quart("shop")
    LanarkyExtension(app)
    result = run(app, "routes")
    assert (result.exit_code, len(result.output.splitlines())) == (0, 1)


@pytest.mark.parametrize("what", ["openapi", "asyncapi", "routes"])
def test_commands_work_when_a_factory_fails(app: Quart, what: str) -> None:
    def failing() -> Any:
        raise LookupError("there is no key")

    app.get("/failing")(stream_chain(failing))
    result = run(app, what)
    assert result.exit_code == 0
    assert "there is no key" not in result.output


@pytest.fixture
def opening() -> Quart:
    """Return an app whose chain is made from what it opens before serving."""
    app = Quart("opening")
    opened: list[Any] = []

    @app.while_serving
    async def open_chain() -> AsyncIterator[None]:
        opened.append(LCEL)
        yield
        opened.clear()

    @app.post("/ask")
    @app.websocket("/ask/ws")
    @stream_chain
    def ask() -> Any:
        return opened[0]

    LanarkyExtension(app)
    return app


def test_with_startup_a_chain_that_needs_it_is_described(opening: Quart) -> None:
    lines = run(opening, "routes", "--startup").output.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["question", "question"]


@pytest.mark.parametrize("what", ["openapi", "asyncapi"])
def test_with_startup_a_spec_has_the_inputs(opening: Quart, what: str) -> None:
    schemas = printed(opening, what, "--startup")["components"]["schemas"]
    [inputs] = [schema for name, schema in schemas.items() if name.endswith("Input")]
    assert inputs["required"] == ["question"]


def test_without_startup_the_log_says_what_may_be_missing(
    opening: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(opening, "routes").output.splitlines()[1].endswith("...")
    assert "add --startup to the command" in caplog.text


def test_a_declared_input_needs_no_startup(caplog: pytest.LogCaptureFixture) -> None:
    app = Quart("declared")
    app.before_serving(lambda: None)
    LanarkyExtension(app).add_chain("/ask", needy, input_model=Order)
    assert "number" in run(app, "routes").output
    assert "--startup" not in caplog.text


def test_an_app_that_opens_nothing_is_not_told_of_startup(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    run(app, "routes")
    assert "--startup" not in caplog.text


@pytest.mark.parametrize("what", ["openapi", "asyncapi"])
def test_objects_of_quart_schema_can_be_printed(what: str) -> None:
    app = Quart("shop")
    QuartSchema(app, info=Info(title="Shop", version="1", contact=Contact(email="a@example.org")))
    LanarkyExtension(app)
    app.get("/chat")(document_response(Order, 402)(stream_chain(lambda: LCEL)))
    assert printed(app, what)["info"]["contact"]["email"] == "a@example.org"


@pytest.mark.parametrize("args", [["nothing"], ["openapi", "--nothing"], ["routes", "more"]])
def test_unknown_commands_and_options_are_errors(app: Quart, args: list[str]) -> None:
    assert run(app, *args).exit_code == 2


def test_help_lists_the_commands(app: Quart) -> None:
    output = run(app, "--help").output
    assert all(name in output for name in ("openapi", "asyncapi", "routes"))


SHOP = """
from langchain_core.prompts import PromptTemplate
from quart import Quart
from quart_lanarky import LanarkyExtension

app = Quart(__name__)
chain = PromptTemplate.from_template("{question}") | (lambda prompt: prompt.text)
LanarkyExtension(app).add_chain("/qa", chain)
"""


def test_the_command_is_available_in_quart(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "quart", "--app", "shop:app", "lanarky", "routes"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    first, second = (line.split() for line in done.stdout.splitlines()[1:])
    assert (first[:4], first[-1]) == (["/qa", "GET,", "POST", "json"], "question")
    assert (second[:3], second[-1]) == (["/qa/ws", "WebSocket", "json"], "question")
