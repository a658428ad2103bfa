"""What a request costs before and beside its tokens, part by part."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.inputs.policy import InputPolicy
from quart_lanarky.adapters.langchain.service.compile import ChainCompiler
from quart_lanarky.adapters.langchain.service.factories import factory_of
from quart_lanarky.adapters.langchain.service.options import RouteOptions
from quart_lanarky.adapters.langchain.service.source import LangChainSource, OpenedChain
from quart_lanarky.runs.registry import RunRegistry
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.settings import current_settings
from quart_lanarky.transports.route import chain_view
from quart_lanarky.transports.sse_response import EventStreamResponse

from .apps.limit import Listener
from .apps.model import CHAIN

TIMES = 300
QUESTION = {"question": "1 0"}

Part = Callable[[], Any]


def main() -> None:
    """Print a Markdown table of the parts."""
    print(table(asyncio.run(measure())))


def table(parts: Mapping[str, float]) -> str:
    """Return a Markdown table of what the parts cost."""
    lines = ["| part of a request | CPU µs |", "|---|--:|"]
    return "\n".join([*lines, *(f"| {name} | {cost:,.0f} |" for name, cost in parts.items())])


async def measure() -> dict[str, float]:
    """Return the CPU time of each part in µs; the last one has the others up to then in it."""
    app = Quart(__name__)
    app.config["QUART_LANARKY_MAX_RUNS"] = None
    LanarkyExtension(app)
    async with app.test_request_context("/", method="POST", json=QUESTION):
        view = chain_view(LangChainSource(factory_of(CHAIN), RouteOptions(), "qa"))
        compiler = ChainCompiler(RouteOptions(), lambda: None)
        policy = InputPolicy(max_messages=current_settings().max_messages)
        for _ in range(2):
            chain = compiler.compile(CHAIN)
        opened = OpenedChain(
            chain, chain.plan.handlers, mode="json", config=None, policy=policy, source="qa"
        )
        return {
            "settings, twice": 2 * await cost(current_settings),
            "compile a chain that comes again": await cost(lambda: compiler.compile(CHAIN)),
            "compile one that is new": await cost(lambda: new_compiler().compile(CHAIN)),
            "check the inputs": await cost(lambda: chain.inputs.for_chain(QUESTION, policy)),
            "stream, handlers, run": await cost(lambda: opened.new_run(QUESTION, EventStream())),
            "response, with a run that does nothing": await cost(
                lambda: EventStreamResponse(Run(EventStream(), nothing))
            ),
            "start and end a run that does nothing": await cost(
                lambda: read(Run(EventStream(), nothing))
            ),
            "LangChain: a run of one token, with one handler": await cost(langchain),
            "a run of one token, with its handlers": await cost(
                lambda: read(opened.new_run(QUESTION, EventStream()))
            ),
            "the whole view, up to the response": await cost(view),
        }


def new_compiler() -> ChainCompiler:
    """Return one that has not seen any chain yet."""
    return ChainCompiler(RouteOptions(), lambda: None)


async def cost(part: Part) -> float:
    """Return the CPU time of a part in µs: the best of three."""
    best = float("inf")
    for _ in range(3):
        began_at = time.process_time()
        for _ in range(TIMES):
            made = part()
            if isinstance(made, Awaitable):
                await made
        best = min(best, time.process_time() - began_at)
    return best / TIMES * 1e6


async def nothing() -> None:
    """Do it."""


async def read(run: Run) -> None:
    """Run it to its end."""
    async with RunRegistry().read(run) as batches:
        async for _ in batches:
            pass


async def langchain() -> None:
    """Run the chain without us."""
    callbacks: list[BaseCallbackHandler] = [Listener()]
    await CHAIN.ainvoke(QUESTION, {"callbacks": callbacks})


if __name__ == "__main__":
    main()
