"""Every JSON body on any wire, once: what the public API, the private API and /compute say.

A `Reader` refuses NaN, infinities, numbers out of range, wrong types and missing keys, and ignores
keys that it does not know. Integers stay exact up to 4,300 digits. Encoding a float that is not
finite would write `null`: check before.
"""

import json
from math import isfinite
from typing import Annotated, Any, Generic, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.job import Job, Number

API_VERSION = 1  # of docs/workers.md: what a worker may announce as `api`

# To Python, `$` also matches before a newline at the end, hence the look-ahead.
WorkerName = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")
]
Port = Annotated[int, Meta(ge=1, le=65535)]


Message = TypeVar("Message")

encode = msgspec.json.Encoder().encode


class Reader(Generic[Message]):
    """Reads JSON bodies of one kind.

    msgspec counts the sign among the 4,300 digits that an integer may have, Python does not: a
    body that fails for that reason alone is read again by the standard library, which lets half of
    a surrogate pair through, so that what it reads must be text. And msgspec does not look at text
    under a key that it skips, so that UTF-8 is checked apart.
    """

    def __init__(self, kind: Any) -> None:  # noqa: ANN401  # a type, or a union of types
        self._kind = kind
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, body: bytes) -> Message:
        """Return the message in `body`.

        Raises `msgspec.ValidationError` for JSON of the wrong shape, and `ValueError` (of which
        that is one) or `RecursionError` for what is no JSON, or holds no number that Python has.
        """
        if not body.isascii():
            str(body, "utf-8")
        try:
            return self._decode(body)  # type: ignore[no-any-return]
        except msgspec.ValidationError as error:
            if "Integer value out of range" not in str(error):
                raise
        plain = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)
        message: Message = msgspec.convert(plain, self._kind)
        encode(message)  # raises for what is no text
        return message


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("number out of range")
    return number


class Submission(msgspec.Struct):
    """`POST /submit`: one task, or many."""

    task: str | UnsetType = UNSET
    tasks: list[str] | UnsetType = UNSET


class Submitted(msgspec.Struct):
    """What `/submit` answers for a task that was taken. Exactly these two keys."""

    job_id: int
    finished: bool = False


class TaskRefused(msgspec.Struct):
    """What `/submit` answers in the place of one of many tasks that is no expression."""

    error: str
    detail: str
    column: int


class SubmittedMany(msgspec.Struct):
    """What `/submit` answers for many tasks: one item each, in their order."""

    jobs: list[Submitted | TaskRefused]


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


class AttemptShown(msgspec.Struct):
    """One try of an operation at a worker; `reason` is why it brought no result, if it did not."""

    worker: str | None = None
    reason: str | None = None


OperationState = Literal["waiting", "queued", "sent", "done", "failed"]


class OperationShown(msgspec.Struct):
    """An item of `/job/{id}/operations`. What is not known (yet) is null.

    `column` (from 1) is where the operator stands in the task, `parent` the operation that waits
    for the result. It was ready for `queued_s` seconds before it was sent, which was `sent_s` after
    the job began, and came back `on_the_way_s` later; of several attempts these are the last one's.
    """

    index: int
    operation: str
    op1: Number | None = None
    op2: Number | None = None
    result: Number | None = None
    column: int | None = None
    parent: int | None = None
    state: OperationState = "waiting"
    error: str | None = None
    worker: str | None = None
    attempts: list[AttemptShown] = []
    queued_s: float | None = None
    sent_s: float | None = None
    on_the_way_s: float | None = None
    computing_s: float | None = None


class OperationsSummary(msgspec.Struct):
    """Sums over all operations of a job that came back, sampled or not; `workers` counts them."""

    queued_s: float = 0.0
    on_the_way_s: float = 0.0
    computing_s: float | None = None
    attempts: int = 0
    workers: dict[str, int] = {}


class JobOperations(msgspec.Struct):
    """What `/job/{id}/operations` answers: `shown` of `total` operations, all unless `sampled`.

    `submitted_at` and `finished_at` are seconds since the epoch, by the master's clock; until it
    has finished, `running_s` is how long ago it began, which the times of operations count from.
    `critical_path` are the indexes of the operations that the last one waited for, each for the
    one before; of a sample it is empty.
    """

    job_id: int
    task: str
    total: int
    shown: int
    operations: list[OperationShown]
    sampled: bool = False
    finished: bool = False
    submitted_at: float | None = None
    finished_at: float | None = None
    running_s: float | None = None
    critical_path: list[int] = []
    summary: OperationsSummary = msgspec.field(default_factory=OperationsSummary)


