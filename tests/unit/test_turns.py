"""Turns of the loop, and of the store's thread beside it."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from engine.turns import FEW, SHORT_SWITCH_S, SWITCH_S, Turns

pytestmark = pytest.mark.usefixtures("the_same_interval_after_it")


@pytest.fixture
def the_same_interval_after_it() -> Iterator[None]:
    """Leave the interpreter as it was."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def the_interval() -> object:
    """Return, as far as it is kept, how long a thread waits before it asks for the interpreter."""
    return pytest.approx(sys.getswitchinterval())


def test_while_somebody_hurries_the_store_need_not_wait_for_the_loop() -> None:
    """Who hurries waits for what the store's thread writes."""
    turns = Turns()
    assert the_interval() == SWITCH_S
    with turns.hurrying():
        assert the_interval() == SHORT_SWITCH_S
        with turns.hurrying():
            assert the_interval() == SHORT_SWITCH_S
    assert the_interval() == SWITCH_S


def test_of_many_who_hurry_none_makes_the_others_wait() -> None:
    """They share what is written, and each change of threads costs all of them."""
    turns = Turns()
    with ExitStack() as few:
        for _ in range(FEW):
            few.enter_context(turns.hurrying())
        with turns.hurrying():
            assert the_interval() == SWITCH_S
        assert the_interval() == SHORT_SWITCH_S
    assert the_interval() == SWITCH_S
