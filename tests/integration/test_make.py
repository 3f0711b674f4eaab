"""What `make` starts for people does what they type, and says what became of it."""

from collections.abc import Iterator
from contextlib import ExitStack
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


def test_help_names_what_can_be_chosen(terminal: Terminal) -> None:
    """With what it is unless chosen."""
    told = "\n".join(terminal.type("make help"))
    for choice in ("TASK", "PORT (8080)", "DATA (data/)", "WORKERS workers (3)"):
        assert choice in told


def test_a_second_run_says_once_what_is_taken_and_what_to_choose(
    clone: Clone, terminal: Terminal
) -> None:
    """In the words of make; what it advises works."""
    ready = "ready: python client.py --master http://127.0.0.1:{} submit '1+(2*3)/4-5'"
    with ExitStack() as ends:
        first, second = Terminal(clone), Terminal(clone)
        ends.callback(first.end)
        ends.callback(second.end)
        first.begin(Command("make run WORKERS=0", (ANY_LINES, ready.format(8080))))
        told = terminal.type("make run WORKERS=0")
        assert len([line for line in told if "Address already in use" in line]) == 1
        advice = "could not start; another port and folder: make run PORT=8081 DATA=data-8081"
        assert advice in told
        chosen = "make run WORKERS=0 PORT=9001 DATA=data-9001"
        second.begin(Command(chosen, (ANY_LINES, ready.format(9001))))
