"""The app behind the tests of faults: chains that misbehave, and a look inside the process."""

import asyncio
import gc
import json
import logging
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypercorn.protocol.h2 import StreamBuffer
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LLM
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnableParallel
from quart import Quart, jsonify, request
from quart.typing import ResponseReturnValue

from quart_lanarky import LanarkyExtension
from tests.live.models import (
    EagerModel,
    EchoModel,
    FailingModel,
    PacedModel,
    TestModel,
    asked,
    stopped_at,
)

logging.basicConfig(level=os.environ.get("LOG_LEVEL", "WARNING"))

app = Quart(__name__)
for name, value in os.environ.items():  # such as QUART_LANARKY_MAX_RUNS=3
    if name.startswith("QUART_LANARKY_"):
        app.config[name] = json.loads(value)
lanarky = LanarkyExtension(app)

PROMPT = ChatPromptTemplate.from_template("{question}")

factories: dict[str, int] = {"opened": 0, "closed": 0}
"""How many chains were made by `/paced`, and how many of them were cleaned up."""


class LargeModel(TestModel):
    """Offers `megabytes` in tokens of 64 KiB."""

    megabytes: int = 200

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for _ in range(self.megabytes * 16):
            yield "x" * 65_536


class WideModel(TestModel):
    """Says `count` numbers, each in a token of 8 KiB."""

    count: int = 4_000

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for number in range(self.count):
            yield f"{number} ".ljust(8_192)


class HangingModel(TestModel):
    """Says one token and then nothing."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()


class StubbornModel(TestModel):
    """Says one token, and ignores its cancellation for `seconds`."""

    seconds: float = 60.0

    async def tokens(self, question: str) -> AsyncIterator[str]:
        yield "one"
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            try:
                await asyncio.sleep(until - time.monotonic())
            except asyncio.CancelledError:
                continue


class BookModel(TestModel):
    """Says numbered words, `pages` tokens of 64 KiB, so that each byte has but one place."""

    pages: int = 64

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for page in range(self.pages):
            yield "".join(f"{page * 8192 + word:07} " for word in range(8192))


class ChattyLLM(LLM):
    """Has only `_call`, so it runs in a thread, and goes on there for some seconds."""

    @property
    def _llm_type(self) -> str:
        return "test-chatty"

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        assert run_manager is not None
        until = time.monotonic() + float(os.environ.get("SLEEP", "3"))
        while time.monotonic() < until:
            time.sleep(0.02)
            run_manager.on_llm_new_token("late ")
        return "late"


async def paced(delay: float = 0.02, count: int = 100_000) -> AsyncIterator[Runnable[Any, Any]]:
    factories["opened"] += 1
    try:
        yield PROMPT | PacedModel(delay=delay, count=count)
    finally:
        factories["closed"] += 1


async def slow_to_make(seconds: float = 60.0) -> Runnable[Any, Any]:
    await asyncio.sleep(seconds)
    return PROMPT | EagerModel(count=3)


def book(pages: int = 64) -> Runnable[Any, Any]:
    return PROMPT | BookModel(pages=pages)


def thinking() -> Runnable[Any, Any]:
    """Never reach the answer: a model that never ends is called before that of the answer."""
    thoughts = EagerModel(count=1_000_000_000).with_config(tags=["nostream"])
    return PROMPT | thoughts | (lambda message: message.text) | EagerModel(count=3)


def two_answer_models() -> Runnable[Any, Any]:
    """Run two models for the answer concurrently, so that neither is sent."""
    model = EagerModel(count=1_000_000_000)
    both = RunnableParallel(
        one=model.with_config(tags=["answer"]), other=model.with_config(tags=["answer"])
    )
    return PROMPT | both | (lambda said: said["one"].text)


async def swallow_cancellation() -> Runnable[Any, Any]:
    """Swallow the cancellation on disconnect, as `asyncio.wait_for` of Python 3.11 may."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0.3)
    return PROMPT | PacedModel()


def continue_after_cancellation() -> Runnable[Any, Any]:
    """Generate tokens for a while, without suspending, after its cancellation."""

    async def go_on(prompt: Any) -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await EagerModel(count=40_000, tags=["answer"]).ainvoke(prompt)
        return "done"

    return PROMPT | RunnableLambda(go_on)


def raising() -> Runnable[Any, Any]:
    raise RuntimeError("this factory raises")


def sleep_in_a_thread(prompt: Any) -> str:
    time.sleep(float(os.environ.get("SLEEP", "3")))
    return "slept"


