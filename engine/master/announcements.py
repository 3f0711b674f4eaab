"""From an announcement to the address that the worker will be called at, and what it can do.

Names are resolved here, once, and the address is kept: no call ever waits for a name server.
"""

import asyncio
import socket

from engine import address
from engine.arithmetic import OPERATIONS
from engine.errors import InvalidAnnouncement
from engine.messages import Announcement
from engine.standing import Abilities

RESOLVE_TIMEOUT_S = 2.0
MOST_OPERATIONS = 100  # names in an announcement: the pool keeps them, and four can be asked for


def abilities_of(announcement: Announcement) -> Abilities:
    """Return what a worker can do. Raises `InvalidAnnouncement` when it names too much."""
    names = announcement.operations if isinstance(announcement.operations, list) else OPERATIONS
    if len(names) > MOST_OPERATIONS:
        raise InvalidAnnouncement(
            f"operations are {len(names)} names; announce {MOST_OPERATIONS} at the most"
        )
    return Abilities(frozenset(names), announcement.batch, announcement.chains)


async def locate(announcement: Announcement, peer: str, default_port: int) -> str:
    """Return the base URL of a worker that announced itself from the IP address `peer`.

    Raises `InvalidAnnouncement` when no worker can be there.
    """
    if isinstance(announcement.url, str):
        host, port = address.host_of(announcement.url)
        ip = await _resolved(host, port)
        return address.base_url(address.checked(ip, peer), port)
    port = announcement.port if isinstance(announcement.port, int) else default_port
    return address.base_url(address.checked(peer, peer), port)


async def _resolved(host: str, port: int) -> str:
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, TimeoutError):
        raise InvalidAnnouncement(
            "url names a host that cannot be found from here; announce an IP address"
        ) from None
    return str(found[0][4][0])
