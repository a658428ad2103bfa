"""Agents show their answer and not their thoughts; retrieval shows its sources, last."""

import json
import random

import httpx
import pytest

from tests.live.clients import ask, names, socket, text, turn
from tests.servers import Server

THOUGHT = (
    "I should shout the Final thing: Finally an Answer to that\nAction: shout\nAction Input: hi"
)
ANSWER = "it is HI, said the Final\nAnswer booth: twice.\n\n 42 😀"
FINAL = f"Thought: I now know\nFinal Answer: {ANSWER}\n"


def cut(text_: str, random_: random.Random) -> list[str]:
    """Cut a text at random places."""
    places = sorted(random_.sample(range(1, len(text_)), random_.randrange(1, len(text_))))
    return [text_[a:b] for a, b in zip([0, *places], [*places, len(text_)], strict=True)]


@pytest.mark.timeout(180)
async def test_an_agent_streams_exactly_its_final_answer_under_any_token_split(
    server: Server,
) -> None:
    random_ = random.Random(7)
    async with socket(server, "/react/ws") as connection:
        for _ in range(500):
            steps = [cut(THOUGHT, random_), cut(FINAL, random_)]
            frames = await turn(connection, {"input": json.dumps(steps)})
            assert names(frames) == ["completion", "end"]
            assert text(frames) == ANSWER


async def test_an_agent_streams_its_final_answer_over_sse(server: Server) -> None:
    steps = [[THOUGHT], list(FINAL)]
    frames = await ask(server, "sse", "/react", {"input": json.dumps(steps)})
    assert text(frames) == ANSWER
    assert len(frames) > 10


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_an_agent_that_runs_out_of_steps_sends_its_output_once(
    server: Server, transport: str
) -> None:
    steps = [[THOUGHT]] * 5
    frames = await ask(server, transport, "/react", {"input": json.dumps(steps)})
    assert [f["event"] for f in frames] == ["completion", "end"]
    assert text(frames).startswith("Agent stopped due to")


@pytest.mark.parametrize("transport", ["sse", "ws"])
@pytest.mark.parametrize("found", [["one", "two"], []])
async def test_retrieval_streams_its_tokens_and_then_its_documents_once(
    server: Server, transport: str, found: list[str]
) -> None:
    frames = await ask(server, transport, "/retrieval", {"query": json.dumps(found)})
    assert names(frames) == ["completion", "source_documents", "end"]
    assert text(frames) == "".join(f"{json.dumps(found)}:{number} " for number in range(20))
    [documents] = [f["data"] for f in frames if f["event"] == "source_documents"]
    assert documents["source_documents"] == [
        {"page_content": text_, "metadata": {"rank": i}, "id": str(i), "type": "Document"}
        for i, text_ in enumerate(found)
    ]


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_custom_handler_pair_sends_its_own_events(server: Server, transport: str) -> None:
    inputs = {"input": json.dumps([[THOUGHT], [FINAL]])}
    frames = await ask(server, transport, "/tools", inputs)
    assert frames[0] == {"event": "tool", "data": {"name": "shout", "input": "hi"}}
    assert names(frames) == ["tool", "end"]


def test_a_json_response_has_the_output_and_the_source_documents(server: Server) -> None:
    response = httpx.post(
        server.url + "/retrieval",
        json={"query": '["one"]'},
        headers={"Accept": "application/json"},
    )
    assert response.status_code == 200
    assert response.json()["output"].startswith('["one"]:0 ')
    assert [d["page_content"] for d in response.json()["source_documents"]] == ["one"]


@pytest.mark.parametrize(
    ("path", "inputs", "output"),
    [
        ("/react", {"input": json.dumps([[THOUGHT], [FINAL]])}, ANSWER),
        ("/silent", {"question": "it"}, "all of it"),
        ("/function", {"input": "it"}, "you said it"),
    ],
)
def test_a_json_response_has_the_text_of_the_joined_tokens(
    server: Server, path: str, inputs: dict[str, str], output: str
) -> None:
    headers = {"Accept": "application/json"}
    response = httpx.post(server.url + path, json=inputs, headers=headers)
    assert response.json() == {"output": output}


def test_a_failed_json_response_has_the_status_of_its_error(server: Server) -> None:
    headers = {"Accept": "application/json"}
    response = httpx.post(server.url + "/failing", json={"question": "go"}, headers=headers)
    assert response.status_code == 500
    assert response.json() == {"status_code": 500, "detail": "Internal Server Error"}
