"""How long each connection is waited for; that it is closed then: tests/integration."""

from engine.inbound import SLOW_REST_S
from engine.master.app import IDLE_CONNECTION_S
from engine.server import LOOK_EVERY_S
from engine.waits import BODY_S, LEAST_BYTES_PER_S, READER_S, Waits


def test_each_part_of_a_request_has_its_own_time() -> None:
    """A client that has been idle for a while may still send a large request."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    waits.for_request("a", 100.0)
    waits.for_request("b", 100.0)
    waits.for_body("b", 114.0, 114.0, 0)
    assert waits.in_vain(114.9) == []
    assert waits.in_vain(115.0) == ["a"]
    assert waits.in_vain(124.0) == ["a", "b"]


def test_a_body_may_take_long_as_long_as_it_comes() -> None:
    """A megabyte over a slow line: each piece is waited for anew."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    for second in range(100):
        waits.for_body("a", 100.0 + second, 100.0, second * 60_000)
        assert waits.in_vain(109.9 + second) == []
        assert waits.in_vain(110.0 + second) == ["a"]


def test_a_body_that_comes_too_slowly_is_not_waited_for() -> None:
    """A byte every nine seconds makes no pause of ten, and would go on for ever."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    waits.for_body("a", 109.0, 100.0, 1)
    assert waits.in_vain(111.0) == ["a"]
    waits.for_body("b", 200.0, 100.0, 50 * LEAST_BYTES_PER_S)
    assert "b" not in waits.in_vain(159.9)
    assert "b" in waits.in_vain(160.0)


def test_what_has_come_or_will_never_come_is_not_waited_for() -> None:
    """While it is answered a request may take as long as it takes."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    waits.for_request("a", 100.0)
    waits.over("a")
    waits.over("b")
    assert waits.in_vain(1_000_000.0) == []


def test_slow_clients_do_not_pile_up_at_a_master() -> None:
    """Seconds, whatever they do not send or do not read."""
    assert 0 < IDLE_CONNECTION_S <= 15
    assert 0 < BODY_S + SLOW_REST_S + 2 * LOOK_EVERY_S <= 15
    assert 0 < READER_S <= 15


def test_a_client_is_waited_for_as_long_as_it_takes_more_of_an_answer() -> None:
    """However slowly; one that has taken all of it, or has gone, is waited for no more."""
    waits: Waits[str] = Waits(15.0, 10.0, 20.0)
    assert waits.stuck({"slow": 100, "stuck": 100, "done": 100}, 0.0) == []
    assert waits.stuck({"slow": 101, "stuck": 100}, 19.0) == []
    assert waits.stuck({"slow": 101, "stuck": 100, "done": 100}, 20.0) == ["stuck"]
    assert waits.stuck({"slow": 101, "done": 100}, 38.9) == []
    assert waits.stuck({"slow": 101}, 39.0) == ["slow"]
