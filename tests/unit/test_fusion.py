"""Fusion: what waits only for operations aboard a call travels with them."""

from collections.abc import Container, Sequence
from random import Random

import pytest

from engine.arithmetic import compute
from engine.errors import OperationFailed
from engine.exchange import Result
from engine.expression.parser import parse
from engine.fusion import Link
from engine.job import Number, Operation
from engine.messages import Computation, Item
from engine.pipeline import take_in
from engine.plan import Plan
from engine.trace import Arrival, Trip, WholeTrace
from tests.expressions import exact, oracle, random_expression

ALL_FOUR = frozenset({"sum", "sub", "mul", "div"})


def a_plan(text: str, chain_from: int = 3) -> Plan:
    """Return a plan whose chains are long from three operations on."""
    return Plan(parse(text), chain_from=chain_from)


def chain_behind(plan: Plan, operation: Operation, at_most: int = 100) -> list[Link]:
    """Return what may follow an operation that begins a chain, as the first item of a call."""
    assert plan.fusion.is_chain(operation.index)
    return plan.fusion.chain(operation.index, 0, at_most, ALL_FOUR)


def links_behind(
    plan: Plan, ready: Sequence[Operation], at_most: int = 100, takes: Container[str] = ALL_FOUR
) -> list[Link]:
    """Return whatever may follow operations that are the first items of a call."""
    return plan.fusion.links([operation.index for operation in ready], 0, at_most, takes)


def test_a_long_run_of_floats_is_a_chain() -> None:
    """Each link has the operand that is known, on the side where it stands in the text."""
    plan = a_plan("1.5+2.5-3.5")
    assert not plan.fusion.may_have_chains
    plan = a_plan("1.5+2.5-3.5*(1-2.5)")
    assert not plan.fusion.is_chain(0)
    plan = a_plan("1.5+2.5-3.5+8.5")
    (first,) = plan.ready()
    links = chain_behind(plan, first)
    assert [link.asked for link in links] == [
        Computation("sub", Item(0), 3.5),
        Computation("sum", Item(1), 8.5),
    ]
    plan = a_plan("9.5-(8.5/(1.5+2))")
    (first,) = plan.ready()
    links = chain_behind(plan, first)
    assert [link.asked for link in links] == [
        Computation("div", 8.5, Item(0)),
        Computation("sub", 9.5, Item(1)),
    ]


def test_no_more_links_are_offered_than_there_is_room_for_and_the_rest_goes_on_as_a_chain() -> None:
    """However short the rest is: it would come back to the master after each operation."""
    plan = a_plan("1.5+1+1+1+1+1+1", chain_from=6)
    (operation,) = plan.ready()
    assert len(chain_behind(plan, operation, 4)) == 4
    index: int | None = operation.index
    for _ in range(5):
        assert index is not None
        index = plan.complete(index, 1.5)
    assert index is not None
    assert plan.fusion.is_chain(index)


def test_an_operation_becomes_a_link_when_its_other_operand_is_known() -> None:
    """What waits for two results does not follow one; when the other has come, it does."""
    plan = a_plan("(1.5+2)+(3.5*4)+(5.5*6)+(7.5*8)")
    first, *others = plan.ready()
    assert links_behind(plan, [first]) == []
    for operation in others:
        plan.complete(operation.index, 1.0)
    assert len(links_behind(plan, [first])) == 3


def test_what_the_worker_does_not_take_does_not_follow_nor_does_what_waits_for_it() -> None:
    """A call may be for a worker that is dedicated to some of the operations."""
    plan = a_plan("1.5+2-3.5+8.5")
    assert [link.name for link in links_behind(plan, plan.ready(), takes={"sum", "sub"})] == [
        "sub",
        "sum",
    ]
    assert links_behind(plan, plan.ready(), takes={"sum", "mul"}) == []


