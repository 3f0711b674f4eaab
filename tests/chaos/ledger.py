"""What clients were promised and what they saw, and whether a record keeps to it. Pure.

Laws: what was acknowledged, or seen by anybody, is in the record for ever; a job ends with what
Python says of its task, or `cancelled` if a client asked for that; an ending, once seen, never
changes; ids are unique and grow; no task is in the record twice, since none is submitted twice but
under one idempotency key. Whatever breaks a law is kept with a sentence.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from engine.job import Number
from tests.expressions import Exact, exact, oracle

FAULTS = (
    "lost",
    "wrong",
    "changed",
    "doubled",
    "disordered",
    "unsound",
    "stuck",
    "crashed",
    "complaint",
)

Ending = Exact | str  # an exact answer, or an error code


class Row(NamedTuple):
    """A job as anybody shows it: `ended` tells an answer or an error from none yet."""

    job_id: int
    task: str
    ended: bool
    answer: Number | None = None
    error: str | None = None

    @property
    def ending(self) -> Ending | None:
        """How the job ended, comparable to the bit; `None` if it has not."""
        if not self.ended:
            return None
        if self.error is not None or self.answer is None:
            return self.error or "nothing"
        return exact(self.answer)


class Ledger:
    """Remembers promises and observations. With `keep`, a record may forget but for so many."""

    def __init__(self, keep: int | None = None) -> None:
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.observations = 0
        self.highest = 0  # the highest id that was acknowledged
        self._keep = keep
        self._tasks: dict[int, str] = {}  # of every job that anybody knows of
        self._acknowledged: set[int] = set()
        self._endings: dict[int, tuple[Ending, int]] = {}  # and the observation that showed it
        self._cancelled: set[int] = set()
        self._forgotten: set[int] = set()

    @property
    def acknowledged(self) -> int:
        """How many jobs were acknowledged."""
        return len(self._acknowledged)

    @property
    def unfinished(self) -> list[int]:
        """Return the jobs that were acknowledged and whose end nobody has seen."""
        return sorted(self._acknowledged - set(self._endings) - self._forgotten)

    def knows(self, job_id: int) -> bool:
        """Return whether a job was acknowledged, and is not known to be forgotten."""
        return job_id in self._acknowledged and job_id not in self._forgotten

    def task(self, job_id: int) -> str:
        """Return the task of a job that somebody knows of."""
        return self._tasks[job_id]

    def fault(self, kind: str, sentence: str) -> None:
        """Keep a breach of a law."""
        self.faults[kind].append(sentence)

    # What clients tell

    def acknowledge(self, job_id: int, task: str, above: int | None = None) -> None:
        """Note that `task` was answered with `job_id`.

        The id must be new and greater than `above`, the highest one known when the request was
        sent; `None` if the same key had been sent before, so that the job may be older.
        """
        self._know(job_id, task)
        if above is not None and job_id <= above:
            self.fault("disordered", f"job {job_id} was given after {above}")
        if above is not None and job_id in self._acknowledged:
            self.fault("doubled", f"the id {job_id} was given twice")
        self._acknowledged.add(job_id)
        self.highest = max(self.highest, job_id)

    def repeat(self, job_id: int, first: int) -> None:
        """Note that a key that had been answered with `first` was answered with `job_id`."""
        if job_id != first:
            self.fault("doubled", f"one key was answered with job {first} and with job {job_id}")

    def cancel(self, job_id: int) -> None:
        """Note that somebody is about to ask for a job to be cancelled."""
        self._cancelled.add(job_id)

    def miss(self, job_id: int) -> None:
        """Note that the master said that it has no such job."""
        if self._keep is None:
            self.fault("lost", f"the master does not know job {job_id}")
        self._forgotten.add(job_id)

    def see(self, row: Row, asked_at: int) -> None:
        """Note how a job was shown; `asked_at` is what `observations` was when it was asked for.

        Answers overtake each other: that a job has not ended may be older news than its end.
        """
        self.observations += 1
        self._know(row.job_id, row.task)
        ending = row.ending
        before, since = self._endings.get(row.job_id, (None, 0))
        if before is not None:
            if ending != before and (ending is not None or since <= asked_at):
                self.fault("changed", f"job {row.job_id} ended as {before}, and then as {ending}")
        elif ending is not None:
            self._endings[row.job_id] = (ending, self.observations)
            if not self._is_right(row, ending):
                self.fault("wrong", f"job {row.job_id} ({row.task[:200]}) ended as {row}"[:600])

    def _is_right(self, row: Row, ending: Ending) -> bool:
        if ending == "cancelled":
            return row.job_id in self._cancelled
        right = oracle(row.task)
        return ending == (right if isinstance(right, str) else exact(right))

    def _know(self, job_id: int, task: str) -> None:
        if self._tasks.setdefault(job_id, task) != task:
            self.fault("doubled", f"job {job_id} is two tasks: {task} and {self._tasks[job_id]}")

    # What a record tells

    def compare(self, rows: Iterable[Row]) -> None:
        """Hold a whole record against all that is known."""
        ids: set[int] = set()
        tasks: dict[str, int] = {}
        ended, asked_at = 0, self.observations
        for row in rows:
            ids.add(row.job_id)
            ended += row.ended
            if tasks.setdefault(row.task, row.job_id) != row.job_id:
                self.fault("doubled", f"{tasks[row.task]} and {row.job_id} are one submission")
            if row.job_id in self._forgotten:
                self.fault("changed", f"job {row.job_id} was forgotten and is back")
            self.see(row, asked_at)
        missing = set(self._tasks) - ids - self._forgotten
        if self._keep is not None and ended >= self._keep:
            self._forgotten |= missing
        else:
            self.faults["lost"] += [f"job {job_id} is not in the record" for job_id in missing]
