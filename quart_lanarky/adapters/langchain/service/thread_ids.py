"""Find out on which thread of its checkpointer a graph runs: LangGraph's `thread_id`.

The app names it in a configuration, or a function of the route does (`thread=`), or else the client
proposes it in the query string.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import isawaitable
from typing import Any, Final

from langchain_core.runnables import RunnableBinding, RunnableConfig
from langchain_core.runnables.config import merge_configs
from quart.wrappers.base import BaseRequestWebsocket

from ....errors import ConfigurationError, InputError
from ....protocols.base import RequestOption
from ....runs.run_locks import OnBusy, RunLocks
from ....settings import WORKERS_VARIABLE
from ....transports.owners import owned_key

__all__ = [
    "THREAD_ID",
    "NameThread",
    "Thread",
    "check_thread",
    "find_thread",
    "has_threads",
    "takes_thread",
    "thread_option",
]

logger = logging.getLogger(__name__)

NameThread = Callable[[Any, str | None], str | Awaitable[str]]
"""Returns the thread id for Quart's request (or handshake) and the id that the client proposes."""

THREAD_ID: Final = "thread_id"

_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_ID_SCHEMA: Final = {"type": "string", "pattern": f"^{_ID.pattern}$"}
_WHAT_AN_ID_IS: Final = "is no id: 1 to 128 letters, digits and any of . _ ~ -"
_MISSING: Final = "is missing: send an id of the conversation in the query string, ?thread_id=..."


@dataclass(frozen=True)
class Thread:
    """A thread of a graph.

    Attributes:
        id: Its id, as the graph's checkpointer has it.
        config: The configuration of the run, with the id in it.
        graph: The graph; None if it cannot be seen from the chain.
        bound: The configuration that is bound to the graph.
        is_asked: Whether the client has a say in it.
        locks: What its runs take in turn; None if nothing keeps them apart.
        on_busy: What a run does if another one is live on it.
        may_resume: Whether clients may answer what it waits for.
    """

    id: str
    config: RunnableConfig
    graph: Any = None
    bound: RunnableConfig | None = None
    is_asked: bool = False
    locks: RunLocks | None = None
    on_busy: OnBusy = "wait"
    may_resume: bool = True

    @property
    def state_config(self) -> RunnableConfig:
        """The configuration with which the state of the thread is read."""
        configurable = merge_configs(self.bound, self.config).get("configurable", {})
        return {"configurable": {"checkpoint_ns": "", **configurable}}

    @property
    def key(self) -> Hashable:
        """What two runs have in common that write the same thread.

        A database has many objects for its checkpointer, and memory only itself.
        """
        checkpointer = getattr(self.graph, "checkpointer", None)
        return (id(checkpointer) if _is_memory(checkpointer) else type(checkpointer), self.id)


@dataclass(frozen=True)
class _BoundGraph:
    """A graph with a checkpointer, and the configurations that are bound to it.

    Attributes:
        graph: The graph.
        configs: The configurations; those that come later count for less.
        is_complete: Whether they are all; nobody knows what a function of the app's returns.
    """

    graph: Any
    configs: tuple[RunnableConfig, ...]
    is_complete: bool

    @classmethod
    def of(cls, chain: Any) -> _BoundGraph | None:
        """Return the graph that a chain is; None if it is none, or has no checkpointer."""
        configs: list[Any] = []
        is_complete = True
        while isinstance(chain, RunnableBinding):
            is_complete = is_complete and not chain.config_factories
            configs.append(chain.config)
            chain = chain.bound
        if not hasattr(getattr(chain, "checkpointer", None), "aget_tuple"):
            return None
        configs.append(getattr(chain, "config", None) or {})
        return cls(chain, tuple(configs), is_complete)


def has_threads(chain: Any) -> bool:
    """Tell whether a chain is a graph with a checkpointer."""
    return _BoundGraph.of(chain) is not None


def thread_option(*, is_required: bool) -> RequestOption:
    """Describe how a client proposes a thread."""
    return RequestOption(
        name=THREAD_ID,
        description="The conversation that is continued, or begun under this id.",
        schema=_ID_SCHEMA,
        is_required=is_required,
    )


def takes_thread(chain: Any, config: Any, name_thread: NameThread | None) -> bool:
    """Tell whether a client proposes the thread: if the app names it, or may, it does not.

    Args:
        chain: The chain; None if it is not known.
        config: The configuration of the route, or the function that returns it.
        name_thread: The function of the route that names the thread.
    """
    if name_thread is not None:
        return True
    found = _BoundGraph.of(chain)
    if found is None or not found.is_complete or callable(config):
        return False
    return not any(map(_has_thread, (config, *found.configs)))


