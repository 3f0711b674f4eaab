"""How long each connection is waited for; that it is closed then: tests/integration."""

from engine.master.app import IDLE_CONNECTION_S
from engine.server import BODY_S, READER_S, Waits


def test_each_part_of_a_request_has_its_own_time() -> None:
    """A client that has been idle for a while may still send a large request."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    waits.for_request("a", 100.0)
    waits.for_request("b", 100.0)
    waits.for_body("b", 114.0)
    assert waits.in_vain(114.9) == []
    assert waits.in_vain(115.0) == ["a"]
    assert waits.in_vain(124.0) == ["a", "b"]


def test_what_has_come_or_will_never_come_is_not_waited_for() -> None:
    """While it is answered a request may take as long as it takes."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    waits.for_request("a", 100.0)
    waits.over("a")
    waits.over("b")
    assert waits.in_vain(1_000_000.0) == []


def test_slow_clients_do_not_pile_up_at_a_master() -> None:
    """Seconds, where Tornado would wait for an hour, and for ever for half a body."""
    assert 0 < IDLE_CONNECTION_S <= 15
    assert 0 < BODY_S <= 10
    assert 0 < READER_S <= 15


def test_a_client_is_waited_for_as_long_as_it_takes_more_of_an_answer() -> None:
    """However slowly; one that has taken all of it, or has gone, is waited for no more."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    waits.for_readers({"slow": 100, "stuck": 100, "done": 100}, 0.0)
    waits.for_readers({"slow": 101, "stuck": 100}, 19.0)
    assert waits.in_vain(19.9) == []
    waits.for_readers({"slow": 101, "stuck": 100, "done": 100}, 20.0)
    assert waits.in_vain(20.0) == ["stuck"]
    waits.for_readers({"slow": 101, "done": 100}, 38.9)
    assert waits.in_vain(38.9) == []
    assert waits.in_vain(39.0) == ["slow"]
