"""What counts as a word when texts are compared, and how to quote a question."""

import re
from textwrap import shorten

_WORD = re.compile(r"\w+(?:-\w+)*")
_ENDING = re.compile(r"(?<=\w\w\w)(?:ing|ed|es|e|(?<!s)s)$")
_STOP_WORDS = frozenset(
    _WORD.findall(
        """
        a about all also an and any are as at be because been but by can could did do does explain
        for from get give had happen has have he her him his how i if in into is it its just know
        many may me mean means more most much must my need no not of on one only or other our please
        she should so some such tell than that the their them then there these they this those to
        too up us use used was we were what when where which while who why will with work would you
        your
        """
    )
)


def content_words(text: str) -> list[str]:
    """Return the words of a text that carry meaning, in lower case and without their endings."""
    found = _WORD.findall(text.lower())
    return [_stem(part) for word in found for part in _parts(word) if part not in _STOP_WORDS]


def quoted(question: str) -> str:
    """Quote a question in an answer: on one line, and not all of a long one."""
    return f"“{shorten(question, 120, placeholder=' …')}”"


def _parts(word: str) -> list[str]:
    """Split a compound, so that "back-pressure" meets "back pressure" and "backpressure"."""
    parts = word.split("-")
    return [*parts, "".join(parts)] if len(parts) > 1 else parts


def _stem(word: str) -> str:
    """Cut the commonest endings, so that "streams" and "streaming" meet "stream"."""
    return _ENDING.sub("", word)
