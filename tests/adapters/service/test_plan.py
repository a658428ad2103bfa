"""Which handlers a chain gets, and when it is streamed or wrapped in another."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import GenerationChunk
from langchain_core.runnables import (
    Runnable,
    RunnableBinding,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnableSequence,
)

from quart_lanarky.adapters.langchain.callbacks import (
    PAIRS,
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.selection import Tagged, no_run
from quart_lanarky.adapters.langchain.service.options import RouteOptions
from quart_lanarky.adapters.langchain.service.plan import ChainPlan, plan_chain
from quart_lanarky.errors import ConfigurationError
from tests.adapters.chains import LCEL, MODEL, PROMPT, NoRetriever, agent, graph, look, qa

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)


def classes(plan: ChainPlan) -> list[tuple[Any, Any]]:
    def bare(factory: Any) -> Any:
        return factory.func if isinstance(factory, partial) else factory

    return [PAIRS[bare(handler)] for handler in plan.handlers]


TOKENS = (TokenStreamingCallbackHandler, TokenWebSocketCallbackHandler)
DOCUMENTS = (SourceDocumentStreamingCallbackHandler, SourceDocumentWebSocketCallbackHandler)
FINAL = (FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler)


@pytest.mark.parametrize(
    ("chain", "pair", "output_path"),
    [
        (LCEL, TOKENS, ()),
        (LCEL.with_config(run_name="AgentExecutor"), TOKENS, ()),
        (qa(), TOKENS, (("result",),)),
        (qa(return_source_documents=True, output_key="text"), TOKENS, (("text",),)),
        (qa().with_config(tags=["x"]), TOKENS, (("result",),)),
        (agent(), FINAL, (("output",),)),
        (agent(return_intermediate_steps=True).with_config(tags=["x"]), FINAL, (("output",),)),
        (graph("one"), FINAL, (("structured_response", "messages"),)),
        (RunnablePassthrough.assign(a=qa()), TOKENS, (("a",), ("result",))),
        (RunnableLambda(len), FINAL, ()),  # it may return an agent
    ],
)
def test_the_handlers_fit_the_chain(chain: Runnable[Any, Any], pair: Any, output_path: Any) -> None:
    plan = plan_chain(chain)
    assert classes(plan) == [pair, DOCUMENTS]
    assert plan.spec.output_path == output_path


@pytest.mark.parametrize(
    ("chain", "returned"), [(LCEL, False), (qa(), True), (agent(), True), (graph("one"), True)]
)
def test_documents_retrieved_by_an_agents_tools_are_not_sent(
    chain: Runnable[Any, Any], returned: bool
) -> None:
    assert plan_chain(chain).spec.returns_documents is returned


def test_hold_tokens_reaches_the_handlers_of_agents() -> None:
    handler, _ = plan_chain(graph("one"), hold_tokens=7).handlers
    assert handler()._hold == 7  # type: ignore[attr-defined]


def test_a_final_tag_replaces_the_answer_tag() -> None:
    plan = plan_chain(LCEL, final_tag="mine")
    assert plan.chain is LCEL
    assert plan.spec.answer_runs == Tagged("mine")


class ShoutingLambda(RunnableLambda[Any, Any]):
    """Changes its output after the callbacks got it."""

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        return str(await super().ainvoke(*args, **kwargs)).upper()


class ShoutingBinding(RunnableBinding[Any, Any]):
    """The same around any chain."""

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        return str(await super().ainvoke(*args, **kwargs)).upper()


@pytest.mark.parametrize(
    "chain",
    [
        MODEL,
        NoRetriever(),
        MODEL.bind(stop=["x"]),
        look,
        graph("one"),
        ShoutingLambda(len),
        ShoutingBinding(bound=LCEL),
        ShoutingBinding(bound=LCEL).bind(),
    ],
)
def test_a_chain_that_does_not_report_its_end_is_wrapped_in_one_that_does(
    chain: Runnable[Any, Any],
) -> None:
    served = plan_chain(chain).chain
    assert isinstance(served, RunnableSequence)
    assert len(served.steps) == 2


@pytest.mark.parametrize("chain", [LCEL, LCEL.bind(), LCEL.with_retry(), RunnableLambda(len)])
def test_a_chain_that_reports_its_end_is_not_wrapped(chain: Runnable[Any, Any]) -> None:
    assert type(plan_chain(chain).chain) is type(chain)


class Streaming(FakeListLLM):
    """An LLM that streams, as FakeListLLM does not."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[GenerationChunk]:
        raise NotImplementedError
        yield