lanarky.add_chain("/paced", paced)
lanarky.add_chain("/large", lambda: PROMPT | LargeModel())
lanarky.add_chain("/wide", lambda: PROMPT | WideModel())
lanarky.add_chain("/eager", lambda: PROMPT | EagerModel(count=1_000_000_000))
lanarky.add_chain("/quick", lambda: PROMPT | EagerModel(count=3))
lanarky.add_chain("/quick/text", lambda: PROMPT | EagerModel(count=3), mode="text")
lanarky.add_chain("/hanging", lambda: PROMPT | HangingModel())
lanarky.add_chain("/hanging/model", HangingModel())
lanarky.add_chain("/stubborn", lambda seconds=60.0: PROMPT | StubbornModel(seconds=float(seconds)))
lanarky.add_chain("/echo/json", lambda: PROMPT | EchoModel())
lanarky.add_chain("/echo/text", lambda: PROMPT | EchoModel(), mode="text")
lanarky.add_chain("/slow-to-make", slow_to_make)
lanarky.add_chain("/book", book)
lanarky.add_chain("/thinking", thinking)
lanarky.add_chain("/quarrelling", two_answer_models, final_tag="answer")
lanarky.add_chain("/chatty-thread", lambda: PROMPT | ChattyLLM())
lanarky.add_chain("/messages", lambda: EagerModel(count=3))
lanarky.add_chain("/failing", lambda: PROMPT | FailingModel(after=1))
lanarky.add_chain("/raising", raising)
lanarky.add_chain("/overlooking", swallow_cancellation)
lanarky.add_chain("/regardless", continue_after_cancellation, final_tag="answer")
lanarky.add_chain("/thread", lambda: PROMPT | RunnableLambda(sleep_in_a_thread))


@app.post("/discarded")
async def discarded() -> ResponseReturnValue:
    """Ask a chain route, and answer with something else."""
    await app.view_functions["chain_quick.stream"]()
    return "never mind"


@app.get("/ping")
async def ping() -> ResponseReturnValue:
    """Be another client's request."""
    return "pong"


@app.get("/slow/<float:seconds>")
async def slow(seconds: float) -> ResponseReturnValue:
    """Take a while, as any view may."""
    await asyncio.sleep(seconds)
    return "done"


@app.post("/block/<float:seconds>")
async def block(seconds: float) -> ResponseReturnValue:
    """Block the event loop, as synchronous code in a coroutine does."""
    time.sleep(seconds)  # noqa: ASYNC251
    return ""


@app.get("/seen/<question>")
async def seen(question: str) -> ResponseReturnValue:
    """Say how many tokens a model was asked for, and when its stream was closed."""
    return jsonify(asked=asked[question], stopped_at=stopped_at.get(question))


@app.get("/vitals")
async def vitals() -> ResponseReturnValue:
    """Say what is alive in this process, this request aside."""
    if "collect" in request.args:
        gc.collect()
    tasks = [task for task in asyncio.all_tasks() if "quart_lanarky" in repr(task.get_coro())]
    return jsonify(
        pid=os.getpid(),
        rss=_resident_bytes(),
        fds=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        busy_threads=_busy_threads(),
        tasks=len(asyncio.all_tasks()),
        chains=sum("Run._main" in repr(task.get_coro()) for task in asyncio.all_tasks()),
        our_tasks=len(tasks),
        ours=_tasks_of_ours(),
        live=lanarky.registry.count,
        sessions=len(lanarky.registry._sessions),
        unsent=_unsent_bytes() if "collect" in request.args else None,  # it takes a while
        cpu=sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        **factories,
    )


def _busy_threads() -> int:
    """Count the threads that do something; those of a pool stay, and wait for more to do."""
    return sum(frame.f_code.co_name != "_worker" for frame in sys._current_frames().values())


def _tasks_of_ours() -> dict[str, int]:
    """Count the tasks that run a coroutine of this package, by its name."""
    codes = [getattr(task.get_coro(), "cr_code", None) for task in asyncio.all_tasks()]
    ours = [code for code in codes if code and "quart_lanarky" in code.co_filename]
    return Counter(code.co_qualname for code in ours)


def _unsent_bytes() -> int:
    """Count what Hypercorn holds for HTTP/2 streams whose windows are shut."""
    buffers = [each for each in gc.get_objects() if isinstance(each, StreamBuffer)]
    return sum(len(each.buffer) for each in buffers)


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()
