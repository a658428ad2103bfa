"""One record is all that a kind of chain needs, and what is no chain is refused."""

from pkgutil import resolve_name
from typing import Any

import pytest
from langchain_core.runnables import Runnable, RunnablePassthrough

from quart_lanarky.adapters.langchain.kinds import classic, components, langgraph, lcel
from quart_lanarky.adapters.langchain.kinds.base import ChainKind, ChainKinds, always, class_path
from quart_lanarky.adapters.langchain.kinds.registry import CHAIN_KINDS, check_chain
from quart_lanarky.adapters.langchain.kinds.tagging import TaggedChain
from quart_lanarky.errors import ChainTypeError
from tests.adapters.chains import LCEL, MODEL, PROMPT, NoRetriever, tagged_models

KINDS = (*components.KINDS, *lcel.KINDS, *classic.KINDS, *langgraph.KINDS)


class Polite(Runnable[Any, Any]):
    """A Runnable of somebody else's, around a chain that returns the answer."""

    def __init__(self, inner: Runnable[Any, Any]) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"Polite({self.inner!r})"

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class VeryPolite(Polite):
    """One that derives from it."""


def tag_polite(chain: Polite, key: str | None, kinds: ChainKinds) -> TaggedChain:
    tagged = kinds.tag(chain.inner, key)
    return tagged.within(Polite(tagged.chain))


POLITE = ChainKind(
    class_path(Polite),
    tag=tag_polite,
    inputs=lambda chain, kinds: kinds.inputs(chain.inner),
    output=lambda chain, kinds: kinds.output(chain.inner),
    children=lambda chain: [chain.inner],
    reports_end=always,
)
EXTENDED = ChainKinds((*KINDS, POLITE))


def tags(kinds: ChainKinds, chain: Any) -> int:
    return tagged_models(kinds.tag(chain).chain)


@pytest.mark.parametrize("chain", [Polite(LCEL), VeryPolite(LCEL)])
def test_a_kind_is_added_by_one_record(chain: Any) -> None:
    assert tags(EXTENDED, chain) == 1
    assert list(EXTENDED.inputs(chain).hints) == ["question"]
    assert EXTENDED.output(chain) is str
    assert not EXTENDED.may_retrieve(chain)
    assert not EXTENDED.needs_invoke(chain)
    assert EXTENDED.reports_end(chain)


def test_without_a_record_nothing_is_known_of_a_chain() -> None:
    chain = Polite(LCEL)
    assert tags(CHAIN_KINDS, chain) == 0
    assert list(CHAIN_KINDS.inputs(chain).hints) == ["input"]
    assert CHAIN_KINDS.output(chain) is Any
    assert CHAIN_KINDS.may_retrieve(chain)
    assert not CHAIN_KINDS.reports_end(chain)


@pytest.mark.parametrize(
    "chain",
    [
        PROMPT | Polite(MODEL),
        RunnablePassthrough.assign(answer=Polite(LCEL)),
        Polite(LCEL).with_config(run_name="polite"),
        Polite(Polite(LCEL)).with_fallbacks([]),
    ],
)
def test_the_kinds_around_it_ask_the_record_of_the_chain_inside(chain: Any) -> None:
    assert tags(EXTENDED, chain) == 1
    assert list(EXTENDED.inputs(chain).hints) == ["question"]
    assert not EXTENDED.may_retrieve(chain)


def test_the_record_asks_those_of_the_chains_inside_it() -> None:
    assert EXTENDED.may_retrieve(Polite(NoRetriever()))
    assert EXTENDED.needs_invoke(Polite(LCEL.with_retry()))


def test_a_class_with_its_own_call_does_not_report_its_end() -> None:
    class Shouting(Polite):
        async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    assert not EXTENDED.reports_end(Shouting(LCEL))
    assert EXTENDED.kind_of(Shouting(LCEL)) is POLITE


def test_each_kind_has_one_record() -> None:
    assert len({kind.path for kind in KINDS}) == len(KINDS)


PATHS = [
    *(kind.path for kind in KINDS),
    *classic._PREFIXES,
    langgraph._TOOLS,
    langgraph._MIDDLEWARE,
    langgraph._OMITTED,
]


@pytest.mark.parametrize("path", PATHS)
def test_the_classes_are_still_where_they_are_looked_for(path: str) -> None:
    assert class_path(resolve_name(path)) == path


@pytest.mark.parametrize("candidate", [None, "text", 7, {"a": 1}, object()])
def test_what_is_no_chain_is_refused_by_name(candidate: object) -> None:
    with pytest.raises(ChainTypeError, match=rf"^here gave {type(candidate).__name__}, which"):
        check_chain(candidate, "here")


def test_a_chain_passes() -> None:
    assert check_chain(LCEL, "here") is LCEL
