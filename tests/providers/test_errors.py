"""What a client is told when a provider fails, and when its connection does."""

import time
from itertools import cycle, islice

import pytest

from tests.conformance.cells import Client
from tests.conformance.rows import ANSWER
from tests.providers.asking import MESSAGES, QUESTION, STREAMS, TRANSPORTS, Heard, Transport, ask
from tests.providers.models import KEY, PACKAGES, Package
from tests.providers.replay import WIRES, Replay
from tests.providers.scenarios import BEGUN, RETRY_AFTER
from tests.providers.script import Failure, Why

each_package = pytest.mark.parametrize("package", PACKAGES)
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)
each_stream = pytest.mark.parametrize("transport", STREAMS)

FALLBACKS = dict(zip(PACKAGES, islice(cycle(PACKAGES), 1, None), strict=False))
"""Each package, with the one that is asked after it."""


def assert_failed(heard: Heard, status: int, sent: str = "") -> None:
    """Hold that the client got what was sent before the error, and its status."""
    assert heard.error is not None
    assert heard.error["status_code"] == status
    if heard.frames:
        assert heard.answer == sent
        assert heard.names == [*(["completion"] if sent else []), "error", "end"]


def assert_nothing_leaks(heard: Heard, package: Package, why: Why) -> None:
    """Hold that a client sees neither the provider's words nor the key."""
    body = WIRES[package].failure(Failure(why))[2]["error"]
    message = body if isinstance(body, str) else body["message"]
    assert message not in repr(heard)
    assert KEY not in repr(heard)


@each_package
@each_transport
@pytest.mark.parametrize(
    ("why", "status"),
    [("rate limit", 429), ("overload", 503), ("too long", 413), ("our key", 500), ("broken", 502)],
)
def test_before_the_first_token(
    client: Client, package: Package, transport: Transport, why: Why, status: int
) -> None:
    scenario = why.replace(" ", "-")
    heard = ask(client, transport, "/chain", QUESTION, package=package, scenario=scenario)
    assert_failed(heard, status)
    assert_nothing_leaks(heard, package, why)


@each_package
@each_transport
def test_when_to_try_again(client: Client, package: Package, transport: Transport) -> None:
    query = {"package": package, "scenario": "rate-limit-after-a-call"}
    heard = ask(client, transport, "/agent", MESSAGES, **query)
    assert_failed(heard, 429)
    assert heard.error is not None
    known = None if package == "ollama" else RETRY_AFTER  # its package drops the headers
    assert heard.error.get("retry_after") == known
    if transport == "json":
        assert heard.error["header"] == (None if known is None else str(known))


LATE = {"openai": 502, "openai-responses": 500, "anthropic": 503, "google": 503, "ollama": 502}
"""What can be told of an overload in mid-stream: OpenAI's code is that of any failure, Ollama's
error has neither code nor status, and what the package raises for Responses is a ValueError."""


@each_package
@each_stream
def test_in_the_middle_of_an_answer(client: Client, package: Package, transport: Transport) -> None:
    heard = ask(client, transport, "/chain", QUESTION, package=package, scenario="overload-late")
    assert_failed(heard, LATE[package], sent=BEGUN)
    assert_nothing_leaks(heard, package, "overload")


# -- the connection ------------------------------------------------------------------------


@each_package
@each_stream
@pytest.mark.parametrize(("scenario", "sent"), [("cut", BEGUN), ("cut-at-once", "")])
def test_a_connection_that_is_cut(
    client: Client, package: Package, transport: Transport, scenario: str, sent: str
) -> None:
    heard = ask(client, transport, "/chain", QUESTION, package=package, scenario=scenario)
    assert_failed(heard, 502, sent)


@each_package
@pytest.mark.parametrize(("scenario", "sent"), [("hang", BEGUN), ("hang-at-once", "")])
def test_a_provider_that_falls_silent(
    client: Client, package: Package, scenario: str, sent: str
) -> None:
    """The model has a timeout; without one it is the run's that ends it."""
    heard = ask(client, "sse", "/impatient", QUESTION, package=package, scenario=scenario)
    assert_failed(heard, 504, sent)


@each_package
@each_stream
def test_a_stream_that_ends_without_a_finish_reason(
    client: Client, package: Package, transport: Transport
) -> None:
    """No package tells it from an answer that is finished."""
    query = {"package": package, "scenario": "no-finish-reason"}
    heard = ask(client, transport, "/chain", QUESTION, **query)
    assert heard.error is None
    assert heard.answer == BEGUN


@each_package
def test_a_client_that_leaves_ends_the_call_of_the_provider(
    client: Client, replay: Replay, package: Package
) -> None:
    scenario = f"endless@{package}"
    with client.socket(f"/chain/ws?package={package}&scenario={scenario}") as connection:
        connection.send('{"question": "What is new?"}')
        connection.recv(timeout=10)
    deadline = time.monotonic() + 10
    while scenario not in replay.left:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- another try ---------------------------------------------------------------------------


@each_package
@each_transport
def test_a_fallback_to_another_provider(
    client: Client, package: Package, transport: Transport
) -> None:
    query = {"package": package, "scenario": "rate-limit", "other": FALLBACKS[package]}
    assert_second_try(ask(client, transport, "/fallback", QUESTION, **query), had_begun=False)


@each_package
@each_transport
def test_a_fallback_in_the_middle_of_an_answer(
    client: Client, package: Package, transport: Transport
) -> None:
    query = {"package": package, "scenario": "overload-late", "other": FALLBACKS[package]}
    assert_second_try(ask(client, transport, "/fallback", QUESTION, **query), had_begun=True)


@each_package
@each_transport
@pytest.mark.parametrize("why", ["rate-limit", "overload"])
def test_a_second_try(client: Client, package: Package, transport: Transport, why: str) -> None:
    scenario = f"{why}-at-first@{package}-{transport}"
    heard = ask(client, transport, "/retry", QUESTION, package=package, scenario=scenario)
    assert_second_try(heard, had_begun=why == "overload")


def assert_second_try(heard: Heard, *, had_begun: bool) -> None:
    """Hold that the answer stands, and that what the first try had sent was taken back."""
    assert (heard.answer, heard.error) == (ANSWER, None)
    if heard.frames:
        taken_back = ["completion", "retract"] if had_begun else []
        assert heard.names == [*taken_back, "completion", "end"]
