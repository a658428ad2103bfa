"""The handler of reasoning: what models think before they answer, as their providers give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult

from .... import events
from ....events import REASONING, ReasoningData
from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .answer_messages import result_message
from .answer_runs import AnswerRunHandler
from .selection import ModelCall

__all__ = ["ReasoningHandler", "ReasoningPart", "event_reasoning", "message_reasoning"]

PARAGRAPH: Final = "\n\n"
"""What is between two parts of the reasoning, where their providers say no more."""


class ReasoningPart(NamedTuple):
    """Some text of a part of a model's reasoning.

    Attributes:
        part: Which part of the message it belongs to; texts of one part follow each other.
        text: The text.
    """

    part: object
    text: str


@dataclass(slots=True)
class _Run:
    unsent: list[ReasoningPart] = field(default_factory=list)
    received: bool = False  # it has streamed some reasoning
    reads_events: bool = False  # which comes from its events and not from its tokens
    ended: bool = False


class ReasoningHandler(AnswerRunHandler):
    """Sends the reasoning of the answer runs, also of those that end in a tool call.

    That of a run that has not streamed any is sent when it ends (rule 7: exactly once). Of runs
    that go on at once, one is sent at a time: a reader could not tell their words apart.
    """

    events: ClassVar[Mapping[str, Any]] = {REASONING: ReasoningData}

    def __init__(
        self, stream: EventSink | None = None, *, mode: Mode = "json", final_tag: str | None = None
    ) -> None:
        super().__init__(stream, mode=mode, final_tag=final_tag)
        self._runs: dict[UUID, _Run] = {}  # those that go on, or wait until another has ended
        self._active_run: UUID | None = None  # whose reasoning is sent now
        self._sent_part: tuple[UUID, object] | None = None

    def _begin_answer_run(self, run_id: UUID, call: ModelCall) -> None:
        self._runs[run_id] = _Run()

    async def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Send the reasoning that a token has. LangChain passes `token` by its name."""
        message = getattr(chunk, "message", None)
        if message is None or (type(message.content) is str and not message.additional_kwargs):
            return  # most tokens, which are of the answer
        run = self._runs.get(run_id)
        if run is not None and not run.reads_events:
            await self._add(run_id, run, message_reasoning(message))

    async def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the reasoning of an event, for a model whose tokens come as events."""
        run, part = self._runs.get(run_id), event_reasoning(event)
        if run is not None and part is not None:
            run.reads_events = run.reads_events or not run.received
            if run.reads_events:
                await self._add(run_id, run, [part])

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the reasoning of a run that has not streamed it."""
        run = self._runs.get(run_id)
        if run is None:
            return
        message = result_message(response)
        if message is not None and not run.received:
            parts = message_reasoning(message)
            await self._add(run_id, run, [ReasoningPart(i, p.text) for i, p in enumerate(parts)])
        await self._end_answer_run(run_id, run)

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Let the next run's reasoning be sent; what this one has sent stands."""
        if (run := self._runs.get(run_id)) is not None:
            await self._end_answer_run(run_id, run)

    async def send_chunk(self, run_id: UUID, chunk: str | BaseMessage) -> None:
        """Send the reasoning in what the chain itself has put out, as its run `run_id`."""
        if isinstance(chunk, BaseMessage):
            run = self._runs.setdefault(run_id, _Run())
            await self._add(run_id, run, message_reasoning(chunk))

    # -- what is sent ----------------------------------------------------------------------

    async def _add(self, run_id: UUID, run: _Run, parts: Sequence[ReasoningPart]) -> None:
        if not parts:
            return
        run.received = True
        run.unsent += parts
        if self._active_run is None:
            self._active_run = run_id
        if self._active_run == run_id:
            await self._send_parts(run_id, run)

    async def _end_answer_run(self, run_id: UUID, run: _Run) -> None:
        """Forget the run, and go on with those that waited for its end."""
        run.ended = True
        if not run.unsent:
            del self._runs[run_id]
        if self._active_run != run_id:
            return
        for next_id, waiting in list(self._runs.items()):
            if waiting.unsent:
                self._active_run = next_id
                await self._send_parts(next_id, waiting)
                if not waiting.ended:
                    return
                del self._runs[next_id]
        self._active_run = None

    async def _send_parts(self, run_id: UUID, run: _Run) -> None:
        parts, run.unsent = run.unsent, []
        for part, text in parts:
            is_new = self._sent_part is not None and self._sent_part != (run_id, part)
            self._sent_part = run_id, part
            await self.sink.send(events.reasoning(PARAGRAPH + text if is_new else text))

    async def _handle_output(self, output: Any) -> None:
        """Forget the runs of the chain, which has ended."""
        self._runs, self._active_run, self._sent_part = {}, None, None


