"""ChainRun: fresh handlers, one id, one bill."""

from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.runnables import Runnable, RunnableLambda

from quart_lanarky.adapters.langchain.callbacks import TokenStreamingCallbackHandler
from quart_lanarky.adapters.langchain.runs import ChainRun
from quart_lanarky.streams import EventStream
from tests.test_runs import events_of


def run_of(chain: Runnable[Any, Any], *extra: BaseCallbackHandler, **options: Any) -> ChainRun:
    stream = EventStream()
    handlers = [TokenStreamingCallbackHandler(stream), *extra]
    return ChainRun(chain, "?", handlers, stream, **{"mode": "json", "output_key": None} | options)


def model(text: str, usage: tuple[int, int] | None) -> GenericFakeChatModel:
    message = AIMessage(text)
    if usage:
        message.usage_metadata = UsageMetadata(
            input_tokens=usage[0], output_tokens=usage[1], total_tokens=sum(usage)
        )
    return GenericFakeChatModel(messages=iter([message]), disable_streaming=True)


async def test_usage_is_the_sum_over_all_models_in_a_fixed_order() -> None:
    chain = model("a", (3, 1)) | RunnableLambda(lambda _: "?") | model("b", (5, 2))
    [*_, end] = await events_of(run_of(chain))
    assert list(end.json()["usage"].items()) == [
        ("input_tokens", 8),
        ("output_tokens", 3),
        ("total_tokens", 11),
    ]


@pytest.mark.parametrize("chain", [model("a", None), RunnableLambda(lambda _: "a")])
async def test_usage_is_null_where_no_model_reports_it(chain: Runnable[Any, Any]) -> None:
    [*_, end] = await events_of(run_of(chain))
    assert end.json()["usage"] is None


async def test_a_failed_run_has_its_bill_all_the_same() -> None:
    def fail(_: object) -> None:
        raise RuntimeError

    [*_, error, end] = await events_of(run_of(model("a", (3, 1)) | RunnableLambda(fail)))
    assert error.name == "error"
    assert end.json()["usage"]["total_tokens"] == 4


async def test_langchain_traces_the_run_under_its_id() -> None:
    class Tracer(BaseCallbackHandler):
        root: UUID | None = None

        def on_chain_start(self, *args: Any, run_id: UUID, **kwargs: Any) -> None:
            if kwargs.get("parent_run_id") is None:
                self.root = run_id

    tracer = Tracer()
    run = run_of(RunnableLambda(lambda text: text) | FakeListChatModel(responses=["a"]), tracer)
    [*_, end] = await events_of(run)
    assert tracer.root == run.id
    assert end.json()["run_id"] == str(run.id)


async def test_the_output_is_the_text_that_the_tokens_make() -> None:
    run = run_of(RunnableLambda(lambda _: {"a": "x", "b": "y"}), output_key="b")
    await events_of(run)
    assert run.output() == "y"
    run = run_of(FakeListChatModel(responses=["whole"]))
    events = await events_of(run)
    assert run.output() == "".join(event.json()["token"] for event in events[:-1]) == "whole"
