"""The public API of a master as an async client: one method for each call of the contract.

A method asks once and returns a message, or raises one of the three errors of `errors.py`. Nothing
here waits, tries again or prints: `flow.py` does. The command line, the tests and the benchmarks
all come through here, so that what they know of the wire is in one place.
"""

import asyncio
from collections.abc import Callable, Sequence
from http.client import responses
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import pycurl
from msgspec import UNSET, UnsetType

from engine.client.errors import ApiError, MasterUnreachable, UnexpectedReply
from engine.client.transfers import Received, TransferFailed, Transfers
from engine.job import Number
from engine.messages import (
    Explanation,
    JobListed,
    JobOperations,
    JobStatus,
    Reader,
    Submission,
    Submitted,
    TaskRefused,
    WorkerStatus,
    encode,
)

Message = TypeVar("Message")

CONNECT_TIMEOUT_S = 5.0  # a SYN and two of its repeats: what has not answered by then will not
DEFAULT_TIMEOUT_S = 20.0
LARGEST_REPLY = 512 * 1024 * 1024  # bytes: the last 100 jobs may hold tasks of a MiB each

_OPTIONS = {
    pycurl.FOLLOWLOCATION: False,
    pycurl.NOSIGNAL: True,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
}
# libcurl sends even loopback addresses through $http_proxy, where they mean another machine.
_PAST_PROXIES = {pycurl.NOPROXY: "*"}


class _SubmitReply(msgspec.Struct):
    # `/submit` says Submitted, or with `wait` what `/job/{id}` says; a master that does not know
    # `wait` says Submitted to both.
    job_id: int
    finished: bool
    answer: Number | UnsetType | None = UNSET
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class _SubmittedItem(msgspec.Struct):
    # Submitted or TaskRefused: msgspec tells structs of a union apart only by a tag.
    job_id: int | UnsetType = UNSET
    finished: bool = False
    error: str = "invalid_task"
    detail: str = "the master gives no reason"
    column: int = 0


class _SubmittedItems(msgspec.Struct):
    jobs: list[_SubmittedItem]


class _Refusal(msgspec.Struct):
    # A Problem, read with indulgence: a proxy in between may say less than a master does.
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    column: int | None = None


_read_submitted: Reader[_SubmitReply] = Reader(_SubmitReply)
_read_many: Reader[_SubmittedItems] = Reader(_SubmittedItems)
_read_job: Reader[JobStatus] = Reader(JobStatus)
_read_jobs: Reader[list[JobListed]] = Reader(list[JobListed])
_read_workers: Reader[list[WorkerStatus]] = Reader(list[WorkerStatus])
_read_operations: Reader[JobOperations] = Reader(JobOperations)
_read_explanation: Reader[Explanation] = Reader(Explanation)
_read_refusal: Reader[_Refusal] = Reader(_Refusal)


