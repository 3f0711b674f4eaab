import tracemalloc
from collections.abc import Generator
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.arithmetic import compute
from engine.errors import OperationFailed
from engine.expression.parser import parse, parse_in_pieces
from engine.job import Number, Operation
from engine.plan import Plan
from tests.expressions import SYMBOLS, exact, oracle, random_expression

T = TypeVar("T")

DEEP = 200_000
RANDOM_EXPRESSIONS = 20_000
LONG = "1" + "0" * 2150  # the product of two has 4,301 digits


def plan_of(text: str, *, balance: bool = True) -> Plan:
    """Return the plan of `text`."""
    return Plan(parse(text), balance_from=3 if balance else 0)


def computed(plan: Plan, random: Random | None = None) -> Number | str:
    """Compute `plan` in some order and return how it ends: its answer, or an error's code."""
    random = random or Random(0)
    ready = plan.ready()
    while not plan.finished:
        operation = ready.pop(random.randrange(len(ready)))
        try:
            result = compute(operation.name, operation.operands)
        except OperationFailed as failure:
            plan.complete(operation.index, failure)
            continue
        following = plan.complete(operation.index, result)
        if following is not None:
            ready.append(plan.operation(following))
    if plan.failure is not None:
        return plan.failure[1].code
    assert plan.answer is not None
    return plan.answer


def comparable(outcome: Number | str) -> object:
    """Return what two outcomes have in common only if they are the same."""
    return outcome if isinstance(outcome, str) else exact(outcome)


def grouping(plan: Plan) -> str:
    """Return which operations `plan` makes of which operands, as text with all brackets."""
    todo = plan.ready()
    while todo:
        operation = todo.pop()
        first, second = operation.operands
        text = f"({first}{SYMBOLS[operation.name]}{second})"
        following = plan.complete(operation.index, text)  # type: ignore[arg-type]
        todo += [] if following is None else [plan.operation(following)]
    return str(plan.answer)


def rounds(plan: Plan) -> int:
    """Return how often something has to be computed when all that is ready is done at once."""
    ready, count = plan.ready(), 0
    while ready:
        done = [plan.complete(operation.index, 1) for operation in ready]
        ready = [plan.operation(index) for index in done if index is not None]
        count += 1
    return count


@pytest.mark.parametrize(("text", "answer"), [("42", 42), ("(-7.5)", -7.5), ("-0.0", -0.0)])
def test_a_lone_literal_is_finished_at_once(text: str, answer: Number) -> None:
    """There is nothing to compute, so no worker is asked."""
    plan = plan_of(text)
    assert repr(plan) == "<Plan: 0 of 0 operations remain>"
    assert (len(plan), plan.remaining, plan.finished, plan.ready()) == (0, 0, True, [])
    assert plan.answer is not None
    assert exact(plan.answer) == exact(answer)


def test_each_result_makes_ready_what_waited_for_it_alone() -> None:
    """The example of the contract, operation by operation."""
    plan = plan_of("1+(2*3)/4-5")
    assert plan.ready() == [Operation(0, "mul", (2, 3), 5)]
    assert plan.complete(0, 6) == 1
    assert plan.operation(1) == Operation(1, "div", (6, 4), 8)
    assert plan.complete(1, 1.5) == 2
    assert plan.operation(2) == Operation(2, "sum", (1, 1.5), 2)
    assert (plan.remaining, plan.finished, plan.answer) == (2, False, None)
    assert plan.complete(2, 2.5) == 3
    assert plan.operation(3) == Operation(3, "sub", (2.5, 5), 10)
    assert plan.complete(3, -2.5) is None
    assert (plan.remaining, plan.finished, plan.answer) == (0, True, -2.5)


def test_of_two_operands_the_later_result_makes_ready() -> None:
    """Whichever comes first, an operation is handed out once, and with its sides as in the text."""
    for order in ([0, 1], [1, 0]):
        plan = plan_of("(1/2)-(3/4)")
        first, second = order
        assert plan.complete(first, float(first)) is None
        assert plan.complete(second, float(second)) == 2
        assert plan.operation(2) == Operation(2, "sub", (0.0, 1.0), 6)


