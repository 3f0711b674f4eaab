"""A group of writes: what each of them comes to, and its rows.

It is decided in memory and written in few statements of many rows. Each statement lets go of the
interpreter's lock and, beside a busy event loop, may wait milliseconds to get it back: 500 jobs
cost a dozen statements and not two thousand.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

import msgspec

from engine.crashpoints import crash_point
from engine.errors import IdempotencyConflict
from engine.job import Job, JobId, Outcome
from engine.store.base import Counts, NewJob, key_reused
from engine.store.rows import GET, LARGEST_ID, size_of, to_job

Value = int | float | str | None
PRUNED_BYTES = 4 * 1024 * 1024  # freeing the pages of as much text takes 20 ms

_Known = dict[str, tuple[str, Job]]  # idempotency key -> its fingerprint and job
T = TypeVar("T")


class Add(msgspec.Struct, frozen=True):
    """Add jobs, all or none."""

    new: Sequence[NewJob]
    now: float


class Finish(msgspec.Struct, frozen=True):
    """Set the outcome of a job; `answer` is its answer as text."""

    job_id: JobId
    outcome: Outcome
    answer: str | None
    now: float


class Prune(msgspec.Struct, frozen=True):
    """Forget finished jobs; the fields are those of `Store.prune`."""

    keep: int
    older_than: float | None
    at_most: int


Write = Add | Finish | Prune
Written = list[Job] | bool | int | IdempotencyConflict


# Statements of many rows come in these sizes, so that each is prepared once: 500 rows are six.
_SIZES = tuple(1 << power for power in range(9, -1, -1))


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
_NO_LONGER_UNFINISHED = f"DELETE FROM unfinished {_THESE}"  # noqa: S608
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
    """What a group of writes comes to, and its rows. `last` and `counts` hold once it commits."""

    def __init__(self, connection: sqlite3.Connection, last: int, counts: Counts) -> None:
        self.last = last
        self.counts = counts
        self._execute = connection.execute

    def carry_out(self, group: Sequence[Write]) -> list[Written]:
        """Write the rows of a group; return what each write comes to, in the order given."""
        results: dict[type[Write], Iterator[Written]] = {
            Add: iter(self._add([write for write in group if isinstance(write, Add)])),
            Finish: iter(self._finish([write for write in group if isinstance(write, Finish)])),
            Prune: iter([self._prune(write) for write in group if isinstance(write, Prune)]),
        }
        return [next(results[type(write)]) for write in group]

    # Adding

    def _add(self, adds: list[Add]) -> list[list[Job] | IdempotencyConflict]:
        known = self._known([new.key for add in adds for new in add.new if new.key is not None])
        first = self.last + 1
        jobs: list[Value] = []
        keys: list[Value] = []
        results = [self._add_one(add, known, jobs, keys) for add in adds]
        if self.last >= first:
            self._insert(_INSERT_JOBS, 4, jobs)
            self._execute(
                "INSERT INTO unfinished SELECT job_id FROM jobs WHERE job_id >= ?", (first,)
            )
            self._insert(_INSERT_KEYS, 3, keys)
            crash_point("write.added")
            self._execute("UPDATE last_job SET job_id = ?", (self.last,))
            self._change(unfinished=self.last + 1 - first)
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
        return [self._addto_job(new, add.now, known, jobs, keys) for new in add.new]

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

    def _finish(self, finishes: list[Finish]) -> list[bool]:
        if not finishes:
            return []
        asked = [finish.job_id for finish in finishes if 0 < finish.job_id <= LARGEST_ID]
        open_jobs = self._unfinished(asked)
        rows: list[Value] = []
        failed = 0
        results = []
        for finish in finishes:
            first = finish.job_id in open_jobs
            results.append(first)
            if first:
                open_jobs.remove(finish.job_id)
                error = finish.outcome.error
                rows += (finish.job_id, finish.now, finish.answer, error, finish.outcome.detail)
                failed += error is not None
        ended = len(rows) // 5
        if ended:
            self._execute(_NO_LONGER_UNFINISHED, (json.dumps(rows[::5]),))
            crash_point("write.half_finished")
            self._insert(_INSERT_OUTCOMES, 5, rows)
            self._change(unfinished=-ended, succeeded=ended - failed, failed=failed)
        return results

    def _unfinished(self, ids: list[JobId]) -> set[int]:
        (found,) = self._execute(_WHICH_UNFINISHED, (json.dumps(ids),)).fetchone()
        return set(json.loads(found))

    # Forgetting

    def _prune(self, prune: Prune) -> int:
        """Forget as many as asked, or as many as have `PRUNED_BYTES` together: at least one."""
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
        for part in _parts(values, width):
            self._execute(statements[len(part) // width], part)

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
