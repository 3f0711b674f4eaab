"""What happened to the operations of a job, for those who ask later. Pure.

What a job *is* follows from its text, so a trace keeps only what happened: for each operation its
result and the `Trip` that brought it, which all operations of a call share. The rest is put
together when somebody asks, from a plan that is made anew.

A job of more than `WHOLE_UP_TO` operations keeps sums and a sample: the first, the last and the
slowest operations, and those that did not go smoothly.

Putting it together takes tens of milliseconds, so it is a generator that pauses after each piece:
what it tells is as it was when it began, whatever comes in between.

Hundreds of thousands of operations are kept, in forms that the collector of reference cycles does
not look into: records that say so, and dictionaries of nothing but such and numbers.
"""

import heapq
from collections import Counter, OrderedDict, deque
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import NamedTuple, cast

import msgspec

from engine.errors import OperationFailed
from engine.exchange import Result
from engine.fusion import Link
from engine.job import JobId, Number, Operation
from engine.messages import AttemptShown, OperationShown, OperationsSummary
from engine.plan import Plan

WHOLE_UP_TO = 1_000  # operations: more make no picture that anybody could read
SHARE = WHOLE_UP_TO // 4  # of the sample, for each of its four parts
PIECE = 100  # operations that are put together between two pauses: some 2 ms
COST_OF_A_TRACE = 4  # what an empty trace takes, in operations
HISTORY = 20  # failed attempts of one operation that are kept: the latest


class FailedAttempt(msgspec.Struct, frozen=True, gc=False):
    """A try that brought no result: at which worker, and the reason code of its failure."""

    worker: str
    reason: str


