"""The records that everything else talks about: a job, its outcome, and one operation of it.

Nothing here decides anything. A job's outcome is set once and never changes. None of these records
can be part of a cycle, so the garbage collector need not look at them, however many there are.
"""

from typing import NewType

import msgspec

Number = int | float
JobId = NewType("JobId", int)


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a job ended: an answer, or a stable error code with a sentence."""

    answer: Number | None = None
    error: str | None = None
    detail: str | None = None


class Job(msgspec.Struct, frozen=True, gc=False):
    """A submitted task. Times are seconds since the epoch by the master's clock."""

    job_id: JobId
    task: str
    submitted_at: float
    outcome: Outcome | None = None
    finished_at: float | None = None

    @property
    def finished(self) -> bool:
        """Whether the job has ended, with an answer or an error."""
        return self.outcome is not None


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation of a job whose operands are known: what a worker is asked to compute.

    `index` tells it apart from the other operations of its job; `column` (from 1) is where its
    operator stands in the task. A name is any that a worker may announce, and the operands are as
    many as it takes: the four that the engine knows take two.
    """

    index: int
    name: str
    operands: tuple[Number, ...]
    column: int
