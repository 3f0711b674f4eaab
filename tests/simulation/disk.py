"""A disk that forgets what was not synced, and the store on it that the simulated master uses.

What is asked waits until its group's turn comes, a random moment later: reads see what was
committed before, writes are committed together. A power cut in that moment keeps a first part of
the open group, whole transactions only, and tells nobody which. The record outlives the store.
"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeVar, cast

from engine.errors import IdempotencyConflict, StoreError
from engine.job import Job, JobId
from engine.store.base import PAGE_BYTES, Counts, Early, Ended, NewJob, Page, Status
from engine.store.memory import MemoryRecord

SYNC_S = 0.002  # what a group commit takes, give or take

Result = TypeVar("Result")


class Disk:
    """What is on the platter, and whether there is room for more."""

    def __init__(self) -> None:
        self.record = MemoryRecord()
        self.full = False


class _Transaction(NamedTuple):
    carry_out: Callable[[], object]
    writes: bool
    adds: Sequence[NewJob]
    done: "asyncio.Future[object]"


class SimulatedStore:
    """The store contract on a disk, for one life of a master."""

    def __init__(self, disk: Disk, random: Random) -> None:
        self.broken = False
        self._trouble: str | None = None
        self._broke = asyncio.Event()
        self._disk = disk
        self._random = random
        self._group: list[_Transaction] = []
        self._timer: asyncio.TimerHandle | None = None
        self._cut = False
        self._closed = False

    # What happens to it

    def cut_power(self) -> None:
        """Lose what is not synced, and never answer again."""
        self._cut = True
        self._keep_a_first_part()

    def fail_to_sync(self) -> None:
        """Break for good: what was being synced may be on the disk or not."""
        self.broken = True
        for transaction in self._keep_a_first_part():
            _answer(transaction.done, StoreError("the disk could not sync; look at it"))
        self._broke.set()

    def _keep_a_first_part(self) -> list[_Transaction]:
        """Carry out some of the open group; return all of it, which nobody was told about."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._group = self._group, []
        writes = [transaction for transaction in group if transaction.writes]
        if not self._disk.full:
            for transaction in writes[: self._random.randint(0, len(writes))]:
                _attempt(transaction.carry_out)
        return group

    # The contract

    @property
    def counts(self) -> Counts:
        """How many jobs are in which status."""
        return self._disk.record.counts

    @property
    def next_id(self) -> JobId | None:
        """The id of a job without a key, if it were added now, if that can be told."""
        waiting = [new for transaction in self._group for new in transaction.adds]
        if any(new.key is not None for new in waiting):
            return None
        is_wrong = self._random.random() < 0.1  # as it may be after a write that failed
        return JobId(self._disk.record.next_id + len(waiting) + is_wrong)

    @property
    def trouble(self) -> str | None:
        """Why nothing could be written the last time."""
        return self._trouble

    async def look(self) -> None:
        """Write nothing."""
        await self._ask(lambda: None)

    async def broke(self) -> None:
        """Return when the disk has failed for good."""
        await self._broke.wait()

    async def open(self) -> None:
        """Take a moment, as reading a file does."""
        await self._ask(lambda: None, writes=False)

    async def add(self, new: Sequence[NewJob], now: float, early: Early | None = None) -> list[Job]:
        """Add jobs, all or none. Raises `IdempotencyConflict`."""
        return await self._ask(lambda: self._disk.record.add(new, now, early), adds=new)

    async def finish(self, outcomes: Sequence[Ended], now: float) -> list[bool]:
        """Set the outcomes of jobs, but for those that have one."""
        return await self._ask(lambda: self._disk.record.finish(outcomes, now))

    async def get(self, job_id: JobId) -> Job | None:
        """Return a job, or `None`."""
        return await self._ask(lambda: self._disk.record.get(job_id), writes=False)

    async def page(
        self,
        limit: int,
        before: JobId | None = None,
        status: Status | None = None,
        max_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Return up to `limit` jobs, newest first, read up to a size."""
        return await self._ask(
            lambda: self._disk.record.page(limit, before, status, max_bytes), writes=False
        )

    async def rest(self, ids: Sequence[JobId], max_bytes: int = PAGE_BYTES) -> Page:
        """Return jobs in the order of their ids, read up to a size."""
        return await self._ask(lambda: self._disk.record.rest(ids, max_bytes), writes=False)

    async def unfinished(self, after: JobId, limit: int, max_bytes: int) -> list[Job]:
        """Return unfinished jobs, oldest first."""
        return await self._ask(
            lambda: self._disk.record.unfinished(after, limit, max_bytes), writes=False
        )

    async def prune(self, keep: int, older_than: float | None, at_most: int) -> int:
        """Forget old finished jobs; return how many."""
        return await self._ask(lambda: self._disk.record.prune(keep, older_than, at_most))

    async def close(self) -> None:
        """Commit what waits and let go."""
        if not self._closed and not self._cut and not self.broken:
            self._commit()
        self._closed = True

    # Group commit

    async def _ask(
        self,
        carry_out: Callable[[], Result],
        *,
        writes: bool = True,
        adds: Sequence[NewJob] = (),
    ) -> Result:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        if self._cut:
            await done  # for ever: nobody is there any more
        if self._closed or self.broken:
            raise StoreError("the store is closed; start the master again")
        self._group.append(_Transaction(carry_out, writes, adds, done))
        if self._timer is None:
            delay_s = SYNC_S * self._random.uniform(0.5, 3.0)
            self._timer = loop.call_later(delay_s, self._commit)
        return cast(Result, await done)

    def _commit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._group = self._group, []
        full = StoreError("the disk is full; make room")
        # Reads come first, as in the real store: they show what was committed before this group.
        for transaction in sorted(group, key=lambda one: one.writes):
            refused = transaction.writes and self._disk.full
            if transaction.writes:
                self._trouble = str(full) if refused else None
            _answer(transaction.done, full if refused else _attempt(transaction.carry_out))


def _attempt(carry_out: Callable[[], object]) -> object:
    try:
        return carry_out()
    except IdempotencyConflict as conflict:
        return conflict


def _answer(done: "asyncio.Future[object]", result: object) -> None:
    if done.done():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result(result)
