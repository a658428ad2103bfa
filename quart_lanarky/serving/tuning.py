"""What makes a process that serves fast: its event loop, and a garbage collector that keeps out.

The collector stops all streams at once. Once in a while it looks at every object of the process,
and those that LangChain brings take it a tenth of a second. So what is there before the first
request is taken from it, and it looks less often: `docs/explanation/performance.md` has the
figures.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

from ..errors import ConfigurationError

__all__ = ["loop_factory", "tune_gc"]

THRESHOLDS: Final = (5_000, 10, 10)
"""After how many new objects the collector looks at those, and how seldom at older ones.

Rarer still is no faster, and memory grows: what LangChain leaves behind after a run is in circles,
which only the collector takes away (`tests/faults/test_soak.py`).
"""

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def loop_factory(kind: str) -> LoopFactory:
    """Return what makes event loops of a kind, as Hypercorn names them.

    Raises:
        ConfigurationError: There is no such kind, or uvloop is not installed.
    """
    if kind == "asyncio":
        return asyncio.new_event_loop
    if kind != "uvloop":
        raise ConfigurationError(f"worker_class is 'asyncio' or 'uvloop' here, not {kind!r}")
    try:
        import uvloop
    except ImportError as error:
        raise ConfigurationError("uvloop is not installed: pip install uvloop") from error
    factory: LoopFactory = uvloop.new_event_loop
    return factory


def tune_gc() -> None:
    """Freeze existing objects and collect less often.

    An app that has turned it off, or has it look even less often, is left its way.
    """
    thresholds = gc.get_threshold()
    if gc.isenabled() and thresholds[0]:
        gc.collect()
        gc.freeze()
        # It looks at old objects only when those it has not seen yet are a quarter of those it saw
        # the last time. It counts anew here, so that those it no longer has are none of them.
        gc.collect()
        gc.set_threshold(*map(max, thresholds, THRESHOLDS))
