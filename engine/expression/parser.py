"""From tokens to a tree, by precedence climbing.

    expression := term  (("+" | "-") term)*          left-associative
    term       := factor (("*" | "/") factor)*       left-associative
    factor     := ("+" | "-")* ( number | "(" expression ")" )

What a recursive parser keeps in its calls, an operator or a bracket that waits for what is on its
right, is kept on a list here: no text is too deep. If `parse` raises anything but an
`ExpressionError` for a string, that is a bug here.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from types import MappingProxyType

from engine.arithmetic import MAX_DIGITS
from engine.errors import ExpressionError
from engine.expression.nodes import BinaryOperation, Literal, Node
from engine.expression.tokens import END, NUMBER, Token, tokens
from engine.job import Number

BINARY: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "+": (1, "sum"),
        "-": (1, "sub"),
        "*": (2, "mul"),
        "/": (2, "div"),
    }
)
CLOSING = (
    1,
    "",
)  # a closing bracket and the end, like the weakest operator, finish all before them
BRACKET = 0  # the precedence of an open bracket: no operator reaches past it

Pending = tuple[int, str, Node, int]
"""What waits for its right side: precedence, operation, left side, column of the operator.

Of a bracket: `BRACKET`, "mul" and -1 when it is negated, else "" and 1, column of the bracket.
"""

LONGEST_QUOTE = 40  # characters of the text in an error


def parse(text: str) -> Node:
    """Return the tree of `text`.

    Raises `ExpressionError` with the column (from 1) and what was expected there, or, with the
    codes `overflow` and `too_many_digits`, for a literal that is out of range.
    """
    stream = tokens(text)
    pending: list[Pending] = [(BRACKET, "", Literal(1, 0), 0)]  # the text as a whole is a bracket
    while True:
        literal = _operand(stream, pending)
        tree = _operators(literal, stream, pending)
        if tree is not None:
            return tree


def _operand(stream: Iterator[Token], pending: list[Pending]) -> Literal:
    """Read signs and opening brackets up to the next number, and return that."""
    sign, minus_at = 1, 0
    while True:
        kind, text, column = next(stream)
        if kind == NUMBER:
            value = _number(text, column)
            return Literal(value if sign > 0 else -value, minus_at or column)
        if kind == "(":
            pending.append((BRACKET, "" if sign > 0 else "mul", Literal(sign, minus_at), column))
            sign, minus_at = 1, 0
        elif kind == "-":
            sign, minus_at = -sign, minus_at or column
        elif kind != "+":
            raise _unexpected(kind, text, column, "a number or '('")


def _operators(node: Node, stream: Iterator[Token], pending: list[Pending]) -> Node | None:
    """Read from behind the operand `node` past the next operator; at the end return the tree."""
    while True:
        kind, text, column = next(stream)
        precedence, name = BINARY.get(kind, CLOSING)
        while pending[-1][0] >= precedence:
            _, waiting, left, at = pending.pop()
            node = BinaryOperation(waiting, left, node, at)
        if name:
            pending.append((precedence, name, node, column))
            return None
        _, waiting, sign, opened_at = pending[-1]
        if kind == END and not opened_at:
            return node
        if kind != ")" or not opened_at:
            raise _unexpected(kind, text, column, _after_operand(opened_at))
        pending.pop()
        if waiting:
            node = BinaryOperation(waiting, sign, node, sign.column)


def _number(text: str, column: int) -> Number:
    if text.isdigit():  # a number token is ASCII: nothing that is no digit in Python gets here
        return _integer(text, column)
    value = float(text)
    if not isfinite(value):
        raise ExpressionError(
            f"the number {_quoted(text)} at column {column} is beyond the largest float,"
            " about 1.8e308: write a smaller one",
            column,
            "overflow",
        )
    return value


def _integer(digits: str, column: int) -> int:
    if len(digits) > MAX_DIGITS:
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


def _unexpected(kind: str, text: str, column: int, expected: str) -> ExpressionError:
    what = "end" if kind == END else _quoted(text)
    return ExpressionError(f"unexpected {what} at column {column}, expected {expected}", column)


def _quoted(text: str) -> str:
    """Return `text` for people: cut, and with code points for what only looks like ASCII."""
    if len(text) > LONGEST_QUOTE:
        return f"'{text[:LONGEST_QUOTE]}...'"
    if text.isascii() and text.isprintable():
        return f"'{text}'"
    code_point = f"U+{ord(text):04X}"  # only tokens of one character are not ASCII
    return f"'{text}' ({code_point})" if text.isprintable() else code_point
