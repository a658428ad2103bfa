"""The handlers of tokens: they select the answer from the text of models, and send it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, ClassVar
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult

from .... import events
from ....errors import ModelDeclinedError
from ....events import (
    COMPLETION,
    INTERRUPT,
    RETRACT,
    CompletionData,
    Interrupt,
    InterruptData,
    RetractData,
)
from ....protocols.native.encode import Mode
from ....runs.cancellation import renew_cancellation
from ....runs.stream import EventSink
from .answer_runs import AnswerRunHandler
from .extraction import (
    MESSAGES,
    announced_phase,
    answer_text,
    calls_tools,
    event_is_tool_call,
    event_text,
    find_answer,
    is_same_answer,
    is_tool_call,
    result_text,
    token_text,
)
from .interrupts import interrupts_in
from .refusals import Refusal, chunk_refusal, event_refusal, message_refusal, refusal_in
from .selection import DEFAULT_HOLD_TOKENS, AnswerSpec, ModelCall, check_hold
from .text_filters import (
    DEFAULT_ANSWER_PREFIX_TOKENS,
    AnswerBuffer,
    AnswerFinder,
    StopFilter,
    TextFilter,
)
from .usage import UsageMeter

__all__ = ["FinalTokenHandler", "TokenHandler"]

TOKENS_PER_YIELD = 64
"""After how many tokens that are not sent the event loop gets control."""

AGENT_KEYS = ("structured_response", "output", MESSAGES)
"""Where agents return their answers, all kinds of them."""


class TokenHandler(AnswerRunHandler):
    """Sends the text of the answer runs, and makes it equal to what the chain returns.

    Models often do not stream: cached answers, no support, synchronous code. That is not looked
    up but observed: a model's run that ends without having sent text sends its result, and where
    nothing was sent when the whole chain ends, its output is sent (rule 7: exactly once).

    Only one run is active at a time. If another answer run begins after it, or the chain returns
    something else in the end, what was sent is taken back by a `retract` event. If two answer runs
    are active at once, neither is sent, and the output is.
    """

    events: ClassVar[Mapping[str, Any]] = {
        COMPLETION: CompletionData,
        RETRACT: RetractData,
        INTERRUPT: InterruptData,
    }

    def __init__(
        self,
        stream: EventSink | None = None,
        *,
        mode: Mode = "json",
        output_key: str | None = None,
        final_tag: str | None = None,
    ) -> None:
        super().__init__(stream, mode=mode, final_tag=final_tag)
        self._output_key = output_key
        self.meter = UsageMeter()
        self.preceded_by: Sequence[AnswerRunHandler] = ()  # who hears first that a run has ended
        self._buffers: dict[UUID, AnswerBuffer] = {}  # of the answer runs that go on now
        self._active_run: UUID | None = None  # whose text the sent tokens are
        self._sent: list[str] = []  # the tokens that stand at the client
        self._conflict = False  # two answer runs went on at once
        self._may_differ = False  # what is sent may differ from what the chain returns
        self._skipped_output = False  # a model run that is no answer run had text
        self.fell_back = False  # so the output was sent whole
        self._refusal: Refusal | None = None  # what the last answer run ended in
        self.refusal_text = ""  # what is the answer of a chain whose own is empty
        self._unsent_tokens = 0
        self.text_before_interrupt = ""  # the answer of a graph that waits, as far as it is sent

    # -- what LangChain calls --------------------------------------------------------------

    async def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Send the token's text. LangChain passes `token` by its name: do not rename it."""
        buffer = self._buffers.get(run_id)
        tokens: Sequence[str] = ()
        if buffer is not None and not buffer.reads_events:  # else the model reports both
            if buffer.may_call_tools:
                _note_signals(buffer, chunk)
            if text := token_text(token, chunk):
                tokens = buffer.feed(text)
            elif refusal := chunk_refusal(chunk):
                tokens = buffer.pass_on(refusal)
        if not await self._emit(run_id, tokens):
            await self._yield_to_loop()
        renew_cancellation()  # ChatOpenAI swallows one in Python 3.11, and would go on for nobody

    async def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the text of an event, for a model whose tokens come as events."""
        buffer = self._buffers.get(run_id)
        tokens: Sequence[str] = ()
        if buffer is not None:
            if buffer.may_call_tools and event_is_tool_call(event):
                buffer.expect_tool_call()
            if text := event_text(event):
                buffer.reads_events = buffer.reads_events or not buffer.received
                tokens = buffer.feed(text) if buffer.reads_events else ()
            elif (refusal := event_refusal(event)) and not buffer.received:
                tokens = buffer.pass_on(refusal)
        if not await self._emit(run_id, tokens):
            await self._yield_to_loop()
        renew_cancellation()

    async def _yield_to_loop(self) -> None:
        """Give the event loop control now and then, so that a cancellation can come through.

        A model that never suspends does so only while its tokens are sent, at the client's pace.
        """
        self._unsent_tokens += 1
        if self._unsent_tokens % TOKENS_PER_YIELD == 0:
            await asyncio.sleep(0)

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Send what is left of the run's text, or take it back if it called a tool."""
        for handler in self.preceded_by:  # LangChain may call them in any order
            await handler.on_llm_end(response, run_id=run_id)
        self.meter.on_llm_end(response, run_id=run_id)
        buffer = self._buffers.get(run_id)
        if buffer is None:
            self._skipped_output = self._skipped_output or bool(result_text(response))
            return
        if buffer.may_call_tools and calls_tools(response):
            del self._buffers[run_id]
            if self._active_run == run_id:
                await self._retract(len(self._sent))
            return
        text, self._refusal = result_text(response), refusal_in(response)
        if self._refusal is not None and self._refusal.text and not (text or buffer.received):
            await self._emit(run_id, buffer.pass_on(self._refusal.text))
        await self._emit(run_id, buffer.finish(text))
        self._buffers.pop(run_id, None)

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Drop the run's buffer: what was sent stands until another answer run takes its place."""
        self._buffers.pop(run_id, None)

    async def send_chunk(self, run_id: UUID, chunk: str | BaseMessage) -> None:
        """Send the text of what the chain itself has put out, as its run `run_id`."""
        text = answer_text(chunk, ())
        refusal = None if isinstance(chunk, str) else message_refusal(chunk)
        if refusal is not None:
            said = "" if self._refusal is None else self._refusal.text
            self._refusal = Refusal(said + refusal.text)
            text = text or refusal.text
        if text:
            await self._emit(run_id, [text])

    # -- one run's text --------------------------------------------------------------------

    def _begin_answer_run(self, run_id: UUID, call: ModelCall) -> None:
        """Buffer the text of an answer run that begins."""
        self._refusal = None
        self._conflict = self._conflict or bool(self._buffers)
        self._buffers[run_id] = self._new_buffer(call)

    def _new_buffer(self, call: ModelCall) -> AnswerBuffer:
        """Return the buffer of an answer run that begins: here, all of its text is the answer."""
        return AnswerBuffer(_filter_of(self.spec))

    # -- what is sent ----------------------------------------------------------------------

    async def _emit(self, run_id: UUID, tokens: Sequence[str]) -> bool:
        """Send the tokens of a run, unless there is a conflict; return whether any were sent."""
        if not tokens:
            return False
        if self._conflict or self._active_run != run_id:
            await self._switch_run(run_id)
        if not self._conflict:
            for token in tokens:
                self._sent.append(token)
                await self.sink.send(events.completion(token))
        return not self._conflict

    async def _switch_run(self, run_id: UUID) -> None:
        """Make the run the active one; what an earlier one sent was not the answer."""
        await self._retract(len(self._sent))
        self._active_run = run_id

    async def _handle_output(self, output: Any) -> None:
        """Make what was sent equal to what the whole chain returned."""
        if interrupts := interrupts_in(output):
            await self._handle_interrupts(interrupts)
        else:
            await self._reconcile(output)
        self._active_run, self._sent, self._conflict = None, [], False

    async def _handle_interrupts(self, interrupts: list[Interrupt]) -> None:
        """Let what was sent stand: the state of a graph that waits is not its answer.

        In a route the run sends the event, after what all handlers send.
        """
        self.text_before_interrupt = "".join(self._sent)
        if self._planned_spec is None:
            await self.sink.send(events.interrupt(interrupts))

    async def _reconcile(self, output: Any) -> None:
        """Send what the output has beyond the sent tokens; take back those it does not have."""
        output_path = self.spec.output_path if self._output_key is None else ((self._output_key,),)
        answer = self._read_refusal(answer_text(output, output_path))
        is_in_output = find_answer(output, output_path)[1] or self._planned_spec is not None
        sent = "".join(self._sent)
        if is_same_answer(sent, answer) or (sent and (self._may_differ or not is_in_output)):
            return
        kept, length = 0, 0
        for token in self._sent:
            if not answer.startswith(token, length):
                break
            kept, length = kept + 1, length + len(token)
        self.fell_back = bool(answer) and not sent and (self._skipped_output or self._conflict)
        await self._retract(len(self._sent) - kept)
        if rest := answer[length:]:
            await self.sink.send(events.completion(rest))

    def _read_refusal(self, answer: str) -> str:
        """Return the text of a refusal instead of an empty answer; note a failure if it has none.

        If the chain returns something else than its model said, that is its answer.
        """
        if self._refusal is None:
            return answer
        if self._refusal.text:
            self.refusal_text = "" if answer else self._refusal.text
            return answer or self._refusal.text
        if not answer or is_same_answer("".join(self._sent), answer):
            self.failure = ModelDeclinedError()
        return answer

    async def _retract(self, count: int) -> None:
        if count:
            del self._sent[len(self._sent) - count :]
            await self.sink.send(events.retract(count))


