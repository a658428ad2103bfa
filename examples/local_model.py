"""A chat model that needs no key and no network: it answers from what it is given."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from examples.prompts import follow_up, read_prompt
from examples.react import next_step
from examples.reading import answer
from examples.words import quoted

_PIECE = re.compile(r"\s*\S+|\s+$")


class LocalChatModel(BaseChatModel):
    """Answers with sentences of its prompt, and with a calculator when it is a ReAct agent.

    It stands in for a large model so that the examples run anywhere: it streams word by word at
    a human pace, reports its usage and honours stop strings, and different questions get
    different answers. It knows nothing but what the prompt says.
    """

    delay: float = Field(default=0.03, ge=0)
    """Seconds between two words."""

    @property
    def _llm_type(self) -> str:
        return "local"

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(messages, stop):
            time.sleep(self.delay)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(messages, stop):
            await asyncio.sleep(self.delay)
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: object,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop))


def _chunks(messages: list[BaseMessage], stop: list[str] | None) -> Iterator[ChatGenerationChunk]:
    """Cut the reply into words that keep their whitespace; the last one carries the usage."""
    pieces = _PIECE.findall(_until(stop or [], _reply(messages))) or [""]
    for piece in pieces[:-1]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
    usage = _usage(messages, "".join(pieces))
    last = AIMessageChunk(content=pieces[-1], usage_metadata=usage, chunk_position="last")
    yield ChatGenerationChunk(message=last)


def _reply(messages: list[BaseMessage]) -> str:
    text = "\n".join(message.text for message in messages)
    prompt = read_prompt(messages)
    return (
        next_step(text)
        # It cannot rephrase a question, so it gives the question back as it is.
        or follow_up(text)
        or answer(prompt.question, prompt.material)
        or "I am a small local model: I know only what I am given, and nothing in it answers "
        f"{quoted(prompt.question)}."
    )


def _until(stop: list[str], text: str) -> str:
    """Cut a text before the first stop string in it."""
    return text[: min((text.find(s) for s in stop if s in text), default=len(text))]


def _usage(messages: list[BaseMessage], reply: str) -> UsageMetadata:
    """Count words as tokens."""
    read = sum(len(message.text.split()) for message in messages)
    written = len(reply.split())
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
