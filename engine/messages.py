"""Every JSON body on any wire, once: what the public API, the private API and /compute say.

Decoding refuses NaN, infinities, numbers out of range, wrong types and missing keys, and ignores
keys that it does not know. Integers stay exact at any size up to 4,300 digits. Encoding a float
that is not finite would write `null`: check before.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.job import Job, Number

API_VERSION = 1  # of docs/workers.md: what a worker may announce as `api`

WorkerName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Port = Annotated[int, Meta(ge=1, le=65535)]


class Submission(msgspec.Struct):
    """`POST /submit`: one task, or many."""

    task: str | UnsetType = UNSET
    tasks: list[str] | UnsetType = UNSET


class Submitted(msgspec.Struct):
    """What `/submit` answers for a task that was taken. Exactly these two keys."""

    job_id: int
    finished: bool = False


class JobStatus(msgspec.Struct):
    """What `/job/{id}` answers: exactly three keys, and two more when the job failed."""

    job_id: int
    finished: bool
    answer: Number | None
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET

    @classmethod
    def of(cls, job: Job) -> "JobStatus":
        """Return the public view of `job`."""
        return cls(job.job_id, job.finished, *_ending(job))


class JobListed(msgspec.Struct):
    """An item of `/jobs`: what `/job/{id}` says plus the task."""

    job_id: int
    finished: bool
    answer: Number | None
    task: str
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET

    @classmethod
    def of(cls, job: Job) -> "JobListed":
        """Return the public view of `job` in a list."""
        answer, error, detail = _ending(job)
        return cls(job.job_id, job.finished, answer, job.task, error, detail)


def _ending(job: Job) -> tuple[Number | None, str | UnsetType, str | UnsetType]:
    if job.outcome is None:
        return None, UNSET, UNSET
    if job.outcome.error is None:
        return job.outcome.answer, UNSET, UNSET
    return None, job.outcome.error, job.outcome.detail or job.outcome.error


class Computation(msgspec.Struct, gc=False):
    """What `/compute` is asked."""

    operation: str
    op1: Number
    op2: Number


class Computed(msgspec.Struct, gc=False):
    """What `/compute` answers: the three keys of the question and the result."""

    operation: str
    op1: Number
    op2: Number
    result: Number


class ComputedItem(msgspec.Struct, gc=False):
    """An item of the array that a batch is answered with: a result, or an error in its place."""

    operation: str
    op1: Number
    op2: Number
    result: Number | UnsetType = UNSET
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class Announcement(msgspec.Struct):
    """`POST /worker`: a worker says that it is there. Only the name is needed."""

    worker_name: WorkerName
    port: Port | UnsetType = UNSET
    url: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    operations: list[Annotated[str, Meta(min_length=1, max_length=100)]] | UnsetType = UNSET
    batch: Annotated[int, Meta(ge=1)] = 1
    api: Annotated[int, Meta(ge=1)] = API_VERSION


class AnnouncementTaken(msgspec.Struct):
    """What `POST /worker` answers: when to announce again, and what the pool thinks."""

    worker_name: str
    state: str
    announce_again_s: float


class WorkerStatus(msgspec.Struct):
    """An item of `/workers`. Times are seconds; `last_seen_s` is how long ago it was heard."""

    name: str
    url: str
    state: str
    operations: list[str]
    batch: int
    in_flight: int
    completed: int
    failed: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    last_seen_s: float | None
    reason: str | None


class Problem(msgspec.Struct):
    """An error as `application/problem+json`, RFC 9457, with a stable code of ours."""

    title: str
    status: int
    error: str
    detail: str
    type: str = "about:blank"
    column: int | UnsetType = UNSET
