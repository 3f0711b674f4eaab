"""Ports of this machine for programs that are told by number where to listen.

A port that was found free and let go is anybody's: the kernel gives it to the next who listens
without a wish, or connects. One that is held stays bound, by a socket that never listens, and is
left to those who ask for it by its number and allow it to be shared, as servers do (SO_REUSEADDR).
Nobody answers there before they do.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_port() -> Iterator[int]:
    """Hold a free port, at all addresses of this machine."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("", 0))
        yield int(holder.getsockname()[1])