def test_what_is_ready_at_the_start_is_handed_out_once_in_the_order_of_the_text() -> None:
    """A second call finds nothing: an operation in two hands would be computed twice."""
    plan = plan_of("2*3 + 4 + 5 + 6 + 7*8 + 9 - -(1)/(2+3)")
    columns = [operation.column for operation in plan.ready()]
    assert columns == [2, 13, 20, 29, 36]
    assert plan.ready() == []


def test_a_trace_finds_name_column_and_parent_of_each_operation() -> None:
    """They stay when the operation is done."""
    plan = plan_of("1+(2*3)/4-5")
    computed(plan)
    assert plan.names == ["mul", "div", "sum", "sub"]
    assert list(plan.columns) == [5, 8, 2, 10]
    assert [plan.parent(index) for index in range(4)] == [1, 2, 3, None]


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("index", [-4, -1, 1, 2, 3, 10**9])
def test_a_result_that_is_not_awaited_is_refused_and_changes_nothing(
    index: int, balance: bool
) -> None:
    """Neither an unknown operation, nor one that still waits, nor one that is done."""
    plan = plan_of("(1/2)/3-4/5", balance=balance)  # 1/2, then /3, beside 4/5, then the minus
    plan.ready()
    plan.complete(2, 0.8)
    with pytest.raises(ValueError, match="awaited"):
        plan.complete(index, 7.0)
    assert (plan.remaining, plan.finished, plan.answer) == (3, False, None)
    assert plan.complete(0, 0.5) == 1
    assert plan.operation(1) == Operation(1, "div", (0.5, 3), 6)
    assert plan.complete(1, 0.25) == 3
    assert plan.operation(3) == Operation(3, "sub", (0.25, 0.8), 8)


def test_the_last_result_cannot_be_replaced() -> None:
    """A finished plan keeps its answer."""
    plan = plan_of("1+2")
    plan.complete(0, 3)
    with pytest.raises(ValueError, match="awaited"):
        plan.complete(0, 4)
    assert plan.answer == 3


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("1+2+3+4", "((1+2)+(3+4))"),
        ("1-2+3-4", "((1-2)+(3-4))"),
        ("1-2-3-4", "((1-2)-(3+4))"),
        ("1-2-3+4", "((1-2)-(3-4))"),
        ("1+2-3-4-5", "(((1+2)-(3+4))-5)"),
        ("1+2+3+4+5+6+7", "(((1+2)+(3+4))+((5+6)+7))"),
        ("2*3*4*5", "((2*3)*(4*5))"),
        ("-(2)*3*4", "((-1*2)*(3*4))"),
        ("1+2*3-4*5-6", "((1+(2*3))-((4*5)+6))"),
        ("(1+2+3+4)*2*(5-6-7-8)*3", "((((1+2)+(3+4))*2)*(((5-6)-(7+8))*3))"),
        ("((1+2)+3)+4", "((1+2)+(3+4))"),
    ],
)
def test_a_run_over_integers_becomes_a_tree(text: str, grouped: str) -> None:
    """Behind a minus the signs within a group turn, so that the sum is the same."""
    assert grouping(plan_of(text)) == grouped


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("1+2+3", "((1+2)+3)"),
        ("1.0+2+3+4+5", "((((1.0+2)+3)+4)+5)"),
        ("2*3*4*5.0", "(((2*3)*4)*5.0)"),
        ("1/2/3/4/5", "((((1/2)/3)/4)/5)"),
        ("4/2+1+2+3", "((((4/2)+1)+2)+3)"),
        ("1+2+(4/2)+3+4", "((((1+2)+(4/2))+3)+4)"),
        ("1+2*3+4*(5+0.5)+6+7", "((((1+(2*3))+(4*(5+0.5)))+6)+7)"),
        ("1+2+3+4+5.0+6+7+8+9", "(((((((1+2)+(3+4))+5.0)+6)+7)+8)+9)"),
    ],
)
def test_short_runs_floats_and_divisions_keep_the_order_of_the_text(
    text: str, grouped: str
) -> None:
    """The sum of floats depends on the order; only the integers before the first one regroup."""
    assert grouping(plan_of(text)) == grouped


