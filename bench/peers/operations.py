"""An expression as operations, in an order in which each comes after those that it waits for.

Only the standard library is imported. Numbers and `+ - * /` are all that there may be.
"""

import ast
from collections.abc import Sequence
from typing import NamedTuple

from bench.expressions import APPLY, Number

SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}


class Ref(NamedTuple):
    """In the place of an operand: the result of the operation at this place of its job."""

    place: int


Operand = Number | Ref


class Operation(NamedTuple):
    """One operation; the last one of a job has its answer."""

    symbol: str
    left: Operand
    right: Operand


Job = list[Operation]


def compute(symbol: str, left: Number, right: Number) -> Number:
    """Compute one operation: what every contender's workers do."""
    result: Number = APPLY[symbol](left, right)
    return result


def operations_of(text: str) -> Job:
    """Return the operations of an expression that has at least one."""
    job: Job = []
    operands: list[Operand] = []
    to_visit: list[ast.AST] = [ast.parse(text, mode="eval").body]
    while to_visit:
        match to_visit.pop():
            case ast.BinOp(left, symbol, right):
                to_visit += (symbol, right, left)
            case ast.Constant(int() | float() as value):
                operands.append(value)
            case ast.operator() as symbol:
                right_operand, left_operand = operands.pop(), operands.pop()
                job.append(Operation(SYMBOLS[type(symbol)], left_operand, right_operand))
                operands.append(Ref(len(job) - 1))
    return job


def levels(jobs: Sequence[Job]) -> list[list[tuple[int, int]]]:
    """Return what can be computed at the same time: (job, operation) pairs, level by level."""
    by_level: list[list[tuple[int, int]]] = []
    for number, job in enumerate(jobs):
        level_of: list[int] = []
        for index, (_, left, right) in enumerate(job):
            below = [level_of[ref.place] for ref in (left, right) if isinstance(ref, Ref)]
            level_of.append(max(below, default=-1) + 1)
            while len(by_level) <= level_of[index]:
                by_level.append([])
            by_level[level_of[index]].append((number, index))
    return by_level


def known(operand: Operand, results: Sequence[Number]) -> Number:
    """Return the number that an operand stands for."""
    return results[operand.place] if isinstance(operand, Ref) else operand
