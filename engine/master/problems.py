"""Which HTTP status each error is, and how it is told: RFC 9457, in one place.

The type of an error decides; whatever is not listed is a bug of ours.
"""

from http import HTTPStatus

from msgspec import UNSET

from engine.errors import (
    Draining,
    ExecutorError,
    ExpressionError,
    IdempotencyConflict,
    InvalidAnnouncement,
    JobNotFound,
    Overloaded,
    StoreError,
    TaskTooLarge,
    TraceNotKept,
    WorkerNotFound,
)
from engine.messages import Problem
from engine.web import RequestRefused

STATUS: dict[type[ExecutorError], HTTPStatus] = {
    ExpressionError: HTTPStatus.BAD_REQUEST,
    InvalidAnnouncement: HTTPStatus.BAD_REQUEST,
    JobNotFound: HTTPStatus.NOT_FOUND,
    TraceNotKept: HTTPStatus.NOT_FOUND,
    WorkerNotFound: HTTPStatus.NOT_FOUND,
    TaskTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    IdempotencyConflict: HTTPStatus.UNPROCESSABLE_ENTITY,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    Draining: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}

STORE_RETRY_AFTER_S = 5.0


def status_of(error: ExecutorError) -> HTTPStatus:
    """Return the status that `error` is answered with."""
    if isinstance(error, RequestRefused):
        return error.status
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: ExecutorError) -> Problem:
    """Return `error` as the body of an answer."""
    status = status_of(error)
    column = error.column if isinstance(error, ExpressionError) else UNSET
    return Problem(status.phrase, status.value, error.code, error.detail, column=column)


def retry_after_s(error: ExecutorError) -> int | None:
    """Return the whole seconds for a Retry-After header, or `None` where none belongs."""
    if isinstance(error, Overloaded):
        return max(1, round(error.retry_after_s))
    if isinstance(error, StoreError):
        return round(STORE_RETRY_AFTER_S)
    return None
