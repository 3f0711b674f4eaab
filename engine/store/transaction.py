"""A group of writes: what each of them comes to, and the statements that write it.

It is decided in memory and written in few statements of many rows. Each statement lets go of the
interpreter's lock several times and, beside a busy event loop, may wait milliseconds to get it
back: 500 jobs cost a few statements and not two thousand, and one job costs one.
"""

import json
import sqlite3
from collections.abc import Container, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

import msgspec

from engine.crashpoints import crash_point
from engine.errors import IdempotencyConflict
from engine.job import Job, JobId, Outcome
from engine.store.base import Counts, NewJob, key_reused
from engine.store.rows import GET, LARGEST_ID, OutcomeRow, size_of, to_job, to_row

Value = int | float | str | None
Statement = tuple[str, Sequence[Value]]
PRUNED_BYTES = 4 * 1024 * 1024  # freeing the pages of as much text takes 20 ms

_Known = dict[str, tuple[str, Job]]  # idempotency key -> its fingerprint and job
T = TypeVar("T")


class Add(msgspec.Struct, frozen=True):
    """Add jobs, all or none; the only one with its `outcome` and when it came, if that is known."""

    new: Sequence[NewJob]
    now: float
    outcome: tuple[Outcome, float] | None = None


class Finish(msgspec.Struct, frozen=True):
    """Set the outcomes of jobs, but for those that have one."""

    rows: Sequence[OutcomeRow]


class Prune(msgspec.Struct, frozen=True):
    """Forget finished jobs; the fields are those of `Store.prune`."""

    keep: int
    older_than: float | None
    at_most: int


Write = Add | Finish | Prune
Written = list[Job] | list[bool] | int | IdempotencyConflict


# Statements of many rows come in these sizes, so that each is prepared once: 500 rows are five.
_SIZES = (512, 256, 128, 64, 32, 16, *range(15, 0, -1))


def _with_rows(statement: str, width: int) -> dict[int, str]:
    row = f"({', '.join('?' * width)})"
    return {size: statement.format(", ".join([row] * size)) for size in _SIZES}


_INSERT_JOBS = _with_rows("INSERT INTO jobs VALUES {}", 4)
_INSERT_KEYS = _with_rows("INSERT INTO idempotency_keys VALUES {}", 3)
_INSERT_OUTCOMES = _with_rows("INSERT INTO outcomes VALUES {}", 5)
_SELECT_KEYS = _with_rows(
    "SELECT key, fingerprint, job_id FROM idempotency_keys WHERE key IN (VALUES {})", 1
)


_THESE = "WHERE job_id IN (SELECT value FROM json_each(?))"
_WHICH_UNFINISHED = f"SELECT json_group_array(job_id) FROM unfinished {_THESE}"  # noqa: S608
_COUNT_FAILED = f"SELECT count(error) FROM outcomes {_THESE}"  # noqa: S608
_OLDEST = (
    "SELECT job_id, task_bytes FROM outcomes CROSS JOIN jobs USING (job_id) ORDER BY job_id LIMIT ?"
)
_EXPIRED = (
    "SELECT job_id, task_bytes FROM outcomes INDEXED BY ended CROSS JOIN jobs USING (job_id)"
    " WHERE finished_at < ? ORDER BY finished_at, job_id LIMIT ?"
)
_FORGET = tuple(
    f"DELETE FROM {table} {_THESE}"  # noqa: S608
    for table in ("idempotency_keys", "outcomes", "jobs")
)


