"""The four operations, exactly as Python computes them, and the only ways in which they fail.

Integers are exact, `div` always gives a float, anything with a float is IEEE-754 binary64. What
leaves the finite numbers, or the 4,300 digits that Python converts between integer and text, is an
`OperationFailed` with a stable code. If `compute` raises anything else for numbers, that is a bug
here. Every operation of every worker passes through: it costs well under a microsecond.
"""

import operator
import struct
from collections.abc import Callable, Mapping
from math import isfinite
from types import MappingProxyType

from engine.errors import OperationFailed
from engine.job import Number

MAX_DIGITS = (
    4300  # sys.int_info.default_max_str_digits: a longer integer can be neither read nor sent
)

OPERATIONS: Mapping[str, Callable[[Number, Number], Number]] = MappingProxyType(
    {
        "sum": operator.add,
        "sub": operator.sub,
        "mul": operator.mul,
        "div": operator.truediv,
    }
)

_TOO_LARGE = 10**MAX_DIGITS  # compared with directly: integers of unlike size compare at once


def compute(name: str, operands: tuple[Number, ...]) -> Number:
    """Return the result of the operation `name` on finite `operands`, two for each that we know.

    Raises `OperationFailed` with `unknown_operation`, `division_by_zero`, `overflow` (the result,
    or an integer that has to become a float, is beyond the floats) or `too_many_digits`.
    """
    try:
        operation = OPERATIONS[name]
    except KeyError:
        raise _unknown(name) from None
    try:
        result = operation(*operands)
    except ZeroDivisionError:
        raise _division_by_zero() from None
    except OverflowError:
        raise _overflow() from None
    if type(result) is float:
        if not isfinite(result):
            raise _overflow()
    elif abs(result) >= _TOO_LARGE:
        raise OperationFailed(
            "too_many_digits",
            f"the result is an integer of more than {MAX_DIGITS:,} digits: "
            "compute with floats, or with smaller numbers",
        )
    return result


def failure_of(name: str, operands: tuple[Number, ...]) -> OperationFailed | None:
    """Return the failure that an operation meets whoever computes it, `None` if it has a result.

    Nothing is known of operations of other names: `None` for them.
    """
    if name not in OPERATIONS:
        return None
    try:
        compute(name, operands)
    except OperationFailed as failure:
        return failure
    return None


def bits(number: Number) -> tuple[type, Number | bytes]:
    """Return what two numbers have in common only if they are the same to the bit and the type."""
    return type(number), struct.pack("<d", number) if isinstance(number, float) else number


def _division_by_zero() -> OperationFailed:
    """Return the failure that a division by zero ends with."""
    return OperationFailed(
        "division_by_zero", "the divisor is zero: change the task so that it is not"
    )


def _unknown(name: str) -> OperationFailed:
    known = ", ".join(OPERATIONS)
    return OperationFailed(
        "unknown_operation", f"{name[:40]!r} is none of {known}: use one of them"
    )


def _overflow() -> OperationFailed:
    return OperationFailed(
        "overflow", "the result is beyond the largest float, about 1.8e308: use smaller numbers"
    )
