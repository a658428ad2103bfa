"""Over the package of each provider a client gets exactly the answer, and what it cost."""

import json

import pytest

from tests.conformance.cells import Client
from tests.conformance.models import SECRET
from tests.conformance.rows import ANSWER
from tests.providers.asking import MESSAGES, QUESTION, TRANSPORTS, Heard, Transport, ask
from tests.providers.models import PACKAGES, SEARCHING, Package
from tests.providers.scenarios import PLAN
from tests.providers.script import INPUT_TOKENS, OUTPUT_TOKENS

each_package = pytest.mark.parametrize("package", PACKAGES)
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)


def assert_answered(heard: Heard, answer: object = ANSWER, calls: int = 1) -> None:
    """Hold that the answer came, that it streamed, and that nothing else did."""
    assert heard.error is None
    assert heard.answer == answer
    if heard.frames:
        assert heard.names == ["completion", "end"]
        assert SECRET not in heard.said
    assert_usage(heard, calls)


def assert_usage(heard: Heard, calls: int = 1) -> None:
    """Hold that `end` says what all calls of the model cost."""
    if not heard.frames:
        return
    assert heard.usage is not None
    assert heard.usage["input_tokens"] == INPUT_TOKENS * calls
    assert heard.usage["output_tokens"] == OUTPUT_TOKENS * calls
    assert heard.usage["total_tokens"] == (INPUT_TOKENS + OUTPUT_TOKENS) * calls


def assert_streamed(heard: Heard) -> None:
    """Hold that a stream has several tokens; a JSON response has none."""
    tokens = [data for name, data in heard.frames if name == "completion"]
    assert len(tokens) > 5 or not heard.frames


@each_package
@each_transport
@pytest.mark.parametrize("route", ["chain", "parsed", "with-tools"])
def test_a_text(client: Client, package: Package, transport: Transport, route: str) -> None:
    heard = ask(client, transport, f"/{route}", QUESTION, package=package, scenario="text")
    assert_answered(heard)
    assert_streamed(heard)


@each_package
@each_transport
@pytest.mark.parametrize("version", ["", "v1"])
def test_thinking_is_no_answer(
    client: Client, package: Package, transport: Transport, version: str
) -> None:
    heard = ask(
        client, transport, "/chain", QUESTION, package=package, scenario="thinking", version=version
    )
    assert_answered(heard)
    assert_streamed(heard)


@pytest.mark.parametrize("package", SEARCHING)
@each_transport
def test_a_search_of_the_provider_is_no_answer(
    client: Client, package: Package, transport: Transport
) -> None:
    heard = ask(client, transport, "/chain", QUESTION, package=package, scenario="search")
    assert_answered(heard)
    assert_streamed(heard)


@each_package
@each_transport
@pytest.mark.parametrize("scenario", ["text", "thinking"])
def test_a_model_that_does_not_stream(
    client: Client, package: Package, transport: Transport, scenario: str
) -> None:
    query = {"package": package, "scenario": scenario, "streams": "false"}
    assert_answered(ask(client, transport, "/chain", QUESTION, **query))


# -- agents --------------------------------------------------------------------------------


@each_package
@each_transport
@pytest.mark.parametrize(("scenario", "calls"), [("calls", 2), ("calls-in-turn", 3)])
def test_an_agent(
    client: Client, package: Package, transport: Transport, scenario: str, calls: int
) -> None:
    heard = ask(client, transport, "/agent", MESSAGES, package=package, scenario=scenario)
    assert_answered(heard, calls=calls)
    assert_streamed(heard)


@each_package
def test_an_agent_whose_messages_are_blocks(client: Client, package: Package) -> None:
    query = {"package": package, "scenario": "calls", "version": "v1"}
    heard = ask(client, "sse", "/agent", MESSAGES, **query)
    assert_answered(heard, calls=2)
    assert_streamed(heard)


@each_package
@each_transport
@pytest.mark.parametrize(
    ("scenario", "strategy"), [("plan-by-a-call", "tool"), ("plan-by-a-text", "provider")]
)
def test_an_agents_answer_in_a_format(
    client: Client, package: Package, transport: Transport, scenario: str, strategy: str
) -> None:
    query = {"package": package, "scenario": scenario, "strategy": strategy}
    assert_plan(ask(client, transport, "/agent-with-a-format", MESSAGES, **query))


@each_package
@each_transport
@pytest.mark.parametrize(
    ("scenario", "method"),
    [("plan-by-a-call", "function_calling"), ("plan-by-a-text", "json_schema")],
)
def test_structured_output(
    client: Client, package: Package, transport: Transport, scenario: str, method: str
) -> None:
    query = {"package": package, "scenario": scenario, "method": method}
    assert_plan(ask(client, transport, "/structured", QUESTION, **query))


def assert_plan(heard: Heard) -> None:
    """Hold that the plan came, as JSON or as the value itself."""
    plan = json.loads(heard.answer) if heard.frames else heard.answer
    assert heard.error is None
    assert plan == PLAN
    assert SECRET not in heard.said
    assert_usage(heard)
