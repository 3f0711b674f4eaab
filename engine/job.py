"""The records that everything else talks about: a job, its outcome, and one operation of it.

Nothing here decides anything. A job's outcome is set once and never changes. None of these records
can be part of a cycle, so the garbage collector need not look at them, however many there are.
"""

from typing import NewType, Protocol

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


class Link(msgspec.Struct, frozen=True, gc=False):
    """An operation of a chain: one operand is the result of the operation right before it.

    That is the first operand if `operand` comes `second`, and the second one otherwise.
    """

    index: int
    name: str
    operand: Number
    second: bool
    column: int


class Chain(Protocol):
    """Operations of a job each of which waits for nothing but the one before it."""

    def after(self, index: int, at_most: int) -> list[Link]:
        """Return up to `at_most` links that follow operation `index`."""
        ...


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation of a job whose operands are known: what a worker is asked to compute.

    `index` tells it apart from the other operations of its job; `column` (from 1) is where its
    operator stands in the task. A name is any that a worker may announce, and the operands are as
    many as it takes: the four that the engine knows take two. If it has a `chain`, what follows it
    there may travel with it.
    """

    index: int
    name: str
    operands: tuple[Number, ...]
    column: int
    chain: Chain | None = None
