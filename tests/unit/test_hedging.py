"""Hedging: when a call is late, and how much of what is late may be asked for again."""

from engine.hedging import AFTER_S, CREDIT, Hedging


def test_a_call_is_late_when_most_of_the_latest_took_less() -> None:
    """Nineteen in twenty of them; but never as soon as noise makes it."""
    hedging = Hedging(0.05)
    assert hedging.late_s == AFTER_S
    for _ in range(200):
        hedging.answered(AFTER_S / 10)
    assert hedging.late_s == AFTER_S
    for hundredth in range(1, 101):
        hedging.answered(hundredth)
    assert 90 <= hedging.late_s <= 100


def test_no_more_is_spent_than_was_saved() -> None:
    """At first there is a credit; then each operation that is sent earns its share."""
    hedging = Hedging(0.05)
    assert not hedging.spend(int(CREDIT) + 1)
    assert hedging.spend(int(CREDIT))
    assert not hedging.spend(1)
    hedging.sent(19)
    assert not hedging.spend(1)
    hedging.sent(2)
    assert hedging.spend(1)
    assert not hedging.spend(1)


def test_no_more_is_saved_than_the_credit() -> None:
    """Else a quiet day would pay for everything to be sent twice."""
    hedging = Hedging(0.05)
    hedging.sent(10**9)
    assert not hedging.spend(int(CREDIT) + 1)


def test_without_a_share_nothing_is_hedged() -> None:
    """Whoever asks is told so."""
    assert Hedging(0.05).is_on
    assert not Hedging(0.0).is_on
