"""Self-doubt: time that the master slept through was not spent waiting for anybody."""

from engine.wakefulness import Wakefulness


def test_a_regular_heartbeat_is_never_sleep() -> None:
    """However many ticks there were, and a long turn of the loop is no sleep either."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    assert {wakefulness.beat(tick / 10) for tick in range(100)} == {0.0}
    assert not wakefulness.slept_since(0.0, 10.0)


def test_several_naps_are_sleep_together() -> None:
    """A time-out that two of them have used up says nothing, though neither did alone."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    wakefulness.look(0.3)
    assert not wakefulness.slept_since(0.0, 0.4)
    assert wakefulness.slept_since(0.0, 0.6)
    wakefulness.look(0.6)
    assert wakefulness.slept_since(0.0, 0.7)
    assert not wakefulness.slept_since(0.3, 0.7)


def test_a_call_that_was_out_while_the_master_slept_is_excused() -> None:
    """Whoever was asked before the sleep is not blamed after it; who was asked later may be."""
    wakefulness = Wakefulness(0.0, longest_gap_s=0.5)
    assert wakefulness.beat(60.0) == 60.0
    assert wakefulness.slept_since(0.0, 60.0)
    assert wakefulness.slept_since(59.9, 60.1)
    wakefulness.beat(60.4)
    assert not wakefulness.slept_since(60.1, 60.5)


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
