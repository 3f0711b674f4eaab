import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arithmetic import MAX_DIGITS, OPERATIONS, compute
from engine.errors import OperationFailed
from engine.job import Number
from tests.expressions import exact

LARGEST = 10**MAX_DIGITS - 1
SYMBOLS = {"sum": "+", "sub": "-", "mul": "*", "div": "/"}
FINITE = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def failure(name: str, *operands: Number) -> OperationFailed:
    """Return how the operation fails."""
    with pytest.raises(OperationFailed) as caught:
        compute(name, operands)
    return caught.value


@pytest.mark.parametrize(
    ("name", "operands", "result"),
    [
        ("sum", (2**53, 1), 2**53 + 1),
        ("sum", (0.1, 0.2), 0.30000000000000004),
        ("sum", (1, 2.0), 3.0),
        ("sum", (LARGEST - 1, 1), LARGEST),
        ("sub", (1, 2), -1),
        ("sub", (0.3, 0.1), 0.19999999999999998),
        ("sub", (1 - LARGEST, 1), -LARGEST),
        ("mul", (2**40, 2**40), 2**80),
        ("mul", (-1, 0.0), -0.0),
        ("mul", (-1, 0), 0),
        ("div", (6, 3), 2.0),
        ("div", (1, 3), 0.3333333333333333),
        ("div", (10**4000, 10**3999), 10.0),
        ("div", (1, 10**4000), 0.0),
    ],
)
def test_a_result_is_pythons_to_the_bit_and_to_the_type(
    name: str, operands: tuple[Number, Number], result: Number
) -> None:
    """Integers stay exact, `div` is a float even where whole, and the sign of zero is kept."""
    assert exact(compute(name, operands)) == exact(result)


@pytest.mark.parametrize(
    ("name", "operands", "code"),
    [
        ("div", (1, 0), "division_by_zero"),
        ("div", (0, 0), "division_by_zero"),
        ("div", (1, 0.0), "division_by_zero"),
        ("div", (1.5, -0.0), "division_by_zero"),
        ("mul", (1e308, 10), "overflow"),
        ("sum", (1.7e308, 1.7e308), "overflow"),
        ("sub", (-1.7e308, 1.7e308), "overflow"),
        ("div", (1e308, 0.1), "overflow"),
        ("div", (10**400, 3), "overflow"),
        ("sum", (10**400, 0.5), "overflow"),
        ("div", (10**400, 0.0), "overflow"),  # Python converts before it divides
        ("sum", (LARGEST, 1), "too_many_digits"),
        ("sub", (-LARGEST, 1), "too_many_digits"),
        ("mul", (10**2150, 10**2150), "too_many_digits"),
        ("pow", (2, 3), "unknown_operation"),
        ("", (), "unknown_operation"),
    ],
)
def test_what_has_no_result_fails_with_its_code(
    name: str, operands: tuple[Number, ...], code: str
) -> None:
    """Each row of the contract's table, at its edge: one step less has a result."""
    assert failure(name, *operands).code == code


def test_a_detail_quotes_at_most_40_characters_of_an_unknown_name() -> None:
    """A name comes from outside: it cannot fill the log."""
    assert len(failure("x" * 1000).detail) < 120


@settings(deadline=None)
@given(st.sampled_from(sorted(OPERATIONS)), FINITE, FINITE)
def test_any_two_numbers_give_what_eval_gives_or_fail_where_it_raises(
    name: str, first: Number, second: Number
) -> None:
    """The law holds for all numbers: there is no third way beside a result and a failure."""
    try:
        expected = eval(f"({first!r}) {SYMBOLS[name]} ({second!r})")
        finite = abs(expected) != float("inf")
    except (ZeroDivisionError, OverflowError):
        finite = False
    if finite:
        assert exact(compute(name, (first, second))) == exact(expected)
    else:
        failure(name, first, second)
