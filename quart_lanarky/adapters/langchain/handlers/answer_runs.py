"""What the handlers share that read the answer runs: which model runs they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from ....protocols.native.encode import Mode
from ....runs.stream import EventSink
from .base import ChainHandler, current_handlers
from .interrupts import interrupts_of_error, with_interrupts
from .selection import ModelCall, RunFilter, Tagged

__all__ = ["AnswerRunHandler"]

T = TypeVar("T")


class AnswerRunHandler(ChainHandler):
    """Follows the parts of a chain that run, and so knows which model runs are answer runs.

    No model that a tool calls is, nor one that decides where a graph goes.
    """

    def __init__(
        self, stream: EventSink | None = None, *, mode: Mode = "json", final_tag: str | None = None
    ) -> None:
        super().__init__(stream, mode=mode)
        self._answer_runs: RunFilter | None = None if final_tag is None else Tagged(final_tag)
        self._nodes: set[UUID] = set()  # the runs of a graph's nodes that go on now
        self._tool_runs: set[UUID] = set()  # tools and conditions, whose models do not answer
        self._interrupts: list[Any] = []  # with which steps of the graph have ended

    def _begin_answer_run(self, run_id: UUID, call: ModelCall) -> None:
        """Take note of an answer run that begins."""
        raise NotImplementedError

    async def send_chunk(self, run_id: UUID, chunk: str | BaseMessage) -> None:
        """Take what the chain itself has put out, as its run `run_id`, if that is the answer."""

    # A chat model streams under `ainvoke` only for a handler that has these two methods. Of
    # several that have them LangChain asks one, so it passes the chunks on to the next: that
    # is how `astream_events` gets them in a user's own function.

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[T]) -> AsyncIterator[T]:
        """Leave the chunks as they are; that this method exists makes chat models stream."""
        other = _other_tap()
        return output if other is None else other.tap_output_aiter(run_id, output)

    def tap_output_iter(self, run_id: UUID, output: Iterator[T]) -> Iterator[T]:
        """Leave the chunks as they are; that this method exists makes chat models stream."""
        other = _other_tap()
        return output if other is None else other.tap_output_iter(run_id, output)

    # -- what LangChain calls --------------------------------------------------------------

    async def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Take note of the run if it is an answer run."""
        self._start_run(run_id, **kwargs)

    async def on_llm_start(
        self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Take note of the run if it is an answer run."""
        self._start_run(run_id, **kwargs)

    def _start_run(
        self,
        run_id: UUID,
        *,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        invocation_params: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        call = ModelCall(tags or (), metadata or {}, invocation_params or {}, options or {})
        answer_runs = self._answer_runs or self.spec.answer_runs
        if not self._tool_runs and answer_runs(call):
            self._begin_answer_run(run_id, call)

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Take note of what a model run ended with; called again, do nothing."""
        raise NotImplementedError

    async def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the run if it is a graph's node, or decides where the graph goes from there.

        What comes after a node's own step is no part of it: the conditions of its edges.
        """
        await super().on_chain_start(serialized, inputs, run_id=run_id, parent_run_id=parent_run_id)
        if any(tag.startswith("graph:step:") for tag in tags or ()):
            self._nodes.add(run_id)
        elif parent_run_id in self._nodes and "seq:step:1" not in (tags or ()):
            self._tool_runs.add(run_id)

    async def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Send what is left to send, if it was the whole chain that ended."""
        self._end_run(run_id)
        found, self._interrupts = self._interrupts, []
        await super().on_chain_end(with_interrupts(outputs, found), run_id=run_id, **kwargs)

    async def on_chain_error(
        self,
        error: BaseException,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Note that the whole chain has failed, if it has, or that a step of it waits."""
        self._end_run(run_id)
        if parent_run_id is not None and parent_run_id == self._root:
            self._interrupts += interrupts_of_error(error)
        await super().on_chain_error(error, run_id=run_id, **kwargs)

    def _end_run(self, run_id: UUID) -> None:
        self._nodes.discard(run_id)
        self._tool_runs.discard(run_id)

    async def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Note that the models that run from now on answer the tool and not the client."""
        self._tool_runs.add(run_id)

    async def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that the tool has ended."""
        self._tool_runs.discard(run_id)

    async def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that the tool has ended."""
        self._tool_runs.discard(run_id)


def _other_tap() -> Any:
    """Return the first handler of another package that wants to see the chunks."""
    others = (h for h in current_handlers() if not isinstance(h, AnswerRunHandler))
    return next((h for h in others if hasattr(h, "tap_output_aiter")), None)
