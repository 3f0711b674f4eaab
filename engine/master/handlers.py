"""The HTTP handlers: each reads a request into a message, calls the engine, and responds.

No handler knows a rule about jobs or workers; `engine/web.py` has what is common to all of ours.
"""

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from http import HTTPStatus
from urllib.parse import quote

from msgspec import Struct
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError

from engine.errors import Draining, ExecutorError, ExpressionError, JobNotFound, Overloaded
from engine.job import Job, JobId
from engine.master.announcements import locate
from engine.master.assembly import Master
from engine.master.feed import FollowerTooSlow
from engine.master.problems import problem_of, retry_after_s
from engine.master.views import worker_status, worker_statuses
from engine.messages import (
    Announcement,
    AnnouncementTaken,
    JobListed,
    JobOperations,
    JobStatus,
    Problem,
    Reader,
    Submission,
    Submitted,
    SubmittedMany,
    TaskRefused,
    encode,
)
from engine.store.base import STATUSES, Page, Status, status_of
from engine.tracecontext import trace_parent_of
from engine.web import ApiHandler, RequestRefused, quoted

LONGEST_WAIT_S = 60.0
DEFAULT_PAGE = 100
LONGEST_PAGE = 1000
LARGEST_ID = 2**63 - 1
PIECE_BYTES = 64 * 1024  # of a long answer, encoded in one turn: 5 ms if they are all digits

_submission: Reader[Submission] = Reader(Submission)
_announcement: Reader[Announcement] = Reader(Announcement)


class BaseHandler(ApiHandler):
    """What all of the master's handlers share."""

    def __init__(self, request: HTTPServerRequest, master: Master) -> None:
        super().__init__(request)
        self.master = master
        self.engine = master.engine

    def prepare(self) -> None:
        """Refuse what a browser sends on behalf of another site."""
        if not self._is_by_own_page():
            raise RequestRefused(
                HTTPStatus.FORBIDDEN,
                "cross_site",
                "pages of other sites may not call this; call from a program, or from our page",
            )

    def _is_by_own_page(self) -> bool:
        """Return whether a page of ours sent the request, or a person, or a program."""
        site = self.request.headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = self.request.headers.get("Origin")
        # Its scheme says nothing: behind a proxy with TLS it is not ours.
        return origin is None or origin.partition("://")[2] == self.request.host

    def problem_of(self, error: ExecutorError) -> Problem:
        """Return the problem that tells `error`, and say when to come back if that helps."""
        if isinstance(error, Overloaded) and not isinstance(error, Draining):
            self.master.note_refusal(error)
        pause_s = retry_after_s(error)
        if pause_s is not None:
            self.headers["Retry-After"] = str(pause_s)
        return problem_of(error)

    async def respond_in_pieces(self, parts: AsyncIterable[Iterable[bytes]]) -> None:
        """Answer with JSON that is got and encoded while it is sent: others want the loop, too.

        The pieces of a part are there at once; the next part is asked for when they have left.
        """
        self.headers["Content-Type"] = "application/json"
        gathered = bytearray()
        async for part in parts:
            for piece in part:
                gathered += piece
                if len(gathered) > PIECE_BYTES:
                    await self.send(bytes(gathered))
                    gathered.clear()
                    await self.master.clock.sleep(0)  # a socket that takes all makes nobody wait
        self.finish(bytes(gathered))

    def parameter(self, name: str) -> str | None:
        """Return a parameter of the query, the last one where it is given several times."""
        values = self.request.query_arguments.get(name)
        if values is None:
            return None
        try:
            return values[-1].decode().strip()
        except UnicodeDecodeError:
            raise _invalid_parameter(name, quote(values[-1]), "text in UTF-8") from None

    def wait_s(self) -> float | None:
        """Return how long the client wants to wait for the job, `None` if it does not."""
        text = self.parameter("wait")
        if text is None:
            return self._preferred_wait_s()
        # A number as JSON has it; float() takes far more.
        is_number = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", text)
        if not is_number or float(text) > LONGEST_WAIT_S:
            raise _invalid_parameter("wait", text, f"a number of seconds, 0 to {LONGEST_WAIT_S:g}")
        return float(text)

    def _preferred_wait_s(self) -> float | None:
        # As RFC 7240 has it: names in any case, blanks around `=`, values quoted or not.
        preferred = re.search(
            r"(?:^|[,;\s])wait[ \t]*=[ \t]*(\"?)([0-9]{1,6})\1(?:$|[,;\s])",
            self.request.headers.get("Prefer", ""),
            re.IGNORECASE,
        )
        if preferred is None:
            return None
        wait_s = min(int(preferred[2]), int(LONGEST_WAIT_S))
        self.headers["Preference-Applied"] = f"wait={wait_s}"
        return float(wait_s)


def _invalid_parameter(name: str, text: str, wanted: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST, "invalid_parameter", f"{name}={quoted(text)} should be {wanted}"
    )


