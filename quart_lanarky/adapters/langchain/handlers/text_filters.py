"""Find the answer in a model's text, while the text is still coming."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import inf
from typing import Protocol

from ....errors import ConfigurationError

__all__ = [
    "DEFAULT_ANSWER_PREFIX_TOKENS",
    "AnswerBuffer",
    "AnswerFinder",
    "StopFilter",
    "TextFilter",
]

DEFAULT_ANSWER_PREFIX_TOKENS = ("Final", "Answer", ":")
"""What a ReAct agent writes before its answer, as LangChain's own handler has it."""

MAX_GAP = 100
"""How many characters of white space there may be between two tokens of a prefix.

A model that goes on writing white space would else have all of it searched for each token.
"""


class TextFilter(Protocol):
    """Finds what of a model's text is the answer."""

    def feed(self, text: str) -> str:
        """Take the next text of the model; return what of the answer can be passed on now."""

    def finish(self) -> str:
        """Return what of the answer was buffered, now that the model has ended."""


class AnswerBuffer:
    """Buffers one model run's text until it is known to be part of the answer.

    Args:
        text_filter: Finds the answer in the text; None if all of it is the answer.
        hold: How many tokens are buffered, since the run may still call a tool; None if it cannot.

    Attributes:
        received: Whether the run has streamed any text.
        reads_events: Whether the text comes from the events of the run and not from its tokens.
    """

    __slots__ = (
        "_buffered",
        "_filter",
        "_hold",
        "_must_wait",
        "may_call_tools",
        "reads_events",
        "received",
    )

    def __init__(self, text_filter: TextFilter | None = None, hold: float | None = None) -> None:
        self.may_call_tools = hold is not None
        self._hold = hold or 0
        self._must_wait = hold == inf
        self._filter = text_filter
        self.received = self.reads_events = False
        self._buffered: list[str] = []

    def expect_tool_call(self) -> None:
        """Buffer all that follows: a tool call has begun, so the text is no answer."""
        self._hold, self._must_wait = inf, True

    def expect_commentary(self) -> None:
        """Buffer all that follows, until the model says that it answers; if anything may wait."""
        if self._hold:
            self._hold = inf

    def expect_answer(self) -> None:
        """Pass on what follows at once, unless none may be sent before the run has ended."""
        if not self._must_wait:
            self._hold = 0

    def feed(self, text: str) -> list[str]:
        """Take the run's next text; return the tokens that can be sent now."""
        self.received = True
        if self._filter is not None:
            text = self._filter.feed(text)
        if text:
            self._buffered.append(text)
        return self._release() if len(self._buffered) > self._hold else []

    def pass_on(self, text: str) -> list[str]:
        """Take a text that is the answer as it is; return the tokens that can be sent now."""
        self.received = True
        self._buffered.append(text)
        return self._release()

    def finish(self, text: str) -> list[str]:
        """Take the run's whole text, for it may not have streamed; return what is left to send."""
        tokens = self.feed(text) if text and not self.received else []
        tokens += self._release()
        rest = "" if self._filter is None else self._filter.finish()
        return [*tokens, rest] if rest else tokens

    def _release(self) -> list[str]:
        released, self._buffered, self._hold = self._buffered, [], 0
        return released


class AnswerFinder:
    """Finds where an agent's answer begins in the text of one model run, and passes it on.

    It looks at the text and not at the tokens, for models cut one text in many ways. Only what
    may still turn out to be the prefix, or to be white space at the end, is buffered.

    Args:
        prefix_tokens: What comes before the answer, cut anyhow; None if all is the answer.
        strip_tokens: Whether white space is ignored around the prefix, between its tokens, and
            around the answer (agents' own parsers strip the answer as well).
        stream_prefix: Whether the prefix itself is passed on, as the model wrote it.

    Raises:
        ConfigurationError: The prefix has no text.
    """

    def __init__(
        self,
        prefix_tokens: Sequence[str] | None,
        *,
        strip_tokens: bool,
        stream_prefix: bool = False,
    ) -> None:
        self._found = prefix_tokens is None
        if prefix_tokens is not None:
            self._prefix = _prefix_pattern(prefix_tokens, strip_tokens=strip_tokens)
        self._strip = strip_tokens
        self._stream_prefix = stream_prefix
        self._buffered = ""  # what may be the beginning of the prefix
        self._spaces: list[str] = []  # white space, which the answer may end in
        self._started = False  # something of the answer was passed on

    def feed(self, text: str) -> str:
        """Take the next text of the model; return what of the answer can be passed on now."""
        if self._found:
            return self._take_answer(text)
        prefix = self._find_prefix(self._buffered + text)
        return prefix + self._take_answer(self._buffered) if self._found else ""

    def finish(self) -> str:
        """Return nothing: what is buffered is no answer, or the white space after it."""
        return ""

    def _find_prefix(self, text: str) -> str:
        match = self._prefix.search(text)
        if match is None or match["whole"] is None:
            self._buffered = "" if match is None else match[0]
            return ""
        self._found = True
        self._started = self._stream_prefix  # then the space after the prefix is sent as well
        self._buffered = text[match.end() :]
        return match[0] if self._stream_prefix else ""

    def _take_answer(self, text: str) -> str:
        if not self._strip:
            return text
        body = text.rstrip()
        if not body:
            if self._started:
                self._spaces.append(text)
            return ""
        answer = "".join([*self._spaces, body if self._started else body.lstrip()])
        self._spaces = [text[len(body) :]]
        self._started = True
        return answer


class StopFilter:
    """Passes on a model's text until something follows that is not the answer.

    Args:
        pattern: A regular expression for what follows, in any case.
        longest: How many characters a match may have: so many are buffered.
    """

    def __init__(self, pattern: str, longest: int) -> None:
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self._keep = longest - 1
        self._buffered = ""
        self._over = False

    def feed(self, text: str) -> str:
        """Take the next text of the model; return what of the answer can be passed on now."""
        self._buffered += "" if self._over else text
        if match := self._pattern.search(self._buffered):
            self._over = True
            self._buffered = self._buffered[: match.start()]
        return self._take(0 if self._over else self._keep)

    def finish(self) -> str:
        """Return what of the answer was buffered, now that the model has ended."""
        return self._take(0)

    def _take(self, left: int) -> str:
        end = max(0, len(self._buffered) - left)
        text, self._buffered = self._buffered[:end], self._buffered[end:]
        return text


def _prefix_pattern(tokens: Sequence[str], *, strip_tokens: bool) -> re.Pattern[str]:
    r"""Return a pattern that finds the whole prefix, or its beginning at the end of the text.

    For the prefix `ab` it is ``a(?:b(?P<whole>)|\Z)``: after each part either the next part
    follows or the text ends, and only the whole prefix sets the group.
    """
    if strip_tokens:
        tokens = [stripped for token in tokens if (stripped := token.strip())]
    if not "".join(tokens):
        raise ConfigurationError("answer_prefix_tokens must hold some text to look for")
    pattern = "(?P<whole>)"
    for part in reversed(list(_parts(tokens, strip_tokens=strip_tokens))):
        pattern = rf"{part}(?:{pattern}|\Z)"
    return re.compile(pattern)


def _parts(tokens: Iterable[str], *, strip_tokens: bool) -> Iterable[str]:
    for number, token in enumerate(tokens):
        if number and strip_tokens:
            yield rf"\s{{0,{MAX_GAP}}}"
        yield from map(re.escape, token)
