"""What a model said is given back to its provider as it was: thinking, signatures, calls."""

import json
from uuid import uuid4

import pytest

from tests.conformance.cells import Client, tokens_kept, turn
from tests.conformance.models import SECRET
from tests.conformance.rows import ANSWER
from tests.providers.asking import MESSAGES, QUESTION, STREAMS, Transport, ask
from tests.providers.models import PACKAGES, Package
from tests.providers.replay import Replay
from tests.providers.scenarios import CALLS, THOUGHTS

each_package = pytest.mark.parametrize("package", PACKAGES)
each_stream = pytest.mark.parametrize("transport", STREAMS)

SIGNED = ("openai-responses", "anthropic", "google")
"""The packages that give the signature of thinking back."""


@each_package
@each_stream
def test_a_second_turn_has_the_first_as_it_was(
    client: Client, replay: Replay, package: Package, transport: Transport
) -> None:
    scenario = f"calls@{uuid4().hex}"
    path, headers = f"package={package}&scenario={scenario}", {"X-Thread": uuid4().hex}
    for _ in range(2):
        if transport == "ws":
            socket = client.socket(f"/remembering/ws?{path}", additional_headers=headers)
            with socket as connection:
                frames = turn(connection, MESSAGES)
        else:
            frames = client.post(f"/remembering?{path}", MESSAGES, headers=headers)
        assert "".join(tokens_kept(frames)) == ANSWER
        assert SECRET not in repr(frames)
    history = json.dumps(replay.requests[scenario][-1], ensure_ascii=False)
    assert (THOUGHTS.signature in history) == (package in SIGNED)
    assert all(call.args["city"] in history for call in CALLS)
    assert json.dumps(ANSWER, ensure_ascii=False)[1:-1] in history


@each_package
@each_stream
@pytest.mark.parametrize("scenario", ["text", "thinking"])
def test_an_answer_from_a_cache(
    client: Client, replay: Replay, package: Package, transport: Transport, scenario: str
) -> None:
    cache = uuid4().hex
    query = {"package": package, "scenario": f"{scenario}@{cache}", "cache": cache}
    first, second = (ask(client, transport, "/cached", QUESTION, **query) for _ in range(2))
    assert len(replay.requests[query["scenario"]]) == 1
    for heard in (first, second):
        assert (heard.answer, heard.error) == (ANSWER, None)
        assert heard.names == ["completion", "end"]
        assert SECRET not in heard.said


@each_package
@each_stream
def test_a_model_that_is_made_by_its_name(
    client: Client, package: Package, transport: Transport
) -> None:
    heard = ask(client, transport, "/by-name", QUESTION, package=package, scenario="text")
    assert (heard.answer, heard.error) == (ANSWER, None)
    assert heard.names == ["completion", "end"]
