"""Convert messages and chat histories as clients write them into LangChain's messages.

The types are for Pydantic: each validates and converts its value, and has a short JSON schema,
where that of LangChain's own types has twenty definitions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
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
    """Return `hint` with `Message` and `Messages` in place of LangChain's message types.

    Args:
        hint: A type annotation; one without message types is returned unchanged.
    """
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, BaseMessage):
        return Message
    if origin is Annotated:
        return _convert_annotated(hint, *args)
    if origin in (Union, UnionType):
        return _convert_union(hint, args)
    inner = tuple(with_messages(arg) for arg in args)
    if all(new is old for new, old in zip(inner, args, strict=True)):
        return hint
    if _is_sequence(origin, args):
        return _ARRAYS[inner[0]] if inner[0] in _ARRAYS else cast(Any, list)[inner[0]]
    return cast(Any, origin)[inner]


def _convert_annotated(hint: Any, bare: Any, *metadata: Any) -> Any:
    """Replace message types in `Annotated`; keep its metadata unless it is about messages."""
    if hint in MESSAGE_TYPES:
        return hint
    if any(
        _adds_messages(metadata_item) for metadata_item in metadata
    ):  # Annotated[list, add_messages], too
        return Messages
    inner = with_messages(bare)
    if inner is bare:
        return hint
    return inner if inner is Message else Annotated[inner, *metadata]


def _adds_messages(metadata_item: Any) -> bool:
    """Return whether this is LangGraph's `add_messages`, without importing LangGraph."""
    reducer = getattr(metadata_item, "func", metadata_item)  # `add_messages(format=…)` is a partial
    return callable(reducer) and reducer.__module__ == "langgraph.graph.message"


def _convert_union(hint: Any, args: tuple[Any, ...]) -> Any:
    parts = [with_messages(arg) for arg in args]
    if all(new is old for new, old in zip(parts, args, strict=True)):
        return hint
    return Union[tuple(_merge_alternatives(parts))]  # noqa: UP007  # made at run time


def _merge_alternatives(parts: list[Any]) -> list[Any]:
    """Remove the alternatives that the message type accepts anyway, and prompt values."""
    if Messages in parts:
        kind: Any = TextOrMessages if str in parts else Messages
        lesser: tuple[Any, ...] = (str, Message, Messages)
    elif Message in parts:
        kind = ChatTurn if tuple[str, str] in parts and str not in parts else Message
        lesser = (Message, str, list, tuple, dict)  # a `Message` accepts texts, pairs and objects
    else:
        return parts
    others = [p for p in parts if p not in lesser and get_origin(p) not in lesser]
    return [kind, *(p for p in others if not _is_prompt_value(p))]


def _is_prompt_value(hint: Any) -> bool:
    """Return whether `hint` is a prompt value: clients send its text or messages instead."""
    return isinstance(hint, type) and issubclass(hint, PromptValue)


def _is_sequence(origin: Any, args: tuple[Any, ...]) -> bool:
    """Return whether a JSON array of any length is a value of a type."""
    if origin is tuple:
        return args[1:] == (...,)
    return isinstance(origin, type) and issubclass(list, origin)


def _raise_invalid(why: str) -> NoReturn:
    raise PydanticCustomError("message", "{why}", {"why": why})


def as_items(value: Any) -> Sequence[Any]:
    """Return a list of messages; a single message or bare pair becomes a list of one."""
    if isinstance(value, list | tuple):
        return [value] if _is_bare_pair(value) else value
    return [value]


def _is_bare_pair(value: Sequence[Any]) -> bool:
    """Return whether a list is a pair like `["user", "hi"]`: its first item is a role."""
    if len(value) != 2 or value[0] not in ROLES:  # noqa: PLR2004  # it is a pair
        return False
    content = value[1]
    return isinstance(content, str) or (_is_content(content) and not _is_text_pair(content))


def _is_text_pair(item: Any) -> bool:
    """Return whether `item` is a pair of texts, such as a role and a content."""
    return isinstance(item, list | tuple) and [type(part) for part in item] == [str, str]


def _is_content(content: Any) -> bool:
    """Return whether `content` is a text or a list of content blocks."""
    blocks = content if isinstance(content, list) else [] if isinstance(content, str) else [None]
    return all(isinstance(block, str | dict) for block in blocks)


