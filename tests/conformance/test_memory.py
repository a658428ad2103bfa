"""Chains that remember: the turns of one WebSocket, and the requests of one conversation."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from tests.conformance.cells import Client, Frame, tokens_kept, turn
from tests.conformance.models import Behaviour
from tests.conformance.rows import Row, as_body
from tests.conformance.table import ROWS

REMEMBERING = [row for row in ROWS if row.then]


def said(frames: list[Frame]) -> str:
    """Return the answer, after checking that it ended well."""
    names = [name for name, _ in frames if name not in {"completion", "retract", "interrupt"}]
    assert names == ["end"], frames
    return "".join(tokens_kept(frames))


@pytest.mark.parametrize("row", REMEMBERING, ids=lambda row: row.id)
@pytest.mark.parametrize("behaviour", ["stream", "whole", "sync"])
def test_turns_of_one_websocket_share_a_memory(
    client: Client, row: Row, behaviour: Behaviour
) -> None:
    assert row.then
    with client.socket(f"/json/{row.id}/ws?behaviour={behaviour}") as connection:
        assert said(turn(connection, as_body(row.inputs))) == row.answer
        inputs, answer = row.then
        assert said(turn(connection, as_body(inputs))) == answer


@pytest.mark.parametrize("row", REMEMBERING, ids=lambda row: row.id)
def test_two_websockets_do_not_share_a_memory(client: Client, row: Row) -> None:
    for _ in range(2):
        with client.socket(f"/json/{row.id}/ws?behaviour=stream") as connection:
            assert said(turn(connection, as_body(row.inputs))) == row.answer


class Conversation:
    """Asks one of the routes whose memory outlives a connection, on either transport."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._headers = {"X-Conversation": uuid4().hex}

    def post(self, text: str) -> str:
        return said(self._client.post(self._path, {"messages": text}, headers=self._headers))

    @contextmanager
    def socket(self) -> Iterator[Any]:
        path = f"{self._path}/ws"
        with self._client.socket(path, additional_headers=self._headers) as connection:
            yield lambda text: said(turn(connection, {"messages": text}))


each_memory = pytest.mark.parametrize("path", ["/memory/graph", "/memory/chain"])


@each_memory
def test_requests_of_one_conversation_share_a_memory(client: Client, path: str) -> None:
    conversation = Conversation(client, path)
    assert conversation.post("I am Ada.") == "I read:\nI am Ada."
    first = "I am Ada.\nI read:\nI am Ada.\nWho am I?"
    assert conversation.post("Who am I?") == f"I read:\n{first}"
    with conversation.socket() as ask:
        assert ask("Really?") == f"I read:\n{first}\nI read:\n{first}\nReally?"


@each_memory
def test_two_conversations_do_not_share_a_memory(client: Client, path: str) -> None:
    ada, bob = Conversation(client, path), Conversation(client, path)
    assert ada.post("I am Ada.") == "I read:\nI am Ada."
    assert bob.post("I am Bob.") == "I read:\nI am Bob."
    with bob.socket() as ask:
        assert "Ada" not in ask("Who am I?")