async def shout(chunks: AsyncIterator[Any]) -> AsyncIterator[str]:
    raise NotImplementedError
    yield


LLM = Streaming(responses=["hi"])
CACHED: dict[str, Any] = {"responses": ["hi"], "cache": InMemoryCache()}


@pytest.mark.parametrize(
    ("chain", "own"),
    [
        (LLM, True),
        (PROMPT | LLM.bind(stop=["x"]) | StrOutputParser(), True),
        (LLM.with_retry(), False),  # LangChain would not try again
        (LLM.with_fallbacks([LLM]), False),
        (Streaming(**CACHED), False),  # nor look into the cache
        (FakeListLLM(responses=["hi"]), False),
        (RunnableGenerator(shout), True),
        (LCEL | RunnableGenerator(shout), True),
        (PROMPT | FakeListChatModel(**CACHED) | RunnableGenerator(shout), False),
        (PROMPT | MODEL.with_retry() | RunnableGenerator(shout), False),
        (RunnableParallel(a=LCEL.with_retry()) | RunnableGenerator(shout), False),
        (RunnablePassthrough.assign(a=LCEL.with_retry()) | RunnableGenerator(shout), False),
        (MODEL.with_retry().with_config(tags=["x"]) | RunnableGenerator(shout), False),
        (RunnableBranch((bool, LCEL), LCEL.with_retry()) | RunnableGenerator(shout), False),
        ((PROMPT | MODEL.with_retry()).bind() | RunnableGenerator(shout), False),
        (PROMPT | MODEL.with_fallbacks([MODEL]) | RunnableGenerator(shout), False),
        (RunnableParallel(a=RunnableGenerator(shout)).pick("a"), False),
    ],
)
def test_only_a_chain_that_streams_its_whole_output_is_read_by_its_own_chunks(
    chain: Runnable[Any, Any], own: bool
) -> None:
    plan = plan_chain(chain)
    assert plan.has_own_chunks is own
    assert (plan.spec.answer_runs is no_run) is own, "else the answer would be sent twice"
    assert not plan_chain(chain, final_tag="mine").has_own_chunks


@pytest.mark.parametrize(
    ("own", "http", "websocket"),
    [
        (None, None, None),
        (StreamingCallbackHandler, StreamingCallbackHandler, StreamingCallbackHandler),
        (
            (StreamingCallbackHandler, WebSocketCallbackHandler),
            StreamingCallbackHandler,
            WebSocketCallbackHandler,
        ),
        (
            [StreamingCallbackHandler, WebSocketCallbackHandler],
            StreamingCallbackHandler,
            WebSocketCallbackHandler,
        ),
    ],
)
def test_a_custom_handler_or_handler_pair_serves_its_transport(
    own: Any, http: Any, websocket: Any
) -> None:
    options = RouteOptions(handlers=own)
    assert options.handler_for(over_websocket=False) is http
    assert options.handler_for(over_websocket=True) is websocket


@pytest.mark.parametrize(
    "own",
    [(), (StreamingCallbackHandler,), (StreamingCallbackHandler,) * 3, 5, "ab", ("a", "b")],
)
def test_other_than_two_handlers_are_refused_at_decoration(own: Any) -> None:
    with pytest.raises(ConfigurationError, match="a handler class, or a pair of them"):
        RouteOptions(handlers=own)
