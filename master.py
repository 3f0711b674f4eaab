"""The master: takes tasks, hands their operations to workers, answers. `python master.py -h`.

This file reads settings, builds the objects, runs them and heeds signals; nothing else.
"""

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path
from random import Random
from typing import NamedTuple

from engine import crashpoints
from engine.clock import LoopClock
from engine.collector import collect_when_idle
from engine.errors import SettingsError, StoreDamaged, StoreError, StoreLocked
from engine.flags import EXIT_USAGE, master_settings
from engine.logs import configure
from engine.master.app import private_site, public_site, serve
from engine.master.assembly import Master
from engine.roof import (
    EXIT_UNAVAILABLE,
    bound,
    open_files,
    prefer_throughput,
    refuse_optimized,
    stop_signal,
)
from engine.server import Server
from engine.settings import MasterSettings
from engine.store.base import Store
from engine.store.memory import MemoryStore
from engine.store.sqlite import SqliteStore
from engine.transport import HttpTransport

EXIT_DATA_DAMAGED = 65  # the numbers of sysexits.h
EXIT_BROKE = 70
EXIT_DATA_IN_USE = 75

RESERVED_FILES = 64  # for the store, the log, the loop

log = logging.getLogger("master")


def main() -> int:
    """Run a master until SIGTERM, SIGINT or SIGHUP; return the exit code."""
    refuse_optimized("master")
    settings = master_settings(sys.argv[1:], os.environ)
    configure(settings.log)
    try:
        crashpoints.arm(os.environ.get("EXECUTOR_CRASH_AT", ""))
    except SettingsError as error:
        return gave_up(error, EXIT_USAGE)
    prefer_throughput()
    try:
        return asyncio.run(run(settings))
    except StoreDamaged as error:
        return gave_up(error, EXIT_DATA_DAMAGED)
    except StoreLocked as error:
        return gave_up(error, EXIT_DATA_IN_USE)
    except (StoreError, OSError) as error:
        return gave_up(error, EXIT_UNAVAILABLE)


def gave_up(error: Exception, code: int) -> int:
    """Say why, and return the exit code."""
    print(f"master: {error}", file=sys.stderr)
    return code


async def run(settings: MasterSettings) -> int:
    """Build everything, serve until told to stop, and take it down in order."""
    told_to_stop = stop_signal()
    listening = listen(settings)  # first: if a port is taken, the record is not even opened
    most = client_connections(settings, len(listening))  # and this before there are threads
    store: Store = SqliteStore(Path(settings.data)) if settings.data else MemoryStore()
    clock = LoopClock()
    master = Master(settings, transport(settings), store, clock, Random())  # noqa: S311
    await master.start()
    if unfinished := store.counts.unfinished:
        log.info("unfinished jobs of the record that go on now: %d", unfinished)
    collecting = asyncio.create_task(collect_when_idle(clock))
    servers = serve_at(listening, settings, master, most)
    stop = asyncio.ensure_future(told_to_stop.wait())
    broke = asyncio.ensure_future(store.broke())
    endless = (collecting, *master.background)
    await asyncio.wait((stop, broke, *endless), return_when=asyncio.FIRST_COMPLETED)
    if broke.done():
        return store_failed()
    for task in endless:
        if task.done():
            log.critical("what a master cannot go on without has ended", exc_info=task.exception())
            return EXIT_BROKE
    broke.cancel()
    log.info("stopping: no new jobs, calls in flight have %g s", settings.drain_s)
    await master.stop()
    for server in servers:
        server.stop()
    collecting.cancel()
    if settings.data:
        left = store.counts.unfinished
        log.info("stopped; unfinished jobs that go on at the next start: %d", left)
    return store_failed() if store.broken else 0


def store_failed() -> int:
    """Say so, and return the exit code."""
    log.critical("the store has failed; what it holds is safe, and a new start reads it")
    return EXIT_BROKE


def transport(settings: MasterSettings) -> HttpTransport:
    """Return the way to the workers, with room for every call and probe that there can be."""
    return HttpTransport(
        max_calls=settings.workers.max * settings.dispatch.calls_per_worker,
        max_probes=settings.workers.max,
        connect_timeout_s=settings.dispatch.connect_timeout_s,
        token=settings.token,
    )


class Listening(NamedTuple):
    """Sockets that listen already, and for whom; what they will say comes later."""

    whom: str
    sockets: list[socket.socket]
    port: int


def listen(settings: MasterSettings) -> list[Listening]:
    """Take the ports: the public one, and that of the private API if it has one."""
    wanted = [("clients", settings.port)]
    if settings.private_port is not None:
        wanted.append(("workers", settings.private_port))
    return [Listening(whom, *bound(settings.host, port)) for whom, port in wanted]


def serve_at(
    listening: list[Listening], settings: MasterSettings, master: Master, most: int
) -> list[Server]:
    """Serve each API at its sockets, to `most` connections each, and say where."""
    servers: list[Server] = []
    for whom, sockets, port in listening:
        site = public_site(master) if whom == "clients" else private_site(master)
        server = serve(site, settings.limits.body_bytes, most)
        server.add_sockets(sockets)
        servers.append(server)
        where = f"http://{settings.host}:{port}"
        print(f"master: for {whom} listening on {where}", file=sys.stderr, flush=True)
    return servers


def client_connections(settings: MasterSettings, ports: int) -> int:
    """Return how many connections a port may have, so that files are left for all the rest.

    A process without file descriptors could neither accept nor refuse; so it never comes to that.
    """
    own = RESERVED_FILES + settings.workers.max * (settings.dispatch.calls_per_worker + 1)
    files = open_files(own + ports * settings.limits.connections)
    return max(1, min(settings.limits.connections, (files - min(own, files // 2)) // ports))


if __name__ == "__main__":
    sys.exit(main())
