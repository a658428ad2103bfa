"""Each connection remembers its own last turns, and no other connection's."""

from pathlib import Path
from types import ModuleType

from quart import Quart

from quart_lanarky.testing import Conversation, answer_of, connect
from tests.examples.numbered import numbered, started
from tests.live.clients import socket, text, turn

UNKNOWN = "small local model"


async def answer(conversation: Conversation, question: str) -> str:
    return answer_of([event async for event in conversation.ask({"question": question})])


async def test_a_connection_has_a_memory(app: Quart) -> None:
    async with connect(app.test_client(), "/chat") as conversation:
        assert "Ada" in await answer(conversation, "My name is Ada.")
        assert await answer(conversation, "What is my name?") == "Your name is Ada."


async def test_two_connections_do_not_share_a_memory(app: Quart) -> None:
    async with (
        connect(app.test_client(), "/chat") as ada,
        connect(app.test_client(), "/chat") as alan,
    ):
        await answer(ada, "My name is Ada.")
        await answer(alan, "My name is Alan.")
        assert await answer(ada, "What is my name?") == "Your name is Ada."
        assert await answer(alan, "What is my name?") == "Your name is Alan."
    async with connect(app.test_client(), "/chat") as nobody:
        assert UNKNOWN in await answer(nobody, "What is my name?")


async def test_old_turns_are_discarded(app: Quart, example: ModuleType) -> None:
    turns = example.REMEMBERED // 2
    async with connect(app.test_client(), "/chat") as conversation:
        await answer(conversation, "My name is Ada.")
        for _ in range(turns - 1):
            assert await answer(conversation, "What is my name?") == "Your name is Ada."
        await answer(conversation, "Hello!")
        assert UNKNOWN in await answer(conversation, "What is my name?")


async def test_a_turn_that_was_stopped_is_not_remembered(tmp_path: Path) -> None:
    with started(numbered("03"), tmp_path) as server:
        async with socket(server, "/chat") as connection:
            await connection.send('{"question": "My name is Ada."}')
            await connection.recv()
            await connection.send('{"event": "stop"}')
            while '"end"' not in str(await connection.recv()):
                pass
            assert UNKNOWN in text(await turn(connection, {"question": "What is my name?"}))


async def test_concurrent_connections_get_only_their_own_answers(tmp_path: Path) -> None:
    with started(numbered("03"), tmp_path) as server:
        async with socket(server, "/chat") as ada, socket(server, "/chat") as alan:
            await ada.send('{"question": "My name is Ada."}')
            await alan.send('{"question": "My name is Alan."}')
            for connection, name in ((ada, "Ada"), (alan, "Alan")):
                while '"end"' not in str(await connection.recv()):
                    pass
                said = text(await turn(connection, {"question": "What is my name?"}))
                assert said == f"Your name is {name}."
