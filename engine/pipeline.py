"""One coroutine per job: hands out what is ready, takes in what came back, until it is decided.

The pipeline knows a plan and an `Executor`, and nothing of workers, attempts or HTTP: whatever
turns operations into results can stand behind the executor. It never waits for one operation in
particular, so that independent operations of a job are computed at the same time.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

from engine.errors import OperationFailed
from engine.exchange import Result
from engine.fusion import Fusion
from engine.job import Job, JobId, Number, Operation, Outcome
from engine.plan import Plan
from engine.trace import Arrival, Trace, UnderWay, WholeTrace
from engine.turns import PIECE


class Lane(Protocol):
    """What one job has at an executor: operations go in, results come out in any order."""

    async def put(self, operations: Sequence[Operation], since: float) -> None:
        """Hand in operations to be computed, and since when they are ready."""
        ...

    @property
    def has_results(self) -> bool:
        """Whether something came back."""
        ...

    async def results(self) -> Sequence[Arrival]:
        """Wait until something came back, and return what did, each operation that was put once.

        Raises `ResultsWithdrawn` when what came before cannot be believed any more.
        """
        ...

    def close(self) -> None:
        """Forget what has not come back."""
        ...


class Executor(Protocol):
    """Whatever turns operations into results, or into the errors that they fail with."""

    def open(self, job_id: JobId, fusion: Fusion, trace_parent: str | None = None) -> Lane:
        """Return a lane of its own for a job, whose operations go with a trace context.

        Whatever `fusion` finds may travel with an operation of the job.
        """
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
        while not plan.finished:
            if plan.has_ready:  # of a large job a piece, in turns with what comes meanwhile
                ready = plan.ready(PIECE)
                _tell_refused(plan, trace, now)
                await lane.put(ready, now)
                if plan.finished or (plan.has_ready and not lane.has_results):
                    continue
            arrived = await lane.results()
            if _take_in_whole(arrived, plan, trace):
                break
            ready = take_in(arrived, plan, trace)
            since = arrived[-1].trip.replied_at
            _tell_refused(plan, trace, since)
            if ready:
                await lane.put(ready, since)
    finally:
        lane.close()
    return _outcome(job, plan)


def take_in(arrived: Iterable[Arrival], plan: Plan, trace: Trace) -> list[Operation]:
    """Tell plan and trace what came; return the operations that are ready by it, and new."""
    ready: dict[int, None] = {}
    for arrival in arrived:
        put, trip = arrival.put, arrival.trip
        for index, result in arrival.results:
            if put:
                put -= 1
                trace.came(index, result, trip, arrival.since)
            elif index in ready:
                # It was never ready at the master: it came with what it waited for.
                del ready[index]
                trace.came(index, result, trip, trip.sent_at)
            else:
                continue  # it waits for an operation that failed, or was put itself before
            following = plan.complete(index, result)
            if following is not None:
                ready[following] = None
    return [plan.operation(index) for index in ready]


def _take_in_whole(arrived: Sequence[Arrival], plan: Plan, trace: Trace) -> bool:
    """Take in what came if it is all results of a job; which waited for which does not matter then.

    Return `False`, and change nothing, if it is not: some came before, are to come, or have failed.
    """
    if not isinstance(trace, WholeTrace) or trace.results:
        return False
    results: dict[int, Result] = {}
    for arrival in arrived:
        results.update(arrival.results)
    if len(results) < len(plan) or OperationFailed in map(type, results.values()):
        return False
    trace.came_whole(results, arrived)
    plan.complete_whole(cast(dict[int, Number], results))
    return True


def _tell_refused(plan: Plan, trace: Trace, since: float) -> None:
    for operation, failure in plan.refused:
        trace.refused(operation, failure, since)
    plan.refused.clear()


def _outcome(job: Job, plan: Plan) -> Outcome:
    if plan.failure is None:
        return Outcome(answer=plan.answer)
    index, failure = plan.failure
    column = plan.columns[index]
    where = f"'{job.task[column - 1]}' at column {column}"
    return Outcome(error=failure.code, detail=f"{where}: {failure.detail}")
