"""Call chain factories of every form, and run the cleanup of those that yield."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from inspect import isawaitable
from typing import Any

from langchain_core.runnables import Runnable
from quart import current_app

from ....errors import ChainTypeError
from ..inputs.parameters import factory_name
from ..kinds.lcel import unwrap
from ..kinds.registry import check_chain

__all__ = ["ChainFactory", "factory_of", "open_chain"]

logger = logging.getLogger(__name__)

ChainFactory = Callable[..., Any]
"""A ``def`` or ``async def`` that returns a chain, or yields it and cleans up afterwards."""


def factory_of(chain: Runnable[Any, Any] | ChainFactory) -> ChainFactory:
    """Return a factory for a chain; a factory is returned unchanged.

    Raises:
        ChainTypeError: `chain` is neither a chain nor callable.
    """
    if isinstance(chain, Runnable):
        _warn_of_shared_memory(chain)

        async def ready_chain() -> Runnable[Any, Any]:
            return chain

        return ready_chain
    if callable(chain):
        return chain
    raise ChainTypeError(f"add_chain takes a chain or a function that makes one, not {chain!r}")


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
    chain = await current_app.ensure_async(factory)(**parameters)
    if isawaitable(chain):  # a lambda, or an object, around an `async def`
        chain = await chain
    if isinstance(chain, AsyncIterator):  # Quart returns generators of a plain `def` as this, too
        generator, chain = chain, await anext(chain, None)
        stack.push_async_callback(_run_cleanup, generator, factory_name(factory))
    return check_chain(chain, factory_name(factory))


async def _run_cleanup(generator: AsyncIterator[Any], source: str) -> None:
    """Resume a factory after its `yield`; log its exceptions, as the answer was sent already."""
    try:
        more = await anext(generator, None)
    except Exception:
        logger.exception("%s failed to clean up", source)
    else:
        if more is not None:
            logger.error("%s yields more than once: nothing after its second yield is run", source)
