"""Random expressions, and what Python says about them: the oracle of the whole suite.

`random_expression` writes text that Python's `eval` accepts too. `oracle` walks Python's own syntax
tree of such a text, left to right, with Python's operators, and applies the contract's table of
failures; it shares no code with the engine. It cannot read what Python's parser finds too deep
(some 90 brackets in one another): there, closed forms have to do.
"""

import ast
import operator
import struct
from functools import lru_cache
from math import isfinite
from random import Random

from engine.expression.operations import NOWHERE, Expression
from engine.job import Number

LARGEST_INTEGER = 10**4300 - 1
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

Exact = tuple[type, Number | str | bytes]


def exact(number: Number | str) -> Exact:
    """Return what two numbers have in common only if they are equal to the bit and to the type.

    An error code in the place of a number has it with its like.
    """
    return type(number), struct.pack("<d", number) if isinstance(number, float) else number


@lru_cache(maxsize=1000)  # whoever checks asks again for the same text
def oracle(text: str) -> Number | str:
    """Return the answer of `text`, or the error code that the contract gives it."""
    values: list[Number] = []
    to_visit: list[ast.AST] = [ast.parse(text, mode="eval").body]
    while to_visit:
        match to_visit.pop():
            case ast.BinOp(left, symbol, right):
                to_visit += (symbol, right, left)
            case ast.UnaryOp(sign, operand):
                to_visit += (sign, operand)
            case ast.Constant(int() | float() as value):
                values.append(value)
            case ast.UAdd():
                pass
            case ast.USub():
                values.append(-values.pop())
            case ast.operator() as symbol:
                second, first = values.pop(), values.pop()
                result = _applied(symbol, first, second)
                if isinstance(result, str):
                    return result
                values.append(result)
    return values.pop()


def _applied(symbol: ast.operator, left: Number, right: Number) -> Number | str:
    try:
        result = OPERATORS[type(symbol)](left, right)
    except ZeroDivisionError:
        return "division_by_zero"
    except OverflowError:
        return "overflow"
    if isinstance(result, float):
        return result if isfinite(result) else "overflow"
    return result if abs(result) <= LARGEST_INTEGER else "too_many_digits"


def random_expression(rng: Random) -> str:
    """Return an expression of any kind: mostly small, sometimes a long chain or a huge integer.

    Division by zero, overflow and too many digits happen on purpose.
    """
    shape = rng.random()
    if shape < 0.03:
        return _chain(rng, rng.randint(30, 400))
    if shape < 0.05:
        return _huge(rng)
    return _nested(rng, rng.randint(0, 5))


def _nested(rng: Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.1:
        return _signs(rng) + _number(rng)
    parts = [_operand(rng, depth - 1)]
    for _ in range(rng.randint(0, 4)):
        parts += (_blank(rng), rng.choice("+-*/++**"), _blank(rng), _operand(rng, depth - 1))
    return "".join(parts)


def _operand(rng: Random, depth: int) -> str:
    if rng.random() < 0.4:
        return f"{_signs(rng)}({_blank(rng)}{_nested(rng, depth)}{_blank(rng)})"
    return _signs(rng) + _number(rng)


def _chain(rng: Random, length: int) -> str:
    """Return many terms in a row: of integers alone, of integers up to a float, or of anything."""
    symbols = rng.choice(["+", "+-", "*", "+-*", "+-*/"])
    integers_until = rng.choice([0, length // 2, length])
    parts = [_number(rng)]
    for position in range(length):
        number = _integer(rng) if position < integers_until else _number(rng)
        parts += (rng.choice(symbols), _signs(rng), number)
    return "".join(parts)


def _huge(rng: Random) -> str:
    """Return products and sums of integers that come close to 4,300 digits, or go beyond."""
    parts = [_long_integer(rng)]
    for _ in range(rng.randint(1, 8)):
        parts += (rng.choice("**+-/"), rng.choice([_long_integer(rng), _number(rng)]))
    return "".join(parts)


def _long_integer(rng: Random) -> str:
    digits = rng.choice([100, 300, 400, 1000, 2150, 4300])
    return rng.choice("19") + "".join(rng.choices("0123456789", k=digits - 1))


def _number(rng: Random) -> str:
    return _integer(rng) if rng.random() < 0.6 else _float(rng)


def _integer(rng: Random) -> str:
    return str(rng.randrange(10 ** rng.choice([1, 1, 1, 2, 5, 16, 20, 60])))


def _float(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return repr(rng.randrange(1000) / rng.choice([2, 8, 10, 1000]))
    if kind < 0.6:
        return f"{rng.randrange(10)}.{rng.choice(['', '0', '25'])}"
    if kind < 0.7:
        return f".{rng.randrange(1000)}"
    exponent = rng.choice([0, 1, 5, 15, 100, 300, 307, -5, -300, -323, -400])
    return f"{rng.randrange(10)}{rng.choice(['', '.', '.5'])}{rng.choice('eE')}{exponent}"


def _signs(rng: Random) -> str:
    return "".join(rng.choices("+-", k=rng.randint(1, 3))) if rng.random() < 0.2 else ""


def _blank(rng: Random) -> str:
    return rng.choice([" ", "  ", "\t"]) if rng.random() < 0.15 else ""


SYMBOLS = {"sum": "+", "sub": "-", "mul": "*", "div": "/"}


def to_text(expression: Expression) -> str:
    """Return `expression` with all its brackets: `(1 + ((2 * 3) / 4))`."""
    if expression.value is not None:
        return repr(expression.value)
    sources = {place: index for index, place in enumerate(expression.destinations)}
    parts: list[str] = []
    to_visit: list[int | str] = [sources[NOWHERE]]
    while to_visit:
        item = to_visit.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        sides: list[int | str] = []
        for place in (2 * item, 2 * item + 1):
            value = expression.operands[place]
            sides.append(sources[place] if value is None else repr(value))
        left, right = sides
        to_visit += (")", right, f" {SYMBOLS[expression.names[item]]} ", left, "(")
    return "".join(parts)
