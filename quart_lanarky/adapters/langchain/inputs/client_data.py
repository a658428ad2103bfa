"""Check what a client sent, before anything is made of it.

The rules hold for data of any type and at any depth: a user's model, or a graph behind a chain that
takes any object, makes messages without the types of `messages.py`. So an object that looks like a
message or like a content block is treated as one. Each value is looked at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any, Final

from .policy import Acceptable, InputPolicy, NotAcceptedError

__all__ = [
    "CONVERSATION_ROLES",
    "LANGCHAIN_TYPES",
    "ROLES",
    "check_client_data",
    "check_declared_message",
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
LANGCHAIN_TYPES: Final = ("human", "ai", "system", "tool", "function", "chat")

_CHUNK_TYPES: Final = {
    f"{kind}MessageChunk": kind.lower()
    for kind in ("Human", "AI", "System", "Tool", "Function", "Chat")
}
CONVERSATION_ROLES: Final = ("user", "human", "assistant", "ai")
_PLAIN: Final = {"role", "content"}
_NEEDED_FOR_ROLE: Final[dict[str, Acceptable]] = {
    "system": "system",
    "developer": "system",
    "tool": "tools",
    "function": "tools",
    "remove": "overwrite",  # LangGraph's `RemoveMessage`
}
_KINDS: Final = {*ROLES, *LANGCHAIN_TYPES, *_CHUNK_TYPES, *_NEEDED_FOR_ROLE}

_CONTENTS: Final = ("content", "content_blocks")
_CALLS: Final = ("tool_calls", "function_call", "artifact")
_MARKS: Final = (
    *("additional_kwargs", "invalid_tool_calls", "tool_call_chunks", "tool_call_id"),
    *_CALLS,
)
"""Fields that tell a message without a role from other objects that have a content."""
_TELLTALE: Final = {"role", "lc", *_CONTENTS}
"""Of which fields a message without a type has one."""
_MESSAGE_FIELDS: Final = {*_CONTENTS, *_MARKS, "data", "id"}
"""Of which fields a message has one, to tell it from other objects with a role or a type."""

_DROPPED: Final = (
    "tool_call_chunks",  # LangChain completes their JSON in quadratic time ...
    "chunk_position",
    "invalid_tool_calls",  # ... and that of these, once messages are merged
    "response_metadata",  # may name a stored response of the provider
    "usage_metadata",
    "example",
)

_TEXT_BLOCKS: Final = ("text", "input_text", "output_text")
_FILE_BLOCKS: Final = {
    *("audio", "audio_url", "container_upload", "document", "file", "file_url", "image"),
    *("image_file", "image_url", "input_audio", "input_file", "input_image", "input_video"),
    *("media", "text-plain", "video", "video_url"),
}
_FILE_FIELDS: Final = {
    *("base64", "bytes", "data", "file", "file_data", "file_id", "file_uri", "source"),
    *("uri", "url"),
    *_FILE_BLOCKS,
}
_TOOL_BLOCKS: Final = {
    *("function_call", "function_call_output", "mcp_tool_result", "mcp_tool_use"),
    *("server_tool_call", "server_tool_result", "server_tool_use"),
    *("tool_call", "tool_result", "tool_use"),
    *("reasoning", "redacted_thinking", "thinking"),  # providers want them beside calls
}
_TOOL_FIELDS: Final = {
    *("args", "arguments", "call_id", "data", "input", "output", "reasoning", "signature"),
    *("summary", "thinking", "tool_call_id", "tool_use_id"),
}
_PARTIAL_BLOCKS: Final = {
    *("input_json_delta", "invalid_tool_call", "server_tool_call_chunk", "tool_call_chunk"),
}
"""Blocks whose JSON is completed by guessing."""

_FIELDS_OF_BLOCKS: Final = {
    **dict.fromkeys(_FILE_BLOCKS, _FILE_FIELDS),
    **dict.fromkeys(_TOOL_BLOCKS | _PARTIAL_BLOCKS, _TOOL_FIELDS),
}
"""Of which fields a block of each type has one, to tell it from other objects with a type."""

_PROSE: Final = {
    *("alt", "caption", "context", "filename", "media_type", "mime_type", "name", "text"),
    *("title", "type"),
}
"""Fields of a file's block that are no place of the file."""

