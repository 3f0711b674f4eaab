"""One coroutine per job: hands out what is ready, takes in what came back, until it is decided.

The pipeline knows a plan and an `Executor`, and nothing of workers, attempts or HTTP: whatever
turns operations into results can stand behind the executor. It never waits for one operation in
particular, so that independent operations of a job are computed at the same time.
"""

from collections.abc import Sequence
from typing import Protocol

from engine.errors import OperationFailed
from engine.exchange import Result
from engine.job import Job, JobId, Operation, Outcome
from engine.plan import Plan


class Lane(Protocol):
    """What one job has at an executor: operations go in, results come out in any order."""

    def put(self, operations: Sequence[Operation]) -> None:
        """Hand in operations to be computed."""
        ...

    async def results(self) -> list[tuple[Operation, Result | list[Result]]]:
        """Wait until something came back, and return all that did, each operation once.

        With an operation that has a chain, those of a first part of the chain may come in a list.
        """
        ...

    def close(self) -> None:
        """Forget what has not come back."""
        ...


class Executor(Protocol):
    """Whatever turns operations into results, or into the errors that they fail with."""

    def open(self, job_id: JobId) -> Lane:
        """Return a lane of its own for a job."""
        ...


async def run(job: Job, plan: Plan, executor: Executor) -> Outcome:
    """Compute `job`, whose operations are `plan`, and return how it ended.

    Which error a job with several of them ends with does not depend on who answers first: it is
    the one that strict left-to-right evaluation meets first, as in Python.
    """
    lane = executor.open(job.job_id)
    try:
        lane.put(plan.ready())
        while not plan.finished:
            ready = []
            for operation, came in await lane.results():
                following = _record(plan, operation, came)
                if following is not None:
                    ready.append(following)
            lane.put(ready)
    finally:
        lane.close()
    return _outcome(job, plan)


def _record(plan: Plan, operation: Operation, came: Result | list[Result]) -> Operation | None:
    """Tell the plan what came for an operation; return the operation that is ready by it."""
    if isinstance(came, int | float):
        return plan.complete(operation.index, came)
    if isinstance(came, OperationFailed):
        plan.fail(operation.index, came)
        return None
    # The results of a chain, each of which makes the next operation of it ready.
    following: Operation | None = operation
    for result in came:
        if following is None:
            break  # an operation failed, and those behind it with it
        following = _record(plan, following, result)
    return following


def _outcome(job: Job, plan: Plan) -> Outcome:
    if plan.failure is None:
        return Outcome(answer=plan.answer)
    index, failure = plan.failure
    column = plan.columns[index]
    where = f"'{job.task[column - 1]}' at column {column}"
    return Outcome(error=failure.code, detail=f"{where}: {failure.detail}")