# -- extraction ----------------------------------------------------------------------------


def message_reasoning(message: BaseMessage) -> list[ReasoningPart]:
    """Return the reasoning that a message has, or a part of one that streams.

    It is read from the blocks of each provider, and of LangChain's own kind, as they are: its
    translations of them drop what it does not know. Encrypted or redacted reasoning, and
    signatures, are in other fields.
    """
    content, parts = message.content, []
    if isinstance(content, list):
        parts = [part for block in content if isinstance(block, dict) for part in _in_block(block)]
    return parts or list(_in_kwargs(message.additional_kwargs))


def event_reasoning(event: Mapping[str, Any]) -> ReasoningPart | None:
    """Return the reasoning that an event of a model's stream adds."""
    delta = event.get("delta") if event.get("event") == "content-block-delta" else None
    if not isinstance(delta, Mapping) or delta.get("type") != "reasoning-delta":
        return None
    text = delta.get("reasoning")
    return ReasoningPart(event.get("index"), text) if text and isinstance(text, str) else None


def _in_block(block: Mapping[str, Any]) -> Iterator[ReasoningPart]:
    """Yield the reasoning of a block of content.

    LangChain's own is ``reasoning``, which OpenAI's Responses API has as well, with a summary in
    several parts or the reasoning as its content; Anthropic, Google and Mistral have ``thinking``,
    Bedrock ``reasoning_content``.
    """
    index = block.get("index")
    match block.get("type"):
        case "reasoning" if isinstance(block.get("reasoning"), str):
            yield from _texts(index, block["reasoning"])
        case "reasoning":
            yield from _texts(index, block.get("summary"))
            yield from _texts(index, block.get("content"))
        case "thinking":
            for _, text in _texts(index, block.get("thinking")):
                yield ReasoningPart(index, text)
        case "reasoning_content":
            given = block.get("reasoning_content")
            yield from _texts(index, given.get("text") if isinstance(given, Mapping) else given)
        case "non_standard" if isinstance(value := block.get("value"), Mapping):
            yield from _in_block(value)  # as LangChain wraps the blocks that it does not know


def _in_kwargs(kwargs: Mapping[str, Any]) -> Iterator[ReasoningPart]:
    """Yield the reasoning that is beside the content.

    ``reasoning_content`` is that of DeepSeek, Ollama, xAI, Groq, OpenRouter and their like,
    ``reasoning`` that of OpenAI's Responses API before LangChain 1.
    """
    yield from _texts(None, kwargs.get("reasoning_content"))
    reasoning = kwargs.get("reasoning")
    if isinstance(reasoning, Mapping):
        yield from _texts(None, reasoning.get("summary"))


def _texts(index: object, given: Any) -> Iterator[ReasoningPart]:
    """Yield a text, or the texts of a list of blocks, each of which is a part of its own."""
    if isinstance(given, str) and given:
        yield ReasoningPart(index, given)
    for number, item in enumerate(given if isinstance(given, list) else ()):
        text = item.get("text") if isinstance(item, Mapping) else None
        if isinstance(text, str) and text:
            yield ReasoningPart((index, item.get("index", number)), text)