class Trip(msgspec.Struct, frozen=True, gc=False):
    """A call, as far as the operations aboard are concerned. Times are monotonic seconds.

    `computing_s` is the part of each operation in what the worker took, if it told that.
    `failed` are the attempts before this one, of the one operation that such a trip is of; a
    `reason` says that this one failed too, and was the last.
    """

    worker: str
    sent_at: float
    replied_at: float
    computing_s: float | None = None
    failed: tuple[FailedAttempt, ...] = ()
    reason: str | None = None


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What a call brought for one job: of some operations, by their indexes, the results.

    The first `put` of them had been put, and were ready `since` then; the others followed them.
    """

    results: Sequence[tuple[int, Result]]
    put: int
    trip: Trip
    since: float


class UnderWay(NamedTuple):
    """An operation that waits for a worker since a time, or was sent to `worker` at `sent_at`."""

    step: Operation | Link
    since: float
    worker: str | None = None
    sent_at: float = 0.0
    failed: tuple[FailedAttempt, ...] = ()


class Shown(NamedTuple):
    """What a trace tells: some operations, in the order of their indexes, and of all the sums."""

    operations: list[OperationShown]
    critical_path: list[int]
    summary: OperationsSummary


Telling = Generator[None, None, Shown]  # pauses, and what is told in the end


class WholeTrace(msgspec.Struct, gc=False):
    """Everything about the `operations` of a job that is not large; it began at a time."""

    operations: int
    began_at: float
    results: dict[int, Result] = {}
    trips: dict[int, Trip] = {}
    only_trip: Trip | None = None  # if one brought all results

    def __len__(self) -> int:
        """Return how many operations the job has."""
        return self.operations

    @property
    def cost(self) -> int:
        """Its memory, in operations."""
        return self.operations + COST_OF_A_TRACE

    def came(self, index: int, result: Result, trip: Trip, _since: float) -> None:
        """Take a result that the plan is yet to be told.

        With the trip that brought it, and since when the operation was ready.
        """
        self.results[index] = result
        self.trips[index] = trip

    def came_whole(self, results: dict[int, Result], arrived: Sequence[Arrival]) -> None:
        """Take the results of all operations at once, with what brought them."""
        self.results = results
        if len(arrived) == 1:
            self.only_trip = arrived[0].trip
        else:
            self.trips = {index: one.trip for one in arrived for index, _ in one.results}

    def refused(self, operation: Operation, failure: OperationFailed, _since: float) -> None:
        """Take the failure of an operation that no worker was asked for."""
        self.results[operation.index] = failure

    def end(self) -> None:
        """Take nothing more."""

    def shown(self, plan: Plan, under_way: Iterable[UnderWay]) -> Telling:
        """Tell of all operations; `plan` is a fresh one of the job, and is used up."""
        results, trips = self.results.copy(), self.trips.copy()
        if self.only_trip is not None:
            trips = dict.fromkeys(results, self.only_trip)
        waiting: dict[int, UnderWay] = {}
        for entry in under_way:
            waiting.setdefault(entry.step.index, entry)
        yield
        operands = _replayed(plan, results)
        yield
        children = _children(plan)
        critical_path = _critical_path(children, trips)
        operations = []
        for index in range(len(plan)):
            if index % PIECE == 0:
                yield
            shown = _planned(plan, index, operands.get(index) or plan.operands(index))
            result = results.get(index)
            if result is not None:
                since = self._ready_at(children[index], trips)
                _finish(shown, result, trips.get(index), since, self.began_at)
            elif index in waiting:
                _set_off(shown, waiting[index], self.began_at)
            operations.append(shown)
        return Shown(operations, critical_path, _summed(operations))

    def _ready_at(self, children: list[int], trips: dict[int, Trip]) -> float:
        came = [trips[child].replied_at for child in children if child in trips]
        return max(came, default=self.began_at)


class _Entry(msgspec.Struct, frozen=True, gc=False):
    operation: Operation
    result: Result
    trip: Trip | None
    since: float


Operands = tuple[Number, ...]

# What came of an operation of a large job: how long it took since it was ready, its index and
# operands, its result, the trip that brought it, and since when it was ready.
_Came = tuple[float, int, tuple[Number | None, ...], Result, Trip | None, float]
NO_TRIP = Trip("", 0.0, 0.0)


class SampledTrace:
    """Sums over the operations of a large job, and a few of them."""

    cost = WHOLE_UP_TO + COST_OF_A_TRACE  # its memory, in operations

    def __init__(self, plan: Plan, began_at: float) -> None:
        self._plan: Plan | None = plan
        self._operations = len(plan)
        self.began_at = began_at
        self._kept: dict[int, _Entry] = {}  # the sample, when the job has ended
        self._parents: dict[int, int | None] = {}  # of its operations
        self._first: list[_Came] = []
        self._last: deque[_Came] = deque(maxlen=SHARE)
        self._slowest: list[_Came] = []  # a heap, the quickest on top
        self._rough: list[_Came] = []
        self._queued_s = self._on_the_way_s = self._computing_s = 0.0
        self._attempts = 0
        self._workers: Counter[str] = Counter()
        # What came by one trip is summed up when the next one comes.
        self._trip = NO_TRIP
        self._by_trip = 0

    def __len__(self) -> int:
        """Return how many operations the job has."""
        return self._operations

    def came(self, index: int, result: Result, trip: Trip, since: float) -> None:
        """Take a result that the plan is yet to be told."""
        assert self._plan is not None  # noqa: S101  # nothing comes after the end
        if trip is not self._trip:
            self._sum_up()
            self._trip = trip
        self._by_trip += 1
        self._queued_s += trip.sent_at - since
        took_s = trip.replied_at - since
        came = (took_s, index, self._plan.operands(index), result, trip, since)
        self._keep(came, result)
        if len(self._slowest) < SHARE:
            heapq.heappush(self._slowest, came)
        elif took_s > self._slowest[0][0]:
            heapq.heapreplace(self._slowest, came)
        if trip.failed:
            self._keep_rough(came)

    def refused(self, operation: Operation, failure: OperationFailed, since: float) -> None:
        """Take the failure of an operation that no worker was asked for."""
        self._keep((0.0, operation.index, operation.operands, failure, None, since), failure)

    def _keep(self, came: _Came, result: Result) -> None:
        if len(self._first) < SHARE:
            self._first.append(came)
        else:
            self._last.append(came)
        if isinstance(result, OperationFailed):
            self._keep_rough(came)

    def _keep_rough(self, came: _Came) -> None:
        if len(self._rough) < SHARE:
            self._rough.append(came)

    def _sum_up(self) -> None:
        trip, count = self._trip, self._by_trip
        if count:
            self._on_the_way_s += count * (trip.replied_at - trip.sent_at)
            self._computing_s += count * (trip.computing_s or 0.0)
            self._attempts += count * (1 + len(trip.failed))
            self._workers[trip.worker] += count
        self._by_trip = 0

    def _entries(self) -> dict[int, _Entry]:
        plan = self._plan
        if plan is None:
            return self._kept
        return {
            index: _Entry(
                Operation(index, plan.names[index], cast(Operands, operands), plan.columns[index]),
                result,
                trip,
                since,
            )
            for _, index, operands, result, trip, since in (
                *self._first,
                *self._last,
                *self._slowest,
                *self._rough,
            )
        }

    def end(self) -> None:
        """Let go of the plan, which is large, and of what leads to it."""
        assert self._plan is not None  # noqa: S101  # a trace ends once
        self._kept = self._entries()
        self._parents = {index: self._plan.parent(index) for index in self._kept}
        self._plan = None
        self._first.clear()
        self._last.clear()
        self._slowest.clear()
        self._rough.clear()

    def shown(self, under_way: Iterable[UnderWay]) -> Telling:
        """Tell of the sample, and of some of what has not come back."""
        summary = self._summary()
        came = self._entries()
        waiting = {entry.step.index: entry for entry in islice(under_way, SHARE)}
        parents = {index: self._parent(index) for index in (came.keys() | waiting.keys())}
        operations = []
        for place, index in enumerate(sorted(parents)):
            if place % PIECE == 0:
                yield
            if index in came:
                entry = came[index]
                shown = _of(entry.operation, parents[index])
                _finish(shown, entry.result, entry.trip, entry.since, self.began_at)
            else:
                shown = _of(waiting[index].step, parents[index])
                _set_off(shown, waiting[index], self.began_at)
            operations.append(shown)
        return Shown(operations, [], summary)

    def _summary(self) -> OperationsSummary:
        self._sum_up()
        return OperationsSummary(
            queued_s=round(self._queued_s, 6),
            on_the_way_s=round(self._on_the_way_s, 6),
            computing_s=round(self._computing_s, 9) if self._computing_s else None,
            attempts=self._attempts,
            workers=dict(self._workers),
        )

    def _parent(self, index: int) -> int | None:
        return self._parents.get(index) if self._plan is None else self._plan.parent(index)


Trace = WholeTrace | SampledTrace


class Traces:
    """The traces of the jobs that run, and of the latest that have ended.

    Of those, as many are kept as have `limit` operations together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: dict[JobId, Trace] = {}
        self._ended: OrderedDict[JobId, Trace] = OrderedDict()
        self._cost = 0  # of the ended ones

    def begin(self, job_id: JobId, plan: Plan, now: float) -> Trace:
        """Return a new trace for a job that is about to run."""
        operations = len(plan)
        trace: Trace
        if operations <= WHOLE_UP_TO:
            trace = WholeTrace(operations, now)
        else:
            trace = SampledTrace(plan, now)
        self._running[job_id] = trace
        self.drop(job_id)  # if it starts afresh
        return trace

    def end(self, job_id: JobId) -> None:
        """Let the trace of a job be one of the ended: the oldest of them make room."""
        trace = self._running.pop(job_id)
        trace.end()
        self._ended[job_id] = trace
        self._cost += trace.cost
        while self._cost > self._limit:
            self._cost -= self._ended.popitem(last=False)[1].cost

    def drop(self, job_id: JobId) -> None:
        """Keep nothing of a job that has ended."""
        trace = self._ended.pop(job_id, None)
        if trace is not None:
            self._cost -= trace.cost

    def get(self, job_id: JobId) -> Trace | None:
        """Return the trace of a job, or `None` if there is none, or none any more."""
        running = self._running.get(job_id)
        return self._ended.get(job_id) if running is None else running