def check_thread(chain: Any, config: Any, name_thread: NameThread | None) -> None:
    """Refuse what can be seen to be wrong before any request.

    Args:
        chain: The chain; None if it is not known.
        config: The configuration of the route, or the function that returns it.
        name_thread: The function of the route that names the thread.

    Raises:
        ConfigurationError: Two name the thread, or nothing can remember it.
    """
    found = _BoundGraph.of(chain)
    if found is not None:
        _named_thread(({} if callable(config) else config, *found.configs), name_thread)
    elif name_thread and chain is not None and getattr(chain, "checkpointer", 0) is None:
        raise ConfigurationError(
            "thread= is for graphs that remember their threads, and this one has no checkpointer: "
            "compile it with checkpointer=, or leave thread= out"
        )
    elif name_thread is not None and not callable(config):
        _named_thread((config,), name_thread)


async def find_thread(
    chain: Any,
    config: RunnableConfig | None,
    name_thread: NameThread | None,
    connection: BaseRequestWebsocket,
    proposed: str | None,
) -> Thread | None:
    """Return the thread of a request; None if its chain has none, or none that can be known.

    Args:
        chain: The chain.
        config: The configuration of the route.
        name_thread: The function of the route that names the thread.
        connection: The request, or the handshake of a WebSocket.
        proposed: The id that the client proposes.

    Raises:
        InputError: The client has to propose an id, and does not, or what it proposes is no id.
        ConfigurationError: The app names none, or names two.
    """
    check_thread(chain, config, name_thread)
    found = _BoundGraph.of(chain)
    if found is None and name_thread is None:
        return None
    configs = (config, *(found.configs if found else ()))
    named = _named_thread(configs, name_thread)
    if named is None and name_thread is None and found is not None and not found.is_complete:
        return None
    is_asked = named is None
    if is_asked:
        named = await _asked_thread(name_thread, connection, proposed)
    ours: RunnableConfig = {"configurable": {THREAD_ID: named}}
    merged = merge_configs(config, ours)
    if found is None:
        return Thread(str(named), merged, is_asked=is_asked)
    if _is_memory(found.graph.checkpointer) and _number_of_workers() > 1:
        _warn_of_memory()
    bound = merge_configs(*reversed(found.configs))
    return Thread(str(named), merged, found.graph, bound, is_asked)


def _named_thread(
    configs: tuple[Mapping[str, Any] | None, ...], name_thread: NameThread | None
) -> Any:
    """Return the thread id that the app's configurations have; None if they have none.

    One that is None or empty is a mistake: LangGraph would have all who come without one share a
    thread.
    """
    config = next(filter(_has_thread, configs), None)
    if config is None:
        return None
    if name_thread is not None:
        raise ConfigurationError(
            "thread= and a configuration (config=, or one that is bound to the graph) both name "
            "the thread_id: leave one of them out"
        )
    named = config["configurable"][THREAD_ID]
    if named in (None, ""):
        raise ConfigurationError(
            "the configuration of this graph names no thread_id, though it has the key: return "
            '{"configurable": {"thread_id": ...}} with one for each request, or leave the key out, '
            "and clients send ?thread_id=..."
        )
    return named


def _is_memory(checkpointer: Any) -> bool:
    """Tell whether a checkpointer keeps its threads in the memory of this process."""
    return hasattr(checkpointer, "storage")


def _number_of_workers() -> int:
    """Return how many processes serve the app, as far as `serve` has said so."""
    number = os.environ.get(WORKERS_VARIABLE, "")
    return int(number) if number.isdecimal() else 1


@cache
def _warn_of_memory() -> None:
    logger.warning(
        "the threads of a graph are in the memory of one worker, and there are several: a client "
        "that comes to another one begins anew. Use a checkpointer with a database, or one worker"
    )


def _has_thread(config: Mapping[str, Any] | None) -> bool:
    return THREAD_ID in ((config or {}).get("configurable") or {})


async def _asked_thread(
    name_thread: NameThread | None, connection: BaseRequestWebsocket, proposed: str | None
) -> str:
    """Return the key of the thread that a client proposes, or that a function of the app names."""
    if proposed is not None and not _ID.fullmatch(proposed):
        raise InputError("the thread does not fit", {THREAD_ID: _WHAT_AN_ID_IS})
    named: Any = proposed
    if name_thread is not None:
        named = name_thread(connection, proposed)
        named = await named if isawaitable(named) else named
    if named in (None, ""):
        raise InputError("the thread is not known", {THREAD_ID: _MISSING})
    if not isinstance(named, str):
        raise ConfigurationError(f"thread= returns a str, not {type(named).__name__}")
    return await owned_key(connection, named)
