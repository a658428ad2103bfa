"""ChainRun: a chain, its inputs and fresh handlers, as a run that fills an event stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import Runnable
from pydantic import JsonValue

from ...events import Mode
from ...runs import Run
from ...streams import EventStream
from .answers import answer_text

__all__ = ["ChainRun"]


class ChainRun(Run):
    """One call of a chain. Its handlers serve this call alone (rule 1).

    Args:
        chain: The chain; called with `ainvoke`, by far the cheapest way that honours handlers.
        inputs: What it is called with.
        handlers: Fresh handlers, which send into `stream`.
        stream: Where the events go.
        mode: How the `end` event travels.
        output_key: Which value of the chain's output is the answer, where it is a dict.
    """

    def __init__(
        self,
        chain: Runnable[Any, Any],
        inputs: Any,
        handlers: Sequence[BaseCallbackHandler],
        stream: EventStream,
        *,
        mode: Mode,
        output_key: str | None,
    ) -> None:
        super().__init__(stream, self._invoke, mode=mode)
        self._chain = chain
        self._inputs = inputs
        self._handlers = handlers
        self._output_key = output_key

    async def _invoke(self) -> Any:
        meter = _UsageMeter()
        callbacks: list[BaseCallbackHandler] = [*self._handlers, meter]
        try:
            return await self._chain.ainvoke(
                self._inputs, {"callbacks": callbacks, "run_id": self.id}
            )
        finally:
            self.usage = meter.usage()

    def output(self) -> JsonValue:
        """Return the chain's answer, once the run has ended: the text that the tokens make."""
        return answer_text(self.result, self._output_key)


class _UsageMeter(BaseCallbackHandler):
    """Adds up what all model calls of a run cost, inner ones too: it is one bill."""

    run_inline = True
    ignore_chat_model = True  # else LangChain renders the messages for us, which is slow

    def __init__(self) -> None:
        self._total: UsageMetadata | None = None

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Add the usage of one model call, if the model reports it."""
        for generation in (g for group in response.generations for g in group):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            if isinstance(message, AIMessage) and message.usage_metadata:
                self._total = add_usage(self._total, message.usage_metadata)

    def usage(self) -> dict[str, JsonValue] | None:
        """Return the sum, its keys sorted (LangChain's order changes), or None without a report."""
        return (
            cast(dict[str, JsonValue], dict(sorted(self._total.items()))) if self._total else None
        )
