"""Load on a master, and on what it is compared with. Everything here is the clients' side.

Where a client of Python would itself be the bottleneck, requests are written to sockets as bytes
that were prepared before, and of replies no more is read than it takes to find their end.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from urllib.parse import urlsplit

from bench.expressions import Task
from engine.client.api import MasterClient
from engine.transport import HttpTransport

BULK = 1_000  # tasks in a request
PAGE = 1_000  # the most jobs that /jobs shows at once
PATIENCE_S = 20.0  # with a call


async def in_bulk(client: MasterClient, tasks: Sequence[Task]) -> None:
    """Submit tasks, many in a request, and return when the last answer is on record."""
    texts = [task.text for task in tasks]
    parts = [texts[start : start + BULK] for start in range(0, len(texts), BULK)]
    await asyncio.gather(*map(client.submit_many, parts))
    await until_finished(client)


async def until_finished(client: MasterClient) -> None:
    """Return when no job is unfinished: what a master shows as finished is on its disk."""
    while unfinished := await client.jobs(status="unfinished", limit=1):
        await client.job(unfinished[0].job_id, wait_s=60)


async def check(client: MasterClient, tasks: Sequence[Task]) -> None:
    """Raise unless the latest jobs are `tasks` in some order, each with its answer."""
    answers = {task.text: task.answer for task in tasks}
    before = None
    left = len(tasks)
    while left > 0:
        page = await client.jobs(limit=min(PAGE, left), before=before)
        for job in page:
            if job.task not in answers or repr(job.answer) != repr(answers[job.task]):
                raise AssertionError(f"job {job.job_id} ended with {job.answer}, {job.error}")
        before = page[-1].job_id
        left -= len(page)


async def timed(client: MasterClient, task: Task) -> float:
    """Return the seconds from submitting one task to having its answer, in one request."""
    began_at = perf_counter()
    job = await client.submit(task.text, wait_s=60)
    took_s = perf_counter() - began_at
    if repr(getattr(job, "answer", None)) != repr(task.answer):
        raise AssertionError(
            f"job {job.job_id} has no answer, or a wrong one, after {took_s:.1f} s"
        )
    return took_s


async def calls_per_s(urls: Sequence[str], calls: int, per_worker: int) -> float:
    """Return how many single operations a bare client has computed, per second, at the workers.

    It is the master's own way to the workers, with nothing around it.
    """
    most = per_worker * len(urls)
    transport = HttpTransport(max_calls=most, max_probes=1, connect_timeout_s=PATIENCE_S)
    body = json.dumps({"operation": "sum", "op1": 1, "op2": 2}).encode()
    left = iter(range(calls))

    async def caller(url: str) -> None:
        for _ in left:
            await transport.compute(url, body, PATIENCE_S)

    began_at = perf_counter()
    await asyncio.gather(*(caller(url) for url in urls for _ in range(per_worker)))
    took_s = perf_counter() - began_at
    transport.close()
    return calls / took_s


async def each_answered_s(url: str, task: Task, count: int) -> list[float]:
    """Return how long each of `count` submissions of a task took, answered in one request.

    One after the other, on one connection.
    """
    address = urlsplit(url)
    body = json.dumps({"task": task.text}).encode()
    request = _request(address.netloc, body, "/submit?wait=60")
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    took_s = []
    for _ in range(count):
        began_at = perf_counter()
        reply = await _reply_to(request, reader, writer)
        took_s.append(perf_counter() - began_at)
        if repr(json.loads(reply)["answer"]) != repr(task.answer):
            raise AssertionError(f"a wrong answer: {reply!r}")
    writer.close()
    return took_s


async def posts_per_s(url: str, bodies: Iterable[bytes], connections: int) -> float:
    """Return how many `POST /submit` a server answers per second, over so many connections."""
    address = urlsplit(url)
    requests = [_request(address.netloc, body, "/submit") for body in bodies]
    left = iter(requests)
    streams = [
        await asyncio.open_connection(address.hostname, address.port) for _ in range(connections)
    ]
    began_at = perf_counter()
    await asyncio.gather(*(_poster(left, *stream) for stream in streams))
    took_s = perf_counter() - began_at
    for _, writer in streams:
        writer.close()
    return len(requests) / took_s


def _request(host: str, body: bytes, path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _poster(
    requests: Iterator[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    for request in requests:
        await _reply_to(request, reader, writer)


async def _reply_to(
    request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise AssertionError(f"a submit was answered {head[:40]!r}")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length))
