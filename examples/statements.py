"""What users tell about themselves, and how to say it back to them."""

import re

_STATEMENT = re.compile(r"(?:My|I am|I'm|I (?:have|like|live|speak|was|work))\b")
_SECOND_PERSON = {
    "I am": "you are",
    "I'm": "you are",
    "I was": "you were",
    "I": "you",
    "My": "your",
    "my": "your",
    "me": "you",
}
_FIRST_PERSON = re.compile(rf"\b(?:{'|'.join(_SECOND_PERSON)})\b")


def is_statement(text: str) -> bool:
    """Tell whether a text says something about its author, and asks nothing."""
    return bool(_STATEMENT.match(text)) and "?" not in text


def asks_back(question: str) -> bool:
    """Tell whether a question is about its author: "What is my name?"."""
    return bool(re.search(r"\b(?:my|I)\b", question))


def said_back(sentence: str) -> str:
    """Return "Your name is Ada." for "My name is Ada.", and any other sentence as it is."""
    if not is_statement(sentence):
        return sentence
    turned = _FIRST_PERSON.sub(lambda found: _SECOND_PERSON[found[0]], sentence)
    return turned[0].upper() + turned[1:]
