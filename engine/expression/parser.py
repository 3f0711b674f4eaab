"""From text to operations, by precedence climbing.

    expression := term  (("+" | "-") term)*          left-associative
    term       := factor (("*" | "/") factor)*       left-associative
    factor     := ("+" | "-")* ( number | "(" expression ")" )

What a recursive parser keeps in its calls, an operator or a bracket that waits for what is on its
right, is kept on a list here: no text is too deep. An operation is written down as soon as its
right side is complete, which is the order in which Python computes. If `parse` raises anything but
an `ExpressionError` for a string, that is a bug here.
"""

from collections.abc import Iterator
from math import isfinite
from re import Match

from engine.arithmetic import MAX_DIGITS
from engine.errors import ExpressionError
from engine.expression.operations import NOWHERE, Expression
from engine.expression.tokens import tokens
from engine.job import Number

# An operator finishes all that waits with its precedence or a higher one.
BINARY = {
    "+": (2, "sum"),
    "-": (2, "sub"),
    "*": (3, "mul"),
    "/": (3, "div"),
}
NEGATION = 4  # of a bracket: whatever follows that finishes it
CLOSING = 1, ""  # a closing bracket and the end finish all that is not a bracket
BRACKET = 0

Pending = tuple[int, str, Number | None, int, int]
"""What waits for its right side: precedence, operation, left side, and column of its operator.

The left side is a number, or `None` and the operation whose result it is. Of a bracket there are
only precedence and column.
"""

LONGEST_QUOTE = 40  # characters of the text in an error


def parse(text: str) -> Expression:
    """Return what `text` says.

    Raises `ExpressionError` with the column (from 1) and what was expected there, or, with the
    codes `overflow` and `too_many_digits`, for a literal that is out of range.
    """
    stream = tokens(text)
    pending: list[Pending] = [(BRACKET, "", None, NOWHERE, 0)]  # the text as a whole is a bracket
    said = Expression()
    while True:
        number = _operand(text, stream, pending)
        if not _operators(number, text, stream, pending, said):
            return said


def _operand(text: str, stream: Iterator[Match[str]], pending: list[Pending]) -> Number:
    """Read signs and opening brackets up to the next number, and return that with its signs."""
    negative, minus_at = False, 0
    for match in stream:
        lexeme = match[0]
        if match.lastindex:
            number = _number(lexeme, match.start() + 1)
            return -number if negative else number
        if lexeme == "(":
            if negative:
                pending.append((NEGATION, "mul", -1, NOWHERE, minus_at))
            pending.append((BRACKET, "", None, NOWHERE, match.start() + 1))
            negative, minus_at = False, 0
        elif lexeme == "-":
            negative, minus_at = not negative, minus_at or match.start() + 1
        elif lexeme != "+":
            raise _unexpected(lexeme, match.start() + 1, "a number or '('")
    raise _unexpected("", len(text) + 1, "a number or '('")


def _operators(
    value: Number | None,
    text: str,
    stream: Iterator[Match[str]],
    pending: list[Pending],
    said: Expression,
) -> bool:
    """Read from behind the operand `value` past the next operator; return whether there is one.

    What has its right side then is written into `said`.
    """
    while True:
        match = next(stream, None)
        lexeme = "" if match is None else match[0]
        precedence, name = BINARY.get(lexeme, CLOSING)
        while pending[-1][0] >= precedence:
            _, waiting, left, left_from, column = pending.pop()
            place = len(said.operands)
            if left is None:
                said.destinations[left_from] = place
            if value is None:  # then it is the result of what was written last
                said.destinations[-1] = place + 1
            said.names.append(waiting)
            said.columns.append(column)
            said.operands += (left, value)
            said.destinations.append(NOWHERE)
            value = None
        if match is not None and name:
            pending.append((precedence, name, value, len(said.names) - 1, match.start() + 1))
            return True
        *_, opened_at = pending[-1]
        if match is None and not opened_at:
            said.value = value
            return False
        if lexeme != ")" or not opened_at:
            column = len(text) + 1 if match is None else match.start() + 1
            raise _unexpected(lexeme, column, _after_operand(opened_at))
        pending.pop()


def _number(text: str, column: int) -> Number:
    if text.isdigit():  # a number lexeme is ASCII: nothing that is no digit in Python gets here
        return int(text) if len(text) <= MAX_DIGITS else _long_integer(text, column)
    value = float(text)
    if not isfinite(value):
        raise ExpressionError(
            f"the number {_quoted(text)} at column {column} is beyond the largest float,"
            " about 1.8e308: write a smaller one",
            column,
            "overflow",
        )
    return value


def _long_integer(digits: str, column: int) -> int:
    digits = digits.lstrip("0") or "0"
    if len(digits) > MAX_DIGITS:
        raise ExpressionError(
            f"the integer at column {column} has {len(digits):,} digits and may have"
            f" {MAX_DIGITS:,}: write a shorter one, or a float",
            column,
            "too_many_digits",
        )
    return int(digits)


def _after_operand(opened_at: int) -> str:
    if opened_at:
        return f"an operator, or ')' for the '(' at column {opened_at}"
    return "an operator or the end"


def _unexpected(lexeme: str, column: int, expected: str) -> ExpressionError:
    what = _quoted(lexeme) if lexeme else "end"
    return ExpressionError(f"unexpected {what} at column {column}, expected {expected}", column)


def _quoted(text: str) -> str:
    """Return `text` for people: cut, and with code points for what only looks like ASCII."""
    if len(text) > LONGEST_QUOTE:
        return f"'{text[:LONGEST_QUOTE]}...'"
    if text.isascii() and text.isprintable():
        return f"'{text}'"
    code_point = f"U+{ord(text):04X}"  # only tokens of one character are not ASCII
    return f"'{text}' ({code_point})" if text.isprintable() else code_point
