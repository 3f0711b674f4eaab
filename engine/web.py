"""What every HTTP handler of ours does alike, at the master and at the worker.

Bodies are read whole and as strict JSON in UTF-8, whatever their Content-Type says; whatever is
raised on the way is answered as a problem (RFC 9457), Tornado's own errors included; nothing of
our inside is ever shown, and no more than `LONGEST_QUOTE` characters of what somebody sent.
"""

import hmac
import logging
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar

import msgspec
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from engine.errors import ExecutorError
from engine.messages import Problem, Reader, encode

log = logging.getLogger(__name__)

Message = TypeVar("Message")

PROBLEM_TYPE = "application/problem+json"
LONGEST_QUOTE = 80


class RequestRefused(ExecutorError):
    """Raised when a request cannot be served as it stands; carries its own status and code.

    And the headers that belong to it: Tornado forgets those set before an error.
    """

    def __init__(self, status: HTTPStatus, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.code = code  # type: ignore[misc]  # one class for all that is wrong with a request


class ApiHandler(RequestHandler):
    """A handler that reads messages, responds with messages, and tells problems."""

    def __init__(self, application: Application, request: HTTPServerRequest, **given: Any) -> None:  # noqa: ANN401  # Tornado's
        # A body is JSON, whatever its type says: Tornado would read a form first, and refuse
        # the request when it finds none.
        request.headers.pop("Content-Type", None)
        super().__init__(application, request, **given)

    def read(self, reader: Reader[Message]) -> Message:
        """Return the body as a message. Raises `RequestRefused`."""
        body = self.request.body
        try:
            return reader(body)
        except msgspec.ValidationError as error:
            refuse_what_is_no_json(body)
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, self.code_for(str(error)), str(error)
            ) from None
        except (ValueError, RecursionError) as error:
            raise _invalid_json(error) from None

    def code_for(self, _violation: str) -> str:
        """Return the stable code for JSON of the wrong shape."""
        return "invalid_request"

    def respond(self, message: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer with a message as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(encode(message))

    def problem_of(self, error: ExecutorError) -> Problem:
        """Return the problem that tells `error`."""
        status = getattr(error, "status", HTTPStatus.INTERNAL_SERVER_ERROR)
        return Problem(status.phrase, status.value, error.code, error.detail)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401  # Tornado's
        """Answer with a problem; Tornado calls this for everything that was raised."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, HTTPError):
            error = self._translated(error)
        elif not isinstance(error, ExecutorError):
            error = RequestRefused(
                HTTPStatus(status_code), "internal_error", "this is our mistake; see the log"
            )
        problem = self.problem_of(error)
        self.set_status(problem.status)
        if isinstance(error, RequestRefused):
            for name, value in error.headers.items():
                self.set_header(name, value)
        self.set_header("Content-Type", PROBLEM_TYPE)
        self.finish(encode(problem))

    def _translated(self, error: HTTPError) -> RequestRefused:
        status = HTTPStatus(error.status_code)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(self._allowed())
            detail = f"this path takes {allowed}"
            return RequestRefused(status, "method_not_allowed", detail, Allow=allowed)
        return RequestRefused(status, "invalid_request", error.log_message or status.phrase)

    def _allowed(self) -> list[str]:
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not RequestHandler._unimplemented_method
        ]

    def _handle_request_exception(self, e: BaseException) -> None:
        if isinstance(e, ExecutorError) and not self._finished:
            self.send_error(self.problem_of(e).status, exc_info=(type(e), e, None))
        else:
            super()._handle_request_exception(e)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log our own mistakes with their traceback, and the client's not at all."""
        if typ is not None and value is not None and not isinstance(value, HTTPError):
            request = f"{self.request.method} {self.request.path[:LONGEST_QUOTE]}"
            log.error("%s failed", request, exc_info=(typ, value, tb))

    def has_token(self, token: str) -> bool:
        """Return whether the request carries the shared token, or none is asked for."""
        said = self.request.headers.get("Authorization", "")
        expected = f"Bearer {token}"
        return not token or hmac.compare_digest(said.encode(), expected.encode())

    def refuse_without(self, token: str) -> None:
        """Raise a 401 unless the request carries the shared token."""
        if not self.has_token(token):
            raise RequestRefused(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "this takes the shared token; set token alike at the master and at all workers",
                WWW_Authenticate="Bearer",
            )

    def compute_etag(self) -> None:
        """Spare the hash: answers change with every job."""

    def set_default_headers(self) -> None:
        """Say what no answer of ours is: to be cached, or anything but its Content-Type."""
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.clear_header("Server")

    def data_received(self, chunk: bytes) -> None:
        """Take nothing piecewise: bodies are read whole, and bounded by the server."""


class NotFoundHandler(ApiHandler):
    """Every path that a route table does not know."""

    def initialize(self, **_given: object) -> None:
        """Need nothing."""

    def prepare(self) -> None:
        """Answer at once, before anything is read."""
        raise self._not_found()

    def _translated(self, _error: HTTPError) -> RequestRefused:
        return self._not_found()  # a method that Tornado does not know never gets to prepare()

    def _not_found(self) -> RequestRefused:
        path = quoted(self.request.path)
        return RequestRefused(HTTPStatus.NOT_FOUND, "not_found", f"nothing is at {path}")


def refuse_what_is_no_json(body: bytes) -> None:
    """Raise `RequestRefused` if `body` is no JSON at all, or holds numbers that nobody has."""
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise _invalid_json(error) from None


def _invalid_json(error: Exception) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST, "invalid_json", f"the body must be JSON in UTF-8: {error}"
    )


def quoted(text: str) -> str:
    """Return what somebody sent, printable and short enough to be repeated."""
    shown = text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
    return shown.encode("ascii", "backslashreplace").decode()[:LONGEST_QUOTE]


def application(routes: list[Any], given: dict[str, Any]) -> Application:
    """Return an application of `routes` whose handlers are all initialized with `given`.

    A route is a path, a handler, and what this handler is initialized with besides, if anything.
    """
    return Application(
        [(path, handler, {**given, **dict(*more)}) for path, handler, *more in routes],
        default_handler_class=NotFoundHandler,
        log_function=lambda _handler: None,  # requests are counted, not logged one by one
    )
