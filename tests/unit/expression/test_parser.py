import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ExpressionError
from engine.expression.operations import Expression
from engine.expression.parser import parse, parse_in_pieces
from engine.expression.tokens import LONGEST
from tests.expressions import exact, to_text

DEEP = 200_000


def refusal(text: str) -> ExpressionError:
    """Return the error that `text` is refused with."""
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    return caught.value


def operations(expression: Expression) -> list[tuple[int, str]]:
    """Return the column and the name of each operation, in the order of the columns."""
    return sorted(zip(expression.columns, expression.names, strict=True))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("42", "42"),
        ("(-7.5)", "-7.5"),
        ("1+(2*3)/4-5", "((1 + ((2 * 3) / 4)) - 5)"),
        ("1-2-3", "((1 - 2) - 3)"),
        ("8/4/2", "((8 / 4) / 2)"),
        ("1+2*3", "(1 + (2 * 3))"),
        ("1*2+3", "((1 * 2) + 3)"),
        ("1-2*3/4+5", "((1 - ((2 * 3) / 4)) + 5)"),
        ("1-(2-3)", "(1 - (2 - 3))"),
        (" \t\r\n1 \n+\t2\r", "(1 + 2)"),
        ("((((1))))", "1"),
    ],
)
def test_operators_bind_as_in_arithmetic_and_to_the_left(text: str, tree: str) -> None:
    """Precedence and associativity are Python's; brackets and blanks leave no trace."""
    assert to_text(parse(text)) == tree


@pytest.mark.parametrize(
    "around", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST, 2 * LONGEST + 1]
)
def test_any_number_of_brackets_signs_and_blanks_may_stand_around_a_number(around: int) -> None:
    """Though no more of them are read in one step than `LONGEST`."""
    opening, closing = "(" * around, ")" * around
    assert to_text(parse(f"{opening}1{closing}+2")) == "(1 + 2)"
    assert to_text(parse(f"2*{opening}1+2{closing}")) == "(2 * (1 + 2))"
    assert parse("-" * around + "1").value == (-1 if around % 2 else 1)
    assert parse("-" * around + "(1)").names == ["mul"] * (around % 2)
    assert parse("-" * around + "(1)").columns == [1] * (around % 2)
    assert parse(" " * around + "1" + " " * around).value == 1
    assert refusal(f"{opening}1{closing[1:]}").column == 2 * around + 1
    assert "for the '(' at column 1" in str(refusal(f"{opening}1{closing[1:]}"))
    assert refusal(f"{opening}1{closing})").column == 2 * around + 2
    assert refusal(f"{opening}1{closing}2").column == 2 * around + 2
    assert refusal(f"{opening}*").column == around + 1


LONG = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "(" * LONG + "1" + ")" * LONG,
        "-(" * LONG + "1" + ")" * LONG,
        "1-(" * LONG + "1" + ")" * LONG,
        "-" * LONG + "1",
        " " * LONG + "1",
        "1" + " " * LONG + "+1",
        "1" + "+1" * LONG,
    ],
)
def test_whatever_a_text_looks_like_it_is_read_in_pieces(text: str) -> None:
    """None of them is much longer than was asked for."""
    piece = 2 * LONGEST
    pauses = list(parse_in_pieces(text, piece))
    assert len(pauses) >= len(text) // (piece + 2 * LONGEST) - 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.", 1.0),
        (".5", 0.5),
        ("1.e3", 1000.0),
        (".5e-1", 0.05),
        ("1e5", 100000.0),
        ("1E+5", 100000.0),
        ("007", 7),
        ("0" * 5000 + "7", 7),
        ("0" * 5000, 0),
        ("9" * 4300, 10**4300 - 1),
        ("1e-400", 0.0),
        ("0e999999", 0.0),
        ("-5", -5),
        ("--5", 5),
        ("-+-+-5", -5),
        ("- 5", -5),
        ("-0", 0),
        ("-0.0", -0.0),
        ("--0.0", 0.0),
        ("+5", 5),
        ("+(5)", 5),
        ("--(5)", 5),
    ],
)
def test_a_number_and_its_signs_are_one_literal(text: str, value: float) -> None:
    """A sign before a literal costs no operation, and negative zero stays negative."""
    expression = parse(text)
    assert expression.names == []
    assert expression.value is not None
    assert exact(expression.value) == exact(value)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-(2)", "(-1 * 2)"),
        ("-+-+-(2)", "(-1 * 2)"),
        ("-(-(3))", "(-1 * (-1 * 3))"),
        ("-(2)*3", "((-1 * 2) * 3)"),
        ("1--(2+3)", "(1 - (-1 * (2 + 3)))"),
        ("2*-3", "(2 * -3)"),
        ("1 - -1", "(1 - -1)"),
        ("1---(2)", "(1 - 2)"),
    ],
)
def test_an_odd_number_of_minuses_before_a_bracket_is_one_multiplication_by_minus_one(
    text: str, tree: str
) -> None:
    """Pairs of minuses cancel, so that signs never cost more than one operation a bracket."""
    assert to_text(parse(text)) == tree


def test_an_operation_stands_at_the_column_of_its_operator() -> None:
    """Columns count from 1: an error of the operation can be shown where it arose."""
    assert operations(parse("1 +(2*3)/4-5")) == [(3, "sum"), (6, "mul"), (9, "div"), (11, "sub")]


def test_a_negation_stands_at_the_first_minus_before_its_bracket() -> None:
    """The multiplication that is not in the text points at the sign that caused it."""
    assert operations(parse("2*+-(3)")) == [(2, "mul"), (4, "mul")]


NUMBER = "a number or '('"
OPERATOR = "an operator or the end"


