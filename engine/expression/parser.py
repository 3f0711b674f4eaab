"""From text to operations, by precedence climbing.

    expression := term  (("+" | "-") term)*          left-associative
    term       := factor (("*" | "/") factor)*       left-associative
    factor     := ("+" | "-")* ( number | "(" expression ")" )

What a recursive parser keeps in its calls, an operator that waits for what is on its right, is kept
on a list here: no text is too deep. A bracket raises the precedence of all that is inside it, and
need not be kept. An operation is written down as soon as an operator of no higher precedence shows
that its right side is complete, which is the order in which Python computes. If `parse` raises
anything but an `ExpressionError` for a string, that is a bug here.
"""

import re
from collections.abc import Generator
from itertools import islice
from math import isfinite

from engine.arithmetic import MAX_DIGITS
from engine.errors import ExpressionError
from engine.expression.operations import NOWHERE, Expression
from engine.expression.tokens import BEHIND, CLOSING, LONGEST, NUMBER, OPENING, STEP, TOKEN
from engine.job import Number

LOWEST = 1  # of what the end finishes
NEGATION = 4  # of a bracket: whatever follows that finishes it
DEEPER = 4  # a bracket adds it to all that is inside, which then exceeds all that is around it
# An operator finishes all that waits with its precedence or a higher one.
OPERATORS = {
    "+": (2, "sum"),
    "-": (2, "sub"),
    "*": (3, "mul"),
    "/": (3, "div"),
    "": (LOWEST, ""),
}

Pending = tuple[int, str, Number | None, int, int]
"""What waits for its right side: precedence, operation, left side, and column of its operator.

The left side is a number, or `None` and the operation whose result it is.
"""
NOTHING: Pending = (0, "", None, NOWHERE, 0)

Signs = tuple[bool, int]  # whether they make negative, and the column of the first minus
NO_SIGNS: Signs = (False, 0)

LONGEST_QUOTE = 40  # characters of the text in an error
AFTER_LAST = "an operator or the end"  # what is expected behind a number in no bracket


def parse(text: str) -> Expression:
    """Return what `text` says.

    Raises `ExpressionError` with the column (from 1) and what was expected there, or, with the
    codes `overflow` and `too_many_digits`, for a literal that is out of range.
    """
    said = Expression()
    for _ in _reading(text, said, len(text) + 1):
        pass
    return said


def parse_in_pieces(text: str, piece: int) -> Generator[None, None, Expression]:
    """Do as `parse`, with a pause after each `piece` characters or so."""
    said = Expression(is_large=True)
    yield from _reading(text, said, piece)
    return said


def _reading(text: str, said: Expression, piece: int) -> Generator[None, None, None]:
    """Write down what `text` says, a number with what stands around it in each step."""
    names = said.names
    pending = [NOTHING]
    left: Number | None = None  # of the next operator; `None`: what was written last
    depth = 0  # `DEEPER` for each bracket that is open
    signs = NO_SIGNS  # before a number that has not been read
    end, pause_at = 0, piece
    match = ahead = STEP.match
    while True:
        if end >= pause_at:
            pause_at = end + piece
            yield
        step = match(text, end)
        if step is None:
            signs, depth, end = _before_number(text, end, signs, depth, pending)
            continue
        before, number, closing, operator = step.groups()
        if number:
            left = int(number) if number.isdigit() and len(number) <= MAX_DIGITS else _number(step)
            if before:
                signs, depth = _open(before, end, signs, depth, pending)
                left = -left if signs[0] else left
                signs = NO_SIGNS
        end = step.end()
        if closing and (depth := depth - DEEPER * closing.count(")")) < 0:
            raise _unopened(step, depth)
        precedence, name = OPERATORS[operator]
        precedence += depth
        if pending[-1][0] >= precedence:
            _write(said, pending, precedence, left)
            left = None
        if name:
            pending.append((precedence, name, left, len(names) - 1, end))
            match = ahead
        elif len(closing) == LONGEST:
            match = BEHIND.match
        else:
            break
    yield from _refuse_rest(text, end, depth, piece)
    said.value = left


