"""One coroutine per job: hands out what is ready, takes in what came back, until it is decided.

The pipeline knows a plan and an `Executor`, and nothing of workers, attempts or HTTP: whatever
turns operations into results can stand behind the executor. It never waits for one operation in
particular, so that independent operations of a job are computed at the same time.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from engine.arithmetic import divides_by_zero, division_by_zero
from engine.errors import OperationFailed
from engine.exchange import Result
from engine.job import Job, JobId, Operation, Outcome
from engine.plan import Plan
from engine.trace import Arrival, Trace, Trip, UnderWay


class Lane(Protocol):
    """What one job has at an executor: operations go in, results come out in any order."""

    def put(self, operations: Sequence[Operation], since: float) -> None:
        """Hand in operations to be computed, and since when they are ready."""
        ...

    async def results(self) -> list[Arrival]:
        """Wait until something came back, and return all that did, each operation once.

        With an operation that has a chain, those of a first part of the chain may come in a list.
        """
        ...

    def close(self) -> None:
        """Forget what has not come back."""
        ...


class Executor(Protocol):
    """Whatever turns operations into results, or into the errors that they fail with."""

    def open(self, job_id: JobId, trace_parent: str | None = None) -> Lane:
        """Return a lane of its own for a job, whose operations go with a trace context."""
        ...

    def under_way(self, job_id: JobId) -> Iterable[UnderWay]:
        """Return the operations of a job that have not come back, those at workers first."""
        ...


async def run(job: Job, plan: Plan, lane: Lane, trace: Trace, now: float) -> Outcome:
    """Compute `job`, whose operations are `plan`, from `now` on, and return how it ended.

    The lane is closed then. What came of each operation is told to `trace`.

    Which error a job with several of them ends with does not depend on who answers first: it is
    the one that strict left-to-right evaluation meets first, as in Python.
    """
    try:
        _hand_in(plan, lane, plan.ready(), now, trace)
        while not plan.finished:
            ready = []
            for operation, came, trip, since in await lane.results():
                if isinstance(came, list):
                    following = _follow(plan, operation, came, trip, since, trace)
                else:
                    trace.came(operation, came, trip, since)
                    following = _record(plan, operation, came)
                if following is not None:
                    ready.append(following)
            _hand_in(plan, lane, ready, trip.replied_at, trace)
    finally:
        lane.close()
    return _outcome(job, plan)


def _record(plan: Plan, operation: Operation, result: Result) -> Operation | None:
    if isinstance(result, OperationFailed):
        plan.fail(operation.index, result)
        return None
    return plan.complete(operation.index, result)


def _follow(
    plan: Plan, first: Operation, results: list[Result], trip: Trip, since: float, trace: Trace
) -> Operation | None:
    """Record the results of a chain, each of which makes the next operation of it ready."""
    following: Operation | None = first
    for result in results:
        if following is None:
            break  # an operation failed, and those behind it with it
        trace.came(following, result, trip, since)
        following = _record(plan, following, result)
        since = trip.sent_at  # the others were never ready at the master
    return following


def _hand_in(plan: Plan, lane: Lane, ready: list[Operation], since: float, trace: Trace) -> None:
    for operation in ready:
        if divides_by_zero(operation.name, operation.operands):
            break
    else:
        lane.put(ready, since)
        return
    # No worker is ever asked to divide by a known zero: a plain one could only answer 500.
    possible = []
    for operation in ready:
        if divides_by_zero(operation.name, operation.operands):
            trace.came(operation, division_by_zero(), None, since)
            plan.fail(operation.index, division_by_zero())
        else:
            possible.append(operation)
    lane.put(possible, since)


def _outcome(job: Job, plan: Plan) -> Outcome:
    if plan.failure is None:
        return Outcome(answer=plan.answer)
    index, failure = plan.failure
    column = plan.columns[index]
    where = f"'{job.task[column - 1]}' at column {column}"
    return Outcome(error=failure.code, detail=f"{where}: {failure.detail}")
