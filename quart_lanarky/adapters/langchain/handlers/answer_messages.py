"""What the handlers share that read the message in which a chain's answer came."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from ....events import Event
from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .answer_runs import AnswerRunHandler
from .conversations import is_conversation
from .extraction import answer_json, find_answer
from .selection import ModelCall

__all__ = ["AnswerMessage", "AnswerMessageHandler", "result_message"]

logger = logging.getLogger(__name__)


class AnswerMessage(NamedTuple):
    """The message that a chain's answer came in.

    Attributes:
        message: The message.
        offset: Where its text begins in the answer, in characters; less than 0 if the answer is
            only a part of it.
        length: How many characters the answer has.
    """

    message: BaseMessage
    offset: int
    length: int


class AnswerMessageHandler(AnswerRunHandler):
    """Keeps the messages of the answer runs until it is known which of them is the answer."""

    def __init__(
        self, stream: EventSink | None = None, *, mode: Mode = "json", final_tag: str | None = None
    ) -> None:
        super().__init__(stream, mode=mode, final_tag=final_tag)
        self._runs: set[UUID] = set()
        self._messages: list[BaseMessage] = []

    def _begin_answer_run(self, run_id: UUID, call: ModelCall) -> None:
        self._runs.add(run_id)

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Keep the message, if it may be the answer."""
        message = result_message(response)
        if run_id in self._runs and message is not None:
            self._messages.append(message)
        self._runs.discard(run_id)

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the run."""
        self._runs.discard(run_id)

    async def _handle_output(self, output: Any) -> None:
        """Send what belongs to the answer, which is known now."""
        messages, self._messages = self._messages, []
        is_known = find_answer(output, self.spec.output_path)[1] or self._planned_spec is not None
        last = messages[-1] if messages else None
        if is_known or not isinstance(output, Mapping):
            found = _answer_message(output, self.spec.output_path, messages)
        else:  # the output does not say what the answer is
            found = None if last is None else AnswerMessage(last, 0, len(str(last.text)))
        for event in () if found is None else self._read(found):
            await self.sink.send(event)

    def _read(self, answer: AnswerMessage) -> list[Event]:
        """Return the events of an answer; none, and the answer stands, if it is malformed."""
        try:
            return self._events_of(answer)
        except Exception:
            logger.exception("%s cannot read the answer's message", type(self).__name__)
            return []

    def _events_of(self, answer: AnswerMessage) -> list[Event]:
        """Return the events for what the message has besides its text."""
        raise NotImplementedError


def result_message(result: LLMResult) -> BaseMessage | None:
    """Return the message that a model's run ended with, if it is a chat model."""
    generation = result.generations[0][0] if result.generations and result.generations[0] else None
    return generation.message if isinstance(generation, ChatGeneration) else None


def _answer_message(
    output: Any, output_path: Sequence[Sequence[str]], messages: Sequence[BaseMessage]
) -> AnswerMessage | None:
    """Return which of several messages the answer came in: the last one with its text.

    An answer that is a value and no text came in none.
    """
    answer = answer_json(output, output_path)
    if not isinstance(answer, str):
        return None
    value = find_answer(output, output_path)[0]
    last = value[-1] if is_conversation(value) else value
    for message in [*reversed(messages), *([last] if isinstance(last, AIMessage) else ())]:
        offset = _offset(str(message.text), answer)
        if offset is not None:
            return AnswerMessage(message, offset, len(answer))
    return None


def _offset(text: str, answer: str) -> int | None:
    """Return where a model's text begins in the answer that a chain made of it, if it did."""
    if not text or not answer:
        return 0 if text == answer else None
    if text in answer:
        return answer.index(text)
    return -text.index(answer) if answer in text else None
