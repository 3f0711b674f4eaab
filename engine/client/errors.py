"""What can go wrong between a client and a master, told apart by who has to act.

`MasterUnreachable`: no answer came, so ask again later or elsewhere. `ApiError`: the master
answered no, and says why. `UnexpectedReply`: something answered that does not speak the contract.
"""

from typing import ClassVar

from engine.errors import ExecutorError


class ClientError(ExecutorError):
    """Base of what the client raises on purpose."""

    code: ClassVar[str] = "client_error"


class MasterUnreachable(ClientError):  # says what is, not that it is an error
    """Raised when no answer came: refused, closed, not resolved, or not within the time-out.

    `sent` tells whether the request may have reached the master all the same.
    """

    code = "unreachable"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class UnexpectedReply(ClientError):
    """Raised when the answer is not one that the contract knows: perhaps no master is there."""

    code = "unexpected_reply"


class ApiError(ClientError):
    """Raised when the master refuses: `code` and `detail` are its own words.

    `column` counts characters of the task from 1; `retry_after_s` is when it asked us to come back.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        column: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code  # type: ignore[misc]  # the code is the master's to name
        self.column = column
        self.retry_after_s = retry_after_s

    @property
    def busy(self) -> bool:
        """Whether the same request may well succeed a little later."""
        return self.status in {429, 503}

    @property
    def is_unknown_job(self) -> bool:
        """Whether the master has no job of that id."""
        return self.code == "job_not_found"

    @property
    def is_bare(self) -> bool:
        """Whether no problem came with the status: perhaps it is no master that refuses."""
        return self.code == f"http_{self.status}"


class InputError(ClientError):
    """Raised when the input cannot be read as lines of text; says which line it was."""

    code = "invalid_input"
