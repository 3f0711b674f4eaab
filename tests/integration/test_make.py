"""What `make` starts for people does what they type, and says what became of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import ANY_LINES, Command
from tests.terminal import Clone, Terminal


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """Give the tests a clone with ports of its own."""
    folder: Path = tmp_path_factory.mktemp("clone")
    made = Clone(folder)
    yield made
    made.close()


@pytest.fixture
def terminal(clone: Clone) -> Iterator[Terminal]:
    """Give a test a terminal in the clone."""
    opened = Terminal(clone)
    yield opened
    opened.end()


def test_the_demo_takes_an_expression_that_begins_with_a_minus(terminal: Terminal) -> None:
    """It is no option."""
    assert terminal.type('make demo WORKERS=1 TASK="-7/2"')[-1] == "-3.5"


def test_a_demo_that_is_interrupted_says_that_all_is_stopped(terminal: Terminal) -> None:
    """And not how to come back to a master that is no more."""
    terminal.begin(Command("make demo WORKERS=0", (ANY_LINES, "job 1 submitted")))
    seen = terminal.interrupt()
    assert any("interrupted: master and workers are stopped" in line for line in seen)
    assert not any("Traceback" in line or "client.py" in line for line in seen)