_OWN_NAMES: Final = {"role", "type", *_CONTENTS}
"""Fields of a message, which a chain may have among its own."""

_MAX_KEY: Final = 1000
"""How many characters the name of a field may have: Pydantic repeats it in each error below it."""

_URL_START: Final = re.compile(r"[\x00-\x20]*(?:[a-z][a-z0-9+.-]*:)?[/\\]{2}", re.IGNORECASE)


def check_client_data(
    data: Mapping[str, Any], policy: InputPolicy, names: Collection[str] = ()
) -> dict[str, str]:
    """Return why fields of the inputs are not accepted; an empty dict if they are.

    What a message may not say about itself, and text blocks say besides their text, is removed
    in place, so that the data of clients that send back what they got is accepted.

    Args:
        data: What the client sent.
        policy: What the route accepts.
        names: The names of the fields that the chain declares.
    """
    check, name = _Check(policy), ""
    try:
        check.look_at(data, may_be_message=_OWN_NAMES.isdisjoint(names))
        for name, value in data.items():  # used when a value is not accepted
            check.walk({name: value})
    except NotAcceptedError as error:
        return {name: str(error)}
    return {}


def check_declared_message(message: dict[str, Any], kind: str, policy: InputPolicy) -> None:
    """Check an object that becomes a message by its declared type, whatever it looks like.

    Args:
        message: The object.
        kind: The type of the message where the object itself does not name one.
        policy: What the route accepts.

    Raises:
        NotAcceptedError: The route does not accept this message.
    """
    check = _Check(policy)
    typed = {"type": kind, **message}
    _check_role(typed, policy, is_chat=typed["type"] in ("chat", "ChatMessageChunk"))
    if check.add_message(message):
        check.walk(message)


def _check_message(message: dict[str, Any], policy: InputPolicy) -> list[dict[str, Any]]:
    """Check an object that is a message, and remove what it may not say about itself, in place.

    Args:
        message: The object, with a role or a type.
        policy: What the route accepts.

    Returns:
        The content blocks in it that are files, or may be.

    Raises:
        NotAcceptedError: The route does not accept this message.
    """
    data, files = message.get("data"), []
    for part in (message, data) if isinstance(data, dict) else (message,):
        _check_role(part, policy, is_chat=message.get("type") in ("chat", "ChatMessageChunk"))
        _check_calls(part, policy)
        for name in _CONTENTS:
            files += _check_content(part.get(name), policy)
    return files


def _check_role(message: dict[str, Any], policy: InputPolicy, *, is_chat: bool) -> None:
    kind, role = message.get("type"), message.get("role")
    if isinstance(kind, str) and kind in _CHUNK_TYPES:
        kind = message["type"] = _CHUNK_TYPES[kind]
    for name in (kind, role):
        plain = name.strip().lower() if isinstance(name, str) else ""
        if (needed := _NEEDED_FOR_ROLE.get(plain)) is not None:
            policy.require(needed, what=f"messages with the role {plain!r}")
    if is_chat and isinstance(role, str) and role not in CONVERSATION_ROLES:
        policy.require("system", what="messages with a role of one's own")


def _check_calls(message: dict[str, Any], policy: InputPolicy) -> None:
    for name in _DROPPED:
        message.pop(name, None)
    extra = message.get("additional_kwargs")
    if "tools" not in policy.accept:
        message.pop("additional_kwargs", None)
        if any(map(message.get, _CALLS)):
            policy.require("tools", what="tool calls and their results")
        return
    for part in (message, extra):
        calls = part.get("tool_calls") if isinstance(part, dict) else None
        for call in calls if isinstance(calls, list) else ():
            _check_arguments(call)


def _check_arguments(call: Any) -> None:
    """Refuse a tool call in the format of a provider whose arguments are not valid JSON."""
    function = call.get("function") if isinstance(call, dict) else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if isinstance(arguments, str):
        try:
            json.loads(arguments)
        except (ValueError, RecursionError):
            raise NotAcceptedError("the arguments of a tool call are not valid JSON") from None


