"""A master on loopback that says what a test has scripted, and remembers what it was asked.

It runs on a thread of its own, because the command line blocks the test's. A path's replies are
given one after the other, the last one for ever; what has none is 404.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    connection: int  # a number of its own


@dataclass
class Reply:
    """What the master answers; bytes go out as they are."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


HANG_UP = Reply(status=0)  # closes the connection instead of answering
HOLD = Reply(status=-1)  # never answers

Scripted = Reply | Callable[[Asked], Reply]


class ScriptedMaster:
    """See the module."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.arrivals: Queue[str] = Queue()  # "GET /jobs", for tests that wait for a request
        self._script: dict[str, list[Scripted]] = {}

    def script(self, what: str, *replies: Scripted) -> None:
        """Set the replies to e.g. `POST /submit`."""
        self._script[what] = list(replies)

    def script_more(self, what: str, *replies: Scripted) -> None:
        """Set what follows the replies that are scripted, the last of which is given once then."""
        self._script[what] += replies

    def answer(self, asked: Asked) -> Reply:
        """Return the next reply to `asked`."""
        self.asked.append(asked)
        what = f"{asked.method} {asked.path}"
        self.arrivals.put(what)
        replies = self._script.get(what) or [problem(404, "not_found", f"no {asked.path} here")]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply if isinstance(reply, Reply) else reply(asked)

    def asked_for(self, what: str) -> list[Asked]:
        """Return the requests for e.g. `GET /jobs`, in their order."""
        return [asked for asked in self.asked if f"{asked.method} {asked.path}" == what]

    def await_request(self, what: str) -> None:
        """Return when `what` has been asked for (once more)."""
        while self.arrivals.get() != what:
            pass


def problem(status: int, error: str, detail: str, **more: object) -> Reply:
    """Return an error as the contract shows it; `retry_after` becomes a header."""
    headers = {"Content-Type": "application/problem+json"}
    if "retry_after" in more:
        headers["Retry-After"] = str(more.pop("retry_after"))
    body = {"type": "about:blank", "title": "", "status": status, "error": error, "detail": detail}
    return Reply(body | more, status, headers)


def a_job(
    job_id: int = 47, answer: object = None, finished: bool = True, **more: object
) -> dict[str, Any]:
    """Return a job as `/job/{id}` shows it."""
    return {"job_id": job_id, "finished": finished, "answer": answer, **more}


def running(job_id: int = 47) -> dict[str, Any]:
    """Return a job that has not finished."""
    return a_job(job_id, finished=False)


def failed(job_id: int = 47) -> dict[str, Any]:
    """Return a job that has failed."""
    return a_job(job_id, error="division_by_zero", detail="'/' at column 2: the divisor is zero")


def a_worker(name: str = "w1", **more: object) -> dict[str, Any]:
    """Return a worker as `/workers` shows it."""
    return {
        "name": name,
        "url": "http://10.0.0.2:8082",
        "state": "live",
        "operations": ["mul", "sum"],
        "batch": 512,
        "in_flight": 1,
        "completed": 12,
        "failed": 0,
        "latency_p50_s": 0.001,
        "latency_p95_s": None,
        "chains": False,
        "last_seen_s": 0.5,
        "reason": None,
    } | more


def calculate(master: ScriptedMaster, *, finished: bool = True) -> None:
    """Make `master` compute what it is sent; "!" in a task makes it be refused, "/0" fail."""
    jobs: list[dict[str, Any]] = []

    def submit(asked: Asked) -> Reply:
        return Reply({"jobs": [one(task) for task in asked.body["tasks"]]})

    def one(task: str) -> dict[str, Any]:
        if "!" in task:
            return {"error": "invalid_expression", "detail": "unexpected '!'", "column": 2}
        job_id = len(jobs) + 1
        job = failed(job_id) if "/0" in task else a_job(job_id, eval(task))
        jobs.append(job | {"task": task})
        master.script(f"GET /job/{job_id}", Reply(job))
        return {"job_id": job_id, "finished": False}

    def listing(asked: Asked) -> Reply:
        until = int(asked.query.get("before", len(jobs) + 1)) - 1
        limit = int(asked.query.get("limit", 100))
        page = jobs[max(0, until - limit) : until][::-1]
        return Reply(page if finished else [job | {"finished": False} for job in page])

    master.script("POST /submit", submit)
    master.script("GET /jobs", listing)


class _Handler(RequestHandler):
    def initialize(self, master: ScriptedMaster) -> None:
        self.master = master

    async def _respond(self) -> None:
        request = self.request
        query = {name: self.get_query_argument(name) for name in request.query_arguments}
        body = json.loads(request.body) if request.body else None
        headers = dict(request.headers.get_all())
        connection = id(request.server_connection)
        reply = self.master.answer(
            Asked(str(request.method), request.path, query, headers, body, connection)
        )
        if reply is HANG_UP:
            self.request.connection.stream.close()  # type: ignore[union-attr]
            return
        if reply is HOLD:
            await asyncio.Event().wait()
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self.finish(reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body))

    get = post = delete = _respond


@contextmanager
def scripted_master() -> Iterator[ScriptedMaster]:
    """Serve a scripted master for as long as the context lasts."""
    master = ScriptedMaster()
    started = threading.Event()
    ends: list[Callable[[], object]] = []

    async def serve() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(end.set))
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(
            Application([(r"/.*", _Handler, {"master": master})], log_function=lambda _: None)
        )
        server.add_sockets(sockets)
        master.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        started.set()
        await end.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    try:
        yield master
    finally:
        ends[0]()
        thread.join()


def a_closed_port() -> str:
    """Return an address of this machine where nobody listens."""
    (socket,) = bind_sockets(0, "127.0.0.1")
    port = socket.getsockname()[1]
    socket.close()
    return f"http://127.0.0.1:{port}"
