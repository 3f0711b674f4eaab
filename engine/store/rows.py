"""How a job reads in rows: the queries that find it, and the way back to the record.

Numbers are kept as the text that Python writes: exact at any size, `-0.0` and `1.0` as they were.
Each query costs what it returns: the joins and indexes are spelled out where SQLite might choose
to look through a whole table.
"""

from engine.job import Job, JobId, Number, Outcome
from engine.store.base import Status

LARGEST_ID = 2**63 - 1  # of an SQLite integer

Row = tuple[int, str, float, float | None, str | None, str | None, str | None]
OutcomeRow = tuple[JobId, float, str | None, str | None, str | None]

_JOB = "SELECT j.job_id, j.task, j.submitted_at, o.finished_at, o.answer, o.error, o.detail FROM"
_OUTCOME = "LEFT JOIN outcomes o USING (job_id)"

GET = f"{_JOB} jobs j {_OUTCOME} WHERE j.job_id = ?"

PAGE: dict[Status | None, str] = {
    None: f"{_JOB} jobs j {_OUTCOME} WHERE j.job_id < ? ORDER BY j.job_id DESC LIMIT ?",
    "unfinished": f"{_JOB} unfinished u CROSS JOIN jobs j USING (job_id) {_OUTCOME}"
    " WHERE u.job_id < ? ORDER BY u.job_id DESC LIMIT ?",
    "succeeded": f"{_JOB} outcomes o INDEXED BY succeeded CROSS JOIN jobs j USING (job_id)"
    " WHERE o.error IS NULL AND o.job_id < ? ORDER BY o.job_id DESC LIMIT ?",
    "failed": f"{_JOB} outcomes o INDEXED BY failed CROSS JOIN jobs j USING (job_id)"
    " WHERE o.error IS NOT NULL AND o.job_id < ? ORDER BY o.job_id DESC LIMIT ?",
}

IDS: dict[Status | None, str] = {
    None: "SELECT job_id FROM jobs WHERE job_id < ? ORDER BY job_id DESC LIMIT ?",
    "unfinished": "SELECT job_id FROM unfinished WHERE job_id < ? ORDER BY job_id DESC LIMIT ?",
    "succeeded": "SELECT job_id FROM outcomes INDEXED BY succeeded"
    " WHERE error IS NULL AND job_id < ? ORDER BY job_id DESC LIMIT ?",
    "failed": "SELECT job_id FROM outcomes INDEXED BY failed"
    " WHERE error IS NOT NULL AND job_id < ? ORDER BY job_id DESC LIMIT ?",
}

# In the order of the array: sorted, all of them would be read before the first one is there.
THESE = f"{_JOB} json_each(?) CROSS JOIN jobs j ON j.job_id = value {_OUTCOME}"

UNFINISHED = (
    "SELECT job_id, task, submitted_at FROM unfinished CROSS JOIN jobs USING (job_id)"
    " WHERE job_id > ? ORDER BY job_id LIMIT ?"
)


def size_of(text: str | None) -> int:
    """Return the bytes of a text. Raises `UnicodeEncodeError`, a `ValueError`, if it has none."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def number_to_text(number: Number | None) -> str | None:
    """Return the text that gives this very number back. Raises `ValueError` over 4,300 digits."""
    return None if number is None else repr(number)


def to_row(job_id: JobId, outcome: Outcome, now: float) -> OutcomeRow:
    """Return an outcome as it is inserted. Raises `ValueError` as `number_to_text` does."""
    return job_id, now, number_to_text(outcome.answer), outcome.error, outcome.detail


def text_to_number(text: str | None) -> Number | None:
    """Return the number, with the type that it had."""
    if text is None:
        return None
    return int(text) if text.removeprefix("-").isdecimal() else float(text)


def to_job(row: Row) -> Job:
    """Return the job in a row of `GET`, `PAGE` or `THESE`."""
    job_id, task, submitted_at, finished_at, answer, error, detail = row
    if finished_at is None:
        return Job(JobId(job_id), task, submitted_at)
    outcome = Outcome(text_to_number(answer), error, detail)
    return Job(JobId(job_id), task, submitted_at, outcome, finished_at)
