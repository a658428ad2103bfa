"""Tools for the example agent."""

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