def job_id_of(text: str) -> JobId:
    """Return the id that a path names. Raises `JobNotFound` for all that can be none."""
    if re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) and 0 < int(text) <= LARGEST_ID:
        return JobId(int(text))
    raise JobNotFound(f"no job has the id {quoted(text)}; ids are whole numbers from 1")


class SubmitHandler(BaseHandler):
    """`POST /submit`."""

    wanted = '{"task": "1+2"}'

    def code_for(self, violation: str) -> str:
        """Tell a task that is no text from a body that is no submission."""
        return "invalid_task" if "`$.task" in violation else super().code_for(violation)

    async def post(self) -> None:
        """Take one task or many."""
        submission = self.read(_submission)
        if isinstance(submission.tasks, list) and isinstance(submission.task, str):
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, "invalid_request", "say task or tasks, not both"
            )
        if isinstance(submission.task, str):
            await self._one(submission.task)
        elif isinstance(submission.tasks, list):
            await self._many(submission.tasks)
        else:
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, "invalid_task", f"say what to compute: {self.wanted}"
            )

    async def _one(self, task: str) -> None:
        wait_s = self.wait_s()
        job = await self.engine.submit(
            task, *self._idempotency(), self._trace_parent(), is_awaited=bool(wait_s)
        )
        if wait_s is None:
            self.respond(Submitted(job.job_id, job.finished))
        else:
            if not job.finished:
                job = await self.engine.wait(job.job_id, wait_s)
            self.respond(JobStatus.of(job))

    async def _many(self, tasks: list[str]) -> None:
        wait = self.parameter("wait")
        if wait is not None:
            wanted = "left out, being for one task: ask each job with /job/{id}?wait="
            raise _invalid_parameter("wait", wait, wanted)
        most = self.master.settings.limits.tasks_per_submit
        if len(tasks) > most:
            raise RequestRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_large",
                f"{len(tasks)} tasks are too many for one request; send at most {most}",
            )
        results = await self.engine.submit_many(tasks, *self._idempotency(), self._trace_parent())
        self.respond(SubmittedMany([_submitted(result) for result in results]))

    def _trace_parent(self) -> str | None:
        return trace_parent_of(self.request.headers.get("traceparent"))

    def _idempotency(self) -> tuple[str | None, str]:
        """Return the request's idempotency key, if it has one, and what its body is known by."""
        key = self.request.headers.get("Idempotency-Key")
        if key is None:
            return None, ""
        if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
            raise _invalid_parameter("Idempotency-Key", key, "1 to 255 visible ASCII characters")
        return key, hashlib.sha256(self.request.body).hexdigest()


def _submitted(result: Job | ExpressionError) -> Submitted | TaskRefused:
    if isinstance(result, ExpressionError):
        return TaskRefused(result.code, result.detail, result.column)
    return Submitted(result.job_id, result.finished)


class JobHandler(BaseHandler):
    """`/job/{id}`."""

    async def get(self, text: str) -> None:
        """Tell how a job is, after waiting for its end if that is asked for."""
        job_id, wait_s = job_id_of(text), self.wait_s()
        if wait_s is None:
            job = await self.engine.job(job_id)
        else:
            job = await self.engine.wait(job_id, wait_s)
        self.respond(JobStatus.of(job))

    head = get

    async def delete(self, text: str) -> None:
        """Cancel a job."""
        self.respond(JobStatus.of(await self.engine.cancel(job_id_of(text))))


class OperationsHandler(BaseHandler):
    """`/job/{id}/operations`."""

    async def get(self, text: str) -> None:
        """Tell what happened to the operations of a job."""
        told = await self.engine.operations(job_id_of(text))
        await self.respond_in_pieces(_operations_told(told))

    head = get


async def _operations_told(told: JobOperations) -> AsyncIterator[Iterable[bytes]]:
    operations, told.operations = told.operations, []
    before, key, after = encode(told).partition(b'"operations":[')
    yield [before, key]
    yield _items(operations)
    yield [after]


def _items(messages: Iterable[Struct], separator: bytes = b"") -> Iterator[bytes]:
    for message in messages:
        yield separator + encode(message)
        separator = b","


class WhyHandler(BaseHandler):
    """`/job/{id}/why`."""

    async def get(self, text: str) -> None:
        """Tell why a job is not finished."""
        self.respond(await self.master.why(job_id_of(text)))

    head = get


