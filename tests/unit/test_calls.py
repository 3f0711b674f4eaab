"""What a job has on its way; the dispatcher as a whole is tested in `tests/simulation`."""

import asyncio
from collections.abc import Sequence

import pytest

from engine.calls import WOKEN_AT_ONCE, Call, Lane
from engine.errors import ResultsWithdrawn
from engine.expression.parser import parse
from engine.fusion import Fusion
from engine.job import JobId, Operation
from engine.plan import Plan
from engine.standing import Abilities, Worker, WorkerKey
from engine.trace import Arrival, FailedAttempt, Trip
from engine.turns import LINGER, PIECE, ROOM, SHORT_ROOM, Turns
from tests.builders import an_operation, operations

FIRST, SECOND = Trip("w1", 1.0, 2.0), Trip("w2", 1.0, 3.0)


class NoQueue:
    """A queue that takes everything and does nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def enqueue(self, lane: Lane, operations: Sequence[Operation], since: float) -> None:
        """Take operations."""
        self.sizes.append(len(operations))

    def withdraw(self, lane: Lane) -> None:
        """Forget a lane."""


def a_fusion(operations: int) -> Fusion:
    """Return what can travel together of a job with so many operations."""
    return Plan(parse("1" + "+2" * operations)).fusion


async def a_lane(*operations: Operation, queue: NoQueue | None = None) -> Lane:
    """Return a lane that awaits these operations."""
    lane = Lane(JobId(1), queue or NoQueue(), a_fusion(len(operations)), Turns())
    await lane.put(operations, 0.0)
    return lane


def test_of_two_answers_to_an_operation_the_first_one_counts() -> None:
    """Whichever copy of it is quicker: a plan takes each result once."""

    async def main() -> None:
        operation = an_operation()
        lane = await a_lane(operation)
        lane.deliver_alone(operation, 3, FIRST, 0.0)
        lane.deliver_alone(operation, 3, SECOND, 0.0)
        assert await lane.results() == [Arrival([(operation.index, 3)], 1, FIRST, 0.0)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("before", "came"), [(0, [(1, 3), (2, 5), (3, 8)]), (1, [(0, 3)])], ids=["first", "last"]
)
def test_what_followed_others_comes_with_the_last_of_them_or_not_at_all(
    before: int, came: list[tuple[int, int]]
) -> None:
    """If that one came before, what it made ready was put by then, and is on its way itself."""

    async def main() -> None:
        two = operations(2)
        lane = await a_lane(*two, *operations(4)[2:])
        lane.deliver_alone(two[before], 3, FIRST, 0.0)
        lane.deliver(Arrival([(0, 3), (1, 3), (2, 5), (3, 8)], 2, SECOND, 0.0))
        _, second = await lane.results()
        assert (list(second.results), second.put) == (came, 1)

    asyncio.run(main())


ALL_FOUR = Abilities(frozenset({"sum", "sub", "mul", "div"}))


def a_call(*load: tuple[Lane, Operation, float], retries: int = 0) -> Call:
    """Return a call that carries a load."""
    return Call(Worker(WorkerKey("w1", "http://w1"), ALL_FOUR, 0.0), list(load), retries, 1.0)


async def a_planned_lane(job_id: int, task: str) -> tuple[Lane, list[Operation]]:
    """Return a lane that awaits what is ready in a task, and those operations."""
    plan = Plan(parse(task))
    lane, ready = Lane(JobId(job_id), NoQueue(), plan.fusion, Turns()), plan.ready()
    await lane.put(ready, 0.0)
    return lane, ready


def test_what_became_ready_together_comes_together_with_what_followed_it() -> None:
    """Job by job; in a call that took all aboard and in one that did not."""

    async def main() -> None:
        one, (a, b) = await a_planned_lane(1, "(1+2)*(3-4)/5")
        other, (c,) = await a_planned_lane(2, "6+7")
        call = a_call((one, a, 0.0), (one, b, 0.0), (other, c, 0.5))
        plain = list(call.arrivals([3, -1, 13], FIRST))
        assert plain == [
            (one, Arrival([(0, 3), (1, -1)], 2, FIRST, 0.0)),
            (other, Arrival([(0, 13)], 1, FIRST, 0.5)),
        ]
        call.take_all_aboard(10)
        whole = list(call.arrivals([3, -1, -3, -0.6, 13], FIRST))
        assert whole == [
            (one, Arrival([(0, 3), (1, -1), (2, -3), (3, -0.6)], 2, FIRST, 0.0)),
            (other, Arrival([(0, 13)], 1, FIRST, 0.5)),
        ]

    asyncio.run(main())


def test_what_became_ready_one_after_the_other_comes_apart_and_what_followed_with_the_last() -> (
    None
):
    """So that of each is known how long it waited, and of a retry what was tried before."""

    async def main() -> None:
        one, (a, b) = await a_planned_lane(1, "(1+2)*(3-4)/5")
        call = a_call((one, a, 0.0), (one, b, 0.5))
        apart = [Arrival([(0, 3)], 1, FIRST, 0.0), Arrival([(1, -1)], 1, FIRST, 0.5)]
        assert [arrival for _, arrival in call.arrivals([3, -1], FIRST)] == apart
        call.take_all_aboard(10)
        last = Arrival([(1, -1), (2, -3), (3, -0.6)], 1, FIRST, 0.5)
        arrivals = [arrival for _, arrival in call.arrivals([3, -1, -3, -0.6], FIRST)]
        assert arrivals == [apart[0], last]
        failed = FailedAttempt("w2", "unreachable")
        one.remember(a, failed)
        again = a_call((one, a, 0.0), (one, b, 0.0), retries=1)
        trips = [arrival.trip for _, arrival in again.arrivals([3, -1], FIRST)]
        assert [trip.failed for trip in trips] == [(failed,), ()]

    asyncio.run(main())


def test_what_a_closed_lane_awaited_is_let_go() -> None:
    """Its job has ended: cancelled, say."""

    async def main() -> None:
        operation = an_operation()
        lane = await a_lane(operation)
        lane.close()
        assert not lane.awaits(operation)

    asyncio.run(main())


def test_what_becomes_ready_together_is_put_together() -> None:
    """Apart it would travel in several calls, and a sum would take more rounds than it need."""

    async def main() -> None:
        queue = NoQueue()
        await a_lane(*operations(5 * PIECE + 1), queue=queue)
        assert queue.sizes == [5 * PIECE + 1]

    asyncio.run(main())


def test_much_is_put_in_a_turn_that_has_room_for_it_unless_a_lie_is_known_by_then() -> None:
    """So that no turn of the loop is long, however many jobs go on in it."""

    async def main() -> None:
        turns, queue, many = Turns(), NoQueue(), operations(PIECE)
        lane = Lane(JobId(1), queue, a_fusion(len(many)), turns)
        await turns.take(ROOM)
        other = asyncio.ensure_future(turns.take(ROOM))  # and another one's comes first
        waiting = asyncio.ensure_future(lane.put(many, 0.0))
        await asyncio.sleep(0)
        lane.spoil()
        await other
        with pytest.raises(ResultsWithdrawn):
            await waiting
        assert not queue.sizes

    asyncio.run(main())


def test_much_comes_back_in_pieces_and_nothing_is_lost() -> None:
    """So that no turn of the loop is long, however large a job is."""

    async def main() -> None:
        many = operations(5 * PIECE + 1)
        lane = await a_lane(*many)
        for operation in many:
            lane.deliver_alone(operation, 3, Trip("w1", 1.0, 2.0), 0.0)
        came: list[int] = []
        while len(came) < len(many):
            arrived = await lane.results()
            assert len(arrived) <= PIECE
            came += [index for arrival in arrived for index, _ in arrival.results]
        assert came == [operation.index for operation in many]

    asyncio.run(main())


def test_what_one_call_brought_comes_in_one_piece() -> None:
    """What followed others aboard stands behind the last of those, and they belong before it."""

    async def main() -> None:
        many = operations(5 * PIECE)
        lane = await a_lane(*many)
        for operation in many:
            trip = SECOND if 10 <= operation.index < 3 * PIECE else Trip("w1", 1.0, 2.0)
            lane.deliver_alone(operation, 3, trip, 0.0)
        sizes: list[int] = []
        while sum(sizes) < len(many):
            sizes.append(len(await lane.results()))
        assert sizes == [3 * PIECE, PIECE, PIECE]

    asyncio.run(main())


def test_nothing_that_came_is_used_once_a_lie_is_known_though_it_waits_for_its_turn() -> None:
    """The last piece could end the job, and an end never changes."""

    async def main() -> None:
        turns, many = Turns(), operations(PIECE)
        lane = Lane(JobId(1), NoQueue(), a_fusion(len(many)), turns)
        await lane.put(many, 0.0)
        for operation in many:
            lane.deliver_alone(operation, 3, FIRST, 0.0)
        await turns.take(ROOM)
        other = asyncio.ensure_future(turns.take(ROOM))  # and another one's comes first
        waiting = asyncio.ensure_future(lane.results())
        await asyncio.sleep(0)
        lane.spoil()
        await other
        with pytest.raises(ResultsWithdrawn):
            await waiting

    asyncio.run(main())


def test_of_many_jobs_that_a_call_has_results_for_some_go_on_in_each_turn() -> None:
    """Each has little to do then, but all of them together would hold everybody else up."""

    async def main() -> None:
        two = operations(2)
        lanes = [await a_lane(*two) for _ in range(2 * WOKEN_AT_ONCE + 1)]
        # As a fair queue gives them: one of each, and then another one of each.
        call = a_call(*((lane, operation, 0.0) for operation in two for lane in lanes))
        jobs = [asyncio.ensure_future(lane.results()) for lane in lanes]
        await asyncio.sleep(0)
        delivering = asyncio.ensure_future(call.deliver([3] * (2 * len(lanes)), FIRST))
        woken = {0}
        while not delivering.done() or max(woken) < len(lanes):
            await asyncio.sleep(0)
            woken.add(sum(job.done() for job in jobs))
        assert sorted(woken) == [0, WOKEN_AT_ONCE, 2 * WOKEN_AT_ONCE, len(lanes)]
        for job in jobs:  # all of a lane comes at once: what follows others stands behind them
            assert [index for came in job.result() for index, _ in came.results] == [0, 1]

    asyncio.run(main())


def turns_until(count: int, cost: int, turns: Turns | None = None) -> list[int]:
    """Return in which turn of the loop each of `count` pieces found room."""
    turns = turns or Turns()

    async def main() -> list[int]:
        turn, found = 0, [-1] * count

        async def find(which: int) -> None:
            await turns.take(cost)
            found[which] = turn

        tasks = [asyncio.ensure_future(find(which)) for which in range(count)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            turn += 1
        return found

    return asyncio.run(main())


def test_pieces_that_exceed_the_room_of_a_turn_wait_for_the_next_one_in_their_order() -> None:
    """As many as have room together are done in one turn."""
    fit = ROOM // PIECE
    found = turns_until(4 * fit, PIECE)
    assert found == sorted(found)
    assert max(found.count(turn) for turn in found) == fit


def test_a_piece_larger_than_all_room_has_a_turn_to_itself() -> None:
    """It is not turned away, and nothing else is done beside it."""
    assert len(set(turns_until(3, ROOM + 1))) == 3


def test_who_was_cancelled_while_it_waited_takes_no_room() -> None:
    """And does not hold up those behind it."""

    async def main() -> None:
        turns = Turns()
        await turns.take(ROOM)
        gone, stays = (asyncio.ensure_future(turns.take(ROOM)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await stays

    asyncio.run(main())


def test_a_turn_has_less_room_while_somebody_hurries() -> None:
    """From the next turn on, until the last of them is through, and for a while after that."""

    def most_in_a_turn(turns: Turns) -> int:
        found = turns_until(3 * ROOM, 1, turns)
        return max(found.count(turn) for turn in found if turn > found[0])

    turns = Turns()
    assert most_in_a_turn(turns) == ROOM
    with turns.hurrying(), turns.hurrying():
        assert most_in_a_turn(turns) == SHORT_ROOM
    assert most_in_a_turn(turns) == SHORT_ROOM
    turns_until(LINGER, ROOM, turns)
    assert most_in_a_turn(turns) == ROOM
