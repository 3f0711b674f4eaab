"""One coroutine per job: hands out what is ready, takes in what came back, until it is decided.

The pipeline knows a plan and an `Executor`, and nothing of workers, attempts or HTTP: whatever
turns operations into results can stand behind the executor. It never waits for one operation in
particular, so that independent operations of a job are computed at the same time.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

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
        Raises `ResultsWithdrawn` when what came before cannot be believed any more.
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

    The lane is closed then. What came of each operation is told to `trace`. Raises
    `ResultsWithdrawn` when the job is to start afresh, from a plan of its own.

    Which error a job with several of them ends with does not depend on who answers first: it is
    the one that strict left-to-right evaluation meets first, as in Python.
    """
    try:
        ready, since = plan.ready(), now
        _tell_refused(plan, trace, since)
        lane.put(ready, since)
        while not plan.finished:
            ready = []
            for operation, came, trip, waited_since in await lane.results():
                following = _record(plan, operation, came, trip, waited_since, trace)
                if following is not None:
                    ready.append(following)
                since = trip.replied_at
            _tell_refused(plan, trace, since)
            lane.put(ready, since)
    finally:
        lane.close()
    return _outcome(job, plan)


def _record(
    plan: Plan,
    operation: Operation,
    came: Result | list[Result],
    trip: Trip,
    since: float,
    trace: Trace,
) -> Operation | None:
    """Tell plan and trace what came for an operation; return the operation that is ready by it."""
    if not isinstance(came, list):
        trace.came(operation, came, trip, since)
        if not isinstance(came, OperationFailed):
            return plan.complete(operation.index, came)
        plan.fail(operation.index, came)
        return None
    # The results of a chain, each of which makes the next operation of it ready.
    following: Operation | None = operation
    for result in came:
        if following is None:
            break  # an operation failed, and those behind it with it
        following = _record(plan, following, result, trip, since, trace)
        since = trip.sent_at  # the others were never ready at the master
    return following


def _tell_refused(plan: Plan, trace: Trace, since: float) -> None:
    for operation, failure in plan.refused:
        trace.came(operation, failure, None, since)
    plan.refused.clear()


def _outcome(job: Job, plan: Plan) -> Outcome:
    if plan.failure is None:
        return Outcome(answer=plan.answer)
    index, failure = plan.failure
    column = plan.columns[index]
    where = f"'{job.task[column - 1]}' at column {column}"
    return Outcome(error=failure.code, detail=f"{where}: {failure.detail}")
