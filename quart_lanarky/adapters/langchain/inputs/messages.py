"""Messages and chat histories as clients write them, made into LangChain's messages.

The types are for Pydantic: each checks what it gets, converts it, and describes itself in a
JSON schema that is short where LangChain's own has twenty definitions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Annotated, Any, Final, NoReturn, Union, cast, get_args, get_origin

from langchain_core.messages import (
    BaseMessage,
    HumanMessage,
    convert_to_messages,
    messages_from_dict,
)
from langchain_core.prompt_values import PromptValue
from pydantic import (
    BeforeValidator,
    InstanceOf,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from .checks import problems_of

__all__ = [
    "MESSAGE_TYPES",
    "ChatTurn",
    "ChatTurns",
    "Message",
    "Messages",
    "TextOrMessages",
    "as_items",
    "drop_chunks",
    "with_messages",
]

ROLES: Final = (
    "user",
    "human",
    "assistant",
    "ai",
    "system",
    "developer",
    "tool",
    "function",
)

ACCEPTED: Final = (
    'a message is a text, {"role": "user", "content": "hi"}, ["user", "hi"] '
    'or {"type": "human", "content": "hi"}'
)


def with_messages(hint: Any) -> Any:
    """Return `hint` with `Message` and `Messages` where it has LangChain's messages.

    Args:
        hint: A type annotation; one without messages comes back as it is.
    """
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, BaseMessage):
        return Message
    if origin is Annotated:
        return _annotated(hint, *args)
    if origin in (Union, UnionType):
        return _union(hint, args)
    inner = tuple(with_messages(arg) for arg in args)
    if all(new is old for new, old in zip(inner, args, strict=True)):
        return hint
    if _is_sequence(origin, args):
        return _ARRAYS[inner[0]] if inner[0] in _ARRAYS else cast(Any, list)[inner[0]]
    return cast(Any, origin)[inner]


def _annotated(hint: Any, bare: Any, *metadata: Any) -> Any:
    """Drop what marks LangChain's messages apart; keep what else is said about the type."""
    if hint in MESSAGE_TYPES:
        return hint
    if any(_adds_messages(mark) for mark in metadata):  # Annotated[list, add_messages], too
        return Messages
    inner = with_messages(bare)
    if inner is bare:
        return hint
    return inner if inner is Message else Annotated[inner, *metadata]


def _adds_messages(mark: Any) -> bool:
    """Tell whether `mark` is LangGraph's reducer of messages, without importing LangGraph."""
    reducer = getattr(mark, "func", mark)  # a partial, where it was given a format
    return callable(reducer) and reducer.__module__ == "langgraph.graph.message"


def _union(hint: Any, args: tuple[Any, ...]) -> Any:
    parts = [with_messages(arg) for arg in args]
    if all(new is old for new, old in zip(parts, args, strict=True)):
        return hint
    return Union[tuple(_without_lesser(parts))]  # noqa: UP007  # made at run time


def _without_lesser(parts: list[Any]) -> list[Any]:
    """Drop the alternatives that a type of messages takes in anyhow, and prompt values."""
    if Messages in parts:
        kind: Any = TextOrMessages if str in parts else Messages
        lesser: tuple[Any, ...] = (str, Message, Messages)
    elif Message in parts:
        kind = ChatTurn if tuple[str, str] in parts and str not in parts else Message
        lesser = (Message, str, list, tuple, dict)  # texts, pairs and objects are messages here
    else:
        return parts
    others = [p for p in parts if p not in lesser and get_origin(p) not in lesser]
    return [kind, *(p for p in others if not _is_prompt(p))]


def _is_prompt(hint: Any) -> bool:
    """Tell whether `hint` is a prompt value: a client sends the text or messages in it."""
    return isinstance(hint, type) and issubclass(hint, PromptValue)


def _is_sequence(origin: Any, args: tuple[Any, ...]) -> bool:
    """Tell whether a type is what a JSON array of any length stands for."""
    if origin is tuple:
        return args[1:] == (...,)
    return isinstance(origin, type) and issubclass(list, origin)


def _refuse(why: str) -> NoReturn:
    raise PydanticCustomError("message", "{why}", {"why": why})


def as_items(value: Any) -> Sequence[Any]:
    """Make a list of what stands for a list of one: a message alone, or a bare pair."""
    if isinstance(value, list | tuple):
        return [value] if _is_bare_pair(value) else value
    return [value]


