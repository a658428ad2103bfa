"""Which models of a classic chain produce its answer, and how their text is read."""

from typing import Any

import pytest
from langchain_classic.chains import (
    ConversationChain,
    ReduceDocumentsChain,
    SimpleSequentialChain,
    StuffDocumentsChain,
)
from langchain_classic.chains.router.base import MultiRouteChain
from langchain_classic.memory import ConversationBufferMemory
from langchain_core.prompts import PromptTemplate

from quart_lanarky.adapters.langchain.kinds.registry import CHAIN_KINDS
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from tests.adapters.chains import MODEL, RouterTo, agent, llm_chain, tagged_models

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)


def test_a_tagged_chain_has_the_users_own_memory_and_model() -> None:
    memory = ConversationBufferMemory()
    tagged = CHAIN_KINDS.tag(ConversationChain(llm=MODEL, memory=memory)).chain
    assert tagged.memory is memory
    assert tagged.llm.bound is MODEL


@pytest.mark.parametrize(("strips"), [True, False])
def test_a_simple_sequence_may_strip_the_answer(strips: bool) -> None:
    chain = SimpleSequentialChain(chains=[llm_chain(), llm_chain()], strip_outputs=strips)
    assert plan_chain(chain).spec.strip is strips


def test_an_agent_that_announces_its_answer_strips_it() -> None:
    spec = plan_chain(agent()).spec
    assert (spec.prefix, spec.strip) == (("Final", "Answer", ":"), True)


def test_a_router_is_tagged_if_the_texts_of_all_its_destinations_are_read_alike() -> None:
    def router(destination: Any) -> Any:
        route = RouterTo()
        return MultiRouteChain(
            router_chain=route, destination_chains={"a": destination}, default_chain=llm_chain()
        )

    assert tagged_models(plan_chain(router(llm_chain())).chain) == 2
    stripping = SimpleSequentialChain(chains=[llm_chain()], strip_outputs=True)
    assert tagged_models(plan_chain(router(stripping)).chain) == 0


def test_a_chain_that_collapses_documents_is_not_tagged() -> None:
    document = PromptTemplate.from_template("{page_content}")
    stuff = StuffDocumentsChain(
        llm_chain=llm_chain(), document_prompt=document, document_variable_name="question"
    )
    tagged = CHAIN_KINDS.tag(ReduceDocumentsChain(combine_documents_chain=stuff)).chain
    assert tagged_models(tagged.combine_documents_chain) == 1
    assert tagged.collapse_documents_chain is stuff
