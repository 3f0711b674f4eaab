"""From a request to the handler that serves it, and from there to the response.

A handler is made for each request. A method of it that is no coroutine has answered when it
returns, in the turn of the loop that read the request. Why this is not Tornado's `Application`,
which would take as long again as everything below it: docs/adr/0013.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any, NamedTuple
from urllib.parse import unquote

from tornado.httputil import (
    HTTPHeaders,
    HTTPServerRequest,
    ResponseStartLine,
    format_timestamp,
)

from engine.responder import NO_BODY, Responder

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Handler:
    """Serves one request: `get`, `post` and so on are the methods that its path takes.

    Each is given the arguments of the path, and either answers or raises; it may be a coroutine.
    """

    def __init__(self, request: HTTPServerRequest) -> None:
        self.request = request
        self.status = HTTPStatus.OK
        self.headers = self.default_headers()
        self.has_begun = False  # to answer: status and headers have left
        self._task: asyncio.Task[None] | None = None  # which answers, if that takes its time
        assert isinstance(request.connection, Responder)  # noqa: S101  # the server's
        self._connection = request.connection

    @classmethod
    def methods(cls) -> list[str]:
        """Return the HTTP methods that are served."""
        return [method for method in METHODS if hasattr(cls, method.lower())]

    def default_headers(self) -> HTTPHeaders:
        """Return what every response says, unless its handler says otherwise."""
        return HTTPHeaders({"Date": _date(int(time()))})

    def prepare(self) -> None:
        """Look at a request before its method does; what is raised here is the answer."""

    def fail(self, error: Exception) -> None:
        """Answer for what was raised, if nothing has been answered yet."""
        raise NotImplementedError

    def not_allowed(self) -> Exception:
        """Return what is raised when the path does not take the request's method."""
        raise NotImplementedError

    def start(self, arguments: Iterable[str]) -> None:
        """Begin to serve the request, and go on with that in a task if need be."""
        method = self.request.method
        serve = getattr(self, method.lower(), None) if method in METHODS else None
        try:
            self.prepare()
            if serve is None:
                raise self.not_allowed()
            serving: Coroutine[Any, Any, None] | None = serve(*arguments)
        except Exception as error:
            self.fail(error)
        else:
            if serving is not None:
                self._task = asyncio.create_task(self._go_on(serving))

    async def _go_on(self, serving: Coroutine[Any, Any, None]) -> None:
        try:
            await serving
        except Exception as error:
            try:
                self.fail(error)
            except Exception:
                log.exception("%s could not be told what failed", self.request.method)
                self.close()

    def send(self, piece: bytes) -> "asyncio.Future[None]":
        """Answer piece by piece; a future tells when this one has left, or that nobody is there."""
        if self.has_begun:
            return self._connection.write(piece)
        start = ResponseStartLine("HTTP/1.1", self.status, self.status.phrase)
        written = self._connection.write_headers(start, self.headers, piece)
        self.has_begun = True
        return written

    def finish(self, body: bytes = b"") -> "asyncio.Future[None]":
        """Answer, or send the last piece; a future tells when it has left."""
        if not self.has_begun and self.status not in NO_BODY:
            self.headers["Content-Length"] = str(len(body))
        written = self.send(body)
        self._connection.finish()
        return written

    def when_closed(self, callback: Callable[[], None]) -> None:
        """Let it be told when the client goes before the answer is finished."""
        self._connection.set_close_callback(callback)

    def close(self) -> None:
        """Close the connection: what was sent is not the whole answer, or there is no other one."""
        self._connection.close()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_timestamp(second)


class Route(NamedTuple):
    """A path, or a regular expression whose groups are the arguments, and who serves it.

    Each handler is made with the request, with what is `given` to it, and to all handlers.
    """

    path: str
    handler: type[Handler]
    given: Mapping[str, object] = {}


class Site:
    """What a server of ours serves: some routes, and whatever is `elsewhere`."""

    def __init__(
        self, routes: Iterable[Route], elsewhere: type[Handler], given: Mapping[str, object]
    ) -> None:
        routes = [route._replace(given={**given, **route.given}) for route in routes]
        patterns = [(re.compile(route.path), route) for route in routes]
        self._plain = {route.path: route for pattern, route in patterns if not pattern.groups}
        self._patterns = [(pattern, route) for pattern, route in patterns if pattern.groups]
        self._elsewhere = Route("", elsewhere)

    def serve(self, request: HTTPServerRequest) -> None:
        """Let a handler serve a request that has been read."""
        route, arguments = self._find(request.path)
        route.handler(request, **route.given).start(arguments)

    def _find(self, path: str) -> tuple[Route, Iterable[str]]:
        route = self._plain.get(path)
        if route is not None:
            return route, ()
        for pattern, route in self._patterns:
            found = pattern.fullmatch(path)
            if found:
                return route, map(unquote, found.groups())  # of no UTF-8, something that is nowhere
        return self._elsewhere, ()
