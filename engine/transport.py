"""The way to the workers: one HTTP request, one reply. The only place that knows HTTP clients.

Whatever goes wrong on the way is translated here into a `WorkerError`, once. A reply of any
status is a reply. Nothing is followed, unpacked or retried, and no more than `MAX_REPLY_BYTES`
of a body is ever held.
"""

import contextlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import pycurl
from tornado.curl_httpclient import CurlAsyncHTTPClient, CurlError
from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from engine.errors import BrokenReply, TimedOut, Unreachable, WorkerError
from engine.exchange import Reply

MAX_REPLY_BYTES = 10 * 1024 * 1024  # 512 results of 4,300 digits with their operands need 7 MB

NEVER_ABOARD = frozenset({pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST})
ANSWER_TIMED_OUT = "Operation timed out"  # how libcurl begins; of a connection, it says so
BROKEN_CONNECTION = frozenset({pycurl.E_GOT_NOTHING, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR})


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
    """The transport on Tornado's `AsyncHTTPClient`, in its pycurl form: connections are kept.

    Probes have a client of their own, so that they never queue behind calls.
    """

    def __init__(
        self, *, max_calls: int, max_probes: int, connect_timeout_s: float, token: str = ""
    ) -> None:
        self._calls = _client(max_calls)
        self._probes = _client(max_probes)
        self._connect_timeout_s = connect_timeout_s
        self._headers = {"Content-Type": "application/json", "Expect": ""}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    async def compute(
        self, url: str, body: bytes, timeout_s: float, trace_parent: str | None = None
    ) -> Reply:
        """POST `body` to `url`/compute, in a trace if there is one, and return what came back."""
        more = {} if trace_parent is None else {"traceparent": trace_parent}
        return await self._fetch(self._calls, f"{url}/compute", "POST", body, timeout_s, more)

    async def health(self, url: str, timeout_s: float) -> Reply:
        """GET `url`/health and return what came back."""
        return await self._fetch(self._probes, f"{url}/health", "GET", None, timeout_s)

    def close(self) -> None:
        """Close both clients and their connections."""
        self._calls.close()
        self._probes.close()

    async def _fetch(
        self,
        client: CurlAsyncHTTPClient,
        url: str,
        method: str,
        body: bytes | None,
        timeout_s: float,
        more_headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        request = HTTPRequest(
            url,
            method=method,
            headers=HTTPHeaders({**self._headers, **more_headers}),
            body=body,
            connect_timeout=min(self._connect_timeout_s, timeout_s),
            request_timeout=timeout_s,
            follow_redirects=False,
            decompress_response=False,
            prepare_curl_callback=_prepare,
        )
        try:
            response = await client.fetch(request, raise_error=False)
        except CurlError as error:
            raise _translated(error, timeout_s) from None
        except (OSError, ValueError, UnicodeError) as error:
            raise BrokenReply(f"could not be called: {error}") from None
        return Reply(response.code, response.body, _retry_after_s(response), _computing_s(response))


class _Curl(CurlAsyncHTTPClient):
    """A client that may be closed while requests are on their way, and tells what was aboard.

    When a kept connection breaks before a byte of the answer has come, libcurl sends the request
    again on a new one. If that cannot be made, since the worker has died of the first, the failure
    is told of the second alone, as if the worker had never had the request.
    """

    def _finish(
        self, curl: pycurl.Curl, curl_error: int | None = None, curl_message: str | None = None
    ) -> None:
        is_unconnected = curl_error in NEVER_ABOARD or (
            curl_error == pycurl.E_OPERATION_TIMEDOUT
            and not (curl_message or "").startswith(ANSWER_TIMED_OUT)
        )
        if is_unconnected and curl.getinfo(pycurl.REQUEST_SIZE):
            curl_error = pycurl.E_GOT_NOTHING
        super()._finish(curl, curl_error, curl_message)

    def close(self) -> None:
        super().close()
        # Closing a transfer makes libcurl set Tornado's timer, which would find nothing any more.
        if self._timeout is not None:
            self.io_loop.remove_timeout(self._timeout)


def _client(max_clients: int) -> CurlAsyncHTTPClient:
    return _Curl(force_instance=True, max_clients=max_clients, max_body_size=MAX_REPLY_BYTES)


def _prepare(curl: pycurl.Curl) -> None:
    curl.setopt(pycurl.NOPROXY, "*")  # a proxy of the environment is for the world outside


def _translated(error: CurlError, timeout_s: float) -> WorkerError:
    if error.errno == pycurl.E_OPERATION_TIMEDOUT:
        return TimedOut(f"did not answer within {timeout_s:g} s")
    if error.errno in NEVER_ABOARD:
        return Unreachable("could not be connected to")
    if error.errno in BROKEN_CONNECTION:
        return Unreachable("closed the connection without an answer", aboard=True)
    return BrokenReply(f"sent what is no HTTP reply ({error.message})")


def _retry_after_s(response: HTTPResponse) -> float | None:
    with contextlib.suppress(ValueError):  # a date, or nonsense: as good as nothing
        return max(0.0, float(response.headers.get("Retry-After", "")))
    return None


def _computing_s(response: HTTPResponse) -> float | None:
    """Return what `Server-Timing: compute;dur=MILLISECONDS` says, as browsers read it."""
    timing = response.headers.get("Server-Timing", "")
    told = re.search(r"\bcompute;dur=([0-9]{1,9}(?:\.[0-9]{1,9})?)", timing)
    return None if told is None else float(told[1]) / 1000
