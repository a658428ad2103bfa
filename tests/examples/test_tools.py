"""The calculator and the converter: what they work out, and how they decline the rest."""

import time

import pytest

from examples.tools import calculator, convert_units


def calculate(expression: str) -> str:
    """Run the tool as an agent would."""
    return str(calculator.invoke({"expression": expression}))


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("17 * 23", "391"),
        ("(3+4)*12 / 2", "42"),
        ("2 + 3 * 4", "14"),
        ("-5 + +2", "-3"),
        ("7 // 2", "3"),
        ("7 % 4", "3"),
        ("2 ** 10", "1024"),
        ("2 ** -1", "0.5"),
        ("0.1 + 0.2", "0.3"),
        ("100 / 7", "14.2857142857"),
        ("10 ** 30", "1" + "0" * 30),
    ],
)
def test_arithmetic_is_evaluated(expression: str, result: str) -> None:
    """All operators work, with the usual precedence and without rounding noise."""
    assert calculate(expression) == result


@pytest.mark.parametrize(
    "expression", ['"6 * 7"', "`6 * 7`", " 6 * 7\n", "'6 *\n 7'", "```\n6*7\n```"]
)
def test_wrapping_is_ignored(expression: str) -> None:
    """Models put quotes, backticks and newlines around what they hand to a tool."""
    assert calculate(expression) == "42"


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "hello",
        "2 +",
        "1 2",
        "__import__('os').getcwd()",
        "print(1)",
        "x + 1",
        "(1).real",
        "[1, 2]",
        "'a' * 3",
        "True + 1",
        "2j * 2",
        "1 if 1 else 2",
        "~1",
        "1 < 2",
        "(-8) ** 0.5",
        "1\0",
    ],
)
def test_anything_else_is_declined(expression: str) -> None:
    """Whatever is not arithmetic on real numbers gets a sentence, not an exception."""
    answer = calculate(expression)
    assert answer.startswith("cannot read '")
    assert answer.endswith("' as arithmetic")


@pytest.mark.parametrize("expression", ["1 / 0", "1 // 0", "1 % 0", "0 ** -1", "1 / (2 - 2)"])
def test_division_by_zero(expression: str) -> None:
    """A division by zero is named as such."""
    assert calculate(expression) == f"cannot divide by zero in '{expression}'"


@pytest.mark.parametrize(
    "expression",
    ["9**9**9", "10**100*10", "1e999", "1e90 ** 5", "2 ** 1001", "2.0 ** 999.5", "(10**100)**1000"],
)
def test_large_numbers_are_declined_quickly(expression: str) -> None:
    """No expression can keep the server busy."""
    started = time.perf_counter()
    assert calculate(expression) == f"cannot work out '{expression}': the numbers get too large"
    assert time.perf_counter() - started < 1


def test_long_and_deep_expressions_are_declined() -> None:
    """Neither the length nor the nesting of an expression can exhaust the interpreter."""
    assert calculate("1+" * 100_000 + "1") == "cannot read more than 200 characters as arithmetic"
    assert calculate("-" * 199 + "1") == "-1"
    assert calculate("(" * 99 + "1" + ")" * 99) == "1"


def test_description_for_the_prompt() -> None:
    """The agent learns from the name and the description what the tool is for."""
    assert calculator.name == "calculator"
    assert "arithmetic" in calculator.description


@pytest.mark.parametrize(
    ("amount", "unit", "into", "result"),
    [
        (26.2, "miles", "km", "42.1648 km"),
        (3, "metres", "feet", "9.84252 feet"),
        (1, "Kilometer", "m", "1000 m"),
        (2, "lbs", "kg", "0.907185 kg"),
        (90, "minutes", "hours", "1.5 hours"),
        (-1, "day", "hours", "-24 hours"),
    ],
)
def test_units_are_converted(amount: float, unit: str, into: str, result: str) -> None:
    """Units are known in the singular, in the plural and by their signs."""
    assert convert_units.invoke({"amount": amount, "unit": unit, "into": into}) == result


def test_units_that_do_not_fit_are_declined() -> None:
    """The model is told what is wrong, and which units there are."""
    declined = convert_units.invoke({"amount": 1, "unit": "kg", "into": "hours"})
    assert declined == "cannot convert mass into time"
    declined = convert_units.invoke({"amount": 1, "unit": "ells", "into": "metres"})
    assert declined.startswith("no such unit: 'ell'; there are metre, kilometre,")