def _before_number(
    text: str, start: int, signs: Signs, depth: int, pending: list[Pending]
) -> tuple[Signs, int, int]:
    """Read what stands before a number, where that is too far for a step, or there is none."""
    step = OPENING.match(text, start)
    assert step is not None  # noqa: S101  # it may be empty
    signs, depth = _open(step[0], start, signs, depth, pending)
    if len(step[0]) < LONGEST:
        raise _unexpected(text, step.end(), "a number or '('")
    return signs, depth, step.end()


def _open(
    before: str, start: int, signs: Signs, depth: int, pending: list[Pending]
) -> tuple[Signs, int]:
    """Read signs and brackets; return the signs behind the last bracket, and the depth there."""
    if "-" not in before and not signs[1]:
        return NO_SIGNS, depth + DEEPER * before.count("(")
    is_negative, minus_at = signs
    for column, lexeme in enumerate(before, start + 1):
        if lexeme == "(":
            if is_negative:
                pending.append((NEGATION + depth, "mul", -1, NOWHERE, minus_at))
            is_negative, minus_at = NO_SIGNS
            depth += DEEPER
        elif lexeme == "-":
            is_negative, minus_at = not is_negative, minus_at or column
    return (is_negative, minus_at), depth


def _write(said: Expression, pending: list[Pending], precedence: int, right: Number | None) -> None:
    """Write down what waits with at least this precedence: it has its right side now."""
    names, operands, destinations = said.names, said.operands, said.destinations
    while pending[-1][0] >= precedence:
        _, name, left, left_from, column = pending.pop()
        if left is None:
            destinations[left_from] = len(operands)
        if right is None:
            destinations[-1] = len(operands) + 1
        elif left is not None:
            said.ready.append(len(names))
        names.append(name)
        said.columns.append(column)
        operands += (left, right)
        destinations.append(NOWHERE)
        right = None


def _number(step: re.Match[str]) -> Number:
    """Return the number of a step, if it is no integer of usual length."""
    text, column = step[NUMBER], step.start(NUMBER) + 1
    if text.isdigit():  # a number lexeme is ASCII: nothing that is no digit in Python gets here
        return _long_integer(text, column)
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


def _refuse_rest(text: str, end: int, depth: int, piece: int) -> Generator[None, None, None]:
    """Raise an error if there is more behind the last operand, or a bracket is open there.

    With a pause after each `piece` characters in which the bracket is looked for.
    """
    if not depth and end == len(text):
        return
    place, surplus = end, 0  # of brackets that close
    while depth and surplus >= 0:
        place -= 1
        surplus += (text[place] == ")") - (text[place] == "(")
        if place % piece == 0:
            yield
    raise _unexpected(text, end, _after_operand(place + 1 if depth else 0))


def _unopened(step: re.Match[str], depth: int) -> ExpressionError:
    """Return the error for the first closing bracket of a step that closes none.

    `depth` is what would be there behind all of them.
    """
    closing = step[CLOSING]
    open_before = depth // DEEPER + closing.count(")")
    brackets = (place for place, lexeme in enumerate(closing, step.start(CLOSING)) if lexeme == ")")
    return _unexpected(step.string, next(islice(brackets, open_before, None)), AFTER_LAST)


def _after_operand(opened_at: int) -> str:
    if opened_at:
        return f"an operator, or ')' for the '(' at column {opened_at}"
    return AFTER_LAST


def _unexpected(text: str, start: int, expected: str) -> ExpressionError:
    """Return the error for what stands at `start`, from 0, or behind it."""
    found = TOKEN.search(text, start)
    what, column = (
        ("end", len(text) + 1) if found is None else (_quoted(found[0]), found.start() + 1)
    )
    return ExpressionError(f"unexpected {what} at column {column}, expected {expected}", column)


def _quoted(text: str) -> str:
    """Return `text` for people: cut, and with code points for what only looks like ASCII."""
    if len(text) > LONGEST_QUOTE:
        return f"'{text[:LONGEST_QUOTE]}...'"
    if text.isascii() and text.isprintable():
        return f"'{text}'"
    code_point = f"U+{ord(text):04X}"  # only tokens of one character are not ASCII
    return f"'{text}' ({code_point})" if text.isprintable() else code_point
