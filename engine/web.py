"""What every HTTP handler of ours does alike, at the master and at the worker.

Bodies are read whole and as strict JSON in UTF-8, whatever their Content-Type says; whatever is
raised on the way is answered as a problem (RFC 9457); nothing of our inside is ever shown, and no
more than `LONGEST_QUOTE` characters of what somebody sent.
"""

import hmac
import logging
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import ClassVar, NoReturn, TypeVar

import msgspec
from tornado.httputil import HTTPHeaders
from tornado.iostream import StreamClosedError

from engine.errors import ExecutorError
from engine.messages import Problem, Reader, encode
from engine.site import Handler, Route, Site

log = logging.getLogger(__name__)

Message = TypeVar("Message")

PROBLEM_TYPE = "application/problem+json"
LONGEST_QUOTE = 80

# The types of JSON, in msgspec's words and in ours.
_GOT = {
    "str": "text",
    "int": "a number",
    "float": "a number with a fraction",
    "bool": "true or false",
    "null": "null",
    "array": "an array",
    "object": "an object",
}
_EXPECTED = {**_GOT, "int": "a whole number", "float": "a number"}
_WRONG_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$([^`]*)`)?")
_HALF_A_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")


class RequestRefused(ExecutorError):
    """Raised when a request cannot be served as it stands; carries its own status and code.

    And the headers that belong to it: those that were set before are forgotten.
    """

    def __init__(self, status: HTTPStatus, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.code = code  # type: ignore[misc]  # one class for all that is wrong with a request


class ApiHandler(Handler):
    """A handler that reads messages, responds with messages, and tells problems."""

    wanted: ClassVar[str] = "JSON"  # for a body; where one is read, an example of it

    def read(self, reader: Reader[Message]) -> Message:
        """Return the body as a message. Raises `RequestRefused`."""
        body = self.request.body
        try:
            return reader(body)
        except msgspec.ValidationError as error:
            refuse_what_is_no_json(body)
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, self.code_for(str(error)), _violation_told(str(error))
            ) from None
        except (ValueError, RecursionError) as error:
            raise _invalid_json(body, error, self.wanted) from None

    def code_for(self, _violation: str) -> str:
        """Return the stable code for JSON of the wrong shape."""
        return "invalid_request"

    def respond(self, message: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer with a message as JSON."""
        self.status = status
        self.headers["Content-Type"] = "application/json"
        self.finish(encode(message))

    def problem_of(self, error: ExecutorError) -> Problem:
        """Return the problem that tells `error`."""
        status = getattr(error, "status", HTTPStatus.INTERNAL_SERVER_ERROR)
        return Problem(status.phrase, status.value, error.code, error.detail)

    def fail(self, error: Exception) -> None:
        """Answer with a problem; break off what has been begun."""
        if isinstance(error, StreamClosedError):  # nobody is there
            self.close()
            return
        if not isinstance(error, ExecutorError):
            request = f"{self.request.method} {self.request.path[:LONGEST_QUOTE]}"
            log.error("%s failed", request, exc_info=error)
            error = RequestRefused(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal_error",
                "this is our mistake; see the log",
            )
        if self.has_begun:
            self.close()
            return
        self.headers = self.default_headers()
        problem = self.problem_of(error)
        self.status = HTTPStatus(problem.status)
        if isinstance(error, RequestRefused):
            for name, value in error.headers.items():
                self.headers[name] = value
        self.headers["Content-Type"] = PROBLEM_TYPE
        self.finish(encode(problem))

    def not_allowed(self) -> RequestRefused:
        """Return the refusal of a method that the path does not take."""
        allowed = ", ".join(self.methods())
        return RequestRefused(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method_not_allowed",
            f"this path takes {allowed}",
            Allow=allowed,
        )

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

    def default_headers(self) -> HTTPHeaders:
        """Say what no answer of ours is: to be cached, or anything but its Content-Type."""
        headers = super().default_headers()
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        return headers


class NotFoundHandler(ApiHandler):
    """Every path that no route leads to, whatever the method."""

    def prepare(self) -> NoReturn:
        """Say so."""
        path = quoted(self.request.path)
        raise RequestRefused(HTTPStatus.NOT_FOUND, "not_found", f"nothing is at {path}")


def refuse_what_is_no_json(body: bytes) -> None:
    """Raise `RequestRefused` if `body` is no JSON at all, or holds numbers that nobody has."""
    try:
        msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise _invalid_json(body, error) from None


def _invalid_json(body: bytes, error: Exception, wanted: str = "JSON") -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, "invalid_json", _why_no_json(body, error, wanted))


def _why_no_json(body: bytes, error: Exception, wanted: str) -> str:
    told = str(error)
    if not body:
        return f"the body is empty; send {wanted}"
    if isinstance(error, UnicodeDecodeError):
        return f"the body must be JSON in UTF-8; its byte {error.start + 1} is not UTF-8"
    if isinstance(error, RecursionError):
        return "the body is nested too deeply; send it with fewer arrays or objects in one another"
    if "surrogate" in told or _HALF_A_PAIR.search(body):
        return "the body has half of a surrogate pair (\\ud800 to \\udfff); send whole characters"
    if "truncated" in told:
        return "the body must be JSON in UTF-8, and whole: it ends too early"
    return f"the body must be JSON in UTF-8: {told}"


def _violation_told(violation: str) -> str:
    """Return what msgspec says of a value of the wrong type in words for people."""
    found = _WRONG_TYPE.fullmatch(violation)
    if found is None:
        return violation
    expected, got, place = found.groups()
    kinds = [_EXPECTED.get(kind, kind) for kind in expected.split(" | ")]
    if "float" in expected:
        kinds.remove(_EXPECTED["int"])
    wanted = " or ".join(kinds)
    where = (place or "").removeprefix(".") or "the body"
    return f"{where} should be {wanted}, not {_GOT.get(got, got)}"


def quoted(text: str) -> str:
    """Return what somebody sent, printable and short enough to be repeated."""
    shown = text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 3] + "..."
    return shown.encode("ascii", "backslashreplace").decode()[:LONGEST_QUOTE]


def site(routes: Iterable[Route], given: Mapping[str, object]) -> Site:
    """Return a site of `routes` whose handlers are all made with what is `given`."""
    return Site(routes, NotFoundHandler, given)