def _replayed(plan: Plan, results: dict[int, Result]) -> dict[int, tuple[Number, ...]]:
    """Complete in `plan` what was computed; return the operands of what became ready."""
    ready = plan.ready()
    operands: dict[int, tuple[Number, ...]] = {}
    while ready:
        operation = ready.pop()
        operands[operation.index] = operation.operands
        result = results.get(operation.index)
        if isinstance(result, int | float):
            following = plan.complete(operation.index, result)
            if following is not None:
                ready.append(plan.operation(following))
    operands |= {operation.index: operation.operands for operation, _ in plan.refused}
    return operands


def _children(plan: Plan) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in range(len(plan))]
    for index in range(len(plan)):
        parent = plan.parent(index)
        if parent is not None:
            children[parent].append(index)
    return children


def _critical_path(children: list[list[int]], trips: dict[int, Trip]) -> list[int]:
    """Return what the latest operation waited for: going back, what came last at each."""
    ends = [trips[index].replied_at if index in trips else -1.0 for index in range(len(children))]

    def came_at(index: int) -> tuple[float, int]:
        return ends[index], index

    path: list[int] = []
    candidates = [index for index, end in enumerate(ends) if end >= 0]
    while candidates:
        path.append(max(candidates, key=came_at))
        candidates = [index for index in children[path[-1]] if ends[index] >= 0]
    return path[::-1]


