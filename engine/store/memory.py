"""The store in memory: nothing survives the process. The same contract as the durable one.

`MemoryRecord` is the record itself, synchronous, so that a simulated disk can keep it through the
death of the master that wrote it; `MemoryStore` is the contract on it. Ids are kept in ascending
lists, one for each status, so that every read costs what it returns.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from engine.job import Job, JobId, Outcome
from engine.store.base import (
    PAGE_BYTES,
    STATUSES,
    Counts,
    Early,
    Ended,
    NewJob,
    Page,
    Status,
    key_reused,
    status_of,
)
from engine.store.rows import size_of


class _End(msgspec.Struct, frozen=True, order=True, gc=False):
    at: float
    job_id: JobId


_Item = TypeVar("_Item", JobId, _End)


class MemoryRecord:
    """Jobs in a dict, and what finds them."""

    def __init__(self) -> None:
        self._jobs: dict[JobId, Job] = {}
        self._all: list[JobId] = []
        self._in: dict[Status, list[JobId]] = {status: [] for status in STATUSES}
        self._ended: list[_End] = []  # ascending
        self._keys: dict[str, tuple[str, JobId]] = {}  # key -> fingerprint and job
        self._key_of: dict[JobId, str] = {}
        self._last = 0

    @property
    def counts(self) -> Counts:
        """How many jobs are in which status."""
        return Counts(**{status: len(ids) for status, ids in self._in.items()})

    @property
    def next_id(self) -> JobId:
        """The id of the next new job."""
        return JobId(self._last + 1)

    def add(self, new: Sequence[NewJob], now: float, early: Early | None = None) -> list[Job]:
        """Add jobs, all or none; `early` as in `Store.add`. Raises `IdempotencyConflict`."""
        fingerprints: dict[str, str] = {}
        for job in new:
            if job.key is not None:
                known = self._keys.get(job.key)
                first = known[0] if known else fingerprints.setdefault(job.key, job.fingerprint)
                if first != job.fingerprint:
                    raise key_reused()
        jobs = [self._add(job, now) for job in new]
        if early is not None and early.done() and not early.cancelled():
            self._finish(jobs[0].job_id, *early.result())
        return [self._jobs[job.job_id] for job in jobs]

    def _add(self, new: NewJob, now: float) -> Job:
        if new.key is not None and new.key in self._keys:
            return self._jobs[self._keys[new.key][1]]
        self._last += 1
        job = Job(JobId(self._last), new.task, now)
        self._jobs[job.job_id] = job
        self._all.append(job.job_id)
        self._in["unfinished"].append(job.job_id)
        if new.key is not None:
            self._keys[new.key] = (new.fingerprint, job.job_id)
            self._key_of[job.job_id] = new.key
        return job

    def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set the outcomes of jobs, but for those that have one; return which this call set."""
        return [self._finish(job_id, outcome, now) for job_id, outcome in outcomes]

    def _finish(self, job_id: JobId, outcome: Outcome, now: float) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.finished:
            return False
        job = msgspec.structs.replace(job, outcome=outcome, finished_at=now)
        self._jobs[job_id] = job
        _remove(self._in["unfinished"], job_id)
        insort(self._in[status_of(job)], job_id)
        insort(self._ended, _End(now, job_id))
        return True

    def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None`."""
        return self._jobs.get(job_id)

    def page(self, limit: int, before: JobId | None, status: Status | None, max_bytes: int) -> Page:
        """Return up to `limit` jobs, newest first, read up to a size."""
        ids = self._all if status is None else self._in[status]
        end = len(ids) if before is None else bisect_left(ids, before)
        return self.rest(ids[max(0, end - limit) : end][::-1], max_bytes)

    def rest(self, ids: Sequence[JobId], max_bytes: int) -> Page:
        """Return jobs in the order of their ids, read up to a size."""
        kept = [job_id for job_id in ids if job_id in self._jobs]
        jobs = _up_to(max_bytes, (self._jobs[job_id] for job_id in kept))
        return Page(jobs, tuple(kept[len(jobs) :]))

    def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs, oldest first, up to a number and a size."""
        ids = self._in["unfinished"]
        start = bisect_right(ids, after)
        return _up_to(max_bytes, (self._jobs[job_id] for job_id in ids[start : start + limit]))

    def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget finished jobs beyond the newest `keep`, and those that ended before a time."""
        surplus = min(at_most, max(0, len(self._ended) - keep))
        oldest = sorted(self._in["succeeded"][:surplus] + self._in["failed"][:surplus])
        forgotten = set(oldest[:surplus])
        if older_than is not None:
            end = bisect_left(self._ended, _End(older_than, JobId(0)))
            for ended in self._ended[: min(end, at_most)]:
                if len(forgotten) < at_most:
                    forgotten.add(ended.job_id)
        for job_id in forgotten:
            self._forget(job_id)
        return len(forgotten)

    def _forget(self, job_id: JobId) -> None:
        job = self._jobs.pop(job_id)
        _remove(self._all, job_id)
        _remove(self._in[status_of(job)], job_id)
        _remove(self._ended, _End(job.finished_at or 0.0, job_id))
        key = self._key_of.pop(job_id, None)
        if key is not None:
            del self._keys[key]


def _up_to(max_bytes: int, jobs: Iterable[Job]) -> list[Job]:
    """Return the first of the jobs, and those after it while their tasks are no larger together."""
    found: list[Job] = []
    size = 0
    for job in jobs:
        size += size_of(job.task)
        if found and size > max_bytes:
            break
        found.append(job)
    return found


def _remove(ascending: list[_Item], item: _Item) -> None:
    del ascending[bisect_left(ascending, item)]


class MemoryStore:
    """The store contract on a record in memory."""

    broken = False

    def __init__(self, record: MemoryRecord | None = None) -> None:
        self._record = MemoryRecord() if record is None else record

    @property
    def counts(self) -> Counts:
        """How many jobs are in which status."""
        return self._record.counts

    @property
    def next_id(self) -> None:
        """Not told: a job is recorded sooner than anybody could make use of it."""

    @property
    def trouble(self) -> None:
        """None: there is room, or no process."""

    async def look(self) -> None:
        """Nothing to try."""

    async def broke(self) -> None:
        """Never return: memory does not fail for good and leave us here to tell."""
        await asyncio.Event().wait()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def add(self, new: Sequence[NewJob], now: float, early: Early | None = None) -> list[Job]:
        """Add jobs, all or none. Raises `IdempotencyConflict`."""
        return self._record.add(new, now, early)

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set the outcomes of jobs, but for those that have one; return which this call set."""
        return self._record.finish(outcomes, now)

    async def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None`."""
        return self._record.get(job_id)

    async def page(
        self,
        limit: int,
        before: JobId | None = None,
        status: Status | None = None,
        max_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Return up to `limit` jobs, newest first, read up to a size."""
        return self._record.page(limit, before, status, max_bytes)

    async def rest(self, ids: Sequence[JobId], max_bytes: int = PAGE_BYTES) -> Page:
        """Return jobs in the order of their ids, read up to a size."""
        return self._record.rest(ids, max_bytes)

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs, oldest first, up to a number and a size."""
        return self._record.unfinished(after, limit, max_bytes)

    async def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget old finished jobs; return how many."""
        return self._record.prune(keep, older_than, at_most)