def _is_bare_pair(value: Sequence[Any]) -> bool:
    """Tell `["user", "hi"]` from a list of two texts: its first is the name of a role."""
    if len(value) != 2 or value[0] not in ROLES:  # noqa: PLR2004  # it is a pair
        return False
    content = value[1]
    return isinstance(content, str) or (_is_content(content) and not _is_pair(content))


def _is_pair(item: Any) -> bool:
    """Tell whether `item` has the form of a role and a text."""
    return isinstance(item, list | tuple) and [type(part) for part in item] == [str, str]


def _is_content(content: Any) -> bool:
    """Tell whether `content` is a text or a list of content blocks."""
    blocks = content if isinstance(content, list) else [] if isinstance(content, str) else [None]
    return all(isinstance(block, str | dict) for block in blocks)


def _to_message(item: Any) -> BaseMessage:
    """Return the message that `item` stands for; with it, nothing but a message is made."""
    if isinstance(item, BaseMessage):  # a default, or the app's own code
        return item
    if isinstance(item, str):
        return HumanMessage(item)
    if isinstance(item, list | tuple) and len(item) == 2:  # noqa: PLR2004  # it is a pair
        item = {"role": item[0], "content": item[1]}
    if not isinstance(item, dict) or not item.keys() & {"role", "type"}:
        _refuse(ACCEPTED)
    drop_chunks(item)
    if _holds_object(item):
        _refuse(f"LangChain's serialised objects are not accepted; {ACCEPTED}")
    return _made(_from_own_form if item.get("type") in _OWN_TYPES else _from_role, item)


def _holds_object(value: Any) -> bool:
    """Tell whether a serialised LangChain object is anywhere inside.

    Nothing here would load it, but what stores a conversation may, when it reads it back.
    """
    left = [value]
    while left:  # not by recursion, for the client decides about the depth
        inner = left.pop()
        if isinstance(inner, dict):
            if inner.keys() >= {"lc", "type", "id"}:
                return True
            left += inner.values()
        elif isinstance(inner, list):
            left += inner
    return False


_OWN_TYPES: Final = ("human", "ai", "system", "tool", "function", "chat")
_CHUNK_TYPES: Final = {
    f"{kind}MessageChunk": kind.lower()
    for kind in ("Human", "AI", "System", "Tool", "Function", "Chat")
}


def drop_chunks(data: Any) -> None:
    """Make chunks of messages whole messages, in place, wherever they are in a client's data.

    LangChain completes the JSON of a chunk's calls by guessing, which takes quadratic time, and
    does so with calls that it could not read, too, once messages are merged. A client has neither
    to send. This is for data of any type: a user's own model, or a graph behind a chain that takes
    any object, makes messages without us.
    """
    left = [data]
    while left:  # not by recursion, for the client decides about the depth
        inner = left.pop()
        if isinstance(inner, dict):
            _drop_parts(inner)
            left += inner.values()
        elif isinstance(inner, list):
            left += inner


def _drop_parts(item: dict[str, Any]) -> None:
    """Leave out of a message what only a chunk has, and calls whose JSON is cut off."""
    kind = item.get("type")
    if isinstance(kind, str) and kind in _CHUNK_TYPES:
        item["type"] = _CHUNK_TYPES[kind]
    for name in ("tool_call_chunks", "chunk_position", "invalid_tool_calls"):
        item.pop(name, None)
    extra = item.get("additional_kwargs")
    if isinstance(extra, dict) and isinstance(extra.get("tool_calls"), list):
        extra["tool_calls"] = [call for call in extra["tool_calls"] if _is_whole(call)]


def _is_whole(call: Any) -> bool:
    """Tell whether a tool call, as providers write it, can be read without guessing."""
    try:
        json.loads(call["function"]["arguments"])
    except (LookupError, TypeError, ValueError, RecursionError):
        return False
    return True


def _from_own_form(item: dict[str, Any]) -> BaseMessage:
    """Read what `messages_to_dict` and a message's own `model_dump` write."""
    data = item.get("data", item)
    if not isinstance(data, dict) or not _is_content(data.get("content")):
        _refuse("the content has to be a text or a list of content blocks")
    if item["type"] == "tool":
        _need_call(data)
    return messages_from_dict([{"type": item["type"], "data": _without_type(data)}])[0]


def _need_call(item: dict[str, Any]) -> None:
    """Refuse a tool's message without a call; LangChain would make a text of any id."""
    if not isinstance(item.get("tool_call_id"), str):
        _refuse("a tool's message needs the tool_call_id of the call that it answers")


