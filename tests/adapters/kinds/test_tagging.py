"""Tagged copies of chains."""

from typing import Any

import pytest
from langchain_core.runnables import Runnable

from quart_lanarky.adapters.langchain.handlers.selection import (
    ANSWER_TAG,
    GRAPH_TAG,
    AnyOf,
    InNodes,
    Tagged,
)
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from tests.adapters.chains import LCEL, agent, graph, qa, tagged_models

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)


@pytest.mark.parametrize("chain", [LCEL, LCEL.with_retry(), qa(), agent()])
def test_the_users_chain_is_not_changed(chain: Runnable[Any, Any]) -> None:
    before = repr(chain)
    assert tagged_models(plan_chain(chain).chain) == 1
    assert repr(chain) == before


def test_any_of_several_chains_may_produce_the_answer() -> None:
    spec = plan_chain(graph("one").with_fallbacks([graph("two"), LCEL])).spec
    rules = (
        InNodes(GRAPH_TAG, {"one": None}),
        InNodes(GRAPH_TAG, {"two": None}),
        Tagged(ANSWER_TAG),
    )
    assert spec.answer_runs == AnyOf(rules)
    assert (spec.has_tools, spec.is_agent, spec.returns_documents) == (True, True, True)
