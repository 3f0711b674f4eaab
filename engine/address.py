"""Where an announcement may point: the master calls that address, so not every one will do. Pure.

Without a `url` it is where the announcement came from. A `url` may name another host, but not one
that only the master itself can reach (loopback, unless the worker is there too), nor link-local
ones, where clouds keep their secrets.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, urlsplit

from engine.errors import InvalidAnnouncement

IPAddress = IPv4Address | IPv6Address


def host_of(url: str) -> tuple[str, int]:
    """Return host and port of an announced `url`; raises `InvalidAnnouncement` if it is no base."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidAnnouncement("url is not readable; say http://HOST:PORT") from None
    if parts.scheme != "http":
        raise InvalidAnnouncement("url must begin with http://; say http://HOST:PORT")
    if not parts.hostname or not _is_bare(parts):
        raise InvalidAnnouncement("url may hold a host and a port only; say http://HOST:PORT")
    if port == 0:
        raise InvalidAnnouncement("url has port 0; say the port that the worker listens on")
    return parts.hostname, port if port is not None else 80


def _is_bare(parts: SplitResult) -> bool:
    return (
        "@" not in parts.netloc
        and not parts.query
        and not parts.fragment
        and (parts.path in ("", "/"))
    )


def checked(address: str, peer: str) -> str:
    """Return `address` if a worker that announced itself from `peer` may be there.

    Both are IP addresses as text. Raises `InvalidAnnouncement` otherwise.
    """
    ip = _plain(address)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or _is_reserved(ip):
        raise InvalidAnnouncement(f"no worker can be at {ip}; announce an address of its own")
    if ip.is_loopback and not _plain(peer).is_loopback:
        raise InvalidAnnouncement(f"{ip} is this master's own host, and the announcement is not")
    return str(ip)


def _is_reserved(ip: IPAddress) -> bool:
    return ip.version == 4 and ip.is_reserved  # of IPv6, Python counts ::1 as reserved too


def base_url(address: str, port: int) -> str:
    """Return `http://address:port`, with brackets where IPv6 needs them."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _plain(address: str) -> IPAddress:
    ip = ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return ip if mapped is None else mapped
