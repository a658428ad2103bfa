"""Which models of a chain that is put together from others produce its answer."""

from typing import Any

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.runnables import (
    ConfigurableField,
    RouterRunnable,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.runnables.history import RunnableWithMessageHistory

from quart_lanarky.adapters.langchain.service.plan import plan_chain
from tests.adapters.chains import LCEL, MODEL, agent, graph, qa, tagged_models

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.LangChainDeprecationWarning"  # all that is classic is deprecated
)


@pytest.mark.parametrize(
    ("chain", "tags"),
    [
        (LCEL | StrOutputParser().with_config(run_name="x"), 1),
        (LCEL | JsonOutputParser(), 0),
        (RunnableParallel(a=LCEL, b=LCEL), 0),
        (RunnablePassthrough.assign(a=LCEL), 1),
        (RunnablePassthrough.assign(a=LCEL, b=LCEL), 0),
        (RunnablePassthrough.assign(a=LCEL, b=LCEL).pick("b"), 1),
        (RunnablePassthrough.assign(a=LCEL).pick(["a"]), 0),
        (RunnableBranch((bool, LCEL), LCEL), 2),
        (RunnableBranch((bool, LCEL), qa()), 2),
        (RunnableBranch((bool, LCEL), agent()), 0),  # their texts are read differently
        (LCEL.with_fallbacks([graph("one")]), 1),  # besides the graph, which has a tag of its own
        (LCEL.with_fallbacks([LCEL, RunnableLambda(str)]), 2),
        (RouterRunnable({"a": LCEL, "b": LCEL}), 2),
        (LCEL.map(), 0),
        (MODEL.configurable_fields(responses=ConfigurableField("r")), 1),
        (LCEL.configurable_fields(name=ConfigurableField("n")), 0),
        (MODEL.configurable_alternatives(ConfigurableField("m"), other=MODEL), 1),
        (MODEL.configurable_alternatives(ConfigurableField("m"), other=LCEL), 0),
        (MODEL.configurable_alternatives(ConfigurableField("m"), other=lambda: MODEL), 0),
    ],
)
def test_the_models_that_produce_the_answer_are_tagged(
    chain: Runnable[Any, Any], tags: int
) -> None:
    assert tagged_models(plan_chain(chain).chain) == tags


@pytest.mark.parametrize(
    ("chain", "key", "tags"),
    [
        (RunnableParallel(a=LCEL, b=LCEL), "b", 1),
        (RunnableParallel(a=LCEL), "c", 0),
        (RunnablePassthrough.assign(a=LCEL).assign(b=len), "a", 1),
        (RunnablePassthrough.assign(a=LCEL).assign(b=LCEL), "b", 1),
    ],
)
def test_output_key_chooses_the_models_that_are_tagged(
    chain: Runnable[Any, Any], key: str, tags: int
) -> None:
    plan = plan_chain(chain, output_key=key)
    assert tagged_models(plan.chain) == tags
    assert not tags or plan.spec.output_path[0] == (key,)


def test_a_history_knows_where_the_answer_is() -> None:
    chain = RunnableWithMessageHistory(
        RunnablePassthrough.assign(a=LCEL, b=LCEL),
        lambda session_id: InMemoryChatMessageHistory(),
        input_messages_key="question",
        output_messages_key="b",
    )
    assert plan_chain(chain).spec.output_path == (("b",),)