@pytest.mark.parametrize("symbol", "+-*")
@pytest.mark.parametrize("terms", [4, 5, 7, 8, 9, 31, 32, 33, 100])
def test_a_run_of_n_integers_takes_log_n_rounds(terms: int, symbol: str) -> None:
    """The least that is possible with two operands an operation."""
    text = symbol.join(["1"] * terms)
    assert rounds(plan_of(text)) == (terms - 1).bit_length()
    assert rounds(plan_of(text, balance=False)) == terms - 1


def test_balancing_keeps_number_and_columns_of_the_operations() -> None:
    """A trace of a balanced job can be laid over the text."""
    text = "1-2*3-4*(5-6-7-8-9)*2*3+-(7)+1"
    balanced, strict = plan_of(text), plan_of(text, balance=False)
    assert list(balanced.columns) == list(strict.columns)
    assert rounds(balanced) < rounds(strict)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (f"0*{LONG}*{LONG}*{LONG}", 0),
        (f"0*2*{LONG}*{LONG}", 0),
        (f"{LONG}*{LONG}*0*0", "too_many_digits"),
        (f"1*1*{LONG}*{LONG}*(1/0)", "too_many_digits"),
        ("9" * 4300 + "+1-1-1", "too_many_digits"),
        ("9" * 4300 + "-1+1-1", 10**4300 - 2),
        ("0-1+" + "9" * 4300 + "+1", 10**4300 - 1),
    ],
)
def test_a_run_that_might_exceed_the_digits_keeps_the_order_of_the_text(
    text: str, outcome: Number | str
) -> None:
    """Another grouping could fail where this order does not, or the other way round."""
    assert computed(plan_of(text)) == outcome
    assert oracle(text) == outcome


def test_many_factors_of_one_are_no_reason_to_expect_many_digits() -> None:
    """The bound of a product grows with its value and not with its length."""
    assert rounds(plan_of("1" + "*1" * 2**15)) == 16


@pytest.mark.parametrize(
    ("text", "operations", "answer"),
    [
        ("(" * DEEP + "1" + ")" * DEEP, 0, 1),
        ("-(" * DEEP + "1" + ")" * DEEP, DEEP, 1),
        ("1" + "+1" * DEEP, DEEP, DEEP + 1),
        ("1.0" + "+1" * DEEP, DEEP, DEEP + 1.0),
        ("1" + "*-1" * DEEP, DEEP, 1),
        ("1-(" * DEEP + "1" + ")" * DEEP, DEEP, 1),
        ("0" + "-2*3" * (DEEP // 2), DEEP, -3 * DEEP),
    ],
    ids=["brackets", "negations", "terms", "floats", "factors", "right", "products"],
)
def test_no_depth_and_no_length_is_too_much(text: str, operations: int, answer: Number) -> None:
    """Neither planning nor computing recurses."""
    plan = plan_of(text)
    assert len(plan) == operations
    assert comparable(computed(plan)) == exact(answer)


def test_a_waiting_operation_takes_less_than_100_bytes() -> None:
    """There is no object for it: a job of a million operations fits into memory many times."""
    tree = parse("1.5" + "+2-3" * 5000)
    tracemalloc.start()
    try:
        plan = Plan(tree)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / len(plan) < 100


def test_random_expressions_end_as_in_python() -> None:
    """Balanced or not, whoever answers first: Python's answer, or the error that it meets first."""
    rng = Random(20_000)
    for _ in range(RANDOM_EXPRESSIONS):
        text = random_expression(rng)
        expected = oracle(text)
        if not isinstance(expected, str):
            assert exact(eval(text)) == exact(expected), "the oracle itself"
        for balance in (True, False):
            outcome = computed(plan_of(text, balance=balance), rng)
            assert comparable(outcome) == comparable(expected), (balance, text)


def test_a_plan_made_in_pieces_is_the_plan() -> None:
    """Whatever the pieces: the same operations are ready, and the same answer comes of them."""
    rng = Random(3)
    for _ in range(300):
        text, piece = random_expression(rng), rng.randint(1, 9)
        making = parse_in_pieces(text, piece)
        expression = ended(making)
        plan = ended(Plan.in_pieces(expression, piece, balance_from=3))
        whole = plan_of(text)
        assert (plan.names, list(plan.columns)) == (whole.names, whole.columns)
        assert comparable(computed(plan)) == comparable(computed(whole))


def ended(making: Generator[None, None, T]) -> T:
    """Return what comes in the end of all pieces."""
    while True:
        try:
            next(making)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def test_random_expressions_end_in_every_way() -> None:
    """The generator reaches all that the test above is about."""
    rng = Random(1)
    outcomes = [oracle(random_expression(rng)) for _ in range(2000)]
    kinds = {outcome if isinstance(outcome, str) else type(outcome) for outcome in outcomes}
    assert kinds == {int, float, "division_by_zero", "overflow", "too_many_digits"}


NUMBERS = st.integers(0, 10**30).map(str) | st.floats(0, allow_infinity=False).map(repr)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("".join)
        | st.tuples(st.sampled_from(["(", "-(", "--("]), inner, st.just(")")).map("".join)
    ),
    max_leaves=30,
)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_any_expression_ends_as_in_python(text: str) -> None:
    """The same law for what hypothesis thinks of, down to the shortest text that breaks it."""
    assert comparable(computed(plan_of(text))) == comparable(oracle(text))


