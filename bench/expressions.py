"""Expressions of a given number of operations, each with its answer: the same seed, the same text.

Only the standard library is imported, so that everything that is compared can be given the same.
An answer is computed while its text is made, by the same operations in the same order.
"""

import operator
from random import Random
from typing import NamedTuple

Number = int | float

APPLY = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


class Task(NamedTuple):
    """An expression, and what Python's `eval` makes of it."""

    text: str
    answer: Number


def small_jobs(rng: Random, count: int, operations: int = 10) -> list[Task]:
    """Return `count` expressions of any shape; `operations` is small, since shapes may be deep."""
    return [_any_shape(rng, operations) for _ in range(count)]


def _any_shape(rng: Random, operations: int) -> Task:
    if operations == 0:
        return _literal(rng)
    left = rng.randrange(operations)
    return _joined(
        rng.choice("+-*/"), _any_shape(rng, left), _any_shape(rng, operations - 1 - left)
    )


def balanced(rng: Random, operations: int) -> Task:
    """Return an expression whose tree is as flat as it can be: half of it is ready at once."""
    if operations == 0:
        return _literal(rng)
    left = (operations - 1) // 2
    # Products and quotients at the leaves alone: piled up, they would leave the finite numbers.
    symbol = rng.choice("+-*/" if operations == 1 else "+-")
    return _joined(symbol, balanced(rng, left), balanced(rng, operations - 1 - left))


def float_chain(rng: Random, operations: int) -> Task:
    """Return a run of + and - over floats: each operation waits for the one before it."""
    answer = _cents(rng)
    parts = [repr(answer)]
    for _ in range(operations):
        symbol, term = rng.choice("+-"), _cents(rng)
        parts += (symbol, repr(term))
        answer = APPLY[symbol](answer, term)
    return Task("".join(parts), answer)


def integer_sum(rng: Random, terms: int) -> Task:
    """Return a sum of integers, written without a bracket."""
    values = [rng.randrange(1, 1000) for _ in range(terms)]
    return Task("+".join(map(str, values)), sum(values))


def _literal(rng: Random) -> Task:
    value = rng.randrange(1, 10)
    return Task(str(value), value)


def _cents(rng: Random) -> float:
    return rng.randrange(1, 10_000) / 100


def _joined(symbol: str, left: Task, right: Task) -> Task:
    if symbol == "/" and right.answer == 0:
        symbol = "+"
    answer: Number = APPLY[symbol](left.answer, right.answer)
    return Task(f"({left.text}{symbol}{right.text})", answer)