def _check_content(content: Any, policy: InputPolicy) -> list[dict[str, Any]]:
    blocks = content if isinstance(content, list) else [content]
    return [block for block in blocks if isinstance(block, dict) and _is_file(block, policy)]


def _is_file(block: dict[str, Any], policy: InputPolicy) -> bool:
    """Check a content block, and return whether it is a file, or may be.

    Of a text block only the text is kept, for a provider may look at its other fields.
    """
    if not block:  # cheap to send, and costly to look at
        raise NotAcceptedError("a content block is empty")
    kind = block.get("type")
    if not isinstance(kind, str):
        kind = ""
    if kind in _TEXT_BLOCKS and isinstance(block.get("text"), str):
        text = block["text"]
        block.clear()
        block.update(type=kind, text=text)
        return False
    if kind in _PARTIAL_BLOCKS:
        raise NotAcceptedError("tool calls have to be whole: there are no chunks to send")
    if kind in _TOOL_BLOCKS:
        policy.require("tools", what="tool calls and their results")
        return False
    if kind in _FILE_BLOCKS:
        policy.require("files", what="files: images, audio, video, documents")
    else:
        what = f"content blocks that are no text, here one of the type {kind!r}"
        policy.require("tools", "files", what=what)
    return True


class _Check:
    """One walk over the data of a client.

    Args:
        policy: What the route accepts.
    """

    def __init__(self, policy: InputPolicy) -> None:
        self._policy = policy
        self._messages = 0
        self._files: set[int] = set()  # the identities of blocks that are files, or may be

    def walk(self, value: Any) -> None:
        """Check a value and what is inside it.

        Raises:
            NotAcceptedError: The route does not accept it.
        """
        left = [(value, False)]
        while left:  # not recursive: the client controls the depth
            inner, in_file = left.pop()
            if not in_file and _is_plain_message(inner):
                self._count(1)
            elif isinstance(inner, dict):
                in_file = self.look_at(inner) or in_file or id(inner) in self._files
                parts = self._parts_of_object(inner, in_file=in_file)
                left.extend([(part, in_file) for part in parts])
            elif isinstance(inner, list):
                parts = self._parts_of_list(inner, in_file=in_file)
                left.extend([(part, in_file) for part in parts])

    def look_at(self, item: Mapping[str, Any], *, may_be_message: bool = True) -> bool:
        """Check an object itself; return whether it is a file, or may be one.

        Raises:
            NotAcceptedError: The route does not accept it.
        """
        if "lc" in item and "type" in item and "id" in item:
            self._policy.require("serialized", what="LangChain's serialised objects")
        kind = item.get("type")
        if "__overwrite__" in item or kind == "__overwrite__":
            self._policy.require("overwrite", what="values that replace the state of a graph")
        if kind is None and item.keys().isdisjoint(_TELLTALE):
            return False
        if not isinstance(item, dict) or not may_be_message:
            return False
        if _looks_like_message(item):
            self._count(1)
            self.add_message(_unpacked(item))
            return False
        return self._look_at_block(item, kind)

    def add_message(self, message: dict[str, Any]) -> bool:
        """Check a message, note which of its blocks are files, or may be, and tell if any is.

        Raises:
            NotAcceptedError: The route does not accept it.
        """
        files = _check_message(message, self._policy)
        self._files.update(map(id, files))
        return bool(files)

    def _look_at_block(self, item: dict[str, Any], kind: Any) -> bool:
        """Check an object that looks like a content block; one may come without its message."""
        if not isinstance(kind, str):
            return False
        fields = _FIELDS_OF_BLOCKS.get(kind)
        return fields is not None and not fields.isdisjoint(item) and _is_file(item, self._policy)

    def _parts_of_object(self, item: dict[str, Any], *, in_file: bool) -> list[Any]:
        """Check the names and scalars of an object; return the containers in it."""
        parts = []
        for key, part in item.items():
            kind = type(part)
            if len(key) > _MAX_KEY or not key.isascii():
                _check_name(key)
            if kind is str:
                if in_file or not part.isascii():
                    self._look_at_text(key, part, in_file=in_file)
                if key == "arguments" and "tools" in self._policy.accept:
                    parts.append(_parsed(part))
            elif kind is dict or kind is list:
                parts.append(part)
                if key == "messages":
                    self._count_texts(part)
            elif kind is float:
                _check_number(part)
        return parts

    def _parts_of_list(self, items: list[Any], *, in_file: bool) -> list[Any]:
        """Check the scalars of a list; return the containers in it."""
        parts = []
        for part in items:
            kind = type(part)
            if kind is str:
                if in_file or not part.isascii():
                    self._look_at_text("", part, in_file=in_file)
            elif kind is dict:
                parts.append(part)
            elif kind is list:
                parts.append(part)
                if _is_pair(part):
                    self.look_at({"role": part[0], "content": part[1]})
            elif kind is float:
                _check_number(part)
        return parts

    def _look_at_text(self, key: str, text: str, *, in_file: bool) -> None:
        _check_text(text)
        if in_file:
            self._look_at_place(key, text)

    def _look_at_place(self, key: str, value: str) -> None:
        """Check a text inside of a file's block, if it can say where the file is."""
        lower = key.lower()
        names_place = "url" in lower or "uri" in lower
        if names_place or (lower not in _PROSE and _URL_START.match(value)):
            self._policy.check_file_url(value)

    def _count_texts(self, part: Any) -> None:
        """Count the texts in a list of messages; objects are counted by their look."""
        if isinstance(part, list):
            self._count(sum(isinstance(item, str) for item in part))

    def _count(self, more: int) -> None:
        self._messages += more
        limit = self._policy.max_messages
        if limit is not None and self._messages > limit:
            raise NotAcceptedError(f"send no more than {limit} messages")


