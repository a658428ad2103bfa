"""Hear what tools say with `ToolRuntime.emit_output_delta`.

LangGraph calls for it what stands in a context variable, which it sets itself in the stream mode
"tools" alone. The tool handler sets it too, so that no stream mode is needed, and what a tool says
comes in its order with all else. It is set for all that runs in the context: tools that are no
coroutines have their callbacks called in a context of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from langchain_core.runnables.config import ensure_config

__all__ = ["current_run", "hear_progress"]

Writer = Callable[[Any], None]


def hear_progress(writer: Writer) -> None:
    """Have `writer` called with what tools say that run in the current context from now on."""
    variable = _variable()
    if variable is not None and variable.get() is not writer:
        variable.set(writer)


def current_run() -> UUID | None:
    """Return the run that the current code is part of."""
    run: UUID | None = getattr(ensure_config().get("callbacks"), "parent_run_id", None)
    return run


def _variable() -> ContextVar[Writer | None] | None:
    """Return the variable, if anything has imported what tools say it with."""
    module = sys.modules.get("langgraph.pregel._tools")
    return getattr(module, "_tool_call_writer", None)
