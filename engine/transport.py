"""The way to the workers: one HTTP request, one reply. What goes wrong on it gets its meaning here.

Whatever it is, it is translated into a `WorkerError`, once. A reply of any status is a reply.
Nothing is followed, unpacked or retried, and no more than `MAX_REPLY_BYTES` of a body is ever held.
"""

import contextlib
import re
from typing import Any, Protocol

import pycurl

from engine.errors import BrokenReply, TimedOut, Unreachable, WorkerError
from engine.exchange import Reply
from engine.transfers import Received, TransferFailed, Transfers

MAX_REPLY_BYTES = 10 * 1024 * 1024  # 512 results of 4,300 digits with their operands need 7 MB

NEVER_ABOARD = frozenset({pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST})
ANSWER_TIMED_OUT = "Operation timed out"  # how libcurl begins; of a connection, it says so
BROKEN_CONNECTION = frozenset({pycurl.E_GOT_NOTHING, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR})
OPTIONS = {
    pycurl.FOLLOWLOCATION: False,
    pycurl.NOPROXY: "*",  # a proxy of the environment is for the world outside
    pycurl.NOSIGNAL: True,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP,
}


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
    """The transport on libcurl. Up to `max_calls` and `max_probes` connections are kept.

    Probes have connections of their own, so that they never wait for one that carries a call.
    """

    def __init__(
        self, *, max_calls: int, max_probes: int, connect_timeout_s: float, token: str = ""
    ) -> None:
        self._calls = Transfers(OPTIONS, kept=max_calls, largest_body=MAX_REPLY_BYTES)
        self._probes = Transfers(OPTIONS, kept=max_probes, largest_body=MAX_REPLY_BYTES)
        self._connect_timeout_s = connect_timeout_s
        self._headers = ["Content-Type: application/json", "Expect:"]
        if token:
            self._headers.append(f"Authorization: Bearer {token}")

    async def compute(
        self, url: str, body: bytes, timeout_s: float, trace_parent: str | None = None
    ) -> Reply:
        """POST `body` to `url`/compute, in a trace if there is one, and return what came back."""
        options = {pycurl.URL: f"{url}/compute", pycurl.POSTFIELDS: body}
        return await self._ask(self._calls, options, timeout_s, trace_parent)

    async def health(self, url: str, timeout_s: float) -> Reply:
        """GET `url`/health and return what came back."""
        return await self._ask(self._probes, {pycurl.URL: f"{url}/health"}, timeout_s)

    def close(self) -> None:
        """Close all connections; calls that are on their way are cancelled."""
        self._calls.close()
        self._probes.close()

    async def _ask(
        self,
        transfers: Transfers,
        options: dict[int, Any],
        timeout_s: float,
        trace_parent: str | None = None,
    ) -> Reply:
        headers = self._headers
        if trace_parent is not None:
            headers = [*headers, f"traceparent: {trace_parent}"]
        options[pycurl.HTTPHEADER] = headers
        options[pycurl.TIMEOUT_MS] = int(1000 * timeout_s)
        options[pycurl.CONNECTTIMEOUT_MS] = int(1000 * min(self._connect_timeout_s, timeout_s))
        try:
            received = await transfers.perform(options)
        except TransferFailed as failure:
            raise _translated(failure, timeout_s) from None
        except (pycurl.error, UnicodeError) as error:
            raise BrokenReply(f"could not be called: {error}") from None
        if received.status == 200:
            return Reply(received.status, received.body, computing_s=_computing_s(received))
        return Reply(received.status, received.body, retry_after_s=_retry_after_s(received))


def _translated(failure: TransferFailed, timeout_s: float) -> WorkerError:
    """Return what a failure means.

    When a kept connection breaks before a byte of the answer has come, libcurl sends the request
    again on a new one. If that cannot be made, since the worker has died of the first, the failure
    is told of the second alone, as if the worker had never had the request.
    """
    has_timed_out = failure.number == pycurl.E_OPERATION_TIMEDOUT
    is_unconnected = failure.number in NEVER_ABOARD or (
        has_timed_out and not failure.message.startswith(ANSWER_TIMED_OUT)
    )
    if failure.number in BROKEN_CONNECTION or (is_unconnected and failure.sent):
        return Unreachable("closed the connection without an answer", aboard=True)
    if has_timed_out:
        return TimedOut(f"did not answer within {timeout_s:g} s")
    if is_unconnected:
        return Unreachable("could not be connected to")
    return BrokenReply(f"sent what is no HTTP reply ({failure.message})")


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
