"""Close the tool calls that a run has left without an answer on its thread.

A run that ends early (a stop, a client that leaves, a timeout) may end between a model's tool calls
and their results, and so may one that waits for a person who then asks something else. Providers
refuse such a history. Before the next question, the calls are answered as cancelled, in the
checkpoint; what tools had finished by then is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs

from ..kinds.base import is_a
from .thread_ids import Thread

__all__ = ["close_unanswered_calls", "unanswered_calls", "wait_for_saves"]

logger = logging.getLogger(__name__)

CANCELLED: Final = "This call was cancelled before it had a result."
"""What the model is told of such a call."""

SAVE_TIMEOUT: Final = 2.0
"""Seconds that the saves of a cancelled run get."""

_SAVING: Final = frozenset({"_checkpointer_put_after_previous", "aput", "aput_writes"})
_MESSAGES: Final = "messages"
_START: Final = "__start__"
_END: Final = "__end__"
_COMMAND: Final = "langgraph.types.Command"
_LAST_VALUE: Final = "langgraph.channels.last_value.LastValue"


async def close_unanswered_calls(thread: Thread, inputs: Any) -> None:
    """Answer the tool calls at the end of a thread's messages, if they have no answer.

    Nothing is done for a run that resumes the thread: its calls wait for that. What `inputs` answer
    is left to them.

    Args:
        thread: The thread; no other run may be live on it.
        inputs: What the graph is about to be called with.
    """
    graph = thread.graph
    if is_a(inputs, _COMMAND) or _MESSAGES not in getattr(graph, "channels", ()):
        return
    configurable = merge_configs(thread.bound, thread.config).get("configurable", {})
    if "checkpoint_id" in configurable:  # an app that goes back to one knows what it does
        return
    config: RunnableConfig = {"configurable": {"checkpoint_ns": "", **configurable}}
    if not unanswered_calls(await _saved_messages(graph, config)):
        return
    try:
        await _close(graph, config, _answered_ids(inputs))
    except Exception:  # a reducer of the app's may refuse it; the turn is tried all the same
        logger.exception("the unanswered tool calls of a thread could not be closed")


async def wait_for_saves() -> None:
    """Return when what a cancelled run was about to save is saved.

    LangGraph saves beside its steps. A run that is cancelled while it waits for the last of that
    ends at once, and what is saved after would come between the next run's reading and its start.
    """
    saves = {task for task in asyncio.all_tasks() if _is_save(task)}
    if saves:
        await asyncio.wait(saves, timeout=SAVE_TIMEOUT)


def _is_save(task: asyncio.Task[Any]) -> bool:
    name = str(getattr(task.get_coro(), "__qualname__", ""))
    return name.rpartition(".")[2] in _SAVING


async def _saved_messages(graph: Any, config: RunnableConfig) -> Any:
    """Return the messages of the last checkpoint, by the least work that has them."""
    saved = await graph.checkpointer.aget_tuple(config)
    if saved is None:
        return ()
    if saved.checkpoint["channel_versions"].get(_MESSAGES) is None:
        return ()
    values = saved.checkpoint["channel_values"]
    if _MESSAGES in values and isinstance(values[_MESSAGES], list):
        return values[_MESSAGES]
    return await _current_messages(graph, config)


async def _current_messages(graph: Any, config: RunnableConfig) -> Any:
    state = await graph.aget_state(config)
    return state.values.get(_MESSAGES, ()) if isinstance(state.values, dict) else ()


async def _close(graph: Any, config: RunnableConfig, answered: Collection[str]) -> None:
    # Ends the tasks that are left, and keeps what those of them that had finished have written.
    waiting = (await graph.aget_state(config)).next
    await graph.aupdate_state(config, None, as_node=_END)
    messages = await _current_messages(graph, config)
    calls = {k: name for k, name in unanswered_calls(messages).items() if k not in answered}
    if not calls:
        return
    closing = [_cancelled(key, name, like=messages[-1]) for key, name in calls.items()]
    is_replaced = is_a(graph.channels[_MESSAGES], _LAST_VALUE)
    update = {_MESSAGES: [*messages, *closing] if is_replaced else closing}
    await graph.aupdate_state(config, update, as_node=_writer(graph, waiting))


def _writer(graph: Any, waiting: Sequence[str]) -> str | None:
    """Return the node in whose name the state is written: its edges are followed, not its code."""
    builder = getattr(graph, "builder", None)
    if builder is not None and _MESSAGES in builder.schemas[builder.input_schema]:
        return _START
    return waiting[0] if waiting else None


def _cancelled(call_id: str, name: str | None, *, like: Any) -> Any:
    if isinstance(like, BaseMessage):
        return ToolMessage(CANCELLED, tool_call_id=call_id, name=name, status="error")
    return {"role": "tool", "content": CANCELLED, "tool_call_id": call_id}


def unanswered_calls(messages: Any) -> dict[str, str | None]:
    """Return the tool calls at the end of a conversation that have no answer: names by id.

    Args:
        messages: Message objects, or dicts.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return {}
    answered: set[str] = set()
    for message in reversed(messages):
        if not _is_result(message):
            return {k: name for k, name in _calls(message) if k not in answered}
        answered.add(_field(message, "tool_call_id"))
    return {}


def _answered_ids(inputs: Any) -> set[str]:
    """Return the calls that the inputs answer: a client may have tools of its own."""
    messages = _field(inputs, _MESSAGES)
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return set()
    return {_field(each, "tool_call_id") for each in messages if _is_result(each)}


def _calls(message: Any) -> Iterator[tuple[str, str | None]]:
    """Give the ids and names of a message's calls; providers count those that made no sense too."""
    for key in ("tool_calls", "invalid_tool_calls"):
        for call in _field(message, key) or ():
            if isinstance(call_id := _field(call, "id"), str):
                name = _field(call, "name")
                yield call_id, name if isinstance(name, str) else None


def _is_result(message: Any) -> bool:
    return "tool" in (_field(message, "type"), _field(message, "role"))


def _field(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)
