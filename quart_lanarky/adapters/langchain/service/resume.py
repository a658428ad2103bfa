"""Going on with a graph that waits: what it is called with for a client's answer."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Collection
from typing import Any, Final

from ....events import Interrupt
from ..handlers.interrupts import interrupts_of
from ..inputs.resume import answers_by_id
from ..kinds.langgraph import pauses_of
from .thread_ids import Thread

__all__ = ["open_interrupts", "resume_input"]

_ANSWERS: Final = "__resume__"
"""Under which LangGraph saves the answers that a task was given."""


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
    state = await thread.graph.aget_state(thread.state_config, subgraphs=True)
    waiting = open_interrupts(thread.graph, state)
    answers = answers_by_id(answer, waiting)
    if all(interrupt.step is not None for interrupt in waiting):
        return None
    await _forget_early_answers(thread.graph.checkpointer, state, answers.keys())
    return _command(answers)


def open_interrupts(graph: Any, state: Any) -> list[Interrupt]:
    """Return what a thread waits for: interrupts, or else the steps before which it waits.

    Args:
        graph: The graph.
        state: LangGraph's snapshot of its state.
    """
    # One of several steps may have ended already, and its interrupts are no longer open.
    tasks = [task for task in state.tasks if getattr(task, "result", None) is None]
    found = [each for task in tasks for each in task.interrupts]
    return interrupts_of(found or pauses_of(graph, state))


async def _forget_early_answers(checkpointer: Any, state: Any, waiting: Collection[str]) -> None:
    """Forget the answers to what is still open.

    A run that is stopped, or fails, after it was given an answer may leave that saved, and what it
    answered open. LangGraph would take the next answer for the one to the next question.

    Args:
        checkpointer: The graph's.
        state: LangGraph's snapshot of its state.
        waiting: The ids of what is open.
    """
    async for task, namespace, config in _tasks(state):
        saved = await _saved_answers(checkpointer, config, task.id)
        for index in range(len(saved)):
            if _interrupt_id(namespace, index) in waiting:
                await checkpointer.aput_writes(config, [(_ANSWERS, saved[:index])], task.id)
                break


async def _tasks(state: Any, outside: str = "") -> AsyncIterator[tuple[Any, str, Any]]:
    """Yield the tasks of a state and of the graphs in it, with their namespaces and its config."""
    for task in state.tasks:
        namespace = f"{outside}{task.name}:{task.id}"
        yield task, namespace, state.config
        if hasattr(task.state, "tasks"):
            async for inner in _tasks(task.state, f"{namespace}|"):
                yield inner


async def _saved_answers(checkpointer: Any, config: Any, task_id: str) -> list[Any]:
    saved = await checkpointer.aget_tuple(config)
    writes = () if saved is None else saved.pending_writes or ()
    answers = [value for task, channel, value in writes if (task, channel) == (task_id, _ANSWERS)]
    return list(answers[-1]) if answers and isinstance(answers[-1], list) else []


def _interrupt_id(namespace: str, answered: int) -> str | None:
    """Return the id of a task's interrupt after so many answers; None where that is not known.

    Versions before 1.1 give all interrupts of a task the same id.
    """
    make_id = getattr(sys.modules.get("langgraph.types"), "_interrupt_id", None)
    return None if make_id is None else str(make_id(namespace, answered))


def _command(answers: dict[str, Any]) -> Any:
    from langgraph.types import Command  # who has no graphs needs not load it

    return Command(resume=answers)
