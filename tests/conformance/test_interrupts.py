"""Random graphs that ask, answered at random: their states end as those driven in process do.

The person who answers sends wrong answers too, sends them twice, and leaves in the middle.

A few runs here; `INTERRUPT_RUNS=2000` for many.
"""

import asyncio
import json
import operator
import os
import random
from importlib.metadata import version
from typing import Annotated, Any
from uuid import uuid4

import pytest
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from quart import Quart
from typing_extensions import TypedDict

from quart_lanarky import LanarkyExtension
from quart_lanarky.runs.registry import RunRegistry

RUNS = int(os.environ.get("INTERRUPT_RUNS", "60"))
INPUTS = {"log": ["asked"]}

saver = InMemorySaver()


class State(TypedDict):
    log: Annotated[list[str], operator.add]


def asking(name: str, questions: int) -> Any:
    """Return a node that asks some questions, one after the other."""

    async def node(state: Any) -> dict[str, Any]:
        asked = [interrupt(f"{name}.{number}") for number in range(questions)]
        return {"log": [f"{name}: {' '.join(asked)}"]}

    return node


def nested(name: str, questions: int) -> Runnable[Any, Any]:
    inner = StateGraph(State).add_node("inner", asking(name, questions))
    return inner.add_edge(START, "inner").compile()


def random_graph(seed: int) -> StateGraph[Any]:
    """Return a graph of one to three stages, each of up to four nodes side by side."""
    random_ = random.Random(seed)
    graph = StateGraph(State)
    before = START
    for stage in range(random_.randint(1, 3)):
        after = f"after{stage}"
        graph.add_node(after, lambda state: {})
        names = [f"s{stage}n{number}" for number in range(random_.randint(1, 4))]
        for name in names:
            is_graph = random_.random() < 0.3
            questions = random_.randint(0, 2)
            graph.add_node(name, (nested if is_graph else asking)(name, questions))
        if random_.random() < 0.3:
            sends = [Send(name, {"log": []}) for name in names]
            graph.add_conditional_edges(before, lambda state, sends=sends: sends, names)
        else:
            for name in names:
                graph.add_edge(before, name)
        graph.add_edge(names, after)
        before = after
    return graph


def answer_to(value: Any) -> str:
    return f"answer to {value}"


async def in_process(seed: int) -> list[str]:
    """Return the final state of the graph when it is answered without this package."""
    graph = random_graph(seed).compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    output = await graph.ainvoke(INPUTS, config)
    while asked := output.get("__interrupt__"):
        answers = {each.id: answer_to(each.value) for each in asked}
        output = await graph.ainvoke(Command(resume=answers), config)
    return list(output["log"])


def build(seed: int, thread: str) -> Runnable[Any, Any]:
    graph = random_graph(seed).compile(checkpointer=saver)
    return graph.with_config(configurable={"thread_id": thread})


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/graph", build)
    return app


class Person:
    """Drives a graph over HTTP, and does not always do it rightly."""

    def __init__(self, app: Quart, seed: int) -> None:
        self.client = app.test_client()
        self.random = random.Random(f"person {seed}")
        self.thread = uuid4().hex
        self.path = f"/graph?seed={seed}&thread={self.thread}"
        self.graph: Any = build(seed, self.thread)
        self.old: dict[str, str] = {}

    async def post(self, body: Any) -> tuple[int, Any]:
        response = await self.client.post(
            self.path, json=body, headers={"Accept": "application/json"}
        )
        return response.status_code, await response.get_json()

    async def leave(self, body: Any) -> None:
        """Send something, and go before the answer is there; then go on where the run stopped."""
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        async with self.client.request(self.path, method="POST", headers=headers) as connection:
            await connection.send(json.dumps(body).encode())
            await connection.send_complete()
            await asyncio.sleep(self.random.random() * 0.01)
            await connection.disconnect()
        registry: RunRegistry = self.client.app.extensions["QUART_LANARKY"].registry
        async with asyncio.timeout(5):
            while registry.count or registry.locks.count:
                await asyncio.sleep(0.001)
        state = await self.graph.aget_state(self.config)
        if not state.interrupts:  # of a step whose tasks have all ended, `next` does not tell
            await self.graph.ainvoke(None, self.config)

    async def open(self) -> list[Any]:
        return list((await self.graph.aget_state(self.config)).interrupts)

    @property
    def config(self) -> Any:
        return {"configurable": {"thread_id": self.thread}}

    async def answer_wrongly(self, asked: list[Any]) -> None:
        """Send what has to be refused and must change nothing."""
        wrong: list[tuple[Any, set[int]]] = [({uuid4().hex: "x"}, {400, 409})]
        if self.old:
            wrong.append((self.old, {400, 409}))
        if len(asked) > 1:
            wrong.append((answer_to("all"), {400}))
            wrong.append(({asked[0].id: "x"}, {400}))
        body, statuses = self.random.choice(wrong)
        status, _ = await self.post({"resume": body})
        assert status in statuses, (status, body)
        assert {each.id for each in await self.open()} == {each.id for each in asked}

    async def drive(self) -> list[str]:
        """Ask, and answer until nothing is open; return the final state."""
        status, document = await self.post(INPUTS)
        assert status == 200, document
        while asked := await self.open():
            for _ in range(self.random.randint(0, 2)):
                await self.answer_wrongly(asked)
            answers = {each.id: answer_to(each.value) for each in asked}
            self.random.shuffle(order := list(answers.items()))
            if self.random.random() < 0.2:
                await self.leave({"resume": dict(order)})
                continue
            status, document = await self.post({"resume": dict(order)})
            assert status == 200, document
            self.old = answers
        status, _ = await self.post({"resume": self.old or "x"})
        assert status == 409
        return list((await self.graph.aget_state(self.config)).values["log"])


@pytest.mark.skipif(
    version("langgraph") < "1.1", reason="all interrupts of a task have one id in this version"
)
@pytest.mark.timeout(900)
async def test_random_graphs_end_as_they_do_in_process(app: Quart) -> None:
    async with app.test_app() as served:
        for seed in range(RUNS):
            assert await Person(served, seed).drive() == await in_process(seed), seed
