"""Self-doubt: time that the master slept through was not spent waiting for anybody."""

from engine.wakefulness import Wakefulness


def test_a_regular_heartbeat_is_never_sleep() -> None:
    """Ticks within the longest gap blame nobody wrongly and excuse nobody either."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    assert [wakefulness.beat(now) for now in (0.1, 0.5, 1.0)] == [0.0, 0.0, 0.0]
    assert not wakefulness.slept_since(0.0, 1.2)


def test_a_call_that_was_out_while_the_master_slept_is_excused() -> None:
    """Whoever was asked before the sleep is not blamed after it; who was asked later may be."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    assert wakefulness.beat(60.0) == 60.0
    assert wakefulness.slept_since(0.0, 60.0)
    assert wakefulness.slept_since(59.9, 60.1)
    wakefulness.beat(60.4)
    wakefulness.beat(60.8)
    assert not wakefulness.slept_since(60.1, 61.0)


def test_sleep_is_noticed_before_the_heartbeat_has_noticed_it() -> None:
    """On waking, time-outs may fire before the next tick: they are excused too."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    assert wakefulness.slept_since(0.0, 10.0)


def test_who_is_asked_after_the_sleep_is_not_excused_by_it() -> None:
    """Though the heartbeat notices the sleep only after that."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    wakefulness.look(10.0)
    assert wakefulness.slept_since(9.9, 10.1)
    assert not wakefulness.slept_since(10.0, 10.1)
    assert wakefulness.beat(10.2) == 10.2
    assert not wakefulness.slept_since(10.0, 10.3)
