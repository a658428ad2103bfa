"""The next step of a ReAct agent, for a model that can do arithmetic with a calculator."""

import re

from examples.words import quoted

CALCULATOR = "calculator"

_TOOL_NAMES = re.compile(r"one of \[(.*?)\]")
_OBSERVATION = re.compile(r"^Observation: *(.*)$", re.MULTILINE)
_ARITHMETIC = re.compile(r"[-(\d.][-+*/%().\d\s]{0,200}[\d)]")
_OPERATION = re.compile(r"\d[\s)]*[-+*/%]")
# Other ways to write an operator (\u00d7 and \u00f7 are the signs of school books).
_SPELLINGS = {
    r"(?<=\d),(?=\d{3})": "",
    r"\bplus\b": "+",
    r"\bminus\b": "-",
    r"\b(?:times|multiplied by)\b|\u00d7|(?<=\d)\s*x\s*(?=\d)": " * ",
    r"\bdivided by\b|\u00f7": "/",
    r"\bto the power of\b|\^": "**",
}


def next_step(prompt: str) -> str | None:
    """Return what a ReAct agent writes next, or None if the prompt is not for such an agent."""
    # The format instructions come first, then the question, then what was done so far.
    _, _, task = prompt.partition("\nAction Input:")
    _, _, task = task.partition("\nQuestion:")
    question, begun, scratchpad = task.partition("\nThought:")
    if not begun:
        return None
    asked = expressions(question)
    if not asked or CALCULATOR not in _tool_names(prompt):
        return _refusal(question)
    observations = _OBSERVATION.findall(scratchpad)
    if len(observations) < len(asked):
        return _action(asked[len(observations)])
    return _final_answer(asked, observations)


def _tool_names(prompt: str) -> list[str]:
    listed = _TOOL_NAMES.search(prompt)
    return re.split(r",\s*", listed[1]) if listed else []


def expressions(question: str) -> list[str]:
    """Find the arithmetic in a question, whether it has signs or words for the operators."""
    for spelling, sign in _SPELLINGS.items():
        question = re.sub(spelling, sign, question, flags=re.IGNORECASE)
    found = (" ".join(text.split()) for text in _ARITHMETIC.findall(question))
    return [text for text in found if _OPERATION.search(text)]


def _action(expression: str) -> str:
    return (
        f"Thought: I need to calculate {expression}\n"
        f"Action: {CALCULATOR}\n"
        f"Action Input: {expression}"
    )


def _final_answer(asked: list[str], observations: list[str]) -> str:
    results = map(_result, asked, observations)
    return f"Thought: I now know the final answer\nFinal Answer: {' and '.join(results)}"


def _result(expression: str, observation: str) -> str:
    """Put a number behind its expression; a complaint of the tool speaks for itself."""
    is_number = re.match(r"-?\d", observation)
    return f"{expression} = {observation.strip()}" if is_number else observation.strip()


def _refusal(question: str) -> str:
    # A colon could make a question that quotes the format look like an action to the parser.
    asked = quoted(question.replace(":", " "))
    return (
        "Thought: there is nothing here that I can calculate\n"
        "Final Answer: I am a small local model and the only thing I can do as an agent is "
        f"arithmetic with a calculator, so I have no answer to {asked}."
    )
