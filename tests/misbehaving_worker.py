"""A worker that does to the master what the script says: a raw socket, in the test's event loop.

It is honest, so that it passes its examination, until it is given a `Misbehaviour`: what it does
with a call instead of answering it. Everything that an HTTP server would never send can be sent.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from engine.arithmetic import compute

Question = Any  # an object, or an array of them, as JSON
Send = Callable[[bytes], Awaitable[None]]
Misbehaviour = Callable[[Question, Send], Awaitable[None]]


class MisbehavingWorker:
    """What one saw and did, and what it is to do next."""

    def __init__(self) -> None:
        self.port = 0
        self.misbehaviour: Misbehaviour | None = None
        self.only_arrays = False  # misbehave when asked for several at once, and only then
        self.misbehaved = asyncio.Event()
        self.requests = 0
        self.sent_bytes = 0  # since it began to misbehave

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it is closed, or misbehaved on."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the master hung up
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()
            self.sent_bytes += len(data)

        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.requests += 1
        _, declared, rest = head.partition(b"content-length:")
        body = await reader.readexactly(int(rest.split()[0])) if declared else b""
        if not head.startswith(b"post /compute"):
            await send(response(b"", "404 Not Found"))
            return True
        question = json.loads(body)
        if self.misbehaviour is None or (self.only_arrays and not isinstance(question, list)):
            await send(response(json.dumps(honest(question)).encode()))
            return True
        self.sent_bytes = 0
        self.misbehaved.set()
        await self.misbehaviour(question, send)
        return False


@asynccontextmanager
async def a_misbehaving_worker() -> AsyncIterator[MisbehavingWorker]:
    """Run one at a free port of this host."""
    worker = MisbehavingWorker()
    serving: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.ensure_future(worker.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    worker.port = server.sockets[0].getsockname()[1]
    try:
        yield worker
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def honest(question: Question) -> Any:  # noqa: ANN401  # JSON
    """Return the right answer to an object, or to an array of them."""
    if isinstance(question, list):
        return [honest(one) for one in question]
    result = compute(question["operation"], (question["op1"], question["op2"]))
    return question | {"result": result}


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an HTTP response whose framing is right."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


# What it can do. Each returns a misbehaviour.


def sending(data: bytes) -> Misbehaviour:
    """Send these bytes, whatever was asked, and close."""

    async def misbehave(_: Question, send: Send) -> None:
        await send(data)

    return misbehave


def answering(change: Callable[[Any], Any]) -> Misbehaviour:
    """Send the right answer after `change` had it, as JSON in Python's own dialect."""

    async def misbehave(question: Question, send: Send) -> None:
        changed = change(honest(question))
        await send(
            response(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
        )

    return misbehave


def saying(result: str) -> Misbehaviour:
    """Send the right answer with `result`, a piece of JSON or of what is none, in its place."""

    def change(answer: Any) -> bytes:  # noqa: ANN401  # JSON
        return json.dumps(answer | {"result": "@"}).replace('"@"', result).encode()

    return answering(change)


def flooding(head: bytes, piece: bytes, at_most: int) -> Misbehaviour:
    """Send `head`, then `piece` again and again until the master hangs up, or `at_most` bytes."""

    async def misbehave(_: Question, send: Send) -> None:
        await send(head)
        for _piece in range(at_most // len(piece)):
            await send(piece)

    return misbehave


def bombing(unpacked: int) -> Misbehaviour:
    """Send the right answer behind so many blanks, packed into very little."""
    blanks = gzip.compress(b" " * unpacked, 1)

    async def misbehave(question: Question, send: Send) -> None:
        body = blanks + gzip.compress(json.dumps(honest(question)).encode())
        await send(response(body, "200 OK", "Content-Encoding: gzip"))

    return misbehave


async def hanging(_: Question, _send: Send) -> None:
    """Accept, and never answer."""
    await asyncio.get_running_loop().create_future()


async def closing(_: Question, _send: Send) -> None:
    """Close without a word."""
