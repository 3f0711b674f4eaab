"""Many workers in one process, each on a port of its own; they may be slow, and they are counted.

What they compute is what a worker of ours computes. Each serves one call after another: one that
takes `--pace-ms` computes that long before it begins with the next. `GET /calls` at the first
port tells how many calls all of them have answered.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started by its path

from tornado.simple_httpclient import SimpleAsyncHTTPClient

from engine.arithmetic import OPERATIONS
from engine.roof import bound, open_files, prefer_throughput, stop_signal
from engine.web import application
from engine.worker.app import ComputeHandler, HealthHandler, WorkerHandler, WorkerState, serve

HOST = "127.0.0.1"


class Tally:
    """How many calls were answered by all."""

    def __init__(self) -> None:
        self.calls = 0


class CrowdMember(WorkerState):
    """A worker of the crowd: how long a call takes it, and until when it is busy."""

    def __init__(self, batch: int, pace_s: float, tally: Tally) -> None:
        super().__init__(list(OPERATIONS), batch, token="")
        self.tally = tally
        self._pace_s = pace_s
        self._busy_until = 0.0

    async def take_time(self) -> None:
        """Return when a call that comes now has been computed."""
        if self._pace_s:
            now = asyncio.get_running_loop().time()
            self._busy_until = max(now, self._busy_until) + self._pace_s
            await asyncio.sleep(self._busy_until - now)


class SlowComputeHandler(ComputeHandler):
    """`POST /compute`, in the time that it takes."""

    state: CrowdMember

    async def post(self) -> None:  # type: ignore[override]  # Tornado takes either
        """Compute when it is time."""
        self.state.tally.calls += 1
        await self.state.take_time()
        super().post()


class CallsHandler(WorkerHandler):
    """`GET /calls`."""

    state: CrowdMember

    def get(self) -> None:
        """Tell how many calls there were."""
        self.respond({"calls": self.state.tally.calls})


async def run(arguments: argparse.Namespace) -> int:
    """Listen at all ports, announce all workers, serve until told to stop."""
    told_to_stop = stop_signal()
    tally = Tally()
    ports = [listen(arguments, tally) for _ in range(arguments.workers)]
    print(f"crowd: listening on http://{HOST}:{ports[0]}", file=sys.stderr, flush=True)
    await announce_all(arguments.master, arguments.batch, ports)
    await told_to_stop.wait()
    return 0


def listen(arguments: argparse.Namespace, tally: Tally) -> int:
    """Serve one more worker, and return its port."""
    state = CrowdMember(arguments.batch, arguments.pace_ms / 1000, tally)
    routes = [
        (r"/compute", SlowComputeHandler),
        (r"/health", HealthHandler),
        (r"/calls", CallsHandler),
    ]
    sockets, port = bound(HOST, 0)
    serve(application(routes, {"state": state})).add_sockets(sockets)
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
