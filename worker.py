"""A worker: announces itself to the master and computes. `python worker.py -h`.

This file reads settings, builds the objects, runs them and heeds signals; nothing else.
"""

import asyncio
import logging
import os
import socket
import sys
from random import Random

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from engine.clock import LoopClock
from engine.flags import worker_settings
from engine.logs import configure
from engine.messages import Announcement
from engine.roof import EXIT_UNAVAILABLE, bound, refuse_optimized, stop_signal
from engine.settings import WorkerSettings
from engine.worker.announcer import Announcer, Request, Response
from engine.worker.app import WorkerState, serve, worker_app

log = logging.getLogger("worker")


def main() -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code."""
    refuse_optimized("worker")
    settings = worker_settings(sys.argv[1:], os.environ)
    configure(settings.log)
    try:
        return asyncio.run(run(settings))
    except OSError as error:
        print(f"worker: {error}", file=sys.stderr)
        return EXIT_UNAVAILABLE


async def run(settings: WorkerSettings) -> int:
    """Listen, announce, compute; then take leave, finish what is in hand, and return."""
    told_to_stop = stop_signal()
    state = WorkerState(settings.operations, settings.batch, settings.token)
    sockets, port = bound(settings.host, settings.port)
    server = serve(worker_app(state))
    server.add_sockets(sockets)
    name = settings.name or f"{socket.gethostname()}-{port}"
    print(f"worker: {name} listening on http://{settings.host}:{port}", file=sys.stderr, flush=True)
    announcer = Announcer(
        announcement(settings, name, port),
        requests(settings),
        LoopClock(),
        Random(),  # noqa: S311
    )
    announcing = asyncio.create_task(announcer.run())
    await told_to_stop.wait()
    announcing.cancel()
    await announcer.leave(port)
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


def requests(settings: WorkerSettings) -> Request:
    """Return the way to the master, for an announcer."""
    client: AsyncHTTPClient = SimpleAsyncHTTPClient(force_instance=True)
    headers = {"Content-Type": "application/json"}
    if settings.token:
        headers["Authorization"] = f"Bearer {settings.token}"

    async def request(method: str, path: str, body: bytes | None) -> Response:
        try:
            response = await client.fetch(
                settings.master.rstrip("/") + path,
                method=method,
                body=body,
                headers=headers,
                request_timeout=settings.announce_timeout_s,
                connect_timeout=settings.announce_timeout_s,
                raise_error=False,
                follow_redirects=False,
            )
        except (HTTPClientError, ValueError) as error:
            raise OSError(str(error)) from None
        return Response(response.code, response.body)

    return request


if __name__ == "__main__":
    sys.exit(main())
