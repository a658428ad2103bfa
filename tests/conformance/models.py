"""Scripted models: their replies are a pure function of their prompts, so that caches work.

Each comes in three behaviours. `stream` has every method, as the models of the big providers
have; `whole` cannot stream; `sync` has only synchronous methods.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache, InMemoryCache
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.tool import ToolCall, tool_call, tool_call_chunk
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    GenerationChunk,
)
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool

Behaviour = Literal["stream", "whole", "sync"]

SECRET = "SECRET-THOUGHT"
"""Part of every text of a model inside a chain that is not the answer."""


class ModelError(Exception):
    """The exception of a model that is to fail."""


@dataclass(frozen=True)
class Reply:
    """The reply of a model.

    Args:
        text: The text of the message.
        calls: The tools that it calls after the text.
        pieces: How a streaming model cuts the text, where that matters.
        thought: What a reasoning model thinks first, in a content block of its own.
        fails: The model fails after its first token; one that does not stream, at once.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    pieces: tuple[str, ...] = ()
    thought: str = ""
    fails: bool = False

    def message(self) -> AIMessage:
        """Return the reply as one message."""
        content: str | list[str | dict[Any, Any]] = self.text
        if self.thought:
            content = [
                {"type": "thinking", "thinking": self.thought},
                {"type": "text", "text": self.text},
            ]
        return AIMessage(content=content, tool_calls=list(self.calls))

    def chunks(self) -> Iterator[AIMessageChunk]:
        """Yield the reply as a provider streams it: with empty chunks, tool calls in pieces."""
        yield AIMessageChunk(content="")
        for piece in cut(self.thought):
            yield AIMessageChunk(content=[{"type": "thinking", "thinking": piece, "index": 0}])
        for number, piece in enumerate(self.pieces or cut(self.text)):
            if self.fails and number:
                break
            content = [{"type": "text", "text": piece, "index": 1}] if self.thought else piece
            yield AIMessageChunk(content=content)
        if self.fails:
            raise ModelError("the connection to the model broke")
        yield AIMessageChunk(content="")
        for index, call in enumerate(self.calls):
            yield _call_chunk(name=call["name"], args="", id=call["id"], index=index)
            for piece in cut(json.dumps(call["args"])):
                yield _call_chunk(name=None, args=piece, id=None, index=index)


def _call_chunk(**values: Any) -> AIMessageChunk:
    return AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(**values)])


def calls(name: str, text: str = "", pieces: Sequence[str] = (), **args: Any) -> Reply:
    """Return the reply that calls a tool, after a text."""
    return Reply(
        text=text or "".join(pieces),
        calls=(tool_call(name=name, args=args, id=f"call_{name}"),),
        pieces=tuple(pieces),
    )


def cut(text: str) -> Iterator[str]:
    """Yield `text` in pieces independent of word and line boundaries, always the same."""
    random_ = random.Random(text)
    while text:
        length = random_.randint(1, 5)
        yield text[:length]
        text = text[length:]


Messages = list[BaseMessage]
Script = Callable[[Messages], Reply | str]
"""Returns the reply to messages."""


class _Scripted:
    """What chat models and LLMs share: looking up their replies."""

    script: Script
    part: str
    ending: str
    note: Callable[[str], None]
    reports: bool

    def look_up(self, messages: Messages) -> Reply:
        said = self.script(messages)
        reply = Reply(said) if isinstance(said, str) else said
        if not reply.fails:  # a failure is never cached
            self.note(self.part)
        return replace(reply, text=reply.text + self.ending) if self.ending else reply

    def get_num_tokens(self, text: str) -> int:
        return len(text.split())  # LangChain would want a tokenizer of another package

    def say_whole(self, messages: Messages) -> Reply:
        reply = self.look_up(messages)
        if reply.fails:
            raise ModelError("the model is not there")
        return reply


class _Chat(_Scripted, BaseChatModel):
    script: Script
    part: str
    ending: str = ""
    note: Callable[[str], None]
    reports: bool = False  # LangChain does it, but some packages do it as well

    @property
    def _llm_type(self) -> str:
        return "scripted-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"part": self.part, "ending": self.ending}  # the key of a cache

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(self, messages: Messages, *args: Any, **kwargs: Any) -> ChatResult:
        message = self.say_whole(messages).message()
        return ChatResult(generations=[ChatGeneration(message=message)])

    def stream_all(self, messages: Messages) -> Iterator[ChatGenerationChunk]:
        for message in self.look_up(messages).chunks():
            yield ChatGenerationChunk(message=message)


