"""Where an announcement may point."""

import pytest

from engine.address import base_url, checked, host_of
from engine.errors import InvalidAnnouncement


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.7:8082",
        "file:///etc/passwd",
        "gopher://10.0.0.7:70",
        "http://user@10.0.0.7:8082",
        "http://user:secret@10.0.0.7:8082",
        "http://10.0.0.7:8082/path",
        "http://10.0.0.7:8082/?q=1",
        "http://10.0.0.7:8082/#f",
        "http://10.0.0.7:0",
        "http://10.0.0.7:99999",
        "http://10.0.0.7:x",
        "http://:8082",
        "http://[::1",
        "//10.0.0.7:8082",
        "10.0.0.7:8082",
        "",
    ],
)
def test_a_url_that_is_no_base_of_a_worker_is_refused(url: str) -> None:
    """Only http://HOST:PORT is one."""
    with pytest.raises(InvalidAnnouncement, match=r"say"):
        host_of(url)


def test_host_and_port_are_read_from_a_url() -> None:
    """A trailing slash does no harm, and port 80 need not be said."""
    assert host_of("http://worker-3:9000/") == ("worker-3", 9000)
    assert host_of("http://[fd00::7]:9000") == ("fd00::7", 9000)
    assert host_of("http://10.0.0.7") == ("10.0.0.7", 80)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
     "127.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"],
)  # fmt: skip
def test_an_address_where_no_worker_can_be_is_refused(address: str) -> None:
    """Metadata services, everybody, nobody, and the master's own loopback from elsewhere."""
    with pytest.raises(InvalidAnnouncement):
        checked(address, peer="10.0.0.7")


def test_a_worker_on_the_masters_own_host_may_be_on_loopback() -> None:
    """Loopback is where a loopback peer is."""
    assert checked("127.0.0.2", peer="127.0.0.1") == "127.0.0.2"
    assert checked("::1", peer="::1") == "::1"
    assert checked("::ffff:10.0.0.7", peer="10.0.0.7") == "10.0.0.7"


def test_ipv6_addresses_have_brackets_in_a_url() -> None:
    """The colons of an address are not the port's."""
    assert base_url("fd00::7", 8082) == "http://[fd00::7]:8082"
    assert base_url("10.0.0.7", 8082) == "http://10.0.0.7:8082"
