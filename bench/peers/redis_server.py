"""A Redis server of our own, on a free port of loopback, without its disk; ended by its id."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

from deploy.ports import held_port

HOST = "127.0.0.1"


def program() -> str:
    """Return the path of redis-server, which Debian's package brings if need be.

    Raises `RuntimeError` where that cannot be done.
    """
    found = shutil.which("redis-server")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "redis-server"]
        subprocess.run(install, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        found = shutil.which("redis-server")
    if found is None:
        raise RuntimeError("there is no redis-server; install it (Debian: redis-server) and retry")
    return found


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a server, and yield its URL."""
    with held_port() as port:
        server = subprocess.Popen(
            [
                *(program(), "--bind", HOST, "--port", str(port), "--dir", str(folder)),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _until_it_listens(server, port)
            yield f"redis://{HOST}:{port}/0"
        finally:
            server.terminate()
            server.wait()


def _until_it_listens(server: "subprocess.Popen[bytes]", port: int) -> None:
    while server.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection((HOST, port)):
            return
        sleep(0.02)
    raise RuntimeError(f"redis-server ended at once, with code {server.returncode}")
