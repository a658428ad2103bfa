"""Which handlers and which output key fit which chain."""

from functools import partial
from typing import Any

import pytest
from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_classic.chains import RetrievalQA
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import PromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable

from quart_lanarky.adapters.langchain.callbacks import (
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.adapters.langchain.chains import ChainPlan, check_chain, plan_chain
from quart_lanarky.errors import ChainTypeError

MODEL = FakeListChatModel(responses=["hi"])
LCEL = PromptTemplate.from_template("{question}") | MODEL


class NoRetriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Any]:
        return []


def qa(**options: Any) -> Runnable[Any, Any]:
    return RetrievalQA.from_chain_type(MODEL, retriever=NoRetriever(), **options)


def agent(**options: Any) -> Runnable[Any, Any]:
    prompt = PromptTemplate.from_template("{tools}{tool_names}{input}{agent_scratchpad}")
    return AgentExecutor(agent=create_react_agent(MODEL, [], prompt), tools=[], **options)


def classes(plan: ChainPlan) -> list[tuple[Any, Any]]:
    def bare(factory: Any) -> Any:
        return factory.func if isinstance(factory, partial) else factory

    return [(bare(http), bare(websocket)) for http, websocket in plan.pairs]


TOKENS = (TokenStreamingCallbackHandler, TokenWebSocketCallbackHandler)
DOCUMENTS = (SourceDocumentStreamingCallbackHandler, SourceDocumentWebSocketCallbackHandler)
FINAL = (FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler)


@pytest.mark.parametrize(
    ("chain", "pairs", "output_key"),
    [
        (LCEL, [TOKENS], None),
        (LCEL.with_config(run_name="AgentExecutor"), [TOKENS], None),
        (qa(), [TOKENS], "result"),
        (qa(return_source_documents=True), [TOKENS, DOCUMENTS], "result"),
        (qa(return_source_documents=True, output_key="text"), [TOKENS, DOCUMENTS], "text"),
        (qa(return_source_documents=True).with_config(tags=["x"]), [TOKENS, DOCUMENTS], "result"),
        (agent(), [FINAL], "output"),
        (agent(return_intermediate_steps=True).with_config(tags=["x"]), [FINAL], "output"),
    ],
)
def test_the_handlers_fit_the_chain(
    chain: Runnable[Any, Any], pairs: list[Any], output_key: str | None
) -> None:
    plan = plan_chain(chain)
    assert classes(plan) == pairs
    assert plan.output_key == output_key


def test_the_output_key_reaches_the_handlers() -> None:
    [(http, websocket)] = plan_chain(LCEL, output_key="mine").pairs
    assert http()._output_key == websocket()._output_key == "mine"  # type: ignore[attr-defined]


def test_a_pair_of_ones_own_replaces_the_one_that_fits() -> None:
    own = (StreamingCallbackHandler, WebSocketCallbackHandler)
    assert plan_chain(agent(), handlers=own).pairs == (own,)


@pytest.mark.parametrize("candidate", [None, "text", 7, {"a": 1}, object()])
def test_what_is_no_chain_is_refused_by_name(candidate: object) -> None:
    with pytest.raises(ChainTypeError, match=rf"^here gave {type(candidate).__name__}, which"):
        check_chain(candidate, "here")


def test_a_chain_passes() -> None:
    assert check_chain(LCEL, "here") is LCEL
