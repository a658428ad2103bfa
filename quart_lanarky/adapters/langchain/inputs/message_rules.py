"""What a client may say in a message: its role, its tool calls, its content blocks."""

from __future__ import annotations

import json
from typing import Any, Final

from .policy import Acceptable, InputPolicy, NotAcceptedError

__all__ = [
    "CONVERSATION_ROLES",
    "LANGCHAIN_TYPES",
    "MESSAGE_SIGNS",
    "ROLES",
    "check_block",
    "check_message",
    "check_role",
    "is_pair",
    "is_plain_message",
    "looks_like_block",
    "looks_like_message",
    "unpacked",
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
MESSAGE_SIGNS: Final = {"role", "lc", *_CONTENTS}
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


def check_message(message: dict[str, Any], policy: InputPolicy) -> list[dict[str, Any]]:
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
        check_role(part, policy, is_chat=message.get("type") in ("chat", "ChatMessageChunk"))
        _check_calls(part, policy)
        for name in _CONTENTS:
            files += _check_content(part.get(name), policy)
    return files


def check_role(message: dict[str, Any], policy: InputPolicy, *, is_chat: bool) -> None:
    """Check the role of a message, or the type that stands for it; write that in LangChain's form.

    Raises:
        NotAcceptedError: The route does not accept messages with this role.
    """
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
    return [block for block in blocks if isinstance(block, dict) and check_block(block, policy)]


def check_block(block: dict[str, Any], policy: InputPolicy) -> bool:
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


def is_plain_message(item: Any) -> bool:
    """Return whether an item is what most are: a role of a conversation, and a text in ASCII."""
    return (
        type(item) is dict
        and item.keys() == _PLAIN
        and type(item["content"]) is str
        and item["content"].isascii()
        and item["role"] in CONVERSATION_ROLES
    )


def looks_like_message(item: dict[str, Any]) -> bool:
    """Return whether LangChain, or a user's own code, would make a message of an object."""
    if "lc" in item and isinstance(item.get("kwargs"), dict):
        return True
    if item.keys().isdisjoint(_MESSAGE_FIELDS):
        return False
    for name in (item.get("role"), item.get("type")):
        if isinstance(name, str) and (name in _KINDS or name.strip().lower() in _KINDS):
            return True
    return not item.keys().isdisjoint(_CONTENTS) and not item.keys().isdisjoint(_MARKS)


def looks_like_block(item: dict[str, Any]) -> bool:
    """Return whether an object looks like a content block; one may come without its message."""
    kind = item.get("type")
    fields = _FIELDS_OF_BLOCKS.get(kind) if isinstance(kind, str) else None
    return fields is not None and not fields.isdisjoint(item)


def unpacked(item: dict[str, Any]) -> dict[str, Any]:
    """Return the message in an object that LangChain has serialised; others are returned as is."""
    path, inner = item.get("id"), item.get("kwargs")
    if "lc" not in item or not isinstance(path, list) or not isinstance(inner, dict):
        return item
    kind = str(path[-1] if path else "").removesuffix("Chunk").removesuffix("Message").lower()
    return {"type": kind, "data": inner}


def is_pair(item: list[Any]) -> bool:
    """Return whether a list is a role and a content."""
    return len(item) == 2 and isinstance(item[0], str) and item[0] in _KINDS  # noqa: PLR2004
