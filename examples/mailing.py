"""What the local model does when it is asked for a mail: it finds the address, then it sends."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCall, tool_call

from examples.words import quoted

FIND_ADDRESS = "find_address"
SEND_MAIL = "send_mail"

# As in: Tell Ada that it rains. Or: Write a mail to Ada: It rains.
_REQUESTS = (
    re.compile(r"\btell (?P<name>\w+) that (?P<text>.+)", re.IGNORECASE | re.DOTALL),
    re.compile(
        r"\b(?:send|write) an? e?-?mail to (?P<name>\w+)[:,]?\s+(?P<text>.+)",
        re.IGNORECASE | re.DOTALL,
    ),
)
_AGAIN = re.compile(r"\W*(?:yes|please|go on|continue|(?:try )?again|do it)\b", re.IGNORECASE)
_REASON = re.compile(r"with reason: (.+)", re.DOTALL)
_TOOL_RESPONSE = "Tool response:\n"  # before it, LangChain tells the model who edited the call


class Mail(NamedTuple):
    """A mail that somebody asks for."""

    name: str
    text: str


class MailStep(NamedTuple):
    """What the model says, or the tool that it calls."""

    text: str
    call: ToolCall | None = None


def next_mail_step(messages: Sequence[BaseMessage], tools: Sequence[str]) -> MailStep | None:
    """Return what comes next, or None if nobody asks for a mail, or no tool sends one."""
    if SEND_MAIL not in tools:
        return None
    place = _last_question(messages)
    mail = place is not None and _wanted(messages, place)
    if place is None or not mail:
        return None
    return _after(mail, messages[place + 1 :], f"call_{len(messages)}")


def _last_question(messages: Sequence[BaseMessage]) -> int | None:
    places = (i for i, each in enumerate(messages) if isinstance(each, HumanMessage))
    return max(places, default=None)


def _wanted(messages: Sequence[BaseMessage], place: int) -> Mail | None:
    """Return the mail that the last question asks for; "go on" asks for the one before."""
    question = messages[place].text
    if mail := _mail(question):
        return mail
    if not _AGAIN.match(question):
        return None
    earlier = [_mail(each.text) for each in messages[:place] if isinstance(each, HumanMessage)]
    return next((mail for mail in reversed(earlier) if mail), None)


def _mail(text: str) -> Mail | None:
    for request in _REQUESTS:
        if found := request.search(text):
            text = found["text"].strip()
            return Mail(found["name"].capitalize(), text[:1].upper() + text[1:])
    return None


def _after(mail: Mail, since: Sequence[BaseMessage], call_id: str) -> MailStep:
    """Return the step that follows what has happened since the question."""
    result = next((each for each in reversed(since) if isinstance(each, ToolMessage)), None)
    if result is None:
        arguments = {"name": mail.name}
        return MailStep("", tool_call(name=FIND_ADDRESS, args=arguments, id=call_id))
    if _tool_of(result, since) == FIND_ADDRESS and "@" in result.text:
        arguments = {"to": result.text, "text": mail.text}
        return MailStep("", tool_call(name=SEND_MAIL, args=arguments, id=call_id))
    if rejected := _REASON.search(result.text):
        return MailStep(f"I have sent nothing, because you said: {quoted(rejected[1].strip())}")
    if result.status == "error":
        return MailStep("I have sent nothing.")
    return MailStep(result.text.rpartition(_TOOL_RESPONSE)[2])


def _tool_of(result: ToolMessage, since: Sequence[BaseMessage]) -> str | None:
    """Return the name of the tool that was called; the result itself need not say it."""
    calls = (call for each in since if isinstance(each, AIMessage) for call in each.tool_calls)
    return next((call["name"] for call in calls if call["id"] == result.tool_call_id), None)
