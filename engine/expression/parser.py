"""From text to operations, by precedence climbing.

    expression := term  (("+" | "-") term)*          left-associative
    term       := factor (("*" | "/") factor)*       left-associative
    factor     := ("+" | "-")* ( number | "(" expression ")" )

What a recursive parser keeps in its calls, an operator or a bracket that waits for what is on its
right, is kept on a list here: no text is too deep. An operation is written down as soon as its
right side is complete, which is the order in which Python computes. If `parse` raises anything but
an `ExpressionError` for a string, that is a bug here.
"""

from collections.abc import Generator
from math import isfinite

from engine.arithmetic import MAX_DIGITS
from engine.errors import ExpressionError
from engine.expression.operations import NOWHERE, Expression
from engine.expression.tokens import BEHIND, LONGEST, NUMBER, OPENING, STEP, TOKEN
from engine.job import Number

BRACKET = 0
LOWEST = 1  # of what a closing bracket and the end finish: all that is not a bracket
NEGATION = 4  # of a bracket: whatever follows that finishes it
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

The left side is a number, or `None` and the operation whose result it is. Of a bracket there are
only precedence and column.
"""

Signs = tuple[bool, int]  # whether they make negative, and the column of the first minus
NO_SIGNS: Signs = (False, 0)

LONGEST_QUOTE = 40  # characters of the text in an error
AFTER_LAST = "an operator or the end"  # what is expected behind a number in no bracket


def parse(text: str) -> Expression:
    """Return what `text` says.

    Raises `ExpressionError` with the column (from 1) and what was expected there, or, with the
    codes `overflow` and `too_many_digits`, for a literal that is out of range.
    """
    reading = _Reading(text, Expression())
    while reading.step():
        pass
    return reading.said


def parse_in_pieces(text: str, piece: int) -> Generator[None, None, Expression]:
    """Do as `parse`, with a pause after each `piece` characters or so."""
    reading = _Reading(text, Expression(is_large=True))
    pause_at = piece
    while reading.step():
        if reading.end >= pause_at:
            pause_at = reading.end + piece
            yield
    return reading.said


class _Reading:
    """How far a text has been read, what is written down, and what waits for its right side."""

    __slots__ = ("end", "is_behind", "left", "pending", "said", "signs", "text")

    def __init__(self, text: str, said: Expression) -> None:
        self.text = text
        self.end = 0
        self.is_behind = False  # a number, and not all that closes behind it has been read
        self.signs = NO_SIGNS  # before a number that has not been read
        self.left: Number | None = None  # of the next operator; `None`: what was written last
        self.pending: list[Pending] = [(BRACKET, "", None, NOWHERE, 0)]  # all is in a bracket
        self.said = said

    def step(self) -> bool:
        """Read a number with what stands around it; return whether there may be more to read."""
        text, start, pending = self.text, self.end, self.pending
        if self.is_behind:
            self.is_behind = False
            step = BEHIND.match(text, start)
            assert step is not None  # noqa: S101  # it may be empty
            closing, operator = step.groups()
        else:
            step = STEP.match(text, start)
            if step is None:
                return self._before_number()
            before, number, closing, operator = step.groups()
            value = _number(number, step.start(NUMBER) + 1)
            self.left = -value if before and self._open(before)[0] else value
            self.signs = NO_SIGNS
        self.end = end = step.end()
        if closing:
            self._close(closing, end - len(operator) - len(closing))
            if len(closing) == LONGEST and not operator:
                self.is_behind = True
                return True
        precedence, name = OPERATORS[operator]
        if pending[-1][0] >= precedence:
            self._write(precedence)
        if name:
            pending.append((precedence, name, self.left, len(self.said.names) - 1, end))
            return True
        opened_at = pending[-1][-1]
        if opened_at or end < len(text):
            raise _unexpected(text, end, _after_operand(opened_at))
        self.said.value = self.left
        return False

    def _before_number(self) -> bool:
        """Read what stands before a number, where that is too far for a step, or there is none."""
        step = OPENING.match(self.text, self.end)
        assert step is not None  # noqa: S101  # it may be empty
        self.signs = self._open(step[0])
        self.end = step.end()
        if len(step[0]) < LONGEST:
            raise _unexpected(self.text, self.end, "a number or '('")
        return True

    def _open(self, before: str) -> Signs:
        """Read signs and brackets before a number; return the signs behind the last bracket."""
        pending = self.pending
        is_negative, minus_at = self.signs
        for column, lexeme in enumerate(before, self.end + 1):
            if lexeme == "(":
                if is_negative:
                    pending.append((NEGATION, "mul", -1, NOWHERE, minus_at))
                is_negative, minus_at = NO_SIGNS
                pending.append((BRACKET, "", None, NOWHERE, column))
            elif lexeme == "-":
                is_negative, minus_at = not is_negative, minus_at or column
        return is_negative, minus_at

    def _close(self, closing: str, start: int) -> None:
        """Read closing brackets behind a number, from `start` on."""
        pending = self.pending
        for place, lexeme in enumerate(closing, start):
            if lexeme == ")":
                if pending[-1][0] >= LOWEST:
                    self._write(LOWEST)
                if not pending.pop()[-1]:
                    raise _unexpected(self.text, place, AFTER_LAST)

    def _write(self, precedence: int) -> None:
        """Write down what waits with at least this precedence: it has its right side now."""
        said, pending, right = self.said, self.pending, self.left
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
        self.left = None


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
