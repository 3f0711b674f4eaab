"""The way to the workers: one HTTP request, one reply. What goes wrong on it gets its meaning here.

Whatever it is, it is translated into a `WorkerError`, once. A reply of any status is a reply.
Nothing is followed or unpacked, and no more than `MAX_REPLY_BYTES` of a body is ever held.
"""

import contextlib
import re
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from engine.errors import BrokenReply, TimedOut, Unreachable, WorkerError
from engine.exchange import Reply
from engine.outbound import Cause, Connections, NoReply, Peer, Received

MAX_REPLY_BYTES = 10 * 1024 * 1024  # 512 results of 4,300 digits with their operands need 7 MB
KNOWN_URLS = 4096  # workers whose addresses need not be taken apart again


class Transport(Protocol):
    """How the master reaches a worker at `url`. Raises nothing but `WorkerError`s."""

    async def compute(
        self, url: str, body: bytes, timeout_s: float, trace_parent: str | None = None
    ) -> Reply:
        """POST `body` to `url`/compute, in a trace if there is one, and return what came back."""
        ...

    async def health(self, url: str, timeout_s: float) -> Reply:
        """GET `url`/health and return what came back."""
        ...

    def close(self) -> None:
        """Close what is open; calls that are on their way fail."""
        ...


class HttpTransport:
    """The transport on connections of our own: up to `max_calls` and `max_probes` are kept idle.

    Probes have connections of their own, so that they never wait for one that carries a call.
    """

    def __init__(
        self, *, max_calls: int, max_probes: int, connect_timeout_s: float, token: str = ""
    ) -> None:
        self._calls = Connections(
            kept=max_calls, largest_body=MAX_REPLY_BYTES, connect_timeout_s=connect_timeout_s
        )
        self._probes = Connections(
            kept=max_probes, largest_body=MAX_REPLY_BYTES, connect_timeout_s=connect_timeout_s
        )
        self._token = token

    async def compute(
        self, url: str, body: bytes, timeout_s: float, trace_parent: str | None = None
    ) -> Reply:
        """POST `body` to `url`/compute, in a trace if there is one, and return what came back."""
        head = _head("POST", url, "/compute", self._token)
        trace = "" if trace_parent is None else f"traceparent: {trace_parent}\r\n"
        request = f"{head}{trace}Content-Length: {len(body)}\r\n\r\n".encode() + body
        return await self._ask(self._calls, url, request, timeout_s)

    async def health(self, url: str, timeout_s: float) -> Reply:
        """GET `url`/health and return what came back."""
        request = _head("GET", url, "/health", self._token) + "\r\n"
        return await self._ask(self._probes, url, request.encode(), timeout_s)

    def close(self) -> None:
        """Close all connections; calls that are on their way are cancelled."""
        self._calls.close()
        self._probes.close()

    async def _ask(
        self, connections: Connections, url: str, request: bytes, timeout_s: float
    ) -> Reply:
        try:
            received = await connections.ask(_peer(url), request, timeout_s)
        except NoReply as failure:
            raise _translated(failure, timeout_s) from None
        if received.status == 200:
            return Reply(received.status, received.body, computing_s=_computing_s(received))
        return Reply(received.status, received.body, retry_after_s=_retry_after_s(received))


@lru_cache(maxsize=KNOWN_URLS)
def _peer(url: str) -> Peer:
    parts = urlsplit(url)
    return Peer(parts.hostname or "", parts.port or 80)


@lru_cache(maxsize=KNOWN_URLS)
def _head(method: str, url: str, path: str, token: str) -> str:
    """Return the lines that all requests to a worker begin with."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path}{path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: */*"]
    if method == "POST":
        lines.append("Content-Type: application/json")
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "".join(f"{line}\r\n" for line in lines)


def _translated(failure: NoReply, timeout_s: float) -> WorkerError:
    """Return what a failure means.

    A request that was sent on a kept connection is sent again when that breaks. If no other one can
    be made then, since the worker has died of the first, it had the request all the same.
    """
    if failure.cause is Cause.CLOSED or (failure.cause is Cause.UNCONNECTED and failure.sent):
        return Unreachable(Cause.CLOSED.value, aboard=True)
    if failure.cause is Cause.LATE:
        return TimedOut(f"did not answer within {timeout_s:g} s")
    if failure.cause is Cause.UNCONNECTED:
        return Unreachable(Cause.UNCONNECTED.value)
    return BrokenReply(f"{Cause.GARBLED.value} ({failure})")


def _retry_after_s(received: Received) -> float | None:
    with contextlib.suppress(ValueError):  # a date, or nonsense: as good as nothing
        return max(0.0, float(received.header(b"Retry-After")))
    return None


def _computing_s(received: Received) -> float | None:
    """Return what `Server-Timing: compute;dur=MILLISECONDS` says, as browsers read it."""
    told = re.search(
        r"\bcompute;dur=([0-9]{1,9}(?:\.[0-9]{1,9})?)", received.header(b"Server-Timing")
    )
    return None if told is None else float(told[1]) / 1000
