"""Chat models, LLMs and chains that misbehave, or behave, exactly as a test needs."""

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_classic.chains.base import Chain
from langchain_core.callbacks import CallbackManagerForChainRun, CallbackManagerForLLMRun
from langchain_core.documents import Document
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever

SECRET = "sk-this-text-must-never-reach-a-client"

asked: Counter[str] = Counter()
"""How many tokens were requested of a model, by question."""

stopped_at: dict[str, float] = {}
"""When a model's stream was closed, by question; on the monotonic clock of all processes."""

gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
"""What `GatedModel` waits for, by question."""


def chunk(text: str) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content=text))


def whole(text: str) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


class TestModel(BaseChatModel):
    """A chat model that streams what `tokens` makes of the question, asynchronously only."""

    @property
    def _llm_type(self) -> str:
        return "test"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise AssertionError("this model was to stream")

    async def tokens(self, question: str) -> AsyncIterator[str]:
        raise NotImplementedError
        yield ""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        question = messages[-1].text
        try:
            async for token in self.tokens(question):
                asked[question] += 1
                yield chunk(token)
        finally:
            stopped_at[question] = time.monotonic()


class EchoModel(TestModel):
    """Repeats the question with a number, at an uneven pace."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for number in range(20):
            await asyncio.sleep(random.random() * 0.004)
            yield f"{question}:{number} "


class ReciteModel(TestModel):
    """Says the tokens that the question lists as JSON."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for token in json.loads(question):
            yield token


class StepModel(TestModel):
    """Says the tokens of one step of an agent: as many steps as it made are behind it."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        scratchpad, _, steps = question.partition("\x1f")
        for token in json.loads(steps)[scratchpad.count("\nObservation: ")]:
            yield token


class PacedModel(TestModel):
    """Says a number every `delay` seconds, `count` of them."""

    delay: float = 0.02
    count: int = 100_000

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for number in range(self.count):
            await asyncio.sleep(self.delay)
            yield f"{number} "


class EagerModel(TestModel):
    """Never suspends."""

    count: int = 10_000

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for number in range(self.count):
            yield f"{number} "


class GatedModel(TestModel):
    """Sends its second token only after a signal."""

    async def tokens(self, question: str) -> AsyncIterator[str]:
        yield "first"
        await gates[question].wait()
        yield "second"


class FailingModel(TestModel):
    """Raises after `after` tokens."""

    after: int = 0

    async def tokens(self, question: str) -> AsyncIterator[str]:
        for number in range(self.after):
            yield f"{number} "
        raise RuntimeError(SECRET)


class SilentModel(TestModel):
    """Has a whole answer and no stream."""

    async def _agenerate(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> ChatResult:
        return whole(f"all of {messages[-1].text}")

    _astream = BaseChatModel._astream  # type: ignore[assignment]  # as if it were not there


class SyncModel(BaseChatModel):
    """Has only synchronous methods."""

    @property
    def _llm_type(self) -> str:
        return "test-sync"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return whole("".join(_numbers(messages[-1].text)))

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for token in _numbers(messages[-1].text):
            yield chunk(token)


class SyncLLM(LLM):
    """Has only `_call`, and calls the callback for each token itself."""

    @property
    def _llm_type(self) -> str:
        return "test-sync-llm"

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        for token in _numbers(prompt):
            if run_manager:
                run_manager.on_llm_new_token(token)
        return "".join(_numbers(prompt))


class SyncChain(Chain):
    """A user's own chain with only `_call`, around a model."""

    model: BaseChatModel

    @property
    def input_keys(self) -> list[str]:
        return ["question"]

    @property
    def output_keys(self) -> list[str]:
        return ["text"]

    def _call(
        self, inputs: dict[str, Any], run_manager: CallbackManagerForChainRun | None = None
    ) -> dict[str, Any]:
        callbacks = run_manager.get_child() if run_manager else None
        return {"text": self.model.invoke(inputs["question"], {"callbacks": callbacks}).text}


def _numbers(question: str) -> list[str]:
    """Return more tokens than fit into a stream's buffer."""
    return [f"{question}:{number} " for number in range(300)]


class ListRetriever(BaseRetriever):
    """Finds what the query lists as JSON."""

    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list[Document]:
        return [
            Document(text, id=str(number), metadata={"rank": number})
            for number, text in enumerate(json.loads(query))
        ]
