"""Synchronous chains, models and tools: all their tokens, in order, none lost."""

import pytest

from tests.live.clients import ask, names, text
from tests.servers import Server

ANSWER = "".join(f"q:{number} " for number in range(300))  # more than a stream's buffer holds


@pytest.mark.parametrize("transport", ["sse", "ws"])
@pytest.mark.parametrize("path", ["/sync-model", "/sync-llm", "/sync-chain"])
async def test_synchronous_code_streams_all_its_tokens_in_order(
    server: Server, path: str, transport: str
) -> None:
    frames = await ask(server, transport, path, {"question": "q"})
    assert text(frames) == ANSWER
    assert names(frames) == ["completion", "end"]
    assert len(frames) == 301


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_synchronous_call_inside_a_coroutine_does_not_hang(
    server: Server, transport: str
) -> None:
    # It blocks the server's loop; waiting for the reader on that loop would block it for ever.
    frames = await ask(server, transport, "/blocked-loop", {"question": "q"})
    assert text(frames) == ANSWER.replace("q:", "Human: q:")
    assert names(frames) == ["completion", "end"]
