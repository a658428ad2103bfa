"""Reasoning, citations and files over the package of each provider, where a route shows them."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.conformance.cells import Client
from tests.conformance.models import SECRET
from tests.conformance.rows import ANSWER
from tests.providers.asking import MESSAGES, QUESTION, STREAMS, Heard, Transport, ask
from tests.providers.models import PACKAGES, Package
from tests.providers.scenarios import CITED, PNG, THOUGHTS

each_package = pytest.mark.parametrize("package", PACKAGES)
each_stream = pytest.mark.parametrize("transport", STREAMS)
each_version = pytest.mark.parametrize("version", ["", "v1"])
each_pace = pytest.mark.parametrize("streams", ["true", "false"])

CITED_ANSWER = "".join([ANSWER[:40], *(each.text for each in CITED), ANSWER[-40:]])


def reasoning_of(package: Package, *, calls: int = 1) -> str:
    """Return what a package passes on: that of OpenAI's chat completions drops it."""
    return "" if package == "openai" else "\n\n".join([THOUGHTS.text] * calls)


def reasoning(heard: Heard) -> str:
    return "".join(map(token, of(heard, "reasoning")))


def token(data: Any) -> str:
    return str(data["token"] if isinstance(data, dict) else data)


def of(heard: Heard, name: str) -> list[Any]:
    return [data for event, data in heard.frames if event == name]


@each_package
@each_stream
@each_version
@each_pace
def test_reasoning_comes_once_and_before_the_answer(
    client: Client, package: Package, transport: Transport, version: str, streams: str
) -> None:
    query = {"package": package, "scenario": "thinking", "version": version, "streams": streams}
    heard = ask(client, transport, "/shown/chain", QUESTION, **query)
    assert heard.answer == ANSWER
    assert reasoning(heard) == reasoning_of(package)
    thinks = [] if package == "openai" else ["reasoning"]
    assert heard.names == [*thinks, "completion", "end"]
    assert SECRET not in heard.said
    assert THOUGHTS.signature not in str(heard.frames)
    if streams == "true" and thinks:
        assert len(of(heard, "reasoning")) > 2


@each_package
@each_version
def test_an_agent_thinks_before_each_call(client: Client, package: Package, version: str) -> None:
    query = {"package": package, "scenario": "calls", "version": version}
    heard = ask(client, "sse", "/shown/agent", MESSAGES, **query)
    assert heard.answer == ANSWER
    assert reasoning(heard) == reasoning_of(package, calls=2)


@each_package
def test_a_cached_answer_has_its_reasoning(client: Client, package: Package) -> None:
    query = {"package": package, "scenario": "thinking", "cache": f"shown {package}"}
    for _ in range(2):
        heard = ask(client, "sse", "/shown/cached", QUESTION, **query)
        assert (heard.answer, reasoning(heard)) == (ANSWER, reasoning_of(package))


@each_package
def test_the_json_response_has_the_answer_alone(client: Client, package: Package) -> None:
    for scenario, answer in (("thinking", ANSWER), ("citing", CITED_ANSWER), ("drawing", ANSWER)):
        query = {"package": package, "scenario": scenario}
        assert ask(client, "json", "/shown/parsed", QUESTION, **query).answer == answer


@each_package
@each_stream
@each_version
@pytest.mark.parametrize("scenario", ["thinking", "citing", "drawing"])
def test_without_showing_them_there_is_nothing_of_them(
    client: Client, package: Package, transport: Transport, version: str, scenario: str
) -> None:
    query = {"package": package, "scenario": scenario, "version": version}
    heard = ask(client, transport, "/chain", QUESTION, **query)
    assert heard.names == ["completion", "end"]
    assert not any(word in str(heard.frames) for word in (SECRET, PNG, "example.org"))


# -- citations -----------------------------------------------------------------------------


def places(heard: Heard) -> Iterable[tuple[str, str, str]]:
    for data in of(heard, "citation"):
        yield heard.answer[data["start"] : data["end"]], data["url"], data["title"]


@pytest.mark.parametrize("package", ["openai-responses", "anthropic", "google"])
@pytest.mark.parametrize("route", ["chain", "parsed"])
@each_stream
@each_version
@each_pace
def test_citations_have_their_places(
    client: Client, package: Package, transport: Transport, route: str, version: str, streams: str
) -> None:
    query = {"package": package, "scenario": "citing"}
    if route == "chain":
        query |= {"version": version, "streams": streams}
    heard = ask(client, transport, f"/shown/{route}", QUESTION, **query)
    assert heard.answer == CITED_ANSWER
    assert heard.names == ["completion", "citation", "end"]
    assert list(places(heard)) == [(each.text, each.url, each.title) for each in CITED]
    quotes = [data["cited_text"] for data in of(heard, "citation")]
    assert quotes == [each.quote if package == "anthropic" else None for each in CITED]


@pytest.mark.parametrize("package", ["openai", "ollama"])
def test_what_has_no_citations_sends_none(client: Client, package: Package) -> None:
    query = {"package": package, "scenario": "citing"}
    heard = ask(client, "sse", "/shown/chain", QUESTION, **query)
    assert heard.names == ["completion", "end"]


# -- files ---------------------------------------------------------------------------------


@each_package
@each_stream
@each_version
@each_pace
def test_an_image_comes_once_and_in_no_token(
    client: Client, package: Package, transport: Transport, version: str, streams: str
) -> None:
    query = {"package": package, "scenario": "drawing", "version": version, "streams": streams}
    heard = ask(client, transport, "/shown/chain", QUESTION, **query)
    draws = package in {"openai-responses", "google"}
    image = {"type": "image", "mime_type": "image/png", "data": PNG}
    assert heard.answer == ANSWER
    assert of(heard, "media") == [image] * draws
    assert heard.names == ["completion", *["media"] * draws, "end"]
    assert PNG not in heard.said
