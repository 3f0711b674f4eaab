"""Ours: a master with a durable record, three workers, a client, all over HTTP.

Promised, and not by the others: a submitted job is on disk before it is acknowledged, and so is
its answer before anybody sees it; each reply is checked against what was asked; workers are
examined before they are let in; small jobs are never behind large ones.
Not promised: functions of one's own, data larger than numbers, more than one master.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Coroutine, Sequence
from http.client import HTTPConnection
from pathlib import Path
from select import select
from tempfile import gettempdir
from typing import Any
from urllib.parse import urlsplit

from bench.cluster import Cluster
from bench.expressions import Number
from bench.load import PAGE, until_finished
from bench.peers.contender import serve
from engine.client.api import MasterClient
from engine.messages import JobStatus, Submitted


async def one_request(client: MasterClient, tasks: Sequence[str]) -> list[Number]:
    """Submit all tasks in one request; fetch all answers in pages, as they are listed."""
    submitted = await client.submit_many(tasks)
    await until_finished(client)
    answers: dict[int, object] = {}
    while len(answers) < len(tasks):
        page = await client.jobs(limit=PAGE, before=min(answers, default=None))
        answers |= {job.job_id: job.answer for job in page}
    return [_number(answers[job.job_id]) for job in submitted if isinstance(job, Submitted)]


async def request_per_task(client: MasterClient, tasks: Sequence[str]) -> list[Number]:
    """Submit each task in a request that waits for its answer."""
    jobs = await asyncio.gather(*(client.submit(task, wait_s=60) for task in tasks))
    return [_number(job.answer) for job in jobs if isinstance(job, JobStatus)]


class StandardClient:
    """What Python itself has for HTTP: one request after the other, on one connection."""

    def __init__(self, host: str) -> None:
        self._connection = HTTPConnection(host)

    def answers(self, tasks: Sequence[str]) -> list[Number]:
        """Submit each task when the one before is answered."""
        if _is_closed(self._connection.sock):
            self._connection.close()  # it connects again by itself
        return [self._answer(task) for task in tasks]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _answer(self, task: str) -> Number:
        self._connection.request("POST", "/submit?wait=60", json.dumps({"task": task}))
        return _number(json.loads(self._connection.getresponse().read())["answer"])


class BareSocket:
    """A connection to a master, and as little HTTP as there can be: what a client may cost."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._connect()

    def answers(self, tasks: Sequence[str]) -> list[Number]:
        """Submit each task when the one before is answered."""
        if _is_closed(self._socket):
            self.close()
            self._connect()
        return [self._answer(task) for task in tasks]

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._socket.close()

    def _connect(self) -> None:
        name, _, port = self._host.partition(":")
        self._socket = socket.create_connection((name, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self._socket.makefile("rb")

    def _answer(self, task: str) -> Number:
        body = json.dumps({"task": task}).encode()
        head = f"POST /submit?wait=60 HTTP/1.1\r\nHost: {self._host}\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        length = 0
        while (line := self._replies.readline()) != b"\r\n":
            if not line:
                raise ConnectionError("the master has closed the connection")
            name, _, text = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(text)
        return _number(json.loads(self._replies.read(length))["answer"])


def _is_closed(connection: socket.socket | None) -> bool:
    """Return whether a master has closed a connection that was idle: it sends nothing unasked."""
    return connection is not None and bool(select([connection], [], [], 0)[0])


def _number(answer: object) -> Number:
    if not isinstance(answer, int | float):
        raise TypeError(f"a job ended without an answer: {answer}")
    return answer


def main(settings: Sequence[str]) -> None:
    """Serve with a cluster of our own; `settings` are the master's."""
    with asyncio.Runner() as runner, Cluster(Path(gettempdir()), 3, settings) as cluster:
        client = runner.run(_connected(cluster))
        host = urlsplit(cluster.url).netloc
        standard, bare = StandardClient(host), BareSocket(host)

        def done(work: Coroutine[Any, Any, list[Number]]) -> list[Number]:
            return runner.run(work)

        serve(
            {
                "one request": lambda tasks: done(one_request(client, tasks)),
                "a request each": lambda tasks: done(request_per_task(client, tasks)),
                "http.client": standard.answers,
                "a bare socket": bare.answers,
            },
            prepare=str,
        )
        bare.close()
        standard.close()
        client.close()


async def _connected(cluster: Cluster) -> MasterClient:
    client = MasterClient(cluster.url)
    await cluster.until_live(client, 3)
    return client


if __name__ == "__main__":
    main(sys.argv[1:])
