"""ChainRun: new handlers, one run id and one usage for each run."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
)

from quart_lanarky.adapters.langchain.callbacks import (
    SourceDocumentStreamingCallbackHandler,
    TokenStreamingCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.base import EventCallbackHandler
from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from quart_lanarky.events import completion
from quart_lanarky.runs.stream import EventStream
from tests.runs.reading import events_of


def run_of(chain: Runnable[Any, Any], output_key: str | None = None, **options: Any) -> ChainRun:
    stream = EventStream()
    plan = plan_chain(chain, output_key=output_key)
    handlers = [TokenStreamingCallbackHandler(stream)]
    return ChainRun(plan, "?", handlers, stream, **options)


class Tracer(BaseCallbackHandler):
    """A tracer of the user's own."""

    def __init__(self) -> None:
        self.root: UUID | None = None
        self.tags: list[str] = []
        self.seen: list[str] = []

    def on_chain_start(self, *args: Any, run_id: UUID, **kwargs: Any) -> None:
        if kwargs.get("parent_run_id") is None:
            self.root = run_id
            self.tags = kwargs["tags"]

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.seen.append("model")

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.seen.append(token)


def model(text: str, usage: tuple[int, int] | None) -> GenericFakeChatModel:
    message = AIMessage(text)
    if usage:
        message.usage_metadata = UsageMetadata(
            input_tokens=usage[0], output_tokens=usage[1], total_tokens=sum(usage)
        )
    return GenericFakeChatModel(messages=iter([message]), disable_streaming=True)


HANDLERS: list[list[type[EventCallbackHandler]]] = [
    [TokenStreamingCallbackHandler],
    [TokenStreamingCallbackHandler, TokenStreamingCallbackHandler],
    [SourceDocumentStreamingCallbackHandler],
    [],
]


@pytest.mark.parametrize("kinds", HANDLERS)
async def test_usage_is_the_sum_over_all_models_whether_or_not_they_are_sent(
    kinds: list[type[EventCallbackHandler]],
) -> None:
    chain = model("a", (3, 1)) | RunnableLambda(lambda _: "?") | model("b", (5, 2))
    stream = EventStream()
    run = ChainRun(plan_chain(chain), "?", [kind(stream) for kind in kinds], stream)
    [*_, end] = await events_of(run)
    assert list(end.data["usage"].items()) == [
        ("input_tokens", 8),
        ("output_tokens", 3),
        ("total_tokens", 11),
    ]


@pytest.mark.parametrize("chain", [model("a", None), RunnableLambda(lambda _: "a")])
async def test_usage_is_null_where_no_model_reports_it(chain: Runnable[Any, Any]) -> None:
    [*_, end] = await events_of(run_of(chain))
    assert end.data["usage"] is None


async def test_the_usage_of_a_cached_answer_is_null() -> None:
    cached = FakeListChatModel(responses=["a"], cache=InMemoryCache())
    for _ in range(2):  # LangChain sets a cost of zero in the second
        [*_, end] = await events_of(run_of(cached))
        assert end.data["usage"] is None


async def test_a_failed_run_reports_its_usage_too() -> None:
    def fail(_: object) -> None:
        raise RuntimeError

    [*_, error, end] = await events_of(run_of(model("a", (3, 1)) | RunnableLambda(fail)))
    assert error.name == "error"
    assert end.data["usage"]["total_tokens"] == 4


@pytest.mark.parametrize("wrap", [lambda tracer: [tracer], lambda t: CallbackManager([t], [t])])
async def test_a_tracer_in_the_config_sees_the_whole_run_under_its_id(wrap: Any) -> None:
    tracer = Tracer()
    config = {"callbacks": wrap(tracer), "tags": ["mine"], "run_id": UUID(int=7)}
    chain = RunnableLambda(lambda text: text) | FakeListChatModel(responses=["ab"])
    run = run_of(chain, config=config)
    [*_, end] = await events_of(run)
    assert tracer.root == run.id
    assert end.data["run_id"] == str(run.id)
    assert tracer.tags == ["mine"]
    assert [text for text in tracer.seen if text] == ["model", "a", "b"]
    assert config == {"callbacks": config["callbacks"], "tags": ["mine"], "run_id": UUID(int=7)}


async def test_the_configuration_reaches_the_chain() -> None:
    def who(_: object, config: RunnableConfig) -> str:
        return str(config["configurable"]["user"])

    [token, _] = await events_of(
        run_of(RunnableLambda(who), config={"configurable": {"user": "ada"}})
    )
    assert token == completion("ada")


async def test_tokens_of_a_chain_that_streams_its_own_output_are_sent_once() -> None:
    async def shout(chunks: AsyncIterator[AIMessage]) -> AsyncIterator[str]:
        async for chunk in chunks:
            yield str(chunk.text).upper()

    chain = FakeListChatModel(responses=["abc"]) | RunnableGenerator(shout)
    [*tokens, end] = await events_of(run_of(chain))
    assert tokens == [completion(token) for token in "ABC"]
    assert end.name == "end"


async def test_chunks_that_cannot_be_added_replace_the_previous_one_as_in_langchain() -> None:
    async def count(_: object) -> AsyncIterator[dict[str, int]]:
        yield {"n": 1}
        yield {"n": 2}

    run = run_of(RunnableGenerator(count))
    [token, _] = await events_of(run)
    assert token == completion('{"n": 2}')
    assert run.output() == {"n": 2}


async def test_why_a_chain_does_not_stream_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask(_: object) -> str:
        return str((await FakeListChatModel(responses=["ab"]).ainvoke("?")).text)

    for _ in range(2):
        [token, _] = await events_of(run_of(RunnableLambda(ask), source="the route /ask"))
        assert token == completion("ab")
    [record] = caplog.records
    assert record.getMessage().startswith("the route /ask: which of its models produces")
    assert "final_tag=" in record.getMessage()


@pytest.mark.parametrize("is_visible", [False, True])
async def test_an_output_key_that_the_output_does_not_have_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture, is_visible: bool
) -> None:
    model = FakeListChatModel(responses=["ab"])

    async def ask(_: object) -> dict[str, str]:
        return {"answer": str((await model.ainvoke("?")).text)}

    chain = RunnableParallel(answer=model, question=RunnableLambda(str))
    source = f"the route /misspelt/{is_visible}"
    for _ in range(2):
        asked = chain if is_visible else RunnableLambda(ask)
        await events_of(run_of(asked, output_key="answr", source=source))
    [record] = caplog.records
    assert record.getMessage().startswith(f"{source}: the output of the chain has no key 'answr'")


async def test_a_chain_without_a_model_logs_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await events_of(run_of(RunnableLambda(lambda _: "ab"), source="the route /plain"))
    assert caplog.records == []


async def test_the_output_equals_the_joined_tokens() -> None:
    run = run_of(RunnableLambda(lambda _: {"a": "x", "b": "y"}), output_key="b")
    await events_of(run)
    assert run.output() == "y"
    run = run_of(FakeListChatModel(responses=["whole"]))
    events = await events_of(run)
    assert run.output() == "".join(event.data for event in events[:-1]) == "whole"


async def test_a_failing_handler_fails_the_run_of_a_chain_that_streams_itself() -> None:
    class Failing(TokenStreamingCallbackHandler):
        async def _handle_output(self, output: Any) -> None:
            raise ValueError("no answer")

    def words(_: Any) -> Iterator[str]:
        yield "a"

    stream = EventStream()
    plan = plan_chain(RunnableGenerator(words))
    run = ChainRun(plan, "?", [Failing(stream)], stream)
    assert [event.name for event in await events_of(run)][-2:] == ["error", "end"]