class Transaction:
    """What a group of writes comes to: `last`, `counts`, `added` and `ended` hold once it commits.

    `open_jobs` are some of the jobs that have not ended; of others the record is asked. Jobs are
    to be added first, then finished, and forgotten when `statements` have been executed.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        last: int,
        counts: Counts,
        open_jobs: Container[int] = frozenset(),
    ) -> None:
        self.last = last
        self.counts = counts
        self.added = range(last + 1, last + 1)
        self.ended: list[JobId] = []
        self.statements: list[Statement] = []
        self._early: list[OutcomeRow] = []  # of jobs that are added now
        self._open_jobs = open_jobs
        self._execute = connection.execute

    # Adding

    def add(self, adds: list[Add]) -> list[list[Job] | IdempotencyConflict]:
        """Return what becomes of each: its jobs, or why there are none."""
        known = self._known([new.key for add in adds for new in add.new if new.key is not None])
        jobs: list[Value] = []
        keys: list[Value] = []
        results = [self._add_one(add, known, jobs, keys) for add in adds]
        self.added = range(self.added.start, self.last + 1)
        self._change(unfinished=len(self.added))
        self._insert(_INSERT_JOBS, 4, jobs)
        self._insert(_INSERT_KEYS, 3, keys)
        return results

    def _known(self, keys: list[str]) -> _Known:
        known: _Known = {}
        for part in _parts(list(set(keys))):
            for key, fingerprint, job_id in self._execute(_SELECT_KEYS[len(part)], part).fetchall():
                known[key] = (fingerprint, to_job(self._execute(GET, (job_id,)).fetchone()))
        return known

    def _add_one(
        self, add: Add, known: _Known, jobs: list[Value], keys: list[Value]
    ) -> list[Job] | IdempotencyConflict:
        fingerprints: dict[str, str] = {}
        for new in add.new:
            if new.key is not None:
                first, _ = known.get(new.key, (new.fingerprint, None))
                if fingerprints.setdefault(new.key, first) != new.fingerprint:
                    return key_reused()
        added = [self._addto_job(new, add.now, known, jobs, keys) for new in add.new]
        if add.outcome is not None:
            (job,), (outcome, at) = added, add.outcome
            self._early.append(to_row(job.job_id, outcome, at))
            added = [msgspec.structs.replace(job, outcome=outcome, finished_at=at)]
        return added

    def _addto_job(
        self, new: NewJob, now: float, known: _Known, jobs: list[Value], keys: list[Value]
    ) -> Job:
        if new.key is not None and new.key in known:
            return known[new.key][1]
        self.last += 1
        job = Job(JobId(self.last), new.task, now)
        jobs += (self.last, now, size_of(new.task), new.task)
        if new.key is not None:
            known[new.key] = (new.fingerprint, job)
            keys += (new.key, new.fingerprint, self.last)
        return job

    # Finishing

    def finish(self, finishes: list[Finish]) -> list[list[bool]]:
        """Return of each which of its outcomes are the first of their jobs."""
        open_jobs = self._unfinished([row[0] for finish in finishes for row in finish.rows])
        first: list[Value] = [value for row in self._early for value in row]
        self.ended = [row[0] for row in self._early]
        open_jobs.difference_update(self.ended)
        results = [self._finish_some(finish.rows, open_jobs, first) for finish in finishes]
        ended, failed = len(self.ended), sum(error is not None for error in first[3::5])
        self._change(unfinished=-ended, succeeded=ended - failed, failed=failed)
        self._insert(_INSERT_OUTCOMES, 5, first)
        return results

    def _finish_some(
        self, rows: Sequence[OutcomeRow], open_jobs: set[int], first: list[Value]
    ) -> list[bool]:
        results = []
        for row in rows:
            job_id = row[0]
            is_first = job_id in open_jobs
            results.append(is_first)
            if is_first:
                open_jobs.remove(job_id)
                self.ended.append(job_id)
                first += row
        return results

    def _unfinished(self, ids: list[JobId]) -> set[int]:
        found: set[int] = {one for one in ids if one in self._open_jobs or one in self.added}
        asked = [one for one in ids if one not in found and 0 < one <= LARGEST_ID]
        if asked:
            (others,) = self._execute(_WHICH_UNFINISHED, (json.dumps(asked),)).fetchone()
            found.update(json.loads(others))
        return found

    # Forgetting

    def prune(self, prune: Prune) -> int:
        """Forget as many as asked, or as have `PRUNED_BYTES` together: at once, at least one."""
        surplus = max(0, self.counts.succeeded + self.counts.failed - prune.keep)
        found = dict(self._rows(_OLDEST, min(surplus, prune.at_most)))
        if prune.older_than is not None:
            found |= self._rows(_EXPIRED, prune.older_than, prune.at_most)
        sizes = accumulate(list(found.values())[: prune.at_most])
        count = sum(size <= PRUNED_BYTES for size in sizes) or min(1, len(found), prune.at_most)
        these = (json.dumps(list(found)[:count]),)
        (failed,) = self._execute(_COUNT_FAILED, these).fetchone()
        for forget in _FORGET:
            self._execute(forget, these)
            crash_point("retention.half_forgotten")
        self._change(succeeded=failed - count, failed=-failed)
        return count

    def _rows(self, statement: str, *values: Value) -> list[tuple[int, int]]:
        return self._execute(statement, values).fetchall()

    # Both

    def _insert(self, statements: dict[int, str], width: int, values: list[Value]) -> None:
        self.statements += [
            (statements[len(part) // width], part) for part in _parts(values, width)
        ]

    def _change(self, unfinished: int = 0, succeeded: int = 0, failed: int = 0) -> None:
        self.counts = Counts(
            self.counts.unfinished + unfinished,
            self.counts.succeeded + succeeded,
            self.counts.failed + failed,
        )


def _parts(values: list[T], width: int = 1) -> Iterator[list[T]]:
    """Cut flat rows into parts of the sizes that there are statements for."""
    start = 0
    for size in _SIZES:
        while len(values) - start >= size * width:
            yield values[start : start + size * width]
            start += size * width