def _to_message(item: Any) -> BaseMessage:
    """Convert `item` to a message; no other LangChain object can be created from it."""
    if isinstance(item, BaseMessage):  # a default value, or from the app's own code
        return item
    if isinstance(item, str):
        return HumanMessage(item)
    if isinstance(item, list | tuple) and len(item) == 2:  # noqa: PLR2004  # it is a pair
        item = {"role": item[0], "content": item[1]}
    if not isinstance(item, dict) or not item.keys() & {"role", "type"}:
        _raise_invalid(ACCEPTED)
    drop_chunks([item])
    if _contains_langchain_object(item):
        _raise_invalid(f"LangChain's serialised objects are not accepted; {ACCEPTED}")
    return _convert(
        _from_langchain_format if item.get("type") in _LANGCHAIN_TYPES else _from_role_format, item
    )


def _contains_langchain_object(value: Any) -> bool:
    """Return whether a serialised LangChain object is in a value, at any depth.

    It would not be loaded here, but a store of conversations may load it when reading.
    """
    left = [value]
    while left:  # not recursive: the client controls the depth
        inner = left.pop()
        if isinstance(inner, dict):
            if inner.keys() >= {"lc", "type", "id"}:
                return True
            left += inner.values()
        elif isinstance(inner, list):
            left += inner
    return False


_LANGCHAIN_TYPES: Final = ("human", "ai", "system", "tool", "function", "chat")
_CHUNK_TYPES: Final = {
    f"{kind}MessageChunk": kind.lower()
    for kind in ("Human", "AI", "System", "Tool", "Function", "Chat")
}


_PARTIAL_CALLS: Final = ("tool_call_chunks", "invalid_tool_calls", "additional_kwargs")
"""Where LangChain's messages have tool calls whose JSON may be truncated."""


def drop_chunks(values: Iterable[Any]) -> None:
    """Turn message chunks into whole messages, in place, at any depth of a client's data.

    Only objects that look like messages are changed: by their type, their role, or by a content
    beside tool calls that are not whole.

    LangChain completes the truncated JSON of a chunk's tool calls in quadratic time, and also that
    of invalid tool calls once messages are merged. No client needs to send either. This applies to
    data of any type, since a user's model, or a graph behind a chain that takes any object, makes
    messages without the types of this module.
    """
    left = list(values)
    while left:  # not recursive: the client controls the depth
        inner = left.pop()
        if isinstance(inner, dict):
            if _looks_like_message(inner):
                _drop_chunk_fields(inner)
            left += inner.values()
        elif isinstance(inner, list):
            left += inner


def _looks_like_message(item: dict[str, Any]) -> bool:
    kind, role = item.get("type"), item.get("role")
    if role in ROLES or kind in _LANGCHAIN_TYPES or kind in tuple(_CHUNK_TYPES):
        return True
    has_content = not item.keys().isdisjoint(("content", "content_blocks"))
    return has_content and not item.keys().isdisjoint(_PARTIAL_CALLS)


def _drop_chunk_fields(item: dict[str, Any]) -> None:
    """Remove the fields of a chunk from a message, and tool calls whose JSON is truncated."""
    kind = item.get("type")
    if isinstance(kind, str) and kind in _CHUNK_TYPES:
        item["type"] = _CHUNK_TYPES[kind]
    if isinstance(item.get("data"), dict):  # as `messages_to_dict` writes it
        _drop_chunk_fields(item["data"])
    for name in ("tool_call_chunks", "chunk_position", "invalid_tool_calls"):
        item.pop(name, None)
    extra = item.get("additional_kwargs")
    if isinstance(extra, dict) and isinstance(extra.get("tool_calls"), list):
        extra["tool_calls"] = [call for call in extra["tool_calls"] if _has_valid_arguments(call)]


def _has_valid_arguments(call: Any) -> bool:
    """Return whether the arguments of a tool call in a provider's format are valid JSON."""
    try:
        json.loads(call["function"]["arguments"])
    except (LookupError, TypeError, ValueError, RecursionError):
        return False
    return True


def _from_langchain_format(item: dict[str, Any]) -> BaseMessage:
    """Read a message as written by `messages_to_dict` or its `model_dump`."""
    data = item.get("data", item)
    if not isinstance(data, dict) or not _is_content(data.get("content")):
        _raise_invalid("the content has to be a text or a list of content blocks")
    if item["type"] == "tool":
        _require_tool_call_id(data)
    return messages_from_dict([{"type": item["type"], "data": _without_type(data)}])[0]


def _require_tool_call_id(item: dict[str, Any]) -> None:
    """Refuse a tool message without a text `tool_call_id`; LangChain would convert any value."""
    if not isinstance(item.get("tool_call_id"), str):
        _raise_invalid("a tool's message needs the tool_call_id of the call that it answers")


