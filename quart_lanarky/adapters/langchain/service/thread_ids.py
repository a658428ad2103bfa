"""Check that a graph with a checkpointer gets the `thread_id` that it cannot run without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableBinding

from ....errors import ConfigurationError

__all__ = ["check_thread_id"]


def check_thread_id(chain: Any, config: Mapping[str, Any] | None) -> None:
    """Refuse to run a graph with a checkpointer and no `thread_id`: LangGraph would, much later.

    One that is None or empty is none: LangGraph would have all who come without one share a thread.

    Args:
        chain: The chain; only a graph is looked at, also one with a configuration bound to it.
        config: The configuration of the route.

    Raises:
        ConfigurationError: There is no `thread_id`.
    """
    configs: list[Any] = [config]
    while isinstance(chain, RunnableBinding):
        if chain.config_factories:  # nobody knows what they return
            return
        configs.append(chain.config)
        chain = chain.bound
    if not hasattr(getattr(chain, "checkpointer", None), "aget_tuple"):
        return
    configs.append(getattr(chain, "config", None))
    if not any(map(_names_thread, configs)):
        raise ConfigurationError(
            "this graph has a checkpointer, so it needs a thread_id: give the route a function "
            'config= that returns {"configurable": {"thread_id": ...}} for a request, or bind one '
            "in the factory with graph.with_config(...)"
        )


def _names_thread(config: Mapping[str, Any] | None) -> bool:
    configurable = (config or {}).get("configurable") or {}
    return configurable.get("thread_id") not in (None, "")