def _from_role(item: dict[str, Any]) -> BaseMessage:
    """Read what chat APIs take: a role, a content, and what belongs to the role."""
    role = item.get("role", item.get("type"))
    if role not in ROLES:
        _refuse(f"there is no role {role!r}; use one of {', '.join(ROLES)}")
    silent = item.get("content") is None and item.get("tool_calls")
    if not (silent or _is_content(item.get("content"))):
        _refuse("the content has to be a text or a list of content blocks")
    if role == "tool":
        _need_call(item)
    return convert_to_messages([{"content": None, **_without_type(item), "role": role}])[0]


def _without_type(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out the type, which LangChain would take for the model's own extra data."""
    return {key: value for key, value in item.items() if key != "type"}


def _made(make: Callable[[dict[str, Any]], BaseMessage], item: dict[str, Any]) -> BaseMessage:
    """Call `make`, and say in plain words what LangChain does not like about the item."""
    try:
        return make(item)
    except ValidationError as error:
        where, wrong = next(iter(problems_of(error).items()))
        _refuse(f"this is no valid message: {f'{where}: ' if where else ''}{wrong}")
    except PydanticCustomError:  # said already; it is a ValueError
        raise
    except (ValueError, TypeError, LookupError, AttributeError):
        _refuse(f"this is no valid message; {ACCEPTED}")


def _to_turn(item: Any) -> BaseMessage | tuple[str, str]:
    """Return a message, or the pair of a question and its answer that stands for two."""
    if _is_pair(item) and item[0] not in ROLES:
        return (item[0], item[1])
    return _to_message(item)


def _keep_text(value: Any, convert: ValidatorFunctionWrapHandler) -> Any:
    """Leave a text to the model, which takes it as it is."""
    return value if isinstance(value, str) else convert(value)


_CONTENT: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
    ]
}
_TALKING: Final = [role for role in ROLES if role not in ("tool", "function")]


def _described(key: str, values: Sequence[str], *needed: str) -> dict[str, Any]:
    """Return the schema of the objects whose `key` is one of `values`."""
    texts = {name: {"type": "string"} for name in needed}
    return {
        "type": "object",
        "properties": {key: {"enum": list(values)}, "content": _CONTENT, **texts},
        "required": [key, "content", *needed],
    }


# The forms that can be told in a few words; more is accepted, such as calls of tools.
_MESSAGE: Final = {
    "anyOf": [
        {"type": "string"},
        _described("role", _TALKING),
        _described("role", ["tool"], "tool_call_id"),
        _described("type", ["human", "ai", "system"]),
        {
            "type": "array",
            "prefixItems": [{"enum": _TALKING}, _CONTENT],
            "minItems": 2,
            "maxItems": 2,
        },
    ]
}
_TEXT_PAIR: Final = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}


def _items_schema(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "array", "items": item}, *item["anyOf"]]}


# Named, so that documents have each of them once, as a component.

Message = TypeAliasType(
    "Message",
    Annotated[
        InstanceOf[SerializeAsAny[BaseMessage]],
        BeforeValidator(_to_message),
        WithJsonSchema(_MESSAGE),
    ],
)
"""One message: a text, an object with a role or a type, or a pair of a role and a content."""

Messages = TypeAliasType(
    "Messages",
    Annotated[list[Message], BeforeValidator(as_items), WithJsonSchema(_items_schema(_MESSAGE))],
)
"""A list of messages; one alone stands for a list of one."""

TextOrMessages = TypeAliasType(
    "TextOrMessages",
    Annotated[Messages, WrapValidator(_keep_text), WithJsonSchema(_items_schema(_MESSAGE))],
)
"""What a model takes: a text, which stays one, or messages."""

_TURN: Final = {"anyOf": [*cast(list[Any], _MESSAGE["anyOf"]), _TEXT_PAIR]}

ChatTurn = TypeAliasType(
    "ChatTurn",
    Annotated[BaseMessage | tuple[str, str], PlainValidator(_to_turn), WithJsonSchema(_TURN)],
)
"""A message, or a pair of a question and its answer, as older chains keep their histories."""

ChatTurns = TypeAliasType(
    "ChatTurns",
    Annotated[list[ChatTurn], BeforeValidator(as_items), WithJsonSchema(_items_schema(_TURN))],
)
"""A history of messages and of pairs."""

_ARRAYS: Final[dict[Any, Any]] = {Message: Messages, ChatTurn: ChatTurns}

MESSAGE_TYPES: Final = (Message, Messages, TextOrMessages, ChatTurn, ChatTurns)
"""What `with_messages` puts in the place of LangChain's types."""