def _is_plain_message(item: Any) -> bool:
    """Return whether an item is what most are: a role of a conversation, and a text in ASCII."""
    return (
        type(item) is dict
        and item.keys() == _PLAIN
        and type(item["content"]) is str
        and item["content"].isascii()
        and item["role"] in CONVERSATION_ROLES
    )


def _looks_like_message(item: dict[str, Any]) -> bool:
    """Return whether LangChain, or a user's own code, would make a message of an object."""
    if "lc" in item and isinstance(item.get("kwargs"), dict):
        return True
    if item.keys().isdisjoint(_MESSAGE_FIELDS):
        return False
    for name in (item.get("role"), item.get("type")):
        if isinstance(name, str) and (name in _KINDS or name.strip().lower() in _KINDS):
            return True
    return not item.keys().isdisjoint(_CONTENTS) and not item.keys().isdisjoint(_MARKS)


def _unpacked(item: dict[str, Any]) -> dict[str, Any]:
    """Return the message in an object that LangChain has serialised; others are returned as is."""
    path, inner = item.get("id"), item.get("kwargs")
    if "lc" not in item or not isinstance(path, list) or not isinstance(inner, dict):
        return item
    kind = str(path[-1] if path else "").removesuffix("Chunk").removesuffix("Message").lower()
    return {"type": kind, "data": inner}


def _is_pair(item: list[Any]) -> bool:
    """Return whether a list is a role and a content."""
    return len(item) == 2 and isinstance(item[0], str) and item[0] in _KINDS  # noqa: PLR2004


def _check_name(name: str) -> None:
    if len(name) > _MAX_KEY:
        raise NotAcceptedError(f"a name in it is longer than {_MAX_KEY:,} characters")
    _check_text(name)


def _check_text(text: str) -> None:
    """Refuse what is no text, though Python's parser of JSON accepts it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        why = "a text has half of a surrogate pair, which is no character"
        raise NotAcceptedError(why) from None


def _check_number(number: float) -> None:
    """Refuse what is no number, though Python's parser of JSON accepts it."""
    if not isfinite(number):
        raise NotAcceptedError("a number is infinite, too large, or not a number")


def _parsed(arguments: str) -> Any:
    """Parse the arguments of a tool call, as LangChain will; None if they are no JSON."""
    try:
        return json.loads(arguments, strict=False)
    except ValueError:
        return None
    except RecursionError:
        raise NotAcceptedError("the arguments of a tool call are nested too deeply") from None
