"""Tell from a model's message that the model declined to answer, as each provider reports it.

Some providers give the refusal a text of its own, which is then the answer. Others say only why the
message ends where it does, or is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, GenerationChunk, LLMResult

__all__ = ["Refusal", "chunk_refusal", "event_refusal", "message_refusal", "refusal_in"]

_STOPPED: Final = frozenset(
    {
        "content_filter",  # OpenAI, Azure, Mistral
        "refusal",  # Anthropic
        "content_filtered",  # Bedrock
        "guardrail_intervened",
        "SAFETY",  # Google
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "RECITATION",
        "SPII",
    }
)
"""Why a message ends, where the model or its provider would not go on."""

_STOP_KEYS: Final = ("finish_reason", "stop_reason", "stopReason")


@dataclass(frozen=True)
class Refusal:
    """A model declined to answer.

    Attributes:
        text: What it said instead; empty if the provider gives no text.
    """

    text: str


def refusal_in(result: LLMResult) -> Refusal | None:
    """Return the refusal that a model's run ended in, if it did."""
    generation = result.generations[0][0] if result.generations and result.generations[0] else None
    return message_refusal(generation.message) if isinstance(generation, ChatGeneration) else None


def message_refusal(message: BaseMessage) -> Refusal | None:
    """Return the refusal that a message is, whole or in part."""
    if not isinstance(message, AIMessage):
        return None
    text = _text(message)
    has_block = any(map(_is_refusal, _blocks(message)))
    return Refusal(text) if text or has_block or _is_stopped(message.response_metadata) else None


def chunk_refusal(chunk: GenerationChunk | ChatGenerationChunk | None) -> str:
    """Return the text of a refusal in a token."""
    return _text(chunk.message) if isinstance(chunk, ChatGenerationChunk) else ""


def event_refusal(event: Mapping[str, Any]) -> str:
    """Return the text of a refusal in an event of a model that is streamed by events."""
    block = event.get("content") if event.get("event") == "content-block-finish" else None
    return _block_text(block)


def _text(message: BaseMessage) -> str:
    kept = message.additional_kwargs.get("refusal")
    if isinstance(kept, str) and kept:
        return kept
    return "".join(map(_block_text, _blocks(message)))


def _blocks(message: BaseMessage) -> Sequence[Any]:
    return message.content if isinstance(message.content, list) else ()


def _block_text(block: Any) -> str:
    text = block.get("refusal") if _is_refusal(block) else None
    return text if isinstance(text, str) else ""


def _is_refusal(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "refusal"


def _is_stopped(metadata: Mapping[str, Any]) -> bool:
    reasons = [metadata.get(key) for key in _STOP_KEYS]
    if any(isinstance(reason, str) and reason in _STOPPED for reason in reasons):
        return True
    feedback, incomplete = metadata.get("prompt_feedback"), metadata.get("incomplete_details")
    is_blocked = isinstance(feedback, Mapping) and bool(feedback.get("block_reason"))
    reason = incomplete.get("reason") if isinstance(incomplete, Mapping) else None
    return is_blocked or reason == "content_filter"
