"""Chain factories in threads, whose clients leave."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.transports.threads import FACTORY_THREADS
from tests.adapters.chains import LCEL


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    FACTORY_THREADS.shut_down()
    monkeypatch.setattr(FACTORY_THREADS, "_size", 1)
    yield
    FACTORY_THREADS.shut_down()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("yields", [False, True])
async def test_a_factory_whose_client_has_left_keeps_no_other_waiting(yields: bool) -> None:
    gate, begun = threading.Event(), threading.Event()

    def block() -> Any:
        begun.set()
        gate.wait(10)
        return LCEL

    def block_and_yield() -> Iterator[Any]:
        yield block()

    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    slow: Callable[[], Any] = block_and_yield if yields else block
    lanarky.add_chain("/slow", slow)
    lanarky.add_chain("/quick", lambda: LCEL)
    async with asyncio.timeout(10):
        async with app.test_client().request("/slow?question=x", method="GET") as visit:
            await visit.send_complete()
            while not begun.is_set():
                await asyncio.sleep(0.005)
            await visit.disconnect()
        answer = await app.test_client().post("/quick", json={"question": "x"})
        assert answer.status_code == 200
        assert lanarky.registry.count == 1
        gate.set()
        while lanarky.registry.count:
            await asyncio.sleep(0.005)
