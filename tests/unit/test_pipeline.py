"""The pipeline: from a plan to its outcome, with whatever computes behind a lane."""

import asyncio
from collections.abc import Sequence
from random import Random

from engine.arithmetic import compute
from engine.errors import OperationFailed
from engine.exchange import Result
from engine.expression.parser import parse
from engine.job import Job, JobId, Operation, Outcome
from engine.pipeline import run
from engine.plan import Plan
from engine.trace import Arrival, Trip, WholeTrace
from engine.turns import PIECE
from tests.expressions import random_expression
from tests.traces import shown

TRIP = Trip("w1", 0.0, 0.0)


class QuickLane:
    """Has the result of an operation as soon as it is put; knows how many there were at most."""

    def __init__(self) -> None:
        self.most = 0
        self.put_in_all = 0
        self._arrivals: list[Arrival] = []

    async def put(self, operations: Sequence[Operation], since: float) -> None:
        """Compute at once."""
        self.put_in_all += len(operations)
        self._arrivals += [
            Arrival([(one.index, came_of(one))], 1, TRIP, since) for one in operations
        ]
        self.most = max(self.most, len(self._arrivals))

    @property
    def has_results(self) -> bool:
        """Whether something has not been returned."""
        return bool(self._arrivals)

    async def results(self) -> list[Arrival]:
        """Return a piece."""
        arrived = self._arrivals[:PIECE]
        del self._arrivals[:PIECE]
        return arrived

    def close(self) -> None:
        """Forget nothing."""


class WholeLane(QuickLane):
    """Has the results of all operations when the first are put: the others have followed them."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self._results = all_results(Plan(parse(task)))

    async def put(self, operations: Sequence[Operation], since: float) -> None:
        """Let all that has not been put follow these."""
        own = [(operation.index, came_of(operation)) for operation in operations]
        indexes = dict(own)
        along = [(index, came) for index, came in self._results.items() if index not in indexes]
        self._arrivals.append(Arrival([*own, *along], len(own), TRIP, since))


def came_of(operation: Operation) -> Result:
    """Return the result of an operation, or why it has none."""
    try:
        return compute(operation.name, operation.operands)
    except OperationFailed as failure:
        return failure


def all_results(plan: Plan) -> dict[int, Result]:
    """Return what comes of each operation that a worker is asked for.

    What waits for one that failed has its failure.
    """
    results: dict[int, Result] = {}
    ready = plan.ready()
    while ready:
        operation = ready.pop()
        index, result = operation.index, came_of(operation)
        results[index] = result
        following = plan.complete(index, result)
        if following is not None:
            ready.append(plan.operation(following))
        while isinstance(result, OperationFailed) and (waiting := plan.parent(index)) is not None:
            results[waiting], index = result, waiting
    return results


def outcome_of(task: str, lane: QuickLane, trace: WholeTrace | None = None) -> Outcome:
    """Return how a task ends."""
    plan = Plan(parse(task))
    job = Job(JobId(1), task, 0.0)
    trace = WholeTrace(len(plan), 0.0) if trace is None else trace
    return asyncio.run(run(job, plan, lane, trace, 0.0))


def test_a_job_that_comes_whole_ends_and_is_traced_as_one_that_comes_by_parts() -> None:
    """Whether it has an answer or fails: then with what Python would meet first."""
    random = Random(5)
    failed = 0
    for _ in range(500):
        task = random_expression(random)
        whole, by_parts = (WholeTrace(len(parse(task).names), 0.0) for _ in range(2))
        outcome = outcome_of(task, WholeLane(task), whole)
        assert outcome == outcome_of(task, QuickLane(), by_parts)
        failed += outcome.error is not None
        if outcome.error is None:
            assert shown(task, whole) == shown(task, by_parts)
    assert 0 < failed < 500


def test_what_comes_of_a_large_job_is_taken_in_while_it_is_handed_out() -> None:
    """Else the results of all that is ready would pile up until the last of it is put."""
    lane, count = QuickLane(), 50 * PIECE
    assert outcome_of("+".join(["2*3"] * count), lane).answer == 6 * count
    assert lane.most <= 2 * PIECE + 1


def test_nothing_more_of_a_job_is_handed_out_once_it_is_decided() -> None:
    """A division by zero ends it, however much is ready behind it."""
    lane = QuickLane()
    assert outcome_of("+".join(["1/0", *["2*3"] * (50 * PIECE)]), lane).error == "division_by_zero"
    assert lane.put_in_all < PIECE
