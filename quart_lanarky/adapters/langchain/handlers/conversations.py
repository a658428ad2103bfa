"""Read conversations in the outputs of chains: lists of messages, in each of their forms.

A graph whose state merges messages by LangGraph's own reducer returns message objects. One with
another reducer returns what its nodes returned, dicts and pairs as well, and a remote graph
returns dicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage

__all__ = ["Message", "as_conversation", "has_question", "is_conversation", "is_unanswered"]

_ASKING: Final = frozenset({"human", "user", "system", "developer"})
"""The roles and types of messages that no chain answers with."""

_ROLES: Final = _ASKING | {"ai", "assistant", "AIMessageChunk", "tool", "function", "chat"}


@dataclass(frozen=True)
class Message:
    """A message of a conversation, as far as it matters for the answer.

    Attributes:
        role: Its role, or its type in LangChain's terms.
        content: Its content: a text or a list of content blocks.
        name: The name of its author, if it has one.
        calls_tools: Whether it calls a tool instead of answering.
    """

    role: str
    content: Any
    name: str | None = None
    calls_tools: bool = False

    @property
    def text(self) -> str:
        """Its text, without what other content blocks hold."""
        return str(AIMessage(content=self.content).text)

    @property
    def asks(self) -> bool:
        """Whether it is a question. A human message with a name is one of another agent's."""
        return self.role in _ASKING and not self.name


def as_conversation(value: Any) -> Any:
    """Return a list with the last of messages in mixed forms, as a `Message`; all else as it is.

    For what a graph returns as its `messages`: elsewhere dicts with a role may be any data.
    """
    if not isinstance(value, list | tuple) or not value or is_conversation(value):
        return value
    last = _read(value[-1])
    return [last] if last is not None and all(map(_read, value[:-1])) else value


def is_conversation(value: Any) -> bool:
    """Tell whether `value` is a list of messages, as LangChain's objects or as ours."""
    return (
        isinstance(value, Sequence)
        and bool(value)
        and all(isinstance(item, BaseMessage | Message) for item in value)
    )


def has_question(conversation: Sequence[BaseMessage | Message]) -> bool:
    """Tell whether a message of a user or a system is in a conversation."""
    return any(message.role in _ASKING for message in map(_read, conversation) if message)


def is_unanswered(value: Any) -> bool:
    """Tell whether a conversation ends with a user's message or a tool call."""
    last = _read(value[-1]) if is_conversation(value) else None
    return last is not None and (last.asks or last.calls_tools)


def _read(item: Any) -> Message | None:
    """Return an item of a conversation as a message; None if it is none."""
    if isinstance(item, Message):
        return item
    if isinstance(item, BaseMessage):
        calls = isinstance(item, AIMessage) and bool(item.tool_calls)
        return Message(item.type, item.content, item.name, calls)
    if isinstance(item, Mapping):
        return _read_dict(item)
    if isinstance(item, list | tuple) and len(item) == 2:  # noqa: PLR2004  # a role and a text
        return _message(item[0], item[1], {})
    return None


def _read_dict(item: Mapping[str, Any]) -> Message | None:
    """Read a dict with a role, one with a type, or one with its fields under `data`."""
    data = item.get("data")
    fields = data if isinstance(data, Mapping) else item
    if "content" not in fields:
        return None
    return _message(item.get("role", item.get("type")), fields["content"], fields)


def _message(role: Any, content: Any, fields: Mapping[str, Any]) -> Message | None:
    content = "" if content is None else content
    if not isinstance(role, str) or role not in _ROLES or not _is_content(content):
        return None
    name = fields.get("name")
    has_name = isinstance(name, str)
    return Message(role, content, name if has_name else None, bool(fields.get("tool_calls")))


def _is_content(value: Any) -> bool:
    """Tell whether a message may have `value` as its content: a text, or content blocks."""
    blocks = value if isinstance(value, list) else ()
    return isinstance(value, str | list) and all(isinstance(each, str | dict) for each in blocks)
