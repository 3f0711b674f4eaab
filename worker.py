"""A worker: announces itself to the master and computes. `python worker.py -h`.

This file reads settings, builds the objects, runs them and heeds signals; nothing else.
"""

import asyncio
import os
import socket
import sys
from random import Random

from engine.arithmetic import OPERATIONS
from engine.clock import LoopClock
from engine.flags import EXIT_USAGE, worker_settings
from engine.logs import configure
from engine.messages import Announcement
from engine.roof import EXIT_UNAVAILABLE, bound, refuse_optimized, stop_signal
from engine.settings import WorkerSettings
from engine.worker.announcer import Announcer, http_requests
from engine.worker.app import WorkerState, serve, worker_site


def main() -> int:
    """Run a worker until SIGTERM, SIGINT or SIGHUP; return the exit code."""
    refuse_optimized("worker")
    settings = worker_settings(sys.argv[1:], os.environ)
    refuse_unknown(settings.operations)
    configure(settings.log)
    try:
        return asyncio.run(run(settings))
    except OSError as error:
        print(f"worker: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE


def refuse_unknown(operations: list[str]) -> None:
    """Leave if this worker is to announce an operation that it cannot compute."""
    unknown = sorted(set(operations) - set(OPERATIONS))
    if unknown:
        print(
            f"worker: operations: {', '.join(unknown)} cannot be computed here; "
            f"choose from {', '.join(OPERATIONS)}",
            file=sys.stderr,
        )
        sys.exit(EXIT_USAGE)


async def run(settings: WorkerSettings) -> int:
    """Listen, announce, compute; then take leave, finish what is in hand, and return."""
    told_to_stop = stop_signal()
    state = WorkerState(settings.operations, settings.batch, settings.token)
    sockets, port = bound(settings.host, settings.port)
    server = serve(worker_site(state))
    server.add_sockets(sockets)
    name = settings.name or f"{socket.gethostname()}-{port}"
    listening = f"listening on http://{settings.host}:{port} for the master at {settings.master}"
    print(f"worker: {name} {listening}", file=sys.stderr, flush=True)
    announcer = Announcer(
        announcement(settings, name, port),
        http_requests(settings.master, settings.token, settings.announce_timeout_s),
        LoopClock(),
        Random(),  # noqa: S311
    )
    async with asyncio.TaskGroup() as tasks:  # if announcing ends unforeseen, so does the worker
        announcing = tasks.create_task(announcer.run())
        await told_to_stop.wait()
        await announcer.leave()
        announcing.cancel()
    state.draining = True
    server.stop()
    await asyncio.wait((asyncio.ensure_future(state.idle()),), timeout=settings.drain_s)
    return 0


def announcement(settings: WorkerSettings, name: str, port: int) -> Announcement:
    """Return what the master is told."""
    told = Announcement(name, operations=settings.operations, batch=settings.batch, chains=True)
    if settings.url:
        told.url = settings.url
    else:
        told.port = port
    return told


if __name__ == "__main__":
    sys.exit(main())
