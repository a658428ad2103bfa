"""What a client gets when a model declines, and of what a provider stops."""

import pytest

from tests.conformance.cells import Client
from tests.conformance.models import SECRET
from tests.conformance.rows import ANSWER
from tests.providers.asking import (
    MESSAGES,
    QUESTION,
    STREAMS,
    TRANSPORTS,
    Heard,
    Transport,
    ask,
)
from tests.providers.models import Package
from tests.providers.scenarios import BEGUN, DECLINED

each_transport = pytest.mark.parametrize("transport", TRANSPORTS)
each_stream = pytest.mark.parametrize("transport", STREAMS)
blocking = pytest.mark.parametrize("package", ["openai", "openai-responses", "anthropic", "google"])
"""The packages that say that the answer was stopped; Ollama's servers stop none."""


def assert_declined(heard: Heard, sent: str = "") -> None:
    """Hold that the client is told so, after what was sent before."""
    assert heard.error is not None
    assert heard.error["status_code"] == 422
    assert heard.error["detail"] == "the model declined to answer"
    assert heard.answer == sent
    assert heard.names in ([], [*(["completion"] if sent else []), "error", "end"])


@each_transport
@pytest.mark.parametrize(
    ("route", "scenario", "body"),
    [("/chain", "refusal", QUESTION), ("/agent", "refusal-after-a-call", MESSAGES)],
)
def test_a_refusal_with_a_text_is_the_answer(
    client: Client, transport: Transport, route: str, scenario: str, body: object
) -> None:
    heard = ask(client, transport, route, body, package="openai-responses", scenario=scenario)
    assert (heard.answer, heard.error) == (DECLINED, None)


@each_transport
@pytest.mark.parametrize("package", ["openai", "openai-responses"])
def test_a_refusal_of_a_model_that_does_not_stream(
    client: Client, package: Package, transport: Transport
) -> None:
    query = {"package": package, "scenario": "refusal", "streams": "false"}
    heard = ask(client, transport, "/chain", QUESTION, **query)
    assert (heard.answer, heard.error) == (DECLINED, None)


@each_transport
def test_the_package_drops_the_refusal_of_a_chat_completion_that_streams(
    client: Client, transport: Transport
) -> None:
    """Here it would be found out if it did not any more."""
    heard = ask(client, transport, "/chain", QUESTION, package="openai", scenario="refusal")
    assert (heard.answer, heard.error) == ("", None)


@each_stream
def test_what_claude_said_before_it_was_stopped_stays(client: Client, transport: Transport) -> None:
    """Its refusals are a reason to stop; whatever text there is came before."""
    heard = ask(client, transport, "/chain", QUESTION, package="anthropic", scenario="refusal")
    assert_declined(heard, sent=DECLINED)


@blocking
@each_transport
@pytest.mark.parametrize("streams", ["true", "false"])
def test_an_answer_that_was_blocked(
    client: Client, package: Package, transport: Transport, streams: str
) -> None:
    query = {"package": package, "scenario": "blocked", "streams": streams}
    assert_declined(ask(client, transport, "/chain", QUESTION, **query))


@blocking
@each_transport
def test_an_agents_answer_that_was_blocked(
    client: Client, package: Package, transport: Transport
) -> None:
    query = {"package": package, "scenario": "blocked-after-a-call"}
    assert_declined(ask(client, transport, "/agent", MESSAGES, **query))


@blocking
@each_stream
def test_an_answer_that_was_blocked_after_it_had_begun(
    client: Client, package: Package, transport: Transport
) -> None:
    heard = ask(client, transport, "/chain", QUESTION, package=package, scenario="blocked-late")
    assert_declined(heard, sent=BEGUN)


@pytest.mark.parametrize("package", ["openai", "openai-responses"])
@each_transport
def test_a_refusal_of_structured_output(
    client: Client, package: Package, transport: Transport
) -> None:
    query = {"package": package, "scenario": "refusal", "method": "json_schema"}
    heard = ask(client, transport, "/structured", QUESTION, **query)
    assert heard.error is not None
    assert heard.error["status_code"] == 422


@each_transport
def test_of_two_choices_the_first_is_the_answer(client: Client, transport: Transport) -> None:
    query = {"package": "openai", "scenario": "two-choices"}
    heard = ask(client, transport, "/choices", QUESTION, **query)
    assert (heard.answer, heard.error) == (ANSWER, None)
    assert SECRET not in heard.said