def _note_signals(
    buffer: AnswerBuffer, chunk: GenerationChunk | ChatGenerationChunk | None
) -> None:
    """Tell a buffer what a model that has tools says of its text, before it is known."""
    if is_tool_call(chunk):
        buffer.expect_tool_call()
    elif (phase := announced_phase(chunk)) == "final_answer":
        buffer.expect_answer()
    elif phase is not None:
        buffer.expect_commentary()


class FinalTokenHandler(TokenHandler):
    """Sends only an agent's answer: its thoughts and its tool calls are not sent.

    The text of a model that has tools is the answer if it ends without calling one. That of a model
    without tools, in a graph, is the answer at once. Any other model is expected to write a prefix
    before its answer, such as "Final Answer:".
    """

    def __init__(
        self,
        stream: EventSink | None = None,
        *,
        mode: Mode = "json",
        output_key: str | None = None,
        final_tag: str | None = None,
        answer_prefix_tokens: Sequence[str] | None = None,
        strip_tokens: bool = True,
        stream_prefix: bool = False,
        hold_tokens: int | None = DEFAULT_HOLD_TOKENS,
    ) -> None:
        super().__init__(stream, mode=mode, output_key=output_key, final_tag=final_tag)
        self.spec = AnswerSpec(output_path=(AGENT_KEYS,), has_tools=True)
        self._may_differ = stream_prefix or not strip_tokens
        self._prefix = answer_prefix_tokens
        self._strip = strip_tokens
        self._stream_prefix = stream_prefix
        check_hold(hold_tokens)
        self._hold = inf if hold_tokens is None else hold_tokens
        self._find_prefix()  # a prefix without text is refused here and not at the first token

    def _new_buffer(self, call: ModelCall) -> AnswerBuffer:
        """Return the buffer of an answer run that begins."""
        is_known = self._planned_spec is not None or "langgraph_node" in call.metadata
        is_announced = self._prefix is not None or self.spec.prefix is not None
        if is_announced or not (is_known or call.has_tools):
            return AnswerBuffer(self._find_prefix())
        holds = call.has_tools and self.spec.has_tools
        return AnswerBuffer(_filter_of(self.spec), self._hold if holds else None)

    def _find_prefix(self) -> AnswerFinder:
        known = self.spec.prefix if self._prefix is None else self._prefix
        prefix = DEFAULT_ANSWER_PREFIX_TOKENS if known is None else known
        return AnswerFinder(prefix, strip_tokens=self._strip, stream_prefix=self._stream_prefix)


def _filter_of(spec: AnswerSpec) -> TextFilter | None:
    if spec.stop_pattern is not None:
        return StopFilter(spec.stop_pattern.pattern, spec.stop_pattern.longest)
    return AnswerFinder(None, strip_tokens=True) if spec.strip else None
