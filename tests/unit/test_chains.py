"""Chains: long runs of operations that wait only for the one before travel together."""

from random import Random

import pytest

from engine.arithmetic import compute
from engine.expression.parser import parse
from engine.job import Link, Number, Operation
from engine.plan import Plan
from tests.expressions import exact, oracle, random_expression


def a_plan(text: str, chain_from: int = 3) -> Plan:
    """Return a plan whose chains begin at three operations."""
    return Plan(parse(text), chain_from=chain_from)


def links_behind(operation: Operation, at_most: int = 100) -> list[Link]:
    """Return what may follow an operation."""
    assert operation.chain is not None
    return operation.chain.after(operation.index, at_most)


def resolved(link: Link, previous: Number) -> tuple[Number, ...]:
    """Return the operands of a link once the operation before it has its result."""
    return (previous, link.operand) if link.second else (link.operand, previous)


def test_a_long_run_of_floats_is_offered_as_a_chain() -> None:
    """Each link has the operand that is known, on the side where it stands in the text."""
    (first,) = a_plan("1.5+2.5-3.5").ready()
    assert first.chain is None
    (first,) = a_plan("1.5+2.5-3.5*(1-2.5)").ready()[:1]
    assert first.chain is None
    (first,) = a_plan("1.5+2.5-3.5+8.5").ready()
    assert [(link.name, link.operand, link.second) for link in links_behind(first)] == [
        ("sub", 3.5, True),
        ("sum", 8.5, True),
    ]
    (first,) = a_plan("9.5-(8.5/(1.5+2))").ready()
    assert [(link.name, link.operand, link.second) for link in links_behind(first)] == [
        ("div", 8.5, False),
        ("sub", 9.5, False),
    ]


def test_no_more_links_are_offered_than_there_is_room_for_and_the_rest_goes_on_as_a_chain() -> None:
    """However short the rest is: it would come back to the master after each operation."""
    plan = a_plan("1.5+1+1+1+1+1+1", chain_from=6)
    (operation,) = plan.ready()
    assert len(links_behind(operation, 4)) == 4
    for _ in range(5):
        following = plan.complete(operation.index, 1.5)
        assert following is not None
        operation = following
    assert operation.chain is not None


def test_an_operation_becomes_a_link_when_its_other_operand_is_known() -> None:
    """What waits for two results is no link; when one of them has come, it is."""
    plan = a_plan("(1.5+2)+(3.5*4)+(5.5*6)+(7.5*8)")
    ready = {operation.name + str(operation.index): operation for operation in plan.ready()}
    for operation in list(ready.values())[1:]:
        plan.complete(operation.index, 1.0)
    first = next(iter(ready.values()))
    following = plan.complete(first.index, 3.5)
    assert following is not None
    assert len(links_behind(following)) == 2


@pytest.mark.parametrize("text", ["1.5+1+1/0", "2.5*(1-1)+0.5/(0*1)", "1.5+2.5+3.5-0.5/0.0"])
def test_a_division_by_a_known_zero_is_no_link(text: str) -> None:
    """No worker is ever asked to divide by a zero that the master knows."""
    plan = a_plan(text, chain_from=2)
    for operation in plan.ready():
        if operation.chain is not None:
            for link in links_behind(operation):
                assert (link.name, link.operand, link.second) != ("div", 0, True)


def test_a_division_of_something_by_the_chain_is_a_link() -> None:
    """Whether that is zero nobody knows before the worker."""
    (first,) = a_plan("0/(1.5+2.5-4)").ready()
    assert links_behind(first)[-1].name == "div"


def test_chains_are_off_at_zero_and_never_for_short_jobs() -> None:
    """A short job is spread operation by operation."""
    text = "+".join(["1.5"] * 20)
    assert a_plan(text, chain_from=0).ready()[0].chain is None
    assert a_plan(text, chain_from=20).ready()[0].chain is None
    assert a_plan(text, chain_from=19).ready()[0].chain is not None


def test_a_job_computed_in_chains_of_any_length_ends_as_python_does() -> None:
    """Any split of a chain gives the same answer, or the same failure."""
    random = Random(4)
    for _ in range(1500):
        text = random_expression(random)
        assert exact(computed_in_chains(text, random)) == exact(oracle(text)), text[:200]


def computed_in_chains(text: str, random: Random) -> Number | str:
    """Compute `text` as workers that take chains would; return the answer or the error's code."""
    from engine.errors import OperationFailed
    from engine.exchange import Result
    from engine.pipeline import _record
    from engine.trace import Trip, WholeTrace

    plan = Plan(parse(text), chain_from=random.choice([2, 3, 8]))
    ready = plan.ready()
    while not plan.finished:
        operation = ready.pop(random.randrange(len(ready)))
        results: list[Result] = []
        links = [] if operation.chain is None else links_behind(operation, random.randint(0, 9))
        try:
            results.append(compute(operation.name, operation.operands))
            for link in links:
                previous = results[-1]
                assert isinstance(previous, int | float)
                results.append(compute(link.name, resolved(link, previous)))
        except OperationFailed as failure:
            results.append(failure)
        trip, trace = Trip("w", 0.0, 0.0), WholeTrace(len(plan), 0.0)
        following = _record(plan, operation, results, trip, 0.0, trace)
        if following is not None:
            ready.append(following)
    if plan.failure is not None:
        return plan.failure[1].code
    assert plan.answer is not None
    return plan.answer
