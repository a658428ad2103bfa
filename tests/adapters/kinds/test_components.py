"""What functions return, tagged when they are called."""

from operator import itemgetter

from langchain_core.runnables import RunnableConfig, RunnableLambda

from quart_lanarky.adapters.langchain.service.plan import plan_chain
from tests.adapters.chains import LCEL, tagged_models


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
