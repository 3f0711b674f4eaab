"""A call to a worker and the lanes of the jobs whose operations are aboard.

A lane is what one job has on its way: operations go in, and what came of them comes out, each once,
however many calls brought it. A call knows what it asks for, and which part of the answers is
whose.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Protocol

import msgspec

from engine.errors import ResultsWithdrawn
from engine.exchange import Result, Step
from engine.fusion import Fusion, Link
from engine.job import JobId, Operation
from engine.retry import Attempts
from engine.standing import Worker
from engine.trace import HISTORY, Arrival, FailedAttempt, Trip, UnderWay
from engine.turns import HANDING, PIECE, Turns

WOKEN_AT_ONCE = 256  # lanes that a call brings something for: with fewer, later calls carry fewer

Entry = tuple["Lane", Operation, float]  # a lane's operation, and since when it is ready
Load = list[Entry]


class Queue(Protocol):
    """Where the operations of a lane wait for a worker."""

    def enqueue(self, lane: "Lane", operations: Sequence[Operation], since: float) -> None:
        """Let operations of a lane wait for their turn."""
        ...

    def withdraw(self, lane: "Lane") -> None:
        """Take what a lane has waiting out of the queue, and forget the lane."""
        ...


class Lane:
    """What one job has on its way. Made by `Dispatcher.open`, used by the job's pipeline."""

    def __init__(
        self,
        job_id: JobId,
        queue: Queue,
        fusion: Fusion,
        turns: Turns,
        trace_parent: str | None = None,
    ) -> None:
        self.job_id = job_id
        self.fusion = fusion
        self.trace_parent = trace_parent
        self.is_new = True  # nothing was put yet
        self.attempts: dict[int, Attempts] = {}  # of what failed or was aboard at a death
        self.failed: dict[int, tuple[FailedAttempt, ...]] = {}  # and what is told of it
        self._queue = queue
        self._turns = turns
        self._awaited = bytearray(len(fusion))  # 1 for an operation whose result is wanted
        # Of a large job that may be much, and is taken off in pieces; a list is quicker for a few.
        self._arrived: list[Arrival] | deque[Arrival] = deque() if len(fusion) >= PIECE else []
        self._arrival: asyncio.Future[None] | None = None
        self._is_spoilt = False

    async def put(self, operations: Sequence[Operation], since: float) -> None:
        """Hand in operations to be computed, and since when they are ready.

        All in one turn: what becomes ready together can travel together.
        """
        if len(operations) >= PIECE:
            await self._turns.take(len(operations) // HANDING)
            self._refuse_if_spoilt()
        for operation in operations:
            self._awaited[operation.index] = 1
        self._queue.enqueue(self, operations, since)

    @property
    def has_results(self) -> bool:
        """Whether something came back."""
        return bool(self._arrived)

    async def results(self) -> Sequence[Arrival]:
        """Wait until something came back, and return it, each operation that was put once.

        Of much that came, the first part is returned, in a turn that has room for it: whole calls,
        since what followed others aboard stands behind the last of those. Raises `ResultsWithdrawn`
        when what came before cannot be believed any more.
        """
        if not self._arrived:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        arrived = self._arrived
        if isinstance(arrived, list):  # of a small job: it fits into any turn
            self._refuse_if_spoilt()
            self._arrived = []
            return arrived
        part, results = self._first_part(arrived)
        if results >= PIECE:
            await self._turns.take(results)
        self._refuse_if_spoilt()
        return [arrived.popleft() for _ in range(part)]

    @staticmethod
    def _first_part(arrived: Iterable[Arrival]) -> tuple[int, int]:
        """Return how much of what came is to be taken in first, and how many results that is."""
        part = results = 0
        trip = None
        for arrival in arrived:
            if results >= PIECE and arrival.trip is not trip:
                break
            part += 1
            results += len(arrival.results)
            trip = arrival.trip
        return part, results

    def _refuse_if_spoilt(self) -> None:
        if self._is_spoilt:
            raise ResultsWithdrawn("it used results of a worker that was found lying")

    def close(self) -> None:
        """Forget what has not come back: its replies will be let go."""
        self._queue.withdraw(self)
        self._awaited = bytearray(len(self._awaited))

    def spoil(self) -> None:
        """Let the job start afresh: what it was given cannot be believed any more."""
        self.close()
        self._is_spoilt = True
        self._wake()

    def awaits(self, operation: Operation) -> bool:
        """Return whether the result of `operation` is still wanted."""
        return self._awaited[operation.index] == 1

    def deliver(self, arrival: Arrival) -> None:
        """Take results in, but those that came before, or that nobody waits for any more.

        What followed others comes with the last of those, or not at all.
        """
        awaited, put = self._awaited, arrival.put
        own = arrival.results[:put]
        wanted = [came for came in own if awaited[came[0]]]
        if not wanted:
            return
        for index, _ in wanted:
            awaited[index] = 0
        if len(wanted) < put:
            followed = arrival.results[put:] if wanted[-1] is own[-1] else ()
            arrival = Arrival((*wanted, *followed), len(wanted), arrival.trip, arrival.since)
        self._arrived.append(arrival)
        self._wake()

    def deliver_alone(self, operation: Operation, result: Result, trip: Trip, since: float) -> None:
        """Take in what came of one operation, told with what was tried before."""
        own = self.with_history(trip, operation)
        self.deliver(Arrival([(operation.index, result)], 1, own, since))

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def remember(self, operation: Operation, failed: FailedAttempt) -> None:
        """Keep an attempt that failed, to be told with the operation: the latest of them."""
        before = self.failed.get(operation.index, ())
        self.failed[operation.index] = (*before, failed)[-HISTORY:]

    def with_history(self, trip: Trip, operation: Operation) -> Trip:
        """Return a trip that brought `operation`, with the attempts that failed before it."""
        failed = self.failed.get(operation.index)
        return trip if failed is None else msgspec.structs.replace(trip, failed=failed)

    def waiting_again(self, entries: Iterable[Entry]) -> Iterator[UnderWay]:
        """Iterate over those of `entries` that are this lane's and still awaited."""
        for lane, operation, since in entries:
            if lane is self and lane.awaits(operation):
                failed = self.failed.get(operation.index, ())
                yield UnderWay(operation, since, failed=failed)


class Call:
    """One call that is on its way to a worker, with the operations aboard.

    The load begins with `retries` operations that were tried before.
    """

    __slots__ = ("hedged", "is_quick", "load", "retries", "runs", "sent_at", "steps", "worker")

    def __init__(self, worker: Worker, load: Load, retries: int, sent_at: float) -> None:
        self.worker = worker
        self.load = load
        self.retries = retries
        self.sent_at = sent_at
        self.hedged = False
        self.is_quick = False  # as its worker is, when it is sent
        self.steps: list[Step] = [operation for _, operation, _ in load]
        # With links aboard: runs of the load, each of what became ready together in one lane, by
        # how many are in it and how many steps that is. The links of a run stand behind it.
        self.runs: list[tuple[int, int]] = []

    def take_chains_aboard(self, limit: int) -> None:
        """Let what waits in a long chain follow, up to `limit` operations in all."""
        room, takes = limit - len(self.load), self.worker.operations
        self.steps, self.runs = [], []
        for place, (lane, operation, _) in enumerate(self.load):
            links: list[Link] = []
            fusion = lane.fusion
            if (
                place >= self.retries
                and fusion.may_have_chains
                and fusion.is_chain(operation.index)
            ):
                links = fusion.chain(operation.index, len(self.steps), room, takes)
                room -= len(links)
            self.runs.append((1, 1 + len(links)))
            self.steps.append(operation)
            self.steps += links

    def take_all_aboard(self, limit: int) -> None:
        """Let whatever waits only for what is aboard follow, up to `limit` operations in all.

        What was tried before has nothing that follows: one of those may have been the reason.
        """
        room, takes = limit - len(self.load), self.worker.operations
        self.steps = self.steps[: self.retries]
        self.runs = [(1, 1)] * self.retries
        for lane, entries in groupby(self.load[self.retries :], key=itemgetter(0)):
            run = list(entries)
            ready = [operation for _, operation, _ in run]
            indexes = [operation.index for operation in ready]
            links = lane.fusion.links(indexes, len(self.steps), room, takes)
            room -= len(links)
            self.steps += ready
            self.steps += links
            count = len(run)
            if run[0][2] != run[-1][2]:  # they became ready one after the other
                self.runs += [(1, 1)] * (count - 1)
                count = 1
            self.runs.append((count, count + len(links)))

    def context(self) -> dict[str, str]:
        """Return the trace context of the only job that has operations aboard.

        A call for several jobs belongs to no trace, and goes without.
        """
        lane = self.load[0][0]
        if lane.trace_parent is None or any(entry[0] is not lane for entry in self.load):
            return {}
        return {"trace_parent": lane.trace_parent}

    def links(self) -> Iterator[tuple[Lane, Link]]:
        """Iterate over the operations that only travel along, and whose they are."""
        if self.runs:
            for (lane, _, _), steps in zip(self.load, self._portions(), strict=True):
                for link in steps[1:]:
                    assert isinstance(link, Link)  # noqa: S101  # the load is the others
                    yield lane, link

    def under_way(self, lane: Lane) -> Iterator[UnderWay]:
        """Iterate over what a lane has aboard, the links too."""
        for (owner, operation, since), aboard in zip(self.load, self._portions(), strict=True):
            if owner is lane and lane.awaits(operation):
                failed = lane.failed.get(operation.index, ())
                for step in aboard:
                    yield UnderWay(step, since, self.worker.name, self.sent_at, failed)

    async def deliver(self, results: list[Result], trip: Trip) -> None:
        """Give each lane all that came for it, some lanes in each turn: in the next, jobs go on.

        Lanes that have been closed by then let go what they are given.
        """
        came: dict[Lane, list[Arrival]] = {}
        for lane, arrival in self.arrivals(results, trip):
            came.setdefault(lane, []).append(arrival)
        for count, (lane, arrivals) in enumerate(came.items(), start=1):
            for arrival in arrivals:
                lane.deliver(arrival)
            if count % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    def arrivals(self, results: list[Result], trip: Trip) -> Iterator[tuple[Lane, Arrival]]:
        """Yield what came for each lane: run by run. What was tried before has its history."""
        came = list(zip([step.index for step in self.steps], results, strict=True))
        place = begin = 0
        for count, span in self.runs or self._runs():
            lane, operation, since = self.load[place]
            place, end = place + count, begin + span
            own = lane.with_history(trip, operation) if place <= self.retries else trip
            yield lane, Arrival(came[begin:end], count, own, since)
            begin = end

    def _runs(self) -> list[tuple[int, int]]:
        """Return the runs of a load that nothing follows."""
        fresh = groupby(self.load[self.retries :], key=itemgetter(0, 2))
        counts = [len(list(entries)) for _, entries in fresh]
        return [(1, 1)] * self.retries + [(count, count) for count in counts]

    def _portions(self) -> Iterator[list[Step]]:
        """Iterate over the steps that begin with each of the load."""
        following = iter(self.steps)
        for count, span in self.runs or self._runs():
            for place in range(count):
                yield list(islice(following, 1 if place < count - 1 else span - place))
