"""The pipeline: from a plan to its outcome, with whatever computes behind a lane."""

import asyncio
from collections.abc import Sequence

from engine.arithmetic import compute
from engine.expression.parser import parse
from engine.job import Job, JobId, Operation, Outcome
from engine.pipeline import run
from engine.plan import Plan
from engine.trace import Arrival, Trip, WholeTrace
from engine.turns import PIECE

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
            (one, compute(one.name, one.operands), TRIP, since) for one in operations
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


def outcome_of(task: str, lane: QuickLane) -> Outcome:
    """Return how a task ends."""
    plan = Plan(parse(task))
    job = Job(JobId(1), task, 0.0)
    return asyncio.run(run(job, plan, lane, WholeTrace(len(plan), 0.0), 0.0))


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
