"""The chat model of the examples: a real one by its name, or one that needs no key and no network.

The local one answers from what it is given.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import agenerate_from_stream, generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import ToolCall, ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from examples.mailing import next_mail_step
from examples.prompts import follow_up, read_prompt
from examples.react import next_step
from examples.reading import answer
from examples.statements import is_statement
from examples.tool_calls import Step, next_call, tool_names
from examples.words import quoted

_PIECE = re.compile(r"\s*\S+|\s+$")


@cache
def chat_model() -> BaseChatModel:
    """Return the chat model: the one that `LANARKY_MODEL` names, or the local one.

    The name is one that LangChain's `init_chat_model` knows, such as `openai:gpt-4.1-mini`; its
    provider's package must be installed. `LANARKY_DELAY` is how long the local model takes for a
    word, in seconds.
    """
    name = os.environ.get("LANARKY_MODEL")
    delay = os.environ.get("LANARKY_DELAY", "0.03")
    return init_chat_model(name) if name else LocalChatModel.model_validate({"delay": delay})


class LocalChatModel(BaseChatModel):
    """Answers with sentences of its prompt, and calls tools when it is an agent's model.

    It stands in for a large model so that the examples run anywhere: it streams word by word at
    a human pace, reports its usage and honours stop strings, and different questions get
    different answers. It knows nothing but what the prompt says.
    """

    delay: float = Field(default=0.03, ge=0)
    """Seconds between two words."""

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools that it may call; it makes its own choice."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])

    @property
    def _llm_type(self) -> str:
        return "local"

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **kwargs: object,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(messages, stop, tools):
            time.sleep(self.delay)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **kwargs: object,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(messages, stop, tools):
            await asyncio.sleep(self.delay)
            yield chunk

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **kwargs: object,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, tools=tools))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        tools: Sequence[Mapping[str, Any]] = (),
        **kwargs: object,
    ) -> ChatResult:
        return await agenerate_from_stream(self._astream(messages, stop, tools=tools))


def _chunks(
    messages: list[BaseMessage], stop: list[str] | None, tools: Sequence[Mapping[str, Any]]
) -> Iterator[ChatGenerationChunk]:
    """Cut the reply into words that keep their whitespace.

    The last chunk carries the usage, and the tool calls where there are some.
    """
    step = _step(messages, tool_names(tools))
    pieces = _PIECE.findall(_until(stop or [], step.text)) or [""]
    for piece in pieces[:-1]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
    last = AIMessageChunk(
        content=pieces[-1],
        tool_call_chunks=[_streamed(call, place) for place, call in enumerate(step.calls)],
        usage_metadata=_usage(messages, "".join(pieces)),
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last)


def _streamed(call: ToolCall, place: int) -> ToolCallChunk:
    """Return a tool call in the form that models stream: its arguments as JSON."""
    return tool_call_chunk(
        name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=place
    )


def _step(messages: list[BaseMessage], tools: Sequence[str]) -> Step:
    """Return what the model does: a call of tools if they fit, else an answer in words."""
    if mail := next_mail_step(messages, tools):
        return Step(mail.text, [mail.call] if mail.call else [])
    return next_call(messages, tools) or Step(_reply(messages))


def _reply(messages: list[BaseMessage]) -> str:
    text = "\n".join(message.text for message in messages)
    prompt = read_prompt(messages)
    return (
        next_step(text)
        # It cannot rephrase a question, so it gives the question back as it is.
        or follow_up(text)
        or _acknowledgement(prompt.question)
        or answer(prompt.question, prompt.material)
        or "I am a small local model: I know only what I am given, and nothing in it answers "
        f"{quoted(prompt.question)}."
    )


def _acknowledgement(said: str) -> str | None:
    """Return what there is to say to someone who tells about themselves and asks nothing."""
    if not is_statement(said):
        return None
    return f"Noted: {quoted(said)} You can ask me about it while I am shown this conversation."


def _until(stop: list[str], text: str) -> str:
    """Cut a text before the first stop string in it."""
    return text[: min((text.find(s) for s in stop if s in text), default=len(text))]


def _usage(messages: list[BaseMessage], reply: str) -> UsageMetadata:
    """Count words as tokens."""
    read = sum(len(message.text.split()) for message in messages)
    written = len(reply.split())
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
