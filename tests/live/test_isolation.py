"""Every client gets only its own tokens."""

import asyncio

import pytest

from tests.live.clients import ask, names, text
from tests.servers import Server

CLIENTS = 50
REPETITIONS = 20


def answer_to(question: str) -> str:
    return "".join(f"{question}:{number} " for number in range(20))


@pytest.mark.parametrize("transport", ["sse", "ws"])
@pytest.mark.timeout(120)
async def test_fifty_clients_of_one_route_get_exactly_their_own_tokens(
    server: Server, transport: str
) -> None:
    for repetition in range(REPETITIONS):
        questions = [f"{transport}-{repetition}-{client}" for client in range(CLIENTS)]
        asking = (ask(server, transport, "/echo", {"question": q}) for q in questions)
        answers = await asyncio.gather(*asking)
        assert [text(frames) for frames in answers] == [answer_to(q) for q in questions]
        assert all(names(frames) == ["completion", "end"] for frames in answers)
        run_ids = {frames[-1]["data"]["run_id"] for frames in answers}
        assert len(run_ids) == CLIENTS
