"""Small jobs that are computed while they are still being recorded.

A commit and a call to a worker take about as long, so the call does not wait for the commit. Where
somebody waits for the answer, the commit waits for the call, for a moment: one is enough then. The
job runs under the id that it will probably get. If the record refuses it, or gives it another id
after it refused one before, the head start is given up, and nothing has come of it: operations are
pure, and no outcome is told, or handed to the record under this id, before the record has given
it. What is there before the job is written goes with the job itself, whatever its id will be.
"""

import asyncio
from collections.abc import Callable, Coroutine

from engine.job import Job, JobId
from engine.store.base import Early

FEW = 4  # submissions at a time: of more, the operations travel together after one commit

Recorded = asyncio.Future[Job]
Carry = Callable[["HeadStart"], Coroutine[None, None, None]]


class HeadStart:
    """One job's: whatever carries it through waits for it to be recorded before it finishes it.

    `early` is for the answer, as soon as it is known.
    """

    def __init__(self, job_id: JobId, carry: Carry) -> None:
        self.job_id = job_id
        self.recorded: Recorded = asyncio.get_running_loop().create_future()
        self.early: Early = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(carry(self))


class HeadStarts:
    """Those that are under way: begun, and neither confirmed nor at an end."""

    def __init__(self, on_given_up: Callable[[JobId], None]) -> None:
        self._on_given_up = on_given_up
        self._under_way: dict[JobId, HeadStart] = {}

    @property
    def tasks(self) -> list["asyncio.Task[None]"]:
        """What carries them through."""
        return [head_start.task for head_start in self._under_way.values()]

    def may_begin(self, job_id: JobId) -> bool:
        """Return whether this one may begin: no two do under one id."""
        return job_id not in self._under_way

    def begin(self, job_id: JobId, carry: Carry) -> HeadStart:
        """Begin to carry a job through."""
        head_start = self._under_way[job_id] = HeadStart(job_id, carry)
        head_start.task.add_done_callback(lambda _: self._ended(job_id))
        return head_start

    def confirm(self, head_start: HeadStart, job: Job) -> "asyncio.Task[None]":
        """Let it go on as a job like all others: it is recorded. Return what carries it through."""
        del self._under_way[job.job_id]
        head_start.recorded.set_result(job)
        return head_start.task

    def give_up(self, head_start: HeadStart) -> bool:
        """Stop it, unless it was confirmed; return whether it is stopped.

        Its id may have another head start when this one has come to its end.
        """
        if self._under_way.get(head_start.job_id) is not head_start:
            return False
        head_start.task.cancel()
        return True

    def _ended(self, job_id: JobId) -> None:
        if self._under_way.pop(job_id, None) is not None:
            self._on_given_up(job_id)
