"""What one job has on its way; the dispatcher around it is tested in `tests/simulation`."""

import asyncio
from collections.abc import Sequence

from engine.calls import Lane
from engine.fusion import Fusion
from engine.job import JobId, Operation
from engine.trace import Trip
from tests.builders import an_operation

FIRST, SECOND = Trip("w1", 1.0, 2.0), Trip("w2", 1.0, 3.0)


class Nowhere:
    """A queue that takes everything and hands nothing out."""

    def enqueue(self, lane: Lane, operations: Sequence[Operation], since: float) -> None:
        """Take operations."""

    def withdraw(self, lane: Lane) -> None:
        """Forget a lane."""


def a_lane(*operations: Operation) -> Lane:
    """Return a lane that awaits these operations."""
    lane = Lane(JobId(1), Nowhere(), Fusion([], [], [], [], 0))
    lane.put(operations, 0.0)
    return lane


def test_of_two_answers_to_an_operation_the_first_one_counts() -> None:
    """Whichever copy of it is quicker: a plan takes each result once."""
    operation = an_operation()
    lane = a_lane(operation)
    lane.deliver(operation, 3, FIRST, 0.0)
    lane.deliver(operation, 3, SECOND, 0.0)
    assert asyncio.run(lane.results()) == [(operation, 3, FIRST, 0.0)]


def test_what_a_closed_lane_awaited_is_let_go() -> None:
    """Its job has ended: cancelled, say."""
    operation = an_operation()
    lane = a_lane(operation)
    lane.close()
    assert not lane.awaits(operation)
