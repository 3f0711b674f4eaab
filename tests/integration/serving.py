"""A master, and workers of ours, on real sockets in the test's own process and event loop.

Each is an async context manager that stops what it started. Ports are free ones. What a test asks
goes over HTTP; what it must see of the inside (the pool, say) it reads from the objects.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple

from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from engine.clock import LoopClock
from engine.master.app import private_site, public_site, serve
from engine.master.assembly import Master
from engine.roof import bound
from engine.server import Server
from engine.settings import MasterSettings, from_assignment, settle
from engine.site import Site
from engine.store.base import Store
from engine.store.memory import MemoryStore
from engine.transport import HttpTransport
from engine.worker.app import WorkerState, worker_site
from engine.worker.app import serve as serve_worker

ALL_FOUR = ("sum", "sub", "mul", "div")
PATIENCE_S = 60.0  # no law: only so that what never comes true fails instead of hanging


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever JSON may be
        """The body as Python's own JSON reader understands it: integers stay exact."""
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The Content-Type without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0]


class Caller:
    """Calls one base URL over HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: AsyncHTTPClient = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=200, max_body_size=200_000_000
        )

    @property
    def port(self) -> int:
        """The port that is called."""
        return int(self.url.rsplit(":", 1)[1])

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, its body as JSON unless it is bytes already."""
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        response = await self._client.fetch(
            self.url + path,
            method=method,
            body=raw,
            headers=dict(headers or {}),
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            request_timeout=PATIENCE_S,
        )
        return Answer(response.code, response.headers, response.body)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET a path."""
        return await self.call("GET", path, headers=headers)

    async def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """POST a body."""
        return await self.call("POST", path, body, headers)

    async def answer_of(self, task: str) -> Any:  # noqa: ANN401  # what /job/{id} says
        """Submit a task, wait for its end as long as it takes, and return its status."""
        status = (await self.post("/submit?wait=60", {"task": task})).json
        while not status["finished"]:
            status = (await self.get(f"/job/{status['job_id']}?wait=60")).json
        return status

    def close(self) -> None:
        """Close the client."""
        self._client.close()


class ServedMaster(Caller):
    """A running master: callable at its public URL, its objects in reach."""

    def __init__(self, master: Master, url: str, private_url: str) -> None:
        super().__init__(url)
        self.master = master
        self.private_url = private_url

    async def workers(self) -> dict[str, Any]:
        """Return what `/workers` says, by name."""
        return {worker["name"]: worker for worker in (await self.get("/workers")).json}

    async def until_worker(self, name: str, state: str) -> Any:  # noqa: ANN401  # as /workers says
        """Wait until a worker is in a state, and return what `/workers` says of it."""
        await eventually(
            lambda: any(w.name == name and w.state == state for w in self.master.pool),
            lambda: f"{name} should become {state}: {list(self.master.pool)}",
        )
        return (await self.workers())[name]


@asynccontextmanager
async def a_master(store: Store | None = None, /, **given: object) -> AsyncIterator[ServedMaster]:
    """Run a master, its jobs in memory or a store; settings as `limits__task_bytes=1000`."""
    values = [from_assignment(f"{key.replace('__', '.')}={given[key]}", "test") for key in given]
    settings, _ = settle(MasterSettings, [from_assignment("data=", "test"), *values])
    transport = HttpTransport(
        max_calls=100,
        max_probes=100,
        connect_timeout_s=settings.dispatch.connect_timeout_s,
        token=settings.token,
    )
    master = Master(settings, transport, store or MemoryStore(), LoopClock(), Random(7))
    await master.start()
    sites = [public_site(master)]
    if settings.private_port is not None:
        sites.append(private_site(master))
    most = settings.limits.connections
    servers = [listening(site, settings.limits.body_bytes, most) for site in sites]
    served = ServedMaster(master, url(servers[0][1]), url(servers[-1][1]))
    try:
        yield served
    finally:
        served.close()
        for server, _ in servers:
            server.stop()
        await master.stop()
        for server, _ in servers:
            await server.close_all_connections()


def listening(
    site: Site, max_body_bytes: int = 1_000_000, max_connections: int = 100
) -> tuple[Server, int]:
    """Serve a site as a master does; return the server and its port."""
    server = serve(site, max_body_bytes, max_connections)
    sockets, port = bound("127.0.0.1", 0)
    server.add_sockets(sockets)
    return server, port


def url(port: int) -> str:
    """Return the URL of a port of this host."""
    return f"http://127.0.0.1:{port}"


class ServedWorker(Caller):
    """A running worker of ours, callable at its URL."""

    def __init__(self, state: WorkerState, url: str) -> None:
        super().__init__(url)
        self.state = state


@asynccontextmanager
async def a_worker(
    master: ServedMaster | None = None,
    name: str = "w",
    operations: tuple[str, ...] = ALL_FOUR,
    batch: int = 512,
    token: str = "",
) -> AsyncIterator[ServedWorker]:
    """Run a worker, and announce it once if there is a master to announce it to."""
    state = WorkerState(list(operations), batch, token)
    server = serve_worker(worker_site(state))
    sockets, port = bound("127.0.0.1", 0)
    server.add_sockets(sockets)
    worker = ServedWorker(state, url(port))
    try:
        if master is not None:
            await announce(master, name, port, operations=list(operations), batch=batch)
        yield worker
    finally:
        worker.close()
        server.stop()
        await server.close_all_connections()


async def announce(master: ServedMaster, name: str, port: int, **more: object) -> Answer:
    """Announce a worker as it would itself."""
    caller = Caller(master.private_url)
    headers = {"Authorization": f"Bearer {master.master.settings.token}"}
    answer = await caller.post("/worker", {"worker_name": name, "port": port, **more}, headers)
    caller.close()
    return answer


async def eventually(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Return once `condition` holds: for what happens at the other end of a socket.

    Fails with `what()` if it never does.
    """

    async def holds() -> object:
        return condition()

    await eventually_async(holds, what)


async def eventually_async(
    condition: Callable[[], Awaitable[object]], what: Callable[[], str]
) -> None:
    """Return once awaiting `condition` says that it holds: for the states of other processes."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE_S
    while not await condition():
        if loop.time() > give_up_at:
            raise AssertionError(what())
        await asyncio.sleep(0.005)


async def exchanged(port: int, sent: bytes) -> bytes:
    """Send raw bytes to a port of this host, say no more, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        return await reader.read()
    except OSError:
        return b""  # closed without a word, perhaps before ours
    finally:
        writer.close()


def assert_problem(answer: Answer, status: int, error: str, column: int | None = None) -> None:
    """Assert that an answer is exactly the problem that the contract promises."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    keys = {"type", "title", "status", "error", "detail"} | ({"column"} if column else set())
    assert set(problem) == keys
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert (problem["error"], problem.get("column")) == (error, column), problem
    assert problem["detail"]
    assert b"Traceback" not in answer.body
    assert b'File "' not in answer.body
