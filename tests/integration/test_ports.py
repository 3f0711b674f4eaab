"""A held port is there for who asks for it, and for nobody else."""

import socket

import pytest

from deploy.ports import held_port

LOOPBACK = "127.0.0.1"


def test_a_server_may_listen_at_a_held_port_again_and_again() -> None:
    """As a master does that is killed and started again; between them nobody answers."""
    with held_port() as port:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, port))
            with (
                socket.create_server((LOOPBACK, port)) as server,
                socket.create_connection((LOOPBACK, port)),
            ):
                server.accept()[0].close()


def test_a_held_port_is_not_given_to_who_does_not_share_it() -> None:
    """So it goes for every connection that leaves this machine."""
    with held_port() as port, socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((LOOPBACK, port))
