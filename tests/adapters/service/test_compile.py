"""A reused chain is compiled once; one that is made for a request is not kept."""

import gc
import weakref

import pytest
from langchain_core.runnables import RunnableLambda

from quart_lanarky.adapters.langchain.service import compile as compilation
from quart_lanarky.adapters.langchain.service.compile import ChainCompiler
from quart_lanarky.adapters.langchain.service.options import RouteOptions


def chain_of(name: str) -> RunnableLambda[str, str]:
    return RunnableLambda(lambda text: f"{name} {text}")


@pytest.fixture
def compiler() -> ChainCompiler:
    return ChainCompiler(RouteOptions(), lambda: None)


def test_a_chain_that_was_seen_twice_is_not_compiled_again(
    compiler: ChainCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = chain_of("one")
    compiler.compile(chain)
    compiled = compiler.compile(chain)
    monkeypatch.setattr(compilation, "chain_inputs", None)
    assert compiler.compile(chain) is compiled


def test_each_chain_is_compiled_separately(compiler: ChainCompiler) -> None:
    one, other = chain_of("one"), chain_of("other")
    for chain in (one, one, one, other, one, other, other, one):
        compiled = compiler.compile(chain)
        assert compiled.source is chain
        assert compiled.plan.chain.invoke("answer") == chain.invoke("answer")


def test_a_chain_made_for_one_request_is_not_kept_alive(compiler: ChainCompiler) -> None:
    chain = chain_of("one")
    compiler.compile(chain)
    gone = weakref.ref(chain)
    del chain
    gc.collect()
    assert gone() is None


def test_equal_chains_share_the_type_adapter_of_their_inputs(compiler: ChainCompiler) -> None:
    first, second = (compiler.compile(chain_of("one")).inputs for _ in range(2))
    assert first is not second
    assert first.adapter is second.adapter