def _summed(operations: Iterable[OperationShown]) -> OperationsSummary:
    came = [shown for shown in operations if shown.state in ("done", "failed") and shown.worker]
    computing_s = sum(shown.computing_s or 0.0 for shown in came)
    return OperationsSummary(
        queued_s=round(sum(shown.queued_s or 0.0 for shown in came), 6),
        on_the_way_s=round(sum(shown.on_the_way_s or 0.0 for shown in came), 6),
        computing_s=round(computing_s, 9) if computing_s else None,
        attempts=sum(len(shown.attempts) for shown in came),
        workers=dict(Counter(str(shown.worker) for shown in came)),
    )


def _planned(plan: Plan, index: int, operands: tuple[Number | None, ...]) -> OperationShown:
    op1, op2 = operands
    return OperationShown(
        index=index,
        operation=plan.names[index],
        op1=op1,
        op2=op2,
        column=plan.columns[index],
        parent=plan.parent(index),
    )


def _of(step: Operation | Link, parent: int | None) -> OperationShown:
    op1, op2 = step.operands
    return OperationShown(
        index=step.index, operation=step.name, op1=op1, op2=op2, column=step.column, parent=parent
    )


def _finish(
    shown: OperationShown, result: Result, trip: Trip | None, since: float, began_at: float
) -> None:
    if isinstance(result, OperationFailed):
        shown.state, shown.error = "failed", result.code
    else:
        shown.state, shown.result = "done", result
    if trip is not None:
        shown.worker = trip.worker
        shown.attempts = [*_failed(trip.failed), AttemptShown(trip.worker, trip.reason)]
        # What travels along was never ready at the master: its trip began before.
        shown.queued_s = round(max(0.0, trip.sent_at - since), 6)
        shown.on_the_way_s = round(trip.replied_at - trip.sent_at, 6)
        if trip.computing_s is not None:
            shown.computing_s = round(trip.computing_s, 9)
        shown.sent_s = round(trip.sent_at - began_at, 6)


def _set_off(shown: OperationShown, entry: UnderWay, began_at: float) -> None:
    shown.state = "queued"
    shown.attempts = _failed(entry.failed)
    if entry.worker is not None:
        shown.state, shown.worker = "sent", entry.worker
        shown.attempts.append(AttemptShown(entry.worker))
        shown.queued_s = round(entry.sent_at - entry.since, 6)
        shown.sent_s = round(entry.sent_at - began_at, 6)


def _failed(attempts: Iterable[FailedAttempt]) -> list[AttemptShown]:
    return [AttemptShown(attempt.worker, attempt.reason) for attempt in attempts]
