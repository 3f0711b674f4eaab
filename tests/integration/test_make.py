"""What `make` starts for people does what they type, and says what became of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
