"""Convert messages and chat histories as clients write them into LangChain's messages.

The types are for Pydantic: each validates and converts its value, and has a short JSON schema,
where that of LangChain's own types has twenty definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import UnionType
from typing import Annotated, Any, Final, NoReturn, Union, cast, get_args, get_origin

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    convert_to_messages,
    messages_from_dict,
)
from langchain_core.prompt_values import PromptValue
from pydantic import (
    AfterValidator,
    BeforeValidator,
    InstanceOf,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType

from .checks import problems_of
from .client_data import check_client_data
from .message_rules import CONVERSATION_ROLES, LANGCHAIN_TYPES, ROLES
from .policy import InputPolicy

__all__ = [
    "MESSAGE_TYPES",
    "ChatTurn",
    "ChatTurns",
    "Message",
    "Messages",
    "TextOrMessages",
    "as_items",
    "with_messages",
]

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


def _to_message(item: Any, info: ValidationInfo) -> BaseMessage:
    """Convert `item` to a message; no other LangChain object can be created from it.

    An object was checked with all that the client sent, but not a pair: only here it is known to
    be a message.
    """
    if isinstance(item, BaseMessage):  # a default value, or from the app's own code
        return item
    if isinstance(item, str):
        return HumanMessage(item)
    policy = info.context or InputPolicy()
    if isinstance(item, list | tuple) and len(item) == 2:  # noqa: PLR2004  # it is a pair
        item = _checked_pair(item, policy)
    if not isinstance(item, dict) or not item.keys() & {"role", "type"}:
        _raise_invalid(ACCEPTED)
    return _convert(
        _from_langchain_format if item.get("type") in LANGCHAIN_TYPES else _from_role_format,
        _accepted_fields(item, policy),
    )


def _checked_pair(pair: Sequence[Any], policy: InputPolicy) -> dict[str, Any]:
    """Return the message that a pair of a role and a content is, if the route accepts it."""
    message = {"role": pair[0], "content": pair[1]}
    if isinstance(pair[1], str) and pair[0] in CONVERSATION_ROLES:
        return message  # as most are
    for why in check_client_data({"message": message}, policy).values():
        _raise_invalid(why)
    return message


_FIELDS: Final = ("role", "type", "content", "name")
_ALWAYS_ACCEPTED: Final = frozenset(_FIELDS)
_TOOL_FIELDS: Final = (
    *("additional_kwargs", "artifact", "function_call"),
    *("status", "tool_call_id", "tool_calls"),
)


def _accepted_fields(item: dict[str, Any], policy: InputPolicy) -> dict[str, Any]:
    """Return the fields of a message that the client may set; LangChain would keep any other.

    LangGraph replaces the stored message that has the same id, so a new message has none.
    """
    if item.keys() <= _ALWAYS_ACCEPTED:
        return item
    names = [*_FIELDS]
    names += _TOOL_FIELDS if "tools" in policy.accept else ()
    names += ("id",) if "overwrite" in policy.accept else ()
    accepted = {name: item[name] for name in names if name in item}
    if "data" in item and item.get("type") in LANGCHAIN_TYPES:  # as `messages_to_dict` writes it
        data = item["data"]
        is_object = isinstance(data, dict)
        accepted["data"] = {n: data[n] for n in names if n in data} if is_object else data
    return accepted


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


def _check_tool_results(
    messages: list[BaseMessage | tuple[str, str]], info: ValidationInfo
) -> list[BaseMessage | tuple[str, str]]:
    """Refuse a tool call without its result, and a result without its call, as providers do."""
    if info.context is None or "tools" not in info.context.accept:
        return messages  # which have no calls
    waiting: set[str] = set()
    for message in messages:
        calls, results = _ids_of_calls(message)
        if not results <= waiting:
            _raise_invalid("the result of a tool call has to follow the message with the call")
        waiting -= results
        if waiting and not results:
            break
        waiting |= calls
    if waiting:
        _raise_invalid("a message with tool calls has to be followed by the result of each call")
    return messages


def _ids_of_calls(message: BaseMessage | tuple[str, str]) -> tuple[set[str], set[str]]:
    """Return the ids of the tool calls in a message, and of those whose results it has."""
    if not isinstance(message, BaseMessage):
        return set(), set()
    own = message.tool_calls if isinstance(message, AIMessage) else ()
    calls = {str(call["id"]) for call in own}
    results = {message.tool_call_id} if isinstance(message, ToolMessage) else set()
    for block in message.content if isinstance(message.content, list) else ():
        if isinstance(block, dict) and (names := _ID_FIELDS.get(str(block.get("type")))):
            is_result, name = names
            (results if is_result else calls).add(str(block.get(name)))
    return calls, results


_ID_FIELDS: Final = {
    "tool_call": (False, "id"),
    "tool_use": (False, "id"),
    "function_call": (False, "call_id"),
    "tool_result": (True, "tool_use_id"),
    "function_call_output": (True, "call_id"),
}
"""Where a content block has the id of a call that the app executes; whether it is the result."""


def _to_turn(item: Any, info: ValidationInfo) -> BaseMessage | tuple[str, str]:
    """Convert to a message, or keep the pair of a question and its answer."""
    if _is_text_pair(item) and item[0] not in ROLES:
        return (item[0], item[1])
    return _to_message(item, info)


def _pass_text(value: Any, convert: ValidatorFunctionWrapHandler) -> Any:
    """Return a text unchanged, since models take it; convert anything else."""
    return value if isinstance(value, str) else convert(value)


_CONTENT_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                        "required": ["type", "text"],
                    },
                ]
            },
        },
    ]
}


def _message_schema(key: str, values: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of message objects whose `key` is one of `values`."""
    return {
        "type": "object",
        "properties": {key: {"enum": list(values)}, "content": _CONTENT_SCHEMA},
        "required": [key, "content"],
    }


# The forms that every route accepts; what `accept=` adds is in the description of a route.
_MESSAGE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string"},
        _message_schema("role", CONVERSATION_ROLES),
        _message_schema("type", ["human", "ai"]),
        {
            "type": "array",
            "prefixItems": [{"enum": list(CONVERSATION_ROLES)}, _CONTENT_SCHEMA],
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
        list[Message],
        BeforeValidator(as_items),
        AfterValidator(_check_tool_results),
        WithJsonSchema(_items_schema(_MESSAGE_SCHEMA)),
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
        list[ChatTurn],
        BeforeValidator(as_items),
        AfterValidator(_check_tool_results),
        WithJsonSchema(_items_schema(_TURN_SCHEMA)),
    ],
)
"""A history of messages and of pairs."""

_ARRAYS: Final[dict[Any, Any]] = {Message: Messages, ChatTurn: ChatTurns}

MESSAGE_TYPES: Final = (Message, Messages, TextOrMessages, ChatTurn, ChatTurns)
"""The types that `with_messages` uses in place of LangChain's."""