class MasterClient:
    """Speaks to the master at `base_url`, e.g. `http://127.0.0.1:8080`.

    `timeout_s` bounds each request (what is asked to wait gets that much more). As many go on at
    a time as there are `connections`, which are kept; more wait for one of them. Make it where an
    event loop is running; close it, or use it as a context manager.
    """

    def __init__(
        self, base_url: str, *, timeout_s: float = DEFAULT_TIMEOUT_S, connections: int = 100
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._connections = asyncio.Semaphore(connections)
        options = _OPTIONS | (_PAST_PROXIES if _is_loopback(self.base_url) else {})
        self._transfers = Transfers(options, kept=connections, largest_body=LARGEST_REPLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Break off what is under way, and close all connections."""
        self._transfers.close()

    async def submit(
        self, task: str, *, wait_s: float | None = None, idempotency_key: str | None = None
    ) -> Submitted | JobStatus:
        """Submit one expression; the master has it on record when this returns.

        With `wait_s` (at most 60) the answer comes when the job has finished, or after that time,
        and is a `JobStatus`. The same `idempotency_key` with the same task gives the same job.
        """
        reply = await self._fetch(
            "POST",
            "/submit",
            _read_submitted,
            body=Submission(task=task),
            query={"wait": wait_s},
            idempotency_key=idempotency_key,
        )
        if isinstance(reply.answer, UnsetType):
            return Submitted(reply.job_id, reply.finished)
        return JobStatus(reply.job_id, reply.finished, reply.answer, reply.error, reply.detail)

    async def submit_many(
        self, tasks: Sequence[str], *, idempotency_key: str | None = None
    ) -> list[Submitted | TaskRefused]:
        """Submit many expressions in one request; return one item each, in their order.

        What is no expression is refused alone. A refusal without a position has column 0.
        """
        reply = await self._fetch(
            "POST",
            "/submit",
            _read_many,
            body=Submission(tasks=list(tasks)),
            idempotency_key=idempotency_key,
        )
        if len(reply.jobs) != len(tasks):
            raise UnexpectedReply(
                f"{self.base_url} answered {len(reply.jobs)} items to {len(tasks)} tasks:"
                " look which of them are in /jobs before you submit again"
            )
        return [_told_apart(item) for item in reply.jobs]

    async def job(self, job_id: int, *, wait_s: float | None = None) -> JobStatus:
        """Return the job; with `wait_s` (at most 60) when it has finished, or after that time."""
        return await self._fetch("GET", f"/job/{job_id}", _read_job, query={"wait": wait_s})

    async def jobs(
        self, *, limit: int | None = None, before: int | None = None, status: str | None = None
    ) -> list[JobListed]:
        """Return jobs, newest first: the last 100, or `limit` (1 to 1,000) older than `before`.

        `status` is one of `unfinished`, `succeeded`, `failed`.
        """
        query = {"limit": limit, "before": before, "status": status}
        return await self._fetch("GET", "/jobs", _read_jobs, query=query)

    async def cancel(self, job_id: int) -> JobStatus:
        """Cancel the job and return it; one that has finished stays as it is."""
        return await self._fetch("DELETE", f"/job/{job_id}", _read_job)

    async def workers(self) -> list[WorkerStatus]:
        """Return every worker of the pool."""
        return await self._fetch("GET", "/workers", _read_workers)

    async def operations(self, job_id: int) -> JobOperations:
        """Return the operations of the job, with their workers, attempts and times."""
        return await self._fetch("GET", f"/job/{job_id}/operations", _read_operations)

    async def why(self, job_id: int) -> Explanation:
        """Return where the job stands, and what it waits for."""
        return await self._fetch("GET", f"/job/{job_id}/why", _read_explanation)

    async def metrics(self) -> dict[str, float]:
        """Return the master's metrics by sample name, summed over their labels."""
        from prometheus_client.parser import (  # noqa: PLC0415  # a tenth of what the client imports
            text_string_to_metric_families,
        )

        totals: dict[str, float] = {}
        text = await self._fetch("GET", "/metrics", bytes.decode)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
        return totals

    async def ready(self) -> bool:
        """Return whether the master takes jobs now."""
        try:
            await self._fetch("GET", "/readyz", bytes)
        except ApiError as error:
            if error.status == 503:
                return False
            raise
        return True

    async def _fetch(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], Message],
        *,
        body: Submission | None = None,
        query: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Message:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = self.base_url + path + (f"?{urlencode(given)}" if given else "")
        timeout_s = self._timeout_s + float(given.get("wait", 0))
        options = {
            pycurl.URL: url,
            pycurl.HTTPHEADER: _headers(body, idempotency_key),
            pycurl.CONNECTTIMEOUT_MS: int(1000 * min(CONNECT_TIMEOUT_S, self._timeout_s)),
            pycurl.TIMEOUT_MS: int(1000 * timeout_s),
        }
        if body is not None:
            options[pycurl.POSTFIELDS] = encode(body)
        elif method != "GET":
            options[pycurl.CUSTOMREQUEST] = method
        received = await self._ask(options)
        if received.status != 200:
            raise self._refusal(url, received)
        try:
            return read(received.body)
        except (ValueError, RecursionError) as error:
            raise UnexpectedReply(
                f"{url} did not answer as a master does ({error}): check the address"
            ) from error

    async def _ask(self, options: dict[int, Any]) -> Received:
        try:
            async with self._connections:
                return await self._transfers.perform(options)
        except TransferFailed as failure:
            raise self._unreachable(failure.message, sent=failure.sent) from None
        except (pycurl.error, UnicodeError) as error:  # of an address that is none
            raise self._unreachable(str(error), sent=False) from None

    def _unreachable(self, why: str, *, sent: bool) -> MasterUnreachable:
        return MasterUnreachable(f"no answer from {self.base_url}: {why}", sent=sent)

    def _refusal(self, url: str, received: Received) -> ApiError | UnexpectedReply:
        status = f"HTTP {received.status} {responses.get(received.status, '')}".rstrip()
        if received.status < 400:
            return UnexpectedReply(
                f"{url} answered {status}, which no master does: check the address"
            )
        try:
            told = _read_refusal(received.body)
        except (ValueError, RecursionError):
            told = _Refusal()
        return ApiError(
            received.status,
            told.error or f"http_{received.status}",
            told.detail or f"{self.base_url} answered {status}",
            column=told.column,
            retry_after_s=_seconds(received.header(b"Retry-After")),
        )


def _headers(body: Submission | None, idempotency_key: str | None) -> list[str]:
    headers = ["Accept: application/json", "Expect:"]
    if body is not None:
        headers.append("Content-Type: application/json")
    if idempotency_key is not None:
        headers.append(f"Idempotency-Key: {idempotency_key}")
    return headers


def _told_apart(item: _SubmittedItem) -> Submitted | TaskRefused:
    if isinstance(item.job_id, UnsetType):
        return TaskRefused(item.error, item.detail, item.column)
    return Submitted(item.job_id, item.finished)


def _seconds(retry_after: str) -> float | None:
    # The other form of the header, a date, depends on two clocks being right: our own pace does.
    try:
        seconds = float(retry_after)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")
