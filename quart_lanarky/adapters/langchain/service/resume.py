"""Going on with a graph that waits: what it is called with for a client's answer."""

from __future__ import annotations

from typing import Any

from ....events import Interrupt
from ..handlers.interrupts import interrupts_of
from ..inputs.resume import answers_by_id
from ..kinds.langgraph import pauses_of
from .thread_ids import Thread

__all__ = ["open_interrupts", "resume_input"]


async def open_interrupts(thread: Thread) -> list[Interrupt]:
    """Return what a thread waits for: interrupts, or else the steps before which it waits."""
    state = await thread.graph.aget_state(thread.state_config)
    # One of several steps may have ended already, and its interrupts are no longer open.
    tasks = [task for task in state.tasks if getattr(task, "result", None) is None]
    found = [each for task in tasks for each in task.interrupts]
    return interrupts_of(found or pauses_of(thread.graph, state))


async def resume_input(thread: Thread, answer: Any) -> Any:
    """Return what the graph is called with to go on with a client's answer.

    Nothing else of LangGraph's `Command` can come from a client.

    Args:
        thread: The thread; no other run may be live on it.
        answer: The answer, before it is checked.

    Raises:
        InterruptNotOpenError: The thread waits for no answer, or for other ones.
        InputError: The answer does not fit.
    """
    waiting = await open_interrupts(thread)
    answers = answers_by_id(answer, waiting)
    only_pauses = all(interrupt.step is not None for interrupt in waiting)
    return None if only_pauses else _command(answers)


def _command(answers: dict[str, Any]) -> Any:
    from langgraph.types import Command  # who has no graphs needs not load it

    return Command(resume=answers)
