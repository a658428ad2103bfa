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

from .message_rules import (
    MESSAGE_SIGNS,
    check_block,
    check_message,
    check_role,
    is_pair,
    is_plain_message,
    looks_like_block,
    looks_like_message,
    unpacked,
)
from .policy import InputPolicy, NotAcceptedError

__all__ = ["check_client_data", "check_declared_message"]

_PROSE: Final = {
    *("alt", "caption", "context", "filename", "media_type", "mime_type", "name", "text"),
    *("title", "type"),
}
"""Fields of a file's block that are no place of the file."""

_OWN_NAMES: Final = {"role", "type", "content", "content_blocks"}
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
    check_role(typed, policy, is_chat=typed["type"] in ("chat", "ChatMessageChunk"))
    if check.add_message(message):
        check.walk(message)


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
            if not in_file and is_plain_message(inner):
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
        if kind is None and item.keys().isdisjoint(MESSAGE_SIGNS):
            return False
        if not isinstance(item, dict) or not may_be_message:
            return False
        if looks_like_message(item):
            self._count(1)
            self.add_message(unpacked(item))
            return False
        return looks_like_block(item) and check_block(item, self._policy)

    def add_message(self, message: dict[str, Any]) -> bool:
        """Check a message, note which of its blocks are files, or may be, and tell if any is.

        Raises:
            NotAcceptedError: The route does not accept it.
        """
        files = check_message(message, self._policy)
        self._files.update(map(id, files))
        return bool(files)

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
                if is_pair(part):
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
