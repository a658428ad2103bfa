"""A chat model for tests and first steps: its replies come from a function, tool calls too."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

__all__ = ["FunctionChatModel"]


class FunctionChatModel(BaseChatModel):
    """A fake chat model that streams what a function replies to the conversation.

    It needs no key and no network, and unlike the fake models of `langchain-core` it takes tools
    and calls them, so that agents can be tested with it.

    Args:
        function: Gets the messages of the conversation and returns the reply: a text, or an
            `AIMessage`, whose tool calls follow its text as with most providers.
        sleep: How many seconds pass before each word.
    """

    function: Callable[[list[BaseMessage]], str | AIMessage]
    sleep: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "function"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Return the model with tools, as agents ask for it."""
        return self.bind(tools=tools, **kwargs)

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(self.function(messages)):
            time.sleep(self.sleep)
            yield chunk

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self.function(messages)):
            await asyncio.sleep(self.sleep)
            yield chunk

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages))


def _chunks(reply: str | AIMessage) -> Iterator[ChatGenerationChunk]:
    """Cut a reply into its words, and its tool calls, or an empty end, after them."""
    message = AIMessage(reply) if isinstance(reply, str) else reply
    for word in re.findall(r"\s*\S+\s*|\s+", message.text):
        yield ChatGenerationChunk(message=AIMessageChunk(content=word))
    calls = [
        tool_call_chunk(name=each["name"], args=json.dumps(each["args"]), id=each["id"], index=n)
        for n, each in enumerate(message.tool_calls)
    ]
    yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=calls))
