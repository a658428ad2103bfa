"""Single components: functions, whose results are tagged when they are called, and models."""

from collections.abc import AsyncIterator
from operator import itemgetter
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    GenerationChunk,
)
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from quart_lanarky.runs.stream import EventStream
from tests.adapters.chains import LCEL, MODEL, tagged_models
from tests.runs.reading import events_of


def test_a_function_is_called_as_before() -> None:
    def ask(question: str, config: RunnableConfig) -> str:
        return f"{question} {config['tags']}"

    tagged = plan_chain(RunnableLambda(ask, name="mine")).chain
    assert tagged.get_name() == "mine"
    assert tagged.invoke("?", {"tags": ["x"]}) == "? ['x']"
    assert plan_chain(RunnableLambda(itemgetter("a"))).chain.invoke({"a": 1}) == 1


def test_a_chain_that_a_function_returns_is_tagged_then() -> None:
    tagged = plan_chain(RunnableLambda(lambda _: LCEL)).chain
    assert tagged_models(tagged.func(None)) == 1  # type: ignore[attr-defined]


# -- several answers at once ---------------------------------------------------------------


class Choices(FakeListChatModel):
    """Writes as many answers as it is asked for, and streams them mixed, as OpenAI does."""

    n: int = 1

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        first = ChatGeneration(message=AIMessage("The answer"))
        other = ChatGeneration(message=AIMessage("Another"))
        return ChatResult(generations=[first, other])

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for text in ("The ", "Anot", "answer", "her"):
            yield ChatGenerationChunk(message=AIMessageChunk(text))


CHOICES = {
    "a field": Choices(responses=[], n=2),
    "bound": Choices(responses=[]).bind(n=2),
    "bound twice": Choices(responses=[]).bind(n=2).bind(stop=["x"]),
    "bound before": Choices(responses=[]).bind(stop=["x"]).bind(n=2),
    "configured": Choices(responses=[]).bind(n=2).with_config(tags=["mine"]),
    "fallback": Choices(responses=[], n=2).with_fallbacks([MODEL]),
    "retried": Choices(responses=[], n=2).with_retry(),
}


@pytest.mark.parametrize("model", CHOICES.values(), ids=CHOICES)
async def test_of_several_answers_the_first_is_sent(model: Runnable[Any, Any]) -> None:
    for chain in (model, model | StrOutputParser()):
        said, events = await run_chain(chain)
        assert (said, events) == ("The answer", ["The answer"])


async def test_one_answer_streams() -> None:
    said, events = await run_chain(Choices(responses=[]))
    assert (said, len(events)) == ("The Anotanswerher", 4)


def test_a_model_that_is_asked_for_several_answers_is_not_changed() -> None:
    model = Choices(responses=[], n=2)
    assert plan_chain(model).chain is not model
    assert not model.disable_streaming


class SeveralLLM(FakeListLLM):
    best_of: int = 1

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[GenerationChunk]:
        raise NotImplementedError
        yield


def test_an_llm_that_picks_the_best_of_several_answers_is_not_streamed() -> None:
    assert plan_chain(SeveralLLM(responses=[""])).has_own_chunks
    assert not plan_chain(SeveralLLM(responses=[""], best_of=2)).has_own_chunks


async def run_chain(chain: Runnable[Any, Any]) -> tuple[Any, list[str]]:
    """Return the answer of a chain, and the tokens that are sent."""
    plan = plan_chain(chain)
    stream = EventStream(flush_interval=0)
    run = ChainRun(plan, "hi", [new(stream, mode="json") for new in plan.handlers], stream)
    events = await events_of(run)
    assert run.failure is None
    return run.output(), [event.data for event in events if event.name == "completion"]
