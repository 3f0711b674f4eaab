"""Many workers in one process, each on a port of its own; they may be slow, and they are counted.

What they compute is what a worker of ours computes, but they speak no more HTTP than the master
does with them: so one process of little work is as good as the hosts that they would have. Each
serves one call after another: one that takes `--pace-ms` computes that long before it begins with
the next. `GET /calls` at the first port tells how many calls all of them have answered.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started by its path

from tornado.simple_httpclient import SimpleAsyncHTTPClient

from engine.arithmetic import compute
from engine.errors import OperationFailed
from engine.job import Number
from engine.messages import Computation, Computed, Reader, encode
from engine.roof import bound, open_files, prefer_throughput, stop_signal
from engine.worker.app import compute_items

HOST = "127.0.0.1"
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)

one_or_many: Reader[Computation | list[Computation]] = Reader(Computation | list[Computation])


class Tally:
    """How many calls were answered by all."""

    def __init__(self) -> None:
        self.calls = 0


class CrowdMember:
    """A worker of the crowd: how long a call takes it, and until when it is busy."""

    def __init__(self, pace_s: float, tally: Tally) -> None:
        self._tally = tally
        self._pace_s = pace_s
        self._busy_until = 0.0

    def serve(self, path: bytes, body: bytes, send: Callable[[bytes], object]) -> None:
        """Answer a request: one to compute when it is time."""
        if path != b"/compute":
            told = {"status": "ok", "computed": 0, "calls": self._tally.calls}
            send(response(b"200 OK", json.dumps(told).encode()))
        elif self._pace_s:
            loop = asyncio.get_running_loop()
            self._busy_until = max(loop.time(), self._busy_until) + self._pace_s
            loop.call_at(self._busy_until, self._compute, body, send)
        else:
            self._compute(body, send)

    def _compute(self, body: bytes, send: Callable[[bytes], object]) -> None:
        self._tally.calls += 1
        asked = one_or_many(body)
        began_at = perf_counter()
        try:
            computed = compute_items(asked) if isinstance(asked, list) else compute_one(asked)
        except OperationFailed as failure:
            problem = {"error": failure.code, "detail": failure.detail}
            send(response(b"422 Unprocessable Content", json.dumps(problem).encode()))
        else:
            took_s = self._pace_s + perf_counter() - began_at
            send(response(b"200 OK", encode(computed), took_s))


def compute_one(asked: Computation) -> Computed:
    """Compute a single operation. Raises `OperationFailed`."""
    op1, op2 = asked.op1, asked.op2
    assert isinstance(op1, Number) and isinstance(op2, Number)  # noqa: S101, PT018  # known
    return Computed(asked.operation, op1, op2, compute(asked.operation, (op1, op2)))


def response(status: bytes, body: bytes, took_s: float = 0.0) -> bytes:
    """Return an HTTP response that tells how long it took to compute."""
    head = (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nServer-Timing: compute;dur=%.3f\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    return head % (status, 1000 * took_s, len(body)) + body


class Connection(asyncio.Protocol):
    """A connection of the master to a worker: one request at a time, its length in its head."""

    def __init__(self, member: CrowdMember) -> None:
        self._member = member
        self._path = b""
        self._received = bytearray()
        self._missing = 0  # bytes of the body, once the head has come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer there."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101  # a socket's is
        self._send = transport.write

    def data_received(self, data: bytes) -> None:
        """Serve a request when all of it is there."""
        self._received += data
        if not self._path:
            head, end, body = bytes(self._received).partition(b"\r\n\r\n")
            if not end:
                return
            self._path = head.split(b" ", 2)[1]
            length = LENGTH.search(head)
            self._missing = int(length[1]) if length else 0
            self._received = bytearray(body)
        if len(self._received) >= self._missing:
            path, body = self._path, bytes(self._received)
            self._path = b""
            self._received.clear()
            self._member.serve(path, body, self._send)


async def run(arguments: argparse.Namespace) -> int:
    """Listen at all ports, announce all workers, serve until told to stop."""
    told_to_stop = stop_signal()
    tally = Tally()
    ports = [await listen(arguments, tally) for _ in range(arguments.workers)]
    print(f"crowd: listening on http://{HOST}:{ports[0]}", file=sys.stderr, flush=True)
    await announce_all(arguments.master, arguments.batch, ports)
    await told_to_stop.wait()
    return 0


async def listen(arguments: argparse.Namespace, tally: Tally) -> int:
    """Serve one more worker, and return its port."""
    member = CrowdMember(arguments.pace_ms / 1000, tally)
    (socket,), port = bound(HOST, 0)
    await asyncio.get_running_loop().create_server(lambda: Connection(member), sock=socket)
    return port


async def announce_all(master: str, batch: int, ports: list[int]) -> None:
    """Announce every worker once: that is all it takes."""
    client = SimpleAsyncHTTPClient(defaults={"request_timeout": 60.0})  # asks ten at a time
    told = [{"worker_name": f"crowd-{port}", "port": port, "batch": batch} for port in ports]
    asked = [client.fetch(f"{master}/worker", method="POST", body=json.dumps(t)) for t in told]
    await asyncio.gather(*asked)


def main() -> int:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--master", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--pace-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    open_files(8 * arguments.workers + 100)
    prefer_throughput()
    return asyncio.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
