"""ChainRun: a chain, its inputs and new handlers, as a run that fills an event stream."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from pydantic import JsonValue

from .... import events
from ....runs.run import Run
from ....runs.run_locks import RunLock
from ....runs.stream import EventStream
from ..handlers.answer_runs import AnswerRunHandler
from ..handlers.base import ChainHandler, EventCallbackHandler
from ..handlers.custom_events import CustomEventHandler, with_stream_writer
from ..handlers.extraction import answer_json, find_answer
from ..handlers.interrupts import interrupts_in
from ..handlers.reasoning import ReasoningHandler
from ..handlers.tokens import TokenHandler
from ..handlers.usage import UsageMeter
from .plan import ChainPlan
from .provider_errors import describe_provider_error
from .resume import resume_input
from .thread_ids import Thread
from .thread_repair import close_unanswered_calls, wait_for_saves

__all__ = ["ChainRun"]

logger = logging.getLogger(__name__)


class ChainRun(Run):
    """One call of a chain. Its handlers serve this call alone (rule 1: all state belongs to a run).

    Args:
        plan: The chain and how it is served. It is called with `ainvoke`, by far the cheapest
            way that honours handlers, unless its own chunks are the tokens.
        inputs: What it is called with.
        handlers: New handlers, which send into `stream`.
        stream: Where the events go.
        config: The user's own configuration: the callbacks in it see the run as well.
        source: Whose run this is, for the log.
        thread: The thread that it runs on.
        is_answer: Whether `inputs` is a client's answer to what the thread waits for.
    """

    error_describers = (describe_provider_error,)

    def __init__(
        self,
        plan: ChainPlan,
        inputs: Any,
        handlers: Sequence[EventCallbackHandler],
        stream: EventStream,
        *,
        config: RunnableConfig | None = None,
        source: str = "a chain",
        thread: Thread | None = None,
        is_answer: bool = False,
    ) -> None:
        super().__init__(stream, self._invoke)
        self._thread = thread
        self._lock: RunLock | None = None
        self._plan = plan
        self._inputs = inputs
        self._source = source
        self._is_answer = is_answer
        self._chain_handlers = [h for h in handlers if isinstance(h, ChainHandler)]
        self._token_handlers = [h for h in handlers if isinstance(h, TokenHandler)]
        self._chunk_handlers = [h for h in handlers if isinstance(h, AnswerRunHandler)]
        for tokens in self._token_handlers:
            tokens.preceded_by = [h for h in handlers if isinstance(h, ReasoningHandler)]
        # A handler that is called for each token is costly: those of tokens have a meter.
        self._meter = self._token_handlers[0].meter if self._token_handlers else UsageMeter()
        listeners = handlers if self._token_handlers else [*handlers, self._meter]
        ours: RunnableConfig = {"callbacks": [*listeners], "run_id": self.id}
        self._config = ours if config is None else merge_configs(config, ours)
        for handler in handlers:
            if isinstance(handler, CustomEventHandler):
                self._config = with_stream_writer(self._config, handler)
        for handler in self._chain_handlers:
            handler.use_spec(plan.spec)

    async def _prepare(self) -> None:
        """Refuse a run whose thread is busy, or does not wait for the answer of the client.

        Inputs wait for their thread when the response has begun. An answer is checked before that,
        on a thread that is at rest.
        """
        if self._thread is None:
            return
        if self._is_answer or self._thread.on_busy == "reject":
            await self._take_thread()
        if self._is_answer:
            self._inputs = await resume_input(self._thread, self._inputs)

    async def _take_thread(self) -> None:
        """Take the lock of the thread, unless this was done; `release` gives it back."""
        thread = self._thread
        if thread is not None and thread.locks is not None:
            if self._lock is None:
                self._lock = RunLock(thread.locks, thread.key, self, thread.on_busy)
            await self._lock.acquire()

    def release(self) -> None:
        """Let the next run of the thread begin."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None  # which leads back here

    async def _invoke(self) -> Any:
        await self._take_thread()
        thread = self._thread
        # An answer goes on with the calls that wait for it.
        if thread is not None and thread.graph is not None and not self._is_answer:
            await close_unanswered_calls(thread, self._inputs)
        try:
            return await self._call()
        except asyncio.CancelledError:
            if self._thread is not None:
                await wait_for_saves()
            raise

    async def _call(self) -> Any:
        result: Any = None
        try:
            if self._plan.has_own_chunks:
                result = await self._pass_on_chunks()
            else:
                result = await self._plan.chain.ainvoke(self._inputs, self._config)
            for handler in self._chain_handlers:
                if handler.failure is not None:
                    raise handler.failure
            if interrupts := interrupts_in(result):
                await self.stream.send(events.interrupt(interrupts))
            return result
        finally:
            self.usage = self._meter.usage()
            if any(handler.fell_back for handler in self._token_handlers):
                _warn_once(self._source, _missing_key(result, self._plan))

    async def _pass_on_chunks(self) -> Any:
        output: Any = None
        async for chunk in self._plan.chain.astream(self._inputs, self._config):
            output = chunk if output is None else _joined(output, chunk)
            for handler in self._chunk_handlers if isinstance(chunk, str | BaseMessage) else ():
                await handler.send_chunk(self.id, chunk)
        return output

    def output(self) -> JsonValue:
        """Return the chain's answer as JSON, once the run has ended."""
        if self.stream.is_interrupted:
            said = (handler.text_before_interrupt for handler in self._token_handlers)
            return next(filter(None, said), None)
        spec = self._chain_handlers[0].spec if self._chain_handlers else self._plan.spec
        answer = answer_json(self.result, spec.output_path)
        refusals = (handler.refusal_text for handler in self._token_handlers)
        return next(filter(None, refusals), answer) if answer in ("", None) else answer


@cache
def _warn_once(source: str, missing_key: str | None) -> None:
    """Tell the developer, once for each route, why nothing streams."""
    if missing_key is not None:
        logger.warning(
            "%s: the output of the chain has no key %r, which output_key= names, so the output was "
            "sent whole: is it misspelt?",
            source,
            missing_key,
        )
        return
    logger.warning(
        "%s: which of its models produces the answer cannot be seen from the chain, so the "
        "output was sent whole. To stream it, tag the model (.with_config(tags=[...])) and name "
        "the tag with final_tag=, or name the output with output_key=",
        source,
    )


def _missing_key(output: Any, plan: ChainPlan) -> str | None:
    """Return the `output_key=` of a route, if the output is a dict that does not have it."""
    key = plan.output_key
    if key is None or not isinstance(output, dict) or key in output:
        return None
    return None if find_answer(output, plan.spec.output_path)[1] else key


def _joined(output: Any, chunk: Any) -> Any:
    """Add a chunk as LangChain does: what cannot be added takes the place of all before."""
    try:
        return output + chunk
    except TypeError:
        return chunk
