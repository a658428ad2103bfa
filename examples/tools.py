"""Tools for the example agents."""

import ast
import operator
from collections.abc import Callable

from langchain_core.tools import tool

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}

# Nobody may keep the server busy with one sum: the text is short, and every number on the way to
# the result stays so small that the next step is quick (at the worst LARGEST ** MAX_EXPONENT).
_MAX_LENGTH = 200
_MAX_EXPONENT = 1000
_LARGEST = 10**100

# What models like to put around the input of a tool.
_WRAPPING = " \t\r\n\"'`"


@tool
def calculator(expression: str) -> str:
    """Work out an arithmetic expression such as "17 * 23" or "(3 + 4) ** 2 / 7"."""
    text = " ".join(expression.strip(_WRAPPING).split())
    if len(text) > _MAX_LENGTH:
        return f"cannot read more than {_MAX_LENGTH} characters as arithmetic"
    try:
        return _shown(_value(ast.parse(text, mode="eval").body))
    except ZeroDivisionError:
        return f"cannot divide by zero in '{text}'"
    except OverflowError:
        return f"cannot work out '{text}': the numbers get too large"
    except (SyntaxError, TypeError, ValueError):
        return f"cannot read '{text}' as arithmetic"


# Each unit with the quantity it measures and its size in that quantity's first unit.
_UNITS = {
    "metre": ("length", 1.0),
    "kilometre": ("length", 1000.0),
    "mile": ("length", 1609.344),
    "foot": ("length", 0.3048),
    "kilogram": ("mass", 1.0),
    "pound": ("mass", 0.45359237),
    "hour": ("time", 1.0),
    "minute": ("time", 1 / 60),
    "day": ("time", 24.0),
}
_SPELLINGS = {
    "m": "metre",
    "meter": "metre",
    "km": "kilometre",
    "kilometer": "kilometre",
    "feet": "foot",
    "kg": "kilogram",
    "lb": "pound",
}


@tool
def convert_units(amount: float, unit: str, into: str) -> str:
    """Convert an amount of one unit of length, mass or time into another unit."""
    try:
        quantity, size = _UNITS[_unit_name(unit)]
        other_quantity, other_size = _UNITS[_unit_name(into)]
    except KeyError as unknown:
        return f"no such unit: {unknown}; there are {', '.join(_UNITS)}"
    if quantity != other_quantity:
        return f"cannot convert {quantity} into {other_quantity}"
    return f"{amount * size / other_size:.6g} {into}"


def _unit_name(text: str) -> str:
    """Return the name in the table for a unit as people write it: "miles" is "mile"."""
    name = text.strip().lower()
    singular = name.removesuffix("s")
    return _SPELLINGS.get(name) or _SPELLINGS.get(singular, singular)


def _value(node: ast.expr) -> float:
    """Evaluate a node of the syntax tree; whatever is not arithmetic is a ValueError."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _apply(op, _value(left), _value(right))
    raise ValueError


def _apply(op: ast.operator, left: float, right: float) -> float:
    if isinstance(op, ast.Pow) and abs(right) > _MAX_EXPONENT:
        raise OverflowError
    return _bounded(_OPERATORS[type(op)](left, right))


def _bounded(number: float) -> float:
    if isinstance(number, complex):  # what Python makes of (-8) ** 0.5
        raise TypeError
    if abs(number) > _LARGEST:
        raise OverflowError
    return number


def _shown(number: float) -> str:
    """Write a number as a person would: 0.1 + 0.2 is 0.3, and 84 / 2 is 42."""
    return str(number) if isinstance(number, int) else f"{number:.12g}"
