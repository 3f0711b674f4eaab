"""Load on a master, and on what it is compared with. Everything here is the clients' side.

Where a client of Python would itself be the bottleneck, requests are written to sockets as bytes
that were prepared before, and of replies no more is read than it takes to find their end.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from urllib.parse import urlsplit

from tornado.curl_httpclient import CurlAsyncHTTPClient

from bench.expressions import Task
from engine.client.api import MasterClient

BULK = 1_000  # tasks in a request
PAGE = 1_000  # the most jobs that /jobs shows at once


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
    """Return how many single operations a bare client has computed, per second, at the workers."""
    client = CurlAsyncHTTPClient(force_instance=True, max_clients=per_worker * len(urls))
    body = json.dumps({"operation": "sum", "op1": 1, "op2": 2}).encode()
    left = iter(range(calls))

    async def caller(url: str) -> None:
        for _ in left:
            await client.fetch(f"{url}/compute", method="POST", body=body)

    began_at = perf_counter()
    await asyncio.gather(*(caller(url) for url in urls for _ in range(per_worker)))
    took_s = perf_counter() - began_at
    client.close()
    return calls / took_s


async def posts_per_s(url: str, bodies: Iterable[bytes], connections: int) -> float:
    """Return how many `POST /submit` a server answers per second, over so many connections."""
    address = urlsplit(url)
    requests = [_request(address.netloc, body) for body in bodies]
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


def _request(host: str, body: bytes) -> bytes:
    head = f"POST /submit HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _poster(
    requests: Iterator[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:20]:
            raise AssertionError(f"a submit was answered {head[:40]!r}")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