class Explanation(msgspec.Struct):
    """What `/job/{id}/why` answers: where the job stands, and why, in sentences for people."""

    job_id: int
    state: str
    sentences: list[str]


class Item(msgspec.Struct, gc=False):
    """In an array, in the place of an operand: the result of an earlier item, counted from 0."""

    item: Annotated[int, Meta(ge=0)]


class Computation(msgspec.Struct, gc=False):
    """What `/compute` is asked."""

    operation: str
    op1: Number | Item
    op2: Number | Item


class Computed(msgspec.Struct, gc=False):
    """What `/compute` answers: the three keys of the question and the result."""

    operation: str
    op1: Number
    op2: Number
    result: Number


class ComputedItem(msgspec.Struct, gc=False):
    """An item of the array that a batch is answered with: a result, or an error in its place.

    The operands are numbers, unless one is an item that has no result.
    """

    operation: str
    op1: Number | Item
    op2: Number | Item
    result: Number | UnsetType = UNSET
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class Refusal(msgspec.Struct):
    """What the master reads of a worker's problem: why an operation has no result."""

    error: Annotated[str, Meta(min_length=1)]
    detail: str | UnsetType = UNSET


class Announcement(msgspec.Struct):
    """`POST /worker`: a worker says that it is there. Only the name is needed."""

    worker_name: WorkerName
    port: Port | UnsetType = UNSET
    url: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    operations: list[Annotated[str, Meta(min_length=1, max_length=100)]] | UnsetType = UNSET
    batch: Annotated[int, Meta(ge=1)] = 1
    chains: bool = False
    api: Annotated[int, Meta(ge=1)] = API_VERSION


class AnnouncementTaken(msgspec.Struct):
    """What `POST /worker` answers: when to announce again, and what the pool thinks."""

    worker_name: str = ""
    state: str = ""
    announce_again_s: Annotated[float, Meta(gt=0)] = 1.0


class InHand(msgspec.Struct):
    """An operation that is at a worker, and how many seconds ago it was sent there."""

    job_id: int
    operation: str
    sent_s: float


class WorkerStatus(msgspec.Struct):
    """An item of `/workers`. Times are seconds; `last_seen_s` is how long ago it was heard.

    Of the `in_flight` operations that it has, `in_hand` is the one that it has had longest.
    """

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
    chains: bool = False
    in_hand: InHand | None = None


class JobSeen(msgspec.Struct):
    """A job in `/events`. Times are seconds since the epoch, by the master's clock.

    The task is cut where `task_cut` says so. An answer that a browser would not show as it is, a
    large integer or any float, is there as text too.
    """

    job_id: int
    finished: bool
    answer: Number | None
    task: str
    submitted_at: float
    finished_at: float | None = None
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    task_cut: bool | UnsetType = UNSET
    answer_text: str | UnsetType = UNSET


class Summary(msgspec.Struct):
    """The whole master in a few numbers.

    `queued`, `in_flight` and the rate are of operations, `running`, `waiting` (for room) and the
    three after them of jobs. `oldest_queued_s` is how long the first of the queue has waited.
    """

    workers_live: int
    workers: int
    queued: int
    in_flight: int
    running: int
    waiting: int
    unfinished: int
    succeeded: int
    failed: int
    operations_per_s: float
    oldest_queued_s: float
    loop_lag_s: float


# A second of the past: when, operations that waited, came back, failed (perhaps to be tried again).
HistoryPoint = tuple[float, int, float, float]


class WorkerGone(msgspec.Struct):
    """A worker that is no longer in the pool."""

    name: str
    url: str


class Snapshot(msgspec.Struct):
    """The first event of `/events`: everything. `now` and `started_at` are the master's time."""

    now: float
    started_at: float
    summary: Summary
    history: list[HistoryPoint]
    workers: list[WorkerStatus]
    jobs: list[JobSeen]


class Change(msgspec.Struct):
    """Every later event: what is new since the one before it, workers by name and url."""

    now: float
    summary: Summary | UnsetType = UNSET
    history: list[HistoryPoint] | UnsetType = UNSET
    workers: list[WorkerStatus] | UnsetType = UNSET
    workers_gone: list[WorkerGone] | UnsetType = UNSET
    jobs: list[JobSeen] | UnsetType = UNSET


class Problem(msgspec.Struct):
    """An error as `application/problem+json`, RFC 9457, with a stable code of ours."""

    title: str
    status: int
    error: str
    detail: str
    type: str = "about:blank"
    column: int | UnsetType = UNSET
