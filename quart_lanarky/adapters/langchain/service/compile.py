"""What a route finds out of a chain before it runs it, kept for as long as the chain stays."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import Runnable

from ..inputs.fields import Fields
from ..kinds.inputs import chain_inputs
from .options import RouteOptions
from .plan import ChainPlan

__all__ = ["ChainCompiler", "CompiledChain"]


@dataclass(frozen=True)
class CompiledChain:
    """A chain that is known: how it is served, and what it takes.

    Attributes:
        source: The chain as its factory made it.
        plan: How it is served.
        inputs: What it is called with.
    """

    source: Runnable[Any, Any]
    plan: ChainPlan
    inputs: Fields


class ChainCompiler:
    """Compiles the chains of one route; one that comes again it does not compile again.

    A chain that was given twice is the app's own, and is kept. One that a factory makes for a
    single request is not: it may hold what belongs to that request.

    Args:
        options: The route's.
        declared_input: Returns the class of which its factory says that the chain takes it.
    """

    def __init__(self, options: RouteOptions, declared_input: Callable[[], Any]) -> None:
        self._options = options
        self._declared_input = declared_input
        self._seen: weakref.ref[Runnable[Any, Any]] | None = None
        self._kept: CompiledChain | None = None

    def compile(self, chain: Runnable[Any, Any]) -> CompiledChain:
        """Return how `chain` is served and what it takes."""
        if self._kept is not None and self._kept.source is chain:
            return self._kept
        plan = self._options.plan_for(chain)
        inputs = chain_inputs(chain, self._options.input_model, self._declared_input())
        compiled = CompiledChain(chain, plan, inputs)
        if self._seen is not None and self._seen() is chain:
            self._kept = compiled
        self._seen = weakref.ref(chain)
        return compiled
