"""Telling the question in a prompt from the material to answer it with."""

import re
from typing import NamedTuple

from langchain_core.messages import AIMessage, BaseMessage

# "Question: ..." in a plain prompt, "Human: ..." in the transcript of a conversation.
_QUESTION = re.compile(r"^(?:Question|Human): *(.+)$", re.MULTILINE)
# What stands between the instructions to the model and the texts it may use.
_BORDER = re.compile(r"\bContext:|<context>|^Current conversation:|^-{4,}", re.MULTILINE)
# Without such a border, a sentence that begins like this is taken for an instruction.
_INSTRUCTION = re.compile(
    r"(?:^|(?<=[.!?] ))(?:You are|Use|Answer|If you|Given)\b[^.!?\n]*[.!?]?", re.MULTILINE
)
# In a transcript, what the model said itself; anywhere, labels with nothing behind them.
_NO_MATERIAL = re.compile(r"^(?:AI:.*|Human:|[A-Z][\w ]*: *$|</context>)", re.MULTILINE)
# The prompt with which a conversational chain asks for a question that stands on its own.
_FOLLOW_UP = re.compile(r"^Follow Up Input: *(.+)\nStandalone question:", re.MULTILINE)


class Prompt(NamedTuple):
    """A question, and the texts that may hold its answer."""

    question: str
    material: str


def follow_up(text: str) -> str | None:
    """Return the question to rephrase, or None if the prompt does not ask to rephrase one."""
    match = _FOLLOW_UP.search(text)
    return match[1] if match else None


def read_prompt(messages: list[BaseMessage]) -> Prompt:
    """Find the question and the material in the messages for a model.

    The question is the last line that says so, or else the last message of the user. What the
    model said before is no material, or it would end up quoting itself.
    """
    texts: list[str] = [message.text for message in messages if not isinstance(message, AIMessage)]
    *earlier, last = texts or [""]
    lines = list(_QUESTION.finditer(last))
    if not lines:
        return Prompt(last.strip(), _material("\n\n".join(earlier)))
    rest = last[: lines[-1].start()] + last[lines[-1].end() :]
    return Prompt(lines[-1][1].strip(), _material("\n\n".join([*earlier, rest])))


def _material(text: str) -> str:
    """Leave out the instructions, and lines that are no material."""
    border = _BORDER.search(text)
    given = text[border.end() :] if border else _INSTRUCTION.sub("", text)
    return _NO_MATERIAL.sub("", given)