class JobsHandler(BaseHandler):
    """`/jobs`."""

    async def get(self) -> None:
        """List jobs, newest first, a page at a time."""
        limit, before, status = self._limit(), self._before(), self._status()
        page = await self.engine.jobs(limit, before, status)
        ids = page.ids
        if len(ids) == limit:
            self.headers["Link"] = self._next(ids[-1], limit, status)
        await self.respond_in_pieces(self._listed(page, status))

    head = get

    async def _listed(self, page: Page, status: Status | None) -> AsyncIterator[Iterable[bytes]]:
        yield [b"["]
        yield _items(map(JobListed.of, page.jobs))
        while page.rest:  # and some have been listed
            page = await self.engine.more_jobs(page)
            jobs = [job for job in page.jobs if status in (None, status_of(job))]
            yield _items(map(JobListed.of, jobs), b",")
        yield [b"]"]

    def _limit(self) -> int:
        text = self.parameter("limit")
        limit = DEFAULT_PAGE if text is None else _whole(text, LONGEST_PAGE)
        if limit is None:
            raise _invalid_parameter("limit", text or "", f"a whole number, 1 to {LONGEST_PAGE}")
        return limit

    def _before(self) -> JobId | None:
        text = self.parameter("before")
        if text is None:
            return None
        before = _whole(text, LARGEST_ID)
        if before is None:
            raise _invalid_parameter("before", text, "the id of a job")
        return JobId(before)

    def _status(self) -> Status | None:
        text = self.parameter("status")
        if text is None or text in STATUSES:
            return text
        raise _invalid_parameter("status", text, f"one of {', '.join(STATUSES)}")

    @staticmethod
    def _next(last: JobId, limit: int, status: Status | None) -> str:
        only = f"&status={status}" if status else ""
        return f'</jobs?limit={limit}&before={last}{only}>; rel="next"'


def _whole(text: str, largest: int) -> int | None:
    if not re.fullmatch(r"[0-9]{1,19}", text, re.ASCII):
        return None
    return int(text) if 1 <= int(text) <= largest else None


class WorkerHandler(BaseHandler):
    """What only workers call: guarded by the shared token where one is set."""

    def prepare(self) -> None:
        """Refuse callers without the token."""
        super().prepare()
        self.refuse_without(self.master.settings.token)

    def problem_of(self, error: ExecutorError) -> Problem:
        """Return the problem that tells `error`; somebody here may wonder where a worker is."""
        self.master.note_stranger(self.request.remote_ip or "", error)
        return super().problem_of(error)


class AnnounceHandler(WorkerHandler):
    """`POST /worker`."""

    wanted = '{"worker_name": "w1"}'

    async def post(self) -> None:
        """Take a worker's announcement."""
        master, message = self.master, self.read(_announcement)
        peer = self.request.remote_ip or ""
        url = await locate(message, peer, master.settings.workers.default_port)
        worker = master.announce(message, url)
        again_s = master.pool.announce_s
        self.respond(AnnouncementTaken(worker.name, worker.state, again_s))


class LeaveHandler(WorkerHandler):
    """`DELETE /worker/{name}`."""

    async def delete(self, name: str) -> None:
        """Let a worker go: the one at `?url=`, or at `?port=` of the caller's address, or all."""
        told = Announcement(name)
        if (text := self.parameter("port")) is not None:
            port = _whole(text, 65535)
            if port is None:
                raise _invalid_parameter("port", text, "a port, 1 to 65535")
            told.port = port
        if (url := self.parameter("url")) is not None:
            told.url = url
        gone = await self.master.leave(told, self.request.remote_ip or "")
        self.respond([worker_status(worker, self.master.clock.now()) for worker in gone])


class WorkersHandler(BaseHandler):
    """`/workers`."""

    def get(self) -> None:
        """List the pool."""
        master = self.master
        oldest = master.dispatcher.oldest_calls()
        self.respond(worker_statuses(master.pool, master.clock.now(), oldest))

    head = get


class EventsHandler(BaseHandler):
    """`/events`: server-sent events for as long as the client reads them."""

    async def get(self) -> None:
        """Send a snapshot, or what came after the event that the client had last; then changes."""
        last_event_id = self.request.headers.get("Last-Event-ID")
        reader = await self.master.events.reader(last_event_id)
        self.when_closed(reader.close)
        self._say_what_follows()
        try:
            async for piece in reader:
                await self.send(piece)
            await self.finish()
        except (StreamClosedError, FollowerTooSlow):
            pass  # gone, or too slow: nothing is kept for it
        finally:
            reader.close()
            self.close()  # if it was broken off: what is finished closes its connection by itself

    async def head(self) -> None:
        """Say what a stream is announced by, without one: who only asks takes nobody's place."""
        self._say_what_follows()
        await self.send(b"")  # a stream has no length to tell
        await self.finish()

    def _say_what_follows(self) -> None:
        self.headers["Content-Type"] = "text/event-stream; charset=utf-8"
        self.headers["Connection"] = "close"


class LivezHandler(BaseHandler):
    """`/livez`: the loop turns."""

    def get(self) -> None:
        """Answer, which is all that liveness is."""
        self.respond({"status": "ok"})

    head = get


class ReadyzHandler(BaseHandler):
    """`/readyz`: whether a task would be taken now, as far as is known."""

    def get(self) -> None:
        """Tell whether tasks are taken, and how many workers could compute them."""
        refusal = self.engine.unreadiness
        if refusal is not None:
            raise refusal
        self.respond({"status": "ok", "workers": len(self.master.pool.live())})

    head = get