def test_what_waits_for_two_operations_aboard_follows_both() -> None:
    """It refers to both, wherever in the call they are."""
    plan = a_plan("(1+2)*(3-4)/5")
    links = plan.fusion.links([operation.index for operation in plan.ready()], 7, 100, ALL_FOUR)
    assert [link.asked for link in links] == [
        Computation("mul", Item(7), Item(8)),
        Computation("div", Item(9), 5),
    ]


def test_a_whole_job_follows_all_that_is_ready_at_first() -> None:
    """Whatever its shape, each operation behind those that it waits for."""
    plan = a_plan("(1+2)*(3-4)/(5*(6+7)-8)+9")
    ready = plan.ready()
    links = links_behind(plan, ready)
    assert len(ready) + len(links) == len(plan)
    for item, link in enumerate(links, start=len(ready)):
        for operand in (link.asked.op1, link.asked.op2):
            assert not isinstance(operand, Item) or operand.item < item


@pytest.mark.parametrize("text", ["1.5+1+1/0", "2.5*(1-1)+0.5/(0*1)", "1.5+2.5-0.5/0.0", "1/2/0"])
def test_a_division_by_a_known_zero_is_no_link(text: str) -> None:
    """No worker is ever asked to divide by a zero that the master knows."""
    plan = a_plan(text, chain_from=2)
    for link in links_behind(plan, plan.ready()):
        assert not (link.name == "div" and link.operands[1] == 0)


def test_a_division_of_something_by_what_is_computed_is_a_link() -> None:
    """Whether that is zero nobody knows before the worker."""
    plan = a_plan("0/(1.5+2.5-4)")
    assert links_behind(plan, plan.ready())[-1].name == "div"


def test_chains_are_off_at_zero_and_never_for_short_jobs() -> None:
    """A short job is spread operation by operation."""
    text = "+".join(["1.5"] * 20)
    assert not a_plan(text, chain_from=0).fusion.may_have_chains
    assert not a_plan(text, chain_from=20).fusion.may_have_chains
    assert a_plan(text, chain_from=19).fusion.is_chain(0)


def test_a_job_computed_in_parts_of_any_size_ends_as_python_does() -> None:
    """Whatever travels together, the answer is the same, or the failure."""
    random = Random(4)
    for _ in range(1500):
        text = random_expression(random)
        assert exact(computed_in_parts(text, random)) == exact(oracle(text)), text[:200]


def computed_in_parts(text: str, random: Random) -> Number | str:
    """Compute `text` as workers that take links would; return the answer or the error's code."""
    plan = Plan(parse(text), balance_from=random.choice([0, 3]))
    trip, trace = Trip("w", 0.0, 0.0), WholeTrace(len(plan), 0.0)
    ready = plan.ready()
    while not plan.finished:
        random.shuffle(ready)
        count = random.randint(1, len(ready))
        asked, ready = ready[:count], ready[count:]
        links = links_behind(plan, asked, random.randint(0, 9))
        results: list[Result] = []
        steps: list[Operation | Link] = [*asked, *links]
        for step in steps:
            results.append(answered(step, results))
        indexes = [step.index for step in steps]
        came = list(zip(indexes, results, strict=True))
        ready += take_in([Arrival(came, len(asked), trip, 0.0)], plan, trace)
    if plan.failure is not None:
        return plan.failure[1].code
    assert plan.answer is not None
    return plan.answer


def answered(step: Operation | Link, before: Sequence[Result]) -> Result:
    """Return what comes for an item of a call, given what came for the items before it."""
    asked = (step.asked.op1, step.asked.op2) if isinstance(step, Link) else step.operands
    operands = [before[operand.item] if isinstance(operand, Item) else operand for operand in asked]
    failed = [operand for operand in operands if isinstance(operand, OperationFailed)]
    if failed:
        return failed[0]
    try:
        return compute(step.name, tuple(operands))  # type: ignore[arg-type]  # no failures here
    except OperationFailed as failure:
        return failure
