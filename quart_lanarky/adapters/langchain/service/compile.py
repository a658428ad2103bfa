"""Compile chains: how they are served and what they take, cached for a reused chain."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import Runnable

from ..inputs.fields import Fields
from ..kinds.chain_inputs import chain_inputs
from .options import RouteOptions
from .plan import ChainPlan

__all__ = ["ChainCompiler", "CompiledChain"]


@dataclass(frozen=True)
class CompiledChain:
    """A chain, how it is served, and what it takes.

    Attributes:
        source: The chain as its factory returned it.
        plan: How it is served.
        inputs: The fields of its input.
    """

    source: Runnable[Any, Any]
    plan: ChainPlan
    inputs: Fields


class ChainCompiler:
    """Compiles the chains of one route, and caches the result for a chain that is reused.

    A chain that is compiled twice in a row belongs to the app and is cached. A chain that a
    factory makes for a single request is not: it may hold data of that request.

    Args:
        options: The options of the route.
        declared_input: Returns the input type that the factory declares for its chain.
    """

    def __init__(self, options: RouteOptions, declared_input: Callable[[], Any]) -> None:
        self._options = options
        self._declared_input = declared_input
        self._last_chain: weakref.ref[Runnable[Any, Any]] | None = None
        self._cached: CompiledChain | None = None

    def compile(self, chain: Runnable[Any, Any]) -> CompiledChain:
        """Return how `chain` is served and what it takes."""
        if self._cached is not None and self._cached.source is chain:
            return self._cached
        plan = self._options.plan_for(chain)
        inputs = chain_inputs(chain, self._options.input_model, self._declared_input())
        compiled = CompiledChain(chain, plan, inputs)
        if self._last_chain is not None and self._last_chain() is chain:
            self._cached = compiled
        self._last_chain = weakref.ref(chain)
        return compiled
