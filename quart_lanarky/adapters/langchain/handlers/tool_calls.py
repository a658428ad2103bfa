"""Find the calls of tools, and their results, in what models and the steps of graphs return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult

__all__ = [
    "answer_in",
    "is_command",
    "message_of",
    "messages_in",
    "server_tool_blocks",
    "unanswered_calls",
]

_SERVER_TOOLS = ("server_tool_call", "server_tool_result")


def message_of(result: LLMResult) -> AIMessage | None:
    """Return the message that a model's run ended with; None if its model is no chat model."""
    generation = result.generations[0][0] if result.generations and result.generations[0] else None
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else None


def server_tool_blocks(message: AIMessage) -> list[Mapping[str, Any]]:
    """Return the calls and results of the tools that the provider ran, such as a web search."""
    blocks: list[Any] = message.content_blocks
    return [block for block in blocks if block.get("type") in _SERVER_TOOLS]


def messages_in(output: Any) -> list[BaseMessage]:
    """Return the messages that a step of a graph, or a tool, adds to the graph's state."""
    return [message for update in _updates(output) for message in _messages_of(update)]


def unanswered_calls(inputs: Any) -> list[Mapping[str, Any]]:
    """Return the calls that a step of a graph is given: those that nothing has answered yet."""
    is_whole = isinstance(inputs, list | tuple | BaseMessage) or _is_tool_call(inputs)
    values = [inputs] if is_whole else _values(inputs)
    return [call for value in values for call in _unanswered_in(value)]


def answer_in(output: Any, call_id: str) -> ToolMessage | None:
    """Return the message in what a tool returned that answers a call; None if there is none."""
    return next((m for m in _tool_messages(output) if m.tool_call_id == call_id), None)


def _tool_messages(output: Any) -> Iterator[ToolMessage]:
    return (message for message in messages_in(output) if isinstance(message, ToolMessage))


def _updates(output: Any) -> list[Any]:
    """Return the updates in what a step returns: one, or one for each of its commands."""
    if isinstance(output, list | tuple):
        return [update for each in output for update in _updates_of_one(each)]
    return _updates_of_one(output)


def _updates_of_one(output: Any) -> list[Any]:
    return [output.update] if is_command(output) else [output]


def is_command(value: Any) -> bool:
    """Tell whether a step or a tool has returned a command to its graph."""
    return type(value).__name__ == "Command" and hasattr(value, "update")


def _messages_of(update: Any) -> Iterator[BaseMessage]:
    if isinstance(update, BaseMessage):
        yield update
        return
    for value in _values(update):
        items = getattr(value, "value", value)  # of an `Overwrite`
        for item in items if isinstance(items, list | tuple) else (items,):
            if isinstance(item, BaseMessage):
                yield item


def _values(state: Any) -> list[Any]:
    """Return the values of a state or an update, in each of the forms that LangGraph takes."""
    if isinstance(state, Mapping):
        return list(state.values())
    if isinstance(state, list | tuple):  # of messages, or of pairs of a key and a value
        return [each[1] if _is_pair(each) else each for each in state]
    return list(vars(state).values()) if hasattr(state, "__dict__") else []


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)  # noqa: PLR2004


def _unanswered_in(value: Any) -> list[Mapping[str, Any]]:
    """Return a call, the calls of a list, or those of the last message of a conversation.

    Only its answers may follow that message.
    """
    if _is_tool_call(value):
        return [value]
    answered = set()
    for item in reversed(value if isinstance(value, list | tuple) else ()):
        if _is_tool_call(item):
            return [call for call in value if _is_tool_call(call)]
        if not isinstance(item, ToolMessage):
            calls = item.tool_calls if isinstance(item, AIMessage) else []
            return [dict(call) for call in calls if call["id"] not in answered]
        answered.add(item.tool_call_id)
    return []


def _is_tool_call(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "tool_call" and "id" in value
