"""What a store promises: the contract that every form of it keeps.

A write has happened when its call returns, and not before: then it survives whatever the form can
survive, and every later read shows it. Ids grow by one and are never used again. An outcome is
set once. A store raises `StoreError` when it can neither promise nor read, and nothing foreign.
What one caller does wrong never hurts another's write.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import msgspec

from engine.errors import IdempotencyConflict, JobNotFound
from engine.job import Job, JobId, Outcome

PAGE_BYTES = 512 * 1024  # of tasks, read at once: a page of the largest ones has a gigabyte
RETRY_S = 1.0  # pause before a store that could not do something is asked again

Status = Literal["unfinished", "succeeded", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)


def status_of(job: Job) -> Status:
    """Return which of the three statuses a job is in."""
    if job.outcome is None:
        return "unfinished"
    return "succeeded" if job.outcome.error is None else "failed"


class NewJob(msgspec.Struct, frozen=True):
    """A task to be added.

    `fingerprint` tells the body that the idempotency `key` came with from any other.
    """

    task: str
    key: str | None = None
    fingerprint: str = ""


Ended = tuple[JobId, Outcome]
Early = asyncio.Future[tuple[Outcome, float]]  # what a job comes to, and when


def key_reused() -> IdempotencyConflict:
    """Return the error for a key that comes again with another fingerprint."""
    return IdempotencyConflict(
        "this Idempotency-Key came with another body before; send a new task under a new key"
    )


class Counts(msgspec.Struct, frozen=True):
    """How many jobs of the record are in which status."""

    unfinished: int = 0
    succeeded: int = 0
    failed: int = 0


class Page(msgspec.Struct, frozen=True):
    """Jobs, as many as were read at once, and the ids of those that follow in the same page."""

    jobs: list[Job]
    rest: tuple[JobId, ...] = ()

    @property
    def ids(self) -> list[JobId]:
        """The ids of all, read or not."""
        return [*(job.job_id for job in self.jobs), *self.rest]


class Store(Protocol):
    """The record of all jobs. Times are seconds since the epoch, handed in."""

    @property
    def counts(self) -> Counts:
        """How many jobs are in which status, as of the last write that returned."""
        ...

    @property
    def next_id(self) -> JobId | None:
        """The id of a job without a key, if it were added now; `None` where nobody can tell.

        It is a forecast: it comes true unless a write fails that was asked for before.
        """
        ...

    @property
    def broken(self) -> bool:
        """Whether the store has failed for good: nothing is promised any more."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why nothing could be written the last time, or `None` if it could."""
        ...

    async def look(self) -> None:
        """Find out how it is now; `trouble` tells it then.

        What is written must be where a start looks for it. While nothing could be written the last
        time, as much as a small job needs is written and taken back. Raises `StoreError` if not.
        """
        ...

    async def broke(self) -> None:
        """Return when the store has failed for good; normally never."""
        ...

    async def open(self) -> None:
        """Get ready. Raises `StoreLocked`, `StoreDamaged` or `StoreError`."""
        ...

    async def add(self, new: Sequence[NewJob], now: float, early: Early | None = None) -> list[Job]:
        """Add jobs, all or none, and return them in order.

        A key that is known gives the job that it came with before, as long as that is kept; with
        another fingerprint it raises `IdempotencyConflict`.

        `early` is for one job without a key. If it is done when the job is written, its outcome is
        set in the same write and the job is returned as it ended; that may wait for it a little.
        """
        ...

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set the outcomes of jobs, but for those that have one; return which this call set.

        An unknown job gives `False`. A `ValueError` for one that cannot be written is for all.
        """
        ...

    async def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None` if the record has no such job, whatever the number."""
        ...

    async def page(
        self,
        limit: int,
        before: JobId | None = None,
        status: Status | None = None,
        max_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Return up to `limit` jobs of one `status`, older than `before`, newest first.

        Tasks of `max_bytes` of UTF-8 together are read, or of at least one job if there is one.
        """
        ...

    async def rest(self, ids: Sequence[JobId], max_bytes: int = PAGE_BYTES) -> Page:
        """Read on in a page: return jobs in the order of their `ids`, bounded as `page` is.

        They are as they are by now, whatever status was asked for; those that were forgotten are
        left out.
        """
        ...

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs younger than `after`, oldest first.

        Up to `limit`, or as many as have `max_bytes` of UTF-8 together, but at least one if there
        is one.
        """
        ...

    async def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget finished jobs, with their idempotency keys; return how many: up to `at_most`.

        The newest `keep` of them stay (by id), but for those that ended before `older_than`.
        Unfinished jobs are never forgotten.
        """
        ...

    async def close(self) -> None:
        """Write what waits and let go of everything. Closing twice does no harm.

        Whatever is asked of a durable store afterwards raises `StoreError`.
        """
        ...


async def kept(store: Store, job_id: JobId) -> Job:
    """Return a job. Raises `JobNotFound`."""
    job = await store.get(job_id)
    if job is None:
        raise JobNotFound(f"no job has the id {job_id}, or it is no longer kept")
    return job