def _from_role_format(item: dict[str, Any]) -> BaseMessage:
    """Read a message in the format of chat APIs: a role, a content, and fields of the role."""
    role = item.get("role", item.get("type"))
    if role not in ROLES:
        _raise_invalid(f"there is no role {role!r}; use one of {', '.join(ROLES)}")
    only_calls_tools = item.get("content") is None and item.get("tool_calls")
    if not (only_calls_tools or _is_content(item.get("content"))):
        _raise_invalid("the content has to be a text or a list of content blocks")
    if role == "tool":
        _require_tool_call_id(item)
    return convert_to_messages([{"content": None, **_without_type(item), "role": role}])[0]


def _without_type(item: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without the type, which LangChain would keep as extra data."""
    return {key: value for key, value in item.items() if key != "type"}


def _convert(make: Callable[[dict[str, Any]], BaseMessage], item: dict[str, Any]) -> BaseMessage:
    """Call `make`; replace LangChain's errors by readable ones for the client."""
    try:
        return make(item)
    except ValidationError as error:
        where, wrong = next(iter(problems_of(error).items()))
        _raise_invalid(f"this is no valid message: {f'{where}: ' if where else ''}{wrong}")
    except PydanticCustomError:  # readable already; it is a ValueError
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        _raise_invalid(f"this is no valid message; {ACCEPTED}")


def _to_turn(item: Any) -> BaseMessage | tuple[str, str]:
    """Convert to a message, or keep the pair of a question and its answer."""
    if _is_text_pair(item) and item[0] not in ROLES:
        return (item[0], item[1])
    return _to_message(item)


def _pass_text(value: Any, convert: ValidatorFunctionWrapHandler) -> Any:
    """Return a text unchanged, since models take it; convert anything else."""
    return value if isinstance(value, str) else convert(value)


_CONTENT_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
    ]
}
_CHAT_ROLES: Final = [role for role in ROLES if role not in ("tool", "function")]


def _message_schema(key: str, values: Sequence[str], *needed: str) -> dict[str, Any]:
    """Return the JSON schema of message objects whose `key` is one of `values`."""
    texts = {name: {"type": "string"} for name in needed}
    return {
        "type": "object",
        "properties": {key: {"enum": list(values)}, "content": _CONTENT_SCHEMA, **texts},
        "required": [key, "content", *needed],
    }


# The forms that are short to describe; more is accepted, such as tool calls.
_MESSAGE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        _message_schema("role", _CHAT_ROLES),
        _message_schema("role", ["tool"], "tool_call_id"),
        _message_schema("type", ["human", "ai", "system"]),
        {
            "type": "array",
            "prefixItems": [{"enum": _CHAT_ROLES}, _CONTENT_SCHEMA],
            "minItems": 2,
            "maxItems": 2,
        },
    ]
}
_TEXT_PAIR_SCHEMA: Final = {
    "type": "array",
    "items": {"type": "string"},
    "minItems": 2,
    "maxItems": 2,
}


def _items_schema(item: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"type": "array", "items": item}, *item["anyOf"]]}


# Type aliases, so that each is one named component of the API specs.

Message = TypeAliasType(
    "Message",
    Annotated[
        InstanceOf[SerializeAsAny[BaseMessage]],
        BeforeValidator(_to_message),
        WithJsonSchema(_MESSAGE_SCHEMA),
    ],
)
"""One message: a text, an object with a role or a type, or a pair of a role and a content."""

Messages = TypeAliasType(
    "Messages",
    Annotated[
        list[Message], BeforeValidator(as_items), WithJsonSchema(_items_schema(_MESSAGE_SCHEMA))
    ],
)
"""A list of messages; a single message is converted to a list of one."""

TextOrMessages = TypeAliasType(
    "TextOrMessages",
    Annotated[Messages, WrapValidator(_pass_text), WithJsonSchema(_items_schema(_MESSAGE_SCHEMA))],
)
"""The input of a model: a text, which is passed on as such, or messages."""

_TURN_SCHEMA: Final = {"anyOf": [*cast(list[Any], _MESSAGE_SCHEMA["anyOf"]), _TEXT_PAIR_SCHEMA]}

ChatTurn = TypeAliasType(
    "ChatTurn",
    Annotated[
        BaseMessage | tuple[str, str], PlainValidator(_to_turn), WithJsonSchema(_TURN_SCHEMA)
    ],
)
"""A message, or a pair of a question and its answer, as older chains keep their histories."""

ChatTurns = TypeAliasType(
    "ChatTurns",
    Annotated[
        list[ChatTurn], BeforeValidator(as_items), WithJsonSchema(_items_schema(_TURN_SCHEMA))
    ],
)
"""A history of messages and of pairs."""

_ARRAYS: Final[dict[Any, Any]] = {Message: Messages, ChatTurn: ChatTurns}

MESSAGE_TYPES: Final = (Message, Messages, TextOrMessages, ChatTurn, ChatTurns)
"""The types that `with_messages` uses in place of LangChain's."""
