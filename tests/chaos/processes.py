"""What tests and measurements need of real processes: clusters, memory, connections in numbers."""

import asyncio
import contextlib
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local import LocalCluster, Process
from engine.client.api import MasterClient
from engine.client.errors import ApiError, MasterUnreachable
from engine.messages import JobListed, JobStatus, Submitted, TaskRefused
from engine.store.base import NewJob
from engine.store.sqlite import SqliteStore
from tests.expressions import oracle
from tests.integration.serving import eventually_async

MIB = 1024 * 1024
CONNECTIONS_AT_ONCE = 100  # that are being opened: more would wait for the listener's queue
GROUP = 10_000


@asynccontextmanager
async def a_cluster(
    workers: int, *arguments: str, under: Sequence[str] = ()
) -> AsyncIterator[tuple[LocalCluster, MasterClient]]:
    """Run a cluster, its master with `arguments` and `under` a command, and a client of it."""
    cluster = LocalCluster(workers, arguments)
    try:
        cluster.start_master(under=under)
        for _ in range(workers):
            cluster.start_worker()
        with MasterClient(cluster.url, timeout_s=60) as client:
            await until_states(client, *["live"] * workers)
            yield cluster, client
    finally:
        cluster.stop()


async def until_states(client: MasterClient, *wanted: str) -> None:
    """Wait until the workers are in these states."""

    async def reached() -> bool:
        try:
            return sorted(worker.state for worker in await client.workers()) == sorted(wanted)
        except MasterUnreachable:
            return False

    await eventually_async(reached, lambda: f"the workers should become {wanted}")


def peak_memory(process: Process) -> int:
    """Return the most bytes that a process has had in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def errors(process: Process) -> list[str]:
    """Return what a process has logged as an error."""
    return [line for line in process.seen if re.search("ERROR|CRITICAL|Traceback", line)]


def tasks(count: int, salt: int = 0) -> list[str]:
    """Return tasks of six operations each."""
    return [f"({n}+{salt})*2-{n}/4+0.5*{n}-(3-{n})" for n in range(count)]


async def submit(client: MasterClient, some: Sequence[str]) -> dict[int, str]:
    """Submit tasks in one request; return them by their ids."""
    return taken(some, await client.submit_many(some))


def taken(some: Sequence[str], items: Iterable[Submitted | TaskRefused]) -> dict[int, str]:
    """Return the tasks that were taken, by their ids."""
    return {
        item.job_id: task
        for task, item in zip(some, items, strict=True)
        if isinstance(item, Submitted)
    }


async def wrong_answers(client: MasterClient, jobs: dict[int, str]) -> list[JobStatus | JobListed]:
    """Wait for the end of all jobs; return those that ended otherwise than Python says."""
    ended: dict[int, JobStatus | JobListed] = {}
    end = max(jobs) + 1
    while page := await client.jobs(limit=1000, before=end):
        ended |= {job.job_id: job for job in page if job.finished}
        end = page[-1].job_id
    for job_id in jobs.keys() - ended.keys():
        while not (status := await client.job(job_id, wait_s=60)).finished:
            pass
        ended[job_id] = status
    return [
        ended[job_id]
        for job_id, task in jobs.items()
        if ended[job_id].answer != oracle(task) or isinstance(ended[job_id].error, str)
    ]


class KeepingOn:
    """A client that submits until it is told to stop, whoever restarts; it keeps what was taken."""

    def __init__(self, client: MasterClient) -> None:
        self.jobs: dict[int, str] = {}
        self._client = client
        self._over = False
        self._salt = 0

    async def run(self) -> None:
        """Submit 20 tasks at a time."""
        while not self._over:
            self._salt += 1
            some = tasks(20, self._salt)
            try:
                self.jobs |= await submit(self._client, some)
            except (MasterUnreachable, ApiError):
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """Let `run` return."""
        self._over = True


def fill(data: Path, count: int) -> None:
    """Put unfinished jobs into a record that no master has open."""

    async def put_in() -> None:
        store = SqliteStore(data)
        await store.open()
        for _ in range(0, count, GROUP):
            await store.add([NewJob(f"{n}+1") for n in range(GROUP)], 1.0)
        await store.close()

    asyncio.run(put_in())


# Connections in numbers, without a client that is clever about them


class Connection:
    """A connection to the master that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes, bytes]:
        """Send a request; return the status, the head and the body of what comes back."""
        self.send(method, path, body)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Return the status, the head and the body of what comes back next."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        return int(head.split()[1]), head, await self.reader.readexactly(length)

    def send(self, method: str, path: str, body: object = None) -> None:
        """Send a request and wait for nothing."""
        raw = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n\r\n"
        self.writer.write(head.encode() + raw)

    async def closed(self) -> None:
        """Return when the other side has closed it."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Break it off, as a client that crashes does."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close it."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """Open connections to a port of this host, and close them afterwards."""
    opening = asyncio.Semaphore(CONNECTIONS_AT_ONCE)

    async def one() -> Connection:
        async with opening:
            return Connection(*await asyncio.open_connection("127.0.0.1", port))

    opened = await asyncio.gather(*(one() for _ in range(count)))
    try:
        yield opened
    finally:
        await asyncio.gather(*(connection.close() for connection in opened))