@pytest.mark.parametrize(
    ("text", "column", "unexpected", "expected"),
    [
        ("", 1, "end", NUMBER),
        ("  ", 3, "end", NUMBER),
        ("()", 2, "')'", NUMBER),
        ("1+", 3, "end", NUMBER),
        ("-", 2, "end", NUMBER),
        ("*1", 1, "'*'", NUMBER),
        ("1 2", 3, "'2'", OPERATOR),
        ("(1", 3, "end", "an operator, or ')' for the '(' at column 1"),
        ("1+((2)", 7, "end", "an operator, or ')' for the '(' at column 3"),
        ("1)", 2, "')'", OPERATOR),
        ("1..2", 3, "'.2'", OPERATOR),
        (".", 1, "'.'", NUMBER),
        ("2(3)", 2, "'('", OPERATOR),
        ("(1)(2)", 4, "'('", OPERATOR),
        ("2**3", 3, "'*'", NUMBER),
        ("7//2", 3, "'/'", NUMBER),
        ("0x10", 2, "'x10'", OPERATOR),
        ("1_000", 2, "'_000'", OPERATOR),
        ("inf", 1, "'inf'", NUMBER),
        ("nan", 1, "'nan'", NUMBER),
        ("x", 1, "'x'", NUMBER),
        ("1e", 2, "'e'", OPERATOR),
        ("1,5", 2, "','", OPERATOR),
        ("²", 1, "'²' (U+00B2)", NUMBER),
        ("\u0661\u0662", 1, "'\u0661' (U+0661)", NUMBER),
        ("\uff11", 1, "'\uff11' (U+FF11)", NUMBER),
        ("1\u22122", 2, "'\u2212' (U+2212)", OPERATOR),
        ("2\u00d73", 2, "'\u00d7' (U+00D7)", OPERATOR),
        ("1\0", 2, "U+0000", OPERATOR),
        ("1+\ud800", 3, "U+D800", NUMBER),
        ("1\u00a0+2", 2, "U+00A0", OPERATOR),
        ("1\x0b+2", 2, "U+000B", OPERATOR),
        ("\U0001f600+1)", 1, "'\U0001f600' (U+1F600)", NUMBER),
    ],
)
def test_what_is_no_expression_is_refused_with_column_and_expectation(
    text: str, column: int, unexpected: str, expected: str
) -> None:
    """The error says where, what is there, and what could stand there instead."""
    error = refusal(text)
    assert (error.code, error.column) == ("invalid_expression", column)
    assert error.detail == f"unexpected {unexpected} at column {column}, expected {expected}"


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("1e400", "overflow", 1),
        ("2+-1e400", "overflow", 4),
        ("9" * 400 + ".", "overflow", 1),
        ("1*" + "9" * 4301, "too_many_digits", 3),
        ("00" + "9" * 5000, "too_many_digits", 1),
    ],
)
def test_a_literal_out_of_range_is_refused_where_its_digits_are(
    text: str, code: str, column: int
) -> None:
    """What Python could not read as a finite number is refused before anything is computed."""
    error = refusal(text)
    assert (error.code, error.column) == (code, column)
    assert f"column {column}" in error.detail


@pytest.mark.parametrize("text", ["x" * 5000, "1 " + "2" * 5000, "1." + "9" * 5000 + "e999"])
def test_an_error_quotes_at_most_80_characters(text: str) -> None:
    """However long the token that is wrong, the error stays a sentence."""
    runs = re.findall(r"x+|[29.1]{6,}", refusal(text).detail)
    assert 0 < sum(map(len, runs)) <= 80


@pytest.mark.parametrize(
    ("text", "depth_text", "count"),
    [
        ("(" * DEEP + "1" + ")" * DEEP, "1", 0),
        ("-" * DEEP + "1", "1", 0),
        ("-(" * DEEP + "1" + ")" * DEEP, "(-1 * (-1 * ", DEEP),
        ("1" + "+1" * DEEP, "((((", DEEP),
        ("1" + "*1" * DEEP, "((((", DEEP),
        ("1-(" * DEEP + "1" + ")" * DEEP, "(1 - (1 - ", DEEP),
    ],
    ids=["brackets", "signs", "negations", "terms", "factors", "right"],
)
def test_no_depth_and_no_length_is_too_much(text: str, depth_text: str, count: int) -> None:
    """The parser keeps its own list of what waits: no recursion limit is met."""
    expression = parse(text)
    assert to_text(expression).startswith(depth_text)
    assert len(expression.names) == count


@pytest.mark.parametrize("text", ["(" * DEEP, ")" * DEEP, "1+(" * DEEP + "1", "+" * DEEP])
def test_a_deep_text_with_an_error_is_refused_as_a_short_one(text: str) -> None:
    """What waits for its right side is dropped without recursion too."""
    assert refusal(text).code == "invalid_expression"


def test_blanks_and_digits_are_read_in_linear_time() -> None:
    """With a pattern that goes back over blanks or digits this test would not end."""
    parse(" " * 500_000 + "1" + " " * 500_000)
    parse("0." + "0" * 500_000 + "1" * 500_000)


def test_operations_are_in_the_order_in_which_python_computes_them() -> None:
    """So of two that fail, the one with the smaller number is the one that Python meets first."""
    expression = parse("(1-2)*(3+4*5)-6/7")
    assert list(expression.columns) == [3, 11, 9, 6, 16, 14]


@settings(deadline=None)
@given(st.text(alphabet="0123456789.eE+-*/() \t\n_x²\u2212\0\ud800", max_size=30))
def test_any_text_is_parsed_or_refused_at_a_column_within_it(text: str) -> None:
    """No text raises anything but `ExpressionError`."""
    try:
        columns = list(parse(text).columns)
    except ExpressionError as error:
        columns = [error.column]
    assert all(1 <= column <= len(text) + 1 for column in columns)
