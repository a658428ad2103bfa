"""Call chain factories of every form, and run the cleanup of those that yield."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from inspect import (
    isasyncgenfunction,
    isawaitable,
    iscoroutine,
    iscoroutinefunction,
    isgenerator,
)
from typing import Any

from langchain_core.runnables import Runnable

from ....errors import ChainTypeError, ConfigurationError
from ....transports.route_description import route_of
from ....transports.threads import FACTORY_THREADS
from ..inputs.parameters import factory_name
from ..kinds.lcel import unwrap
from ..kinds.registry import check_chain
from .generators import YieldingFactory

__all__ = ["ChainFactory", "check_factory", "factory_of", "open_chain", "ready_chain_of"]

logger = logging.getLogger(__name__)

ChainFactory = Callable[..., Any]
"""A ``def`` or ``async def`` that returns a chain, or yields it and cleans up afterwards."""

_READY = "ready_chain"


def factory_of(chain: Runnable[Any, Any] | ChainFactory) -> ChainFactory:
    """Return a factory for a chain; a factory is returned unchanged.

    Raises:
        ChainTypeError: `chain` is neither a chain nor callable.
    """
    if isinstance(chain, Runnable):
        _warn_of_shared_memory(chain)

        async def ready_chain() -> Runnable[Any, Any]:
            return chain

        vars(ready_chain)[_READY] = chain
        return ready_chain
    if callable(chain):
        return chain
    advice = ": give it the function, without calling it" if iscoroutine(chain) else ""
    raise ChainTypeError(
        f"add_chain takes a chain or a function that makes one, not {chain!r}{advice}"
    )


def ready_chain_of(factory: ChainFactory) -> Runnable[Any, Any] | None:
    """Return the chain of a factory that `factory_of` has made for it; None of others."""
    chain: Runnable[Any, Any] | None = getattr(factory, _READY, None)
    return chain


def check_factory(factory: Any) -> None:
    """Refuse what is no chain factory, though it may look like one.

    Raises:
        ConfigurationError: It is a chain, a method of one, a class, or a view already.
    """
    if isinstance(factory, Runnable) or not callable(factory):
        raise ConfigurationError(
            f"stream_chain takes a function that returns a chain, not {type(factory).__name__}; a "
            "chain that is ready is served by add_chain(rule, chain)"
        )
    if isinstance(owner := getattr(factory, "__self__", None), Runnable):
        raise ConfigurationError(
            f"the method {factory.__name__}() of a {type(owner).__name__} calls the chain: give "
            "the chain itself"
        )
    if isinstance(factory, type) and issubclass(factory, Runnable):
        raise ConfigurationError(
            f"{factory.__name__} is a class: give an object of it, or a function that makes one"
        )
    if route_of(factory) is not None:
        raise ConfigurationError(
            f"{factory_name(factory)} is decorated with @stream_chain already: decorate it once, "
            "and give add_chain a function that is not"
        )


def _warn_of_shared_memory(chain: Runnable[Any, Any]) -> None:
    if getattr(unwrap(chain), "memory", None) is not None:
        logger.warning(
            "this %s has a memory, which all clients of the route will share: they see each "
            "other's conversations. Pass a function that makes a chain for each of them",
            type(unwrap(chain)).__name__,
        )


async def open_chain(
    factory: ChainFactory, parameters: dict[str, Any], stack: AsyncExitStack
) -> Runnable[Any, Any]:
    """Call a factory and return its chain; its cleanup runs when `stack` is closed.

    Args:
        factory: The chain factory.
        parameters: The arguments of the factory, by name.
        stack: The exit stack of the request.

    Raises:
        ChainTypeError: The factory did not return or yield a chain.
    """
    source = factory_name(factory)
    try:
        chain = await _call(factory, parameters)
        if isinstance(chain, AsyncIterator) or isgenerator(chain):
            yielding = YieldingFactory(chain, source)
            chain = await yielding.open()
            stack.push_async_callback(yielding.close)
    except Exception as error:
        error.add_note(f"raised by {source}")
        raise
    return check_chain(chain, source)


async def _call(factory: ChainFactory, parameters: dict[str, Any]) -> Any:
    """Return what a factory returns; one that may block is called in a thread."""
    try:
        if iscoroutinefunction(factory) or isasyncgenfunction(factory):
            made = factory(**parameters)
        else:
            made = await FACTORY_THREADS.run(partial(factory, **parameters))
        return await made if isawaitable(made) else made  # also of a lambda around an `async def`
    except SystemExit as error:  # it would end the loop
        raise RuntimeError(f"{factory_name(factory)} raised SystemExit") from error
