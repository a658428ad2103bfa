"""The app of the faults, with all that can go wrong in the middle of a run."""

import asyncio
import errno
import logging
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

from blinker import NamedSignal
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel, field_validator
from quart import jsonify
from quart.typing import ResponseReturnValue

from quart_lanarky import run_cancelled, run_failed, run_finished, run_started
from quart_lanarky.adapters.langchain.callbacks import (
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)
from quart_lanarky.events import Event
from tests.faults.app import PROMPT, app, lanarky
from tests.live.models import SECRET, EagerModel, TestModel, chunk

__all__ = ["app"]


# -- models --------------------------------------------------------------------------------


class HardError(BaseException):
    """An exception that `except Exception` does not catch."""


class UnspeakableError(Exception):
    """An exception that cannot be logged."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


async def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)


def exhaust_the_stack() -> None:
    exhaust_the_stack()


def throw(error: BaseException) -> NoReturn:
    raise error


FAULTS: dict[str, Callable[[], Any]] = {
    "raises": lambda: throw(RuntimeError(SECRET)),
    "raises no Exception": lambda: throw(HardError(SECRET)),
    "raises what cannot be printed": lambda: throw(UnspeakableError()),
    "raises a group": lambda: throw(BaseExceptionGroup("", [HardError(SECRET)])),
    "raises TimeoutError": lambda: throw(TimeoutError()),
    "raises CancelledError": lambda: throw(asyncio.CancelledError()),
    "raises StopAsyncIteration": lambda: throw(StopAsyncIteration()),
    "raises GeneratorExit": lambda: throw(GeneratorExit()),
    "cancels its own task": cancel_itself,
    "exhausts the stack": exhaust_the_stack,
    "hangs": lambda: asyncio.Event().wait(),
}


class FaultyModel(TestModel):
    """Sends two tokens, and then misbehaves."""

    fault: str

    async def tokens(self, question: str) -> AsyncIterator[str]:
        yield "one "
        yield "two "
        result = FAULTS[self.fault]()
        if result is not None:
            await result


TOKENS: dict[str, list[Any]] = {
    "half a surrogate pair": ["\ud800"],
    "10 MB": ["x" * 10_000_000],
    "control characters": ["a\0b\r\n\n\r\u2028\x85 c"],
    "nothing": ["", "", ""],
    "None": [None],
    "a number": [5],
    "a list of None": [[None]],
    "no blocks": [[], []],
}


class BabblingModel(TestModel):
    """Sends "one ", and then an invalid token."""

    kind: str

    async def tokens(self, question: str) -> AsyncIterator[Any]:
        for token in ["one ", *TOKENS[self.kind]]:
            yield token


class ChunklessModel(TestModel):
    """Sends "one ", and then an object that is no chunk."""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        yield chunk("one ")
        yield None  # type: ignore[misc]


def faulty(fault: str) -> Runnable[Any, Any]:
    return PROMPT | FaultyModel(fault=fault)


def babbling(kind: str) -> Runnable[Any, Any]:
    return PROMPT | BabblingModel(kind=kind)


lanarky.add_chain("/faulty", faulty)
lanarky.add_chain("/babbling/json", babbling)
lanarky.add_chain("/babbling/text", babbling, mode="text")
lanarky.add_chain("/chunkless", lambda: PROMPT | ChunklessModel())


# -- outputs -------------------------------------------------------------------------------


def circle() -> list[Any]:
    it: list[Any] = []
    it.append(it)
    return it


def well() -> list[Any]:
    it: list[Any] = []
    for _ in range(100_000):
        it = [it]
    return it


OUTPUTS: dict[str, Callable[[], Any]] = {
    "a circle": circle,
    "too many brackets": well,
    "an object that cannot be printed": UnspeakableError,
    "a key of half a surrogate pair": lambda: {"\ud800": 1},
    "a number of 5000 digits": lambda: 10**5000,
    "an object": object,
    "a set": lambda: {1, 2},
    "bytes": lambda: b"\xff",
    "no number": lambda: {"it": float("nan")},
    "half a surrogate pair": lambda: "\ud800",
    "None": lambda: None,
}


def odd(kind: str) -> Runnable[Any, Any]:
    return RunnableLambda(lambda _: OUTPUTS[kind]())


lanarky.add_chain("/odd", odd)


# -- inputs --------------------------------------------------------------------------------


class HardInput(BaseModel):
    """Inputs whose validation raises an exception."""

    question: str

    @field_validator("question")
    @classmethod
    def fail(cls, value: str) -> str:
        """Raise an exception that no validator is expected to raise."""
        raise HardError(SECRET)


lanarky.add_chain("/hard", lambda: PROMPT | EagerModel(count=3), input_model=HardInput)


# -- handlers ------------------------------------------------------------------------------


def raises(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(SECRET)


async def raises_later(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(SECRET)


async def send_bytes(self: Any, *_: Any, **__: Any) -> None:
    await self.sink.send(Event("note", b"bytes"))  # type: ignore[arg-type]


async def send_nan(self: Any, *_: Any, **__: Any) -> None:
    await self.send("note", float("nan"))


HANDLERS: dict[str, dict[str, Any]] = {
    "made": {"__init__": raises},
    "start": {"on_chain_start": raises_later},
    "token": {"on_llm_new_token": raises_later},
    "end": {"on_chain_end": raises_later},
    "sends-bytes": {"on_llm_end": send_bytes},
    "sends-nan": {"on_llm_end": send_nan},
    "start-aborts": {"on_chain_start": raises_later, "raise_error": True},
    "token-aborts": {"on_llm_new_token": raises_later, "raise_error": True},
    "end-aborts": {"on_chain_end": raises_later, "raise_error": True},
}

for name, methods in HANDLERS.items():
    pair = (
        type("HTTP", (TokenStreamingCallbackHandler,), methods),
        type("WebSocket", (TokenWebSocketCallbackHandler,), methods),
    )
    lanarky.add_chain(
        f"/handler/{name}",
        lambda: PROMPT | EagerModel(count=3),
        handlers=pair,  # type: ignore[arg-type]
        name=f"handler_{name}",
    )


# -- receivers of signals ------------------------------------------------------------------

heard: Counter[str] = Counter()
"""How often the last receiver of a signal was called, by the name of the signal."""


def connect_receivers(signal: NamedSignal) -> None:
    """Connect two receivers that raise, and one that counts."""

    def count(_: object, run: object) -> None:
        heard[signal.name] += 1

    signal.connect(raises)
    signal.connect(raises_later)
    signal.connect(count, weak=False)


if os.environ.get("RECEIVERS") == "raise":
    for each in (run_started, run_finished, run_failed, run_cancelled):
        connect_receivers(each)


@app.get("/heard")
async def received_signals() -> ResponseReturnValue:
    """Say how often the last receiver of each signal was called."""
    return jsonify(heard)


# -- closing WebSockets --------------------------------------------------------------------


@app.post("/close-websockets")
async def close_websockets() -> ResponseReturnValue:
    """Have all WebSockets close as on a shutdown, each after its turn; the server goes on."""
    for session in list(lanarky.registry._sessions):
        session.shut_down()
    return ""


# -- the log -------------------------------------------------------------------------------


class FullHandler(logging.Handler):
    """Raises as a handler whose disk is full."""

    def emit(self, record: logging.LogRecord) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@app.post("/fill-the-log/<how>")
async def fill_the_log(how: str) -> ResponseReturnValue:
    """Make the log full, as happens while a server runs."""
    full = Path("/dev/full").open("w")  # noqa: ASYNC230, SIM115
    handler = FullHandler() if how == "raises" else logging.StreamHandler(full)
    logging.getLogger().addHandler(handler)
    logging.raiseExceptions = how != "silent"
    if how == "stderr-closed":
        sys.stderr.close()
    return ""
