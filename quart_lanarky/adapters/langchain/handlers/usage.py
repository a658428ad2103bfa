"""What the model calls of a run cost."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGeneration, LLMResult
from pydantic import JsonValue

__all__ = ["UsageMeter"]


class UsageMeter(BaseCallbackHandler):
    """Adds up what all model calls of a run cost, inner ones too: it is one bill."""

    run_inline = True
    ignore_chat_model = True  # else LangChain renders the messages for us, which is slow

    def __init__(self) -> None:
        self._total: UsageMetadata | None = None

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Add the usage of one model call, if the model reports it."""
        for generation in (g for group in response.generations for g in group):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            usage = message.usage_metadata if isinstance(message, AIMessage) else None
            if usage and "total_tokens" in usage:  # a cached message has a cost, of zero, and none
                self._total = add_usage(self._total, usage)

    def usage(self) -> dict[str, JsonValue] | None:
        """Return the sum, its keys sorted (LangChain's order changes), or None without a report."""
        return (
            cast(dict[str, JsonValue], dict(sorted(self._total.items()))) if self._total else None
        )
