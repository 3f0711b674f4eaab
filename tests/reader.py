"""A reader who does what a page says: block after block, in terminals of a fresh clone.

What goes on until Ctrl-C has a terminal of its own; the pages that need a master say that `make
run` is on already. What needs more than this machine has for `make test` is read elsewhere, and
what takes minutes is only looked up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.documents import PAGES, Command, example, sessions
from tests.terminal import Clone, Terminal

# Blocks that begin with one of these are read there.
ELSEWHERE = {"docker-compose": "tests/docker", "ruby": "tests/ruby"}

GOES_ON = ("make run", "python3 worker_example.py", "ruby worker_example.rb")
TAKES_MINUTES = ("make test",)
EXAMPLES = {"python": "worker_example.py", "ruby": "worker_example.rb"}
EXAMPLES_PAGE = "docs/workers.md"


class Reader:
    """Somebody with a clone and as many terminals as it takes."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self._main = Terminal(clone)
        self._others: list[Terminal] = []

    def begin(self, command: Command) -> None:
        """Type what goes on into a terminal of its own."""
        terminal = Terminal(self.clone)
        self._others.append(terminal)
        terminal.begin(command)

    def do(self, command: Command) -> None:
        """Do what the page says, and fail if something else comes of it."""
        if command.typed.startswith(GOES_ON):
            self.begin(command)
        elif command.typed.startswith(TAKES_MINUTES):
            self._main.carry_out(Command(command.typed.replace("make", "make --dry-run"), ()))
        else:
            self._main.carry_out(command)

    def leave(self) -> None:
        """End everything, what began last first."""
        for terminal in (self._main, *reversed(self._others)):
            terminal.end()
        self.clone.close()


@contextmanager
def a_reader(folder: Path) -> Iterator[Reader]:
    """Give a reader with a fresh clone in `folder`, and with the examples saved there."""
    clone = Clone(folder)
    for language, name in EXAMPLES.items():
        (folder / name).write_text(example(EXAMPLES_PAGE, language))
    reader = Reader(clone)
    try:
        yield reader
    finally:
        reader.leave()


def pages_with(program: str) -> list[str]:
    """Return the pages in which a block begins with a command of a program."""
    return [page for page in PAGES if any(it[0].program == program for it in sessions(page))]


def make_run() -> Command:
    """Return the command by which the first page starts a master."""
    return next(it[0] for it in sessions("README.md") if it[0].typed == "make run")


def read(reader: Reader, page: str, is_wanted: Callable[[Command], bool]) -> None:
    """Do all that a page says in the blocks whose first command is wanted."""
    for session in sessions(page):
        if is_wanted(session[0]):
            for command in session:
                reader.do(command)