def test_an_operation_that_fails_ends_the_plan_when_all_before_it_is_known() -> None:
    """What Python would compute first may fail first."""
    plan = plan_of("2*3 + 4*5 + 6*7", balance=False)
    first, second, third = plan.ready()
    plan.complete(second.index, OperationFailed("overflow", "second"))
    assert not plan.finished
    plan.complete(first.index, 6)
    assert plan.finished
    assert plan.failure == (second.index, plan.failure and plan.failure[1])
    plan = plan_of("2*3 + 4*5 + 6*7", balance=False)
    first, second, third = plan.ready()
    plan.complete(third.index, OperationFailed("overflow", "third"))
    plan.complete(first.index, OperationFailed("overflow", "first"))
    assert plan.finished
    assert plan.failure is not None
    assert plan.failure[1].detail == "first"


def test_what_waits_for_a_failure_in_a_regrouped_run_is_not_waited_for() -> None:
    """There an operation may wait for one with a larger number."""
    text = "+".join(f"{n}*1" for n in range(8))
    for failing in range(8):
        plan = plan_of(text)
        ready = plan.ready()
        plan.complete(ready[failing].index, OperationFailed("attempts_exhausted", "x"))
        waiting = ready[:failing] + ready[failing + 1 :]
        while waiting:
            operation = waiting.pop(0)
            following = plan.complete(operation.index, 1)
            waiting += [] if following is None else [plan.operation(following)]
        assert plan.finished, failing


def test_a_division_by_a_known_zero_is_never_ready() -> None:
    """It fails as soon as it is known: at the start, or when its divisor has come."""
    plan = plan_of("1/0")
    assert plan.ready() == []
    assert plan.failure is not None
    assert plan.failure[1].code == "division_by_zero"
    plan = plan_of("1/(2-2)")
    (operation,) = plan.ready()
    assert plan.complete(operation.index, 0) is None
    assert plan.finished
    assert plan.failure is not None
    assert plan.failure[0] == 1


def test_a_failed_operation_cannot_be_settled_again() -> None:
    """Neither failed nor completed, and nothing changes."""
    plan = plan_of("2*3 + 4*5")
    first, _ = plan.ready()
    plan.complete(first.index, OperationFailed("overflow", "x"))
    before = repr(plan)
    with pytest.raises(ValueError, match="awaited"):
        plan.complete(first.index, OperationFailed("overflow", "y"))
    with pytest.raises(ValueError, match="awaited"):
        plan.complete(first.index, 6)
    assert repr(plan) == before
