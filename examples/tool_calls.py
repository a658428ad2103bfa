"""The next step of an agent whose model is given tools: calls of them, or the answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCall, tool_call

from examples.react import CALCULATOR, expressions
from examples.reading import answer
from examples.words import quoted

CONVERTER = "convert_units"
SEARCH = "search_library"

_AMOUNT = r"(-?\d+(?:\.\d+)?)"
_UNIT = r"(?:degrees )?([a-z]+)"
# "26.2 miles in km", and "How many km are 26.2 miles?"
_CONVERSIONS = (
    re.compile(rf"{_AMOUNT} *{_UNIT} (?:in|into|to) {_UNIT}", re.IGNORECASE),
    re.compile(rf"how (?:many|much) {_UNIT} (?:are|is|in) {_AMOUNT} *{_UNIT}", re.IGNORECASE),
)


class Step(NamedTuple):
    """What the model says, and the tools that it calls then."""

    text: str
    calls: Sequence[ToolCall] = ()


class _Plan(NamedTuple):
    """A call that the question asks for, and how the answer names what comes of it."""

    tool: str
    arguments: dict[str, Any]
    subject: str


def tool_names(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of tools as `bind_tools` describes them to a model."""
    return [tool["function"]["name"] for tool in tools]


def next_call(messages: Sequence[BaseMessage], tools: Sequence[str]) -> Step | None:
    """Return what comes next, or None if the question is for none of the tools.

    Everything that the question asks for is called at once. When the results are there, they
    are the answer.
    """
    question, results = _turn(messages)
    plans = [plan for plan in _plans(question) if plan.tool in tools]
    if not plans:
        return None
    if len(results) < len(plans):
        return Step("I will not guess, for there is a tool for that.\n\n", [*_calls(plans)])
    return Step(_answer(question, plans, results))


def _turn(messages: Sequence[BaseMessage]) -> tuple[str, list[str]]:
    """Return the last question, and what tools have given back since."""
    places = [i for i, message in enumerate(messages) if isinstance(message, HumanMessage)]
    if not places:
        return "", []
    since = messages[places[-1] :]
    return since[0].text, [message.text for message in since if isinstance(message, ToolMessage)]


def _plans(question: str) -> list[_Plan]:
    """Find what tools can work out; all other questions can be looked up."""
    sums = [_Plan(CALCULATOR, {"expression": text}, text) for text in expressions(question)]
    plans = [*_conversions(question), *sums]
    return plans if plans or "?" not in question else [_Plan(SEARCH, {"query": question}, "")]


def _conversions(question: str) -> Iterator[_Plan]:
    forward, backward = _CONVERSIONS
    found = [match.groups() for match in forward.finditer(question)]
    found += [(amount, unit, into) for into, amount, unit in backward.findall(question)]
    for amount, unit, into in found:
        arguments = {"amount": float(amount), "unit": unit, "into": into}
        yield _Plan(CONVERTER, arguments, f"{amount} {unit}")


def _calls(plans: Sequence[_Plan]) -> Iterator[ToolCall]:
    for number, plan in enumerate(plans, 1):
        yield tool_call(name=plan.tool, args=plan.arguments, id=f"call_{number}")


def _answer(question: str, plans: Sequence[_Plan], results: Sequence[str]) -> str:
    """Say one result in a line, several in a list."""
    lines = [_line(question, *pair) for pair in zip(plans, results, strict=False)]
    return lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)


def _line(question: str, plan: _Plan, result: str) -> str:
    """Set a number in bold behind what it is of; a complaint of the tool speaks for itself."""
    if plan.tool == SEARCH:
        return answer(question, result) or f"Nothing that I found answers {quoted(question)}."
    return f"{plan.subject} = **{result}**" if re.match(r"-?\d", result) else result
