"""The one chain that all contenders serve. It works with LangChain from 0.2 to today's."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate

MARK = "zz"
"""What every token begins with, and nothing else that any server sends has in it."""


class PacedModel(BaseChatModel):
    """Says as many words as it is asked for, at the pace that it is asked for.

    The question is `"<tokens> <seconds between them>"`. With a pace, each word tells when it was
    said, in nanoseconds of the monotonic clock, which all processes of a machine share.
    """

    @property
    def _llm_type(self) -> str:
        return "paced"

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        return await agenerate_from_stream(self._astream(messages, stop, run_manager))

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        tokens, pace = str(messages[-1].content).rsplit(maxsplit=2)[-2:]
        async for word in words(int(tokens), float(pace)):
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager is not None:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


async def words(count: int, pace: float) -> AsyncIterator[str]:
    """Yield `count` words, each due `pace` seconds after the one before."""
    due_at = time.monotonic()
    for _ in range(count):
        # A model's tokens come from a socket: waiting for one lets others have their turn.
        await asyncio.sleep(max(0.0, due_at - time.monotonic()) if pace else 0)
        yield f"{MARK}{time.monotonic_ns()} " if pace else f"{MARK}word "
        due_at += pace


PROMPT = ChatPromptTemplate.from_template("{question}")

CHAIN = PROMPT | PacedModel() | StrOutputParser()
"""The chain of LangChain's own tutorials."""

CHAIN_OF_MESSAGES = PROMPT | PacedModel()
"""The same without the parser, which is slow where a chain's chunks are passed on."""
