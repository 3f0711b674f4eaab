"""The examination: which answers let a worker in."""

import pytest

from engine.errors import OperationFailed
from engine.examination import QUESTIONS, fault, questions_for
from engine.exchange import Result
from engine.job import Operation

ALL = ("sum", "sub", "mul", "div")


def question(name: str, *operands: float) -> Operation:
    """Return the question with these operands."""
    return next(one for one in questions_for(ALL) if (one.name, one.operands) == (name, operands))


def test_right_answers_are_no_fault() -> None:
    """Of every question."""
    for asked in questions_for(ALL):
        assert fault(asked, QUESTIONS[asked.index][2]) is None


def test_a_worker_is_asked_what_it_takes_and_nothing_else() -> None:
    """Names that we do not know cannot be checked."""
    assert {asked.name for asked in questions_for(["mul", "price"])} == {"mul"}
    assert questions_for(["price"]) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (question("sum", 2**53, 1), 2**53),
        (question("sum", 0.1, 0.2), 0.3),
        (question("div", 7, 2), 3),
        (question("mul", 2**40, 2**40), float(2**80)),
        (question("sub", 2**53 + 1, 2**53), OperationFailed("overflow", "too large")),
    ],
)
def test_a_wrong_answer_is_a_fault(asked: Operation, said: Result) -> None:
    """And the sentence says what should have been."""
    told = fault(asked, said)
    assert told is not None
    assert told.endswith(f"should be {QUESTIONS[asked.index][2]!r}")


def test_a_whole_quotient_that_is_no_float_is_wrong() -> None:
    """6/3 is 2.0 in Python."""
    assert fault(question("div", 6, 3), 2) is not None


def shortest(number: float) -> float:
    """Return a number as it comes back from a language that writes 3.0 as 3."""
    whole = isinstance(number, float) and number.is_integer() and str(number) != "-0.0"
    return int(number) if whole else number


@pytest.mark.parametrize("name", ALL)
def test_a_worker_that_writes_whole_floats_as_integers_is_found_out(name: str) -> None:
    """Whichever operation it is dedicated to: 3.0 and 3 are two answers."""
    faults = [fault(one, shortest(QUESTIONS[one.index][2])) for one in questions_for([name])]
    assert any(faults)


def test_a_zero_of_the_other_sign_is_wrong() -> None:
    """To the bit means that too."""
    assert fault(question("mul", -1, 0.0), 0.0) is not None
