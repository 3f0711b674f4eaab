"""Every error that the engine raises on purpose: its type decides the reaction.

An `ExpressionError` is the client's fault and never tried again; an `OperationFailed` is the
operation's own and fails its job; a `WorkerError` is a worker's and sends the operation to another
one. Foreign errors are translated into these where they come in (`transport.py`, `store/`), once.
Each carries a stable `code` that programs may rely on and a sentence, `detail`, for people.
"""

from typing import ClassVar


class ExecutorError(Exception):
    """Base of all errors that the engine raises on purpose."""

    code: ClassVar[str] = "internal_error"

    @property
    def detail(self) -> str:
        """The sentence that tells a person what happened and what to do."""
        return str(self)


class ExpressionError(ExecutorError):
    """Raised when a task is no expression, or holds a literal that is out of range.

    `column` counts characters of the task from 1. `code` is `invalid_expression`, `overflow` or
    `too_many_digits`.
    """

    def __init__(self, detail: str, column: int, code: str = "invalid_expression") -> None:
        super().__init__(detail)
        self.column = column
        self.code = code  # type: ignore[misc]  # one class, three stable codes


class TaskTooLarge(ExecutorError):
    """Raised when a task has more bytes than `limits.task_bytes` allows."""

    code = "too_large"


class OperationFailed(ExecutorError):
    """Raised when an operation has no answer, whoever computes it: its job fails with `code`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc]  # the code is the worker's to name


class WorkerError(ExecutorError):
    """Base of what goes wrong between us and one worker: the operation goes to another one."""

    reason: ClassVar[str] = "worker_error"


class Unreachable(WorkerError):
    """Raised when a worker refuses the connection, or closes it before it has answered.

    `aboard` tells the two apart: whether what we sent may have reached the worker.
    """

    code = reason = "unreachable"

    def __init__(self, detail: str, *, aboard: bool = False) -> None:
        super().__init__(detail)
        self.aboard = aboard


class TimedOut(WorkerError):
    """Raised when a worker has not answered within the call time-out."""

    code = reason = "timed_out"


class BrokenReply(WorkerError):
    """Raised when a reply is not exactly what was asked for, or cannot be read."""

    code = reason = "broken_reply"


class ForeignReply(BrokenReply):
    """Raised when a well-formed reply answers another question: other operation or operands."""

    code = reason = "foreign_reply"


class Refused(WorkerError):
    """Raised when a worker answers 5xx or 429; `retry_after_s` is what it asked for, if it did."""

    code = reason = "refused"

    def __init__(self, detail: str, *, retry_after_s: float | None = None, busy: bool) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.busy = busy  # 429 and 503: not now; anything else: the worker is at fault


class ResultsWithdrawn(ExecutorError):
    """Raised when what a job was given may be wrong, after all: it is to start afresh."""

    code = "results_withdrawn"


class InvalidAnnouncement(ExecutorError):
    """Raised when an announcement names no worker that the pool could call."""

    code = "invalid_announcement"


class JobNotFound(ExecutorError):
    """Raised when no job has this id, or its record is no longer kept."""

    code = "job_not_found"


class TraceNotKept(ExecutorError):
    """Raised when a job is known, but not (or no longer) what happened to its operations."""

    code = "trace_not_kept"


class WorkerNotFound(ExecutorError):
    """Raised when no worker of this name is in the pool."""

    code = "worker_not_found"


class IdempotencyConflict(ExecutorError):
    """Raised when an Idempotency-Key comes again with another body."""

    code = "idempotency_key_reused"


class Overloaded(ExecutorError):
    """Raised when a bound is reached; `retry_after_s` is an honest guess of when to come back."""

    code = "overloaded"

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Draining(Overloaded):
    """Raised when the master is on its way out and takes no new jobs."""

    code = "draining"


class StoreError(ExecutorError):
    """Raised when the store can neither promise nor read: nothing was acknowledged."""

    code = "storage_unavailable"


class StoreLocked(StoreError):
    """Raised when another process holds the record; says which."""


class StoreDamaged(StoreError):
    """Raised when the record cannot be trusted as it is; nothing was changed."""


class SettingsError(ExecutorError):
    """Raised when settings cannot be used; the detail lists every fault with its path."""

    code = "invalid_settings"
