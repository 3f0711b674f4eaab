"""The store in memory: nothing survives the process. The same contract as the durable one."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec

from engine.errors import IdempotencyConflict
from engine.job import Job, JobId, Outcome
from engine.store.base import Counts, NewJob, Status


def status_of(job: Job) -> Status:
    """Return which of the three statuses a job is in."""
    if job.outcome is None:
        return "unfinished"
    return "succeeded" if job.outcome.error is None else "failed"


class MemoryStore:
    """Jobs in a dict, in the order of their ids."""

    broken = False

    def __init__(self) -> None:
        self._jobs: dict[JobId, Job] = {}
        self._unfinished: dict[JobId, None] = {}  # an ordered set
        self._keys: dict[str, tuple[str, JobId]] = {}
        self._last = 0
        self._failed = 0

    @property
    def counts(self) -> Counts:
        """How many jobs are in which status."""
        unfinished = len(self._unfinished)
        return Counts(unfinished, len(self._jobs) - unfinished - self._failed, self._failed)

    async def broke(self) -> None:
        """Never return: memory does not fail for good and leave us here to tell."""
        await asyncio.Event().wait()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def add(self, new: Sequence[NewJob], now: float) -> list[Job]:
        """Add jobs, all or none."""
        for job in new:
            if job.key is not None:
                fingerprint, _ = self._keys.get(job.key, (job.fingerprint, 0))
                if fingerprint != job.fingerprint:
                    raise IdempotencyConflict("this Idempotency-Key came with another body before")
        return [self._add(job, now) for job in new]

    def _add(self, new: NewJob, now: float) -> Job:
        if new.key is not None and new.key in self._keys:
            return self._jobs[self._keys[new.key][1]]
        self._last += 1
        job = Job(JobId(self._last), new.task, now)
        self._jobs[job.job_id] = job
        self._unfinished[job.job_id] = None
        if new.key is not None:
            self._keys[new.key] = (new.fingerprint, job.job_id)
        return job

    async def finish(self, job_id: JobId, outcome: Outcome, now: float) -> bool:
        """Set the outcome of a job, unless it has one."""
        job = self._jobs.get(job_id)
        if job is None or job.finished:
            return False
        self._jobs[job_id] = msgspec.structs.replace(job, outcome=outcome, finished_at=now)
        del self._unfinished[job_id]
        self._failed += outcome.error is not None
        return True

    async def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None`."""
        return self._jobs.get(job_id)

    async def page(
        self, limit: int, before: JobId | None = None, status: Status | None = None
    ) -> list[Job]:
        """Return jobs, newest first."""
        start = self._last if before is None else min(before - 1, self._last)
        found: list[Job] = []
        for job_id in range(start, 0, -1):
            job = self._jobs.get(JobId(job_id))
            if job is not None and status in (None, status_of(job)):
                found.append(job)
                if len(found) == limit:
                    break
        return found

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs, oldest first."""
        found: list[Job] = []
        size = 0
        for job_id in self._unfinished_after(after):
            size += len(self._jobs[job_id].task)
            if found and (size > max_bytes or len(found) == limit):
                break
            found.append(self._jobs[job_id])
        return found

    def _unfinished_after(self, after: JobId) -> Iterator[JobId]:
        return (job_id for job_id in self._unfinished if job_id > after)

    async def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget old finished jobs."""
        return 0