class SyncChat(_Chat):
    """Only synchronous methods."""

    def _stream(
        self, messages: Messages, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self.stream_all(messages):
            if run_manager and self.reports:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class WholeChat(_Chat):
    """No streaming."""

    async def _agenerate(self, messages: Messages, *args: Any, **kwargs: Any) -> ChatResult:
        await asyncio.sleep(0)
        return self._generate(messages)


class StreamingChat(WholeChat, SyncChat):
    """All that a chat model can have."""

    async def _astream(
        self, messages: Messages, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self.stream_all(messages):
            await asyncio.sleep(0)
            if run_manager and self.reports:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class _LLM(_Scripted, LLM):
    script: Script
    part: str
    ending: str = ""
    note: Callable[[str], None]
    reports: bool = True  # LangChain does not do it for LLMs

    @property
    def _llm_type(self) -> str:
        return "scripted-llm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"part": self.part, "ending": self.ending}

    def _call(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        return self.say_whole([HumanMessage(prompt)]).text

    def stream_all(self, prompt: str) -> Iterator[GenerationChunk]:
        for message in self.look_up([HumanMessage(prompt)]).chunks():
            yield GenerationChunk(text=message.text)


class SyncLLM(_LLM):
    """Only synchronous methods."""

    def _stream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[GenerationChunk]:
        for chunk in self.stream_all(prompt):
            if run_manager and self.reports:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class WholeLLM(_LLM):
    """No streaming."""

    async def _acall(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        await asyncio.sleep(0)
        return self._call(prompt)


class StreamingLLM(WholeLLM, SyncLLM):
    """All that an LLM can have."""

    async def _astream(
        self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[GenerationChunk]:
        for chunk in self.stream_all(prompt):
            await asyncio.sleep(0)
            if run_manager and self.reports:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


_CHATS: dict[str, type[_Chat]] = {
    "stream": StreamingChat,
    "whole": WholeChat,
    "sync": SyncChat,
}
_LLMS: dict[str, type[_LLM]] = {"stream": StreamingLLM, "whole": WholeLLM, "sync": SyncLLM}


class Cache(InMemoryCache):
    """A cache in which a conversation is found again.

    LangChain notes a cost of zero in each message that comes from a cache. An agent's next
    prompt holds that message, is another prompt then, and would not be found. Its older
    versions have the ids of messages in the prompt, too, which a graph makes anew each time.
    """

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        return super().lookup(_same(prompt), llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        super().update(_same(prompt), llm_string, return_val)


def _same(prompt: str) -> str:
    prompt = prompt.replace('"usage_metadata": {"total_cost": 0}, ', "")
    return re.sub(r"""\b(id['"]?[:=] ?['"])(lc_run--)?[0-9a-f-]{36}(-0)?""", r"\1", prompt)


@dataclass(frozen=True)
class Kit:
    """Makes the models of one cell of the matrix.

    Args:
        behaviour: How the models behave.
        cache: The cache that they share; no cache without it.
    """

    behaviour: Behaviour
    cache: BaseCache | None = None
    called: list[str] = field(default_factory=list)
    """The parts of the models that were called, and not answered by the cache."""

    def chat(self, says: Script | str, part: str = "model", **options: Any) -> BaseChatModel:
        """Return a chat model; models of one chain that say different things need a `part`."""
        return _CHATS[self.behaviour](**self._arguments(says, part), **options)

    def llm(self, says: Script | str, part: str = "model", **options: Any) -> LLM:
        """Return an LLM that takes and returns bare text."""
        return _LLMS[self.behaviour](**self._arguments(says, part), **options)

    def _arguments(self, says: Script | str, part: str) -> dict[str, Any]:
        script = (lambda _: says) if isinstance(says, str) else says
        cache = False if self.cache is None else self.cache  # None would mean the global one
        return {"script": script, "part": part, "cache": cache, "note": self.called.append}


# -- scripts -------------------------------------------------------------------------------


def always(reply: Reply | str) -> Script:
    """Say the same, whatever is asked."""
    return lambda _: reply


def in_turn(*replies: Reply | str) -> Script:
    """Say the replies one after the other, and the last one from then on."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def everything(messages: Messages) -> str:
    """Return the text of all messages."""
    return "\n".join(message.text for message in messages)


def when(*cases: tuple[str, Reply | str], otherwise: Reply | str) -> Script:
    """Say what belongs to the first text that is found in the messages."""

    def script(messages: Messages) -> Reply | str:
        asked = everything(messages)
        return next((reply for text, reply in cases if text in asked), otherwise)

    return script


def after_tools(first: Reply, then: Reply | str) -> Script:
    """Say `first` until the last message is a tool's, and `then` after it."""
    return lambda messages: then if messages[-1].type == "tool" else first
