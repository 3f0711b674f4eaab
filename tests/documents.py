"""The pages as what they tell a reader to type, and what they show of what comes of it. Pure.

A fenced block whose language is `console` is typed at a terminal. A line after `$ ` is a command,
the lines below it are what it prints. What a test sees must be what the page shows, but for these:

- a line `...` stands for any lines, also for none;
- a time (`1.2 ms`) may be another one;
- a worker is named after its machine and its port, which may be others, as in an address; so may
  the numbers behind that name be in its line;
- blanks in a row count as one, since columns are as wide as what is in them.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/using.md", "docs/operations.md", "docs/workers.md")

CONSOLE = "console"
ANY_LINES = "..."
PROMPT = "$ "

TIME = re.compile(r"\b\d+(\.\d+)?(e[+-]\d+)? (ms|s|min)(?!\w)")
ADDRESS = re.compile(r"\b127\.0\.0\.1:(?!8080\b)\d+")
WORKER = re.compile(r"[\w.-]+-\d{4,5}(?![\w.-])")
NUMBER = re.compile(r"(?<![\w.:])(<time>|-(?=\s)|-?\d+(\.\d+)?)(?![\w.:])")


class Block(NamedTuple):
    """A fenced block of a page: its language, its text, and the line at which it begins."""

    language: str
    text: str
    line: int


class Command(NamedTuple):
    """What is typed at a prompt, and what the page shows below it."""

    typed: str
    shown: tuple[str, ...]

    @property
    def program(self) -> str:
        """The first word that is no variable: whose command it is."""
        return next(word for word in self.typed.split() if "=" not in word)


def blocks(page: str) -> list[Block]:
    """Return all blocks of a page, in order."""
    text = (ROOT / page).read_text()
    fences = re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
    return [Block(it[1], it[2], text.count("\n", 0, it.start()) + 1) for it in fences]


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block."""
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(PROMPT)]
    ends = [*starts[1:], len(lines)]
    return [
        Command(lines[start].removeprefix(PROMPT), tuple(lines[start + 1 : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


def sessions(page: str) -> Iterator[list[Command]]:
    """Yield the commands of each console block of a page."""
    for block in blocks(page):
        if block.language == CONSOLE:
            yield commands(block)


def example(page: str, language: str) -> str:
    """Return the only program of a page that is written in a language."""
    (program,) = (block.text for block in blocks(page) if block.language == language)
    return program


def agrees(shown: Sequence[str], seen: Sequence[str]) -> bool:
    """Return whether lines that were seen are those that a page shows."""
    pattern = "".join(
        "(?:.*\n)*" if line == ANY_LINES else re.escape(without_chance(line) + "\n")
        for line in shown
    )
    return re.fullmatch(pattern, "".join(without_chance(line) + "\n" for line in seen)) is not None


def without_chance(line: str) -> str:
    """Return a line with a word in the place of each thing that may be another one."""
    line = ADDRESS.sub("<address>", TIME.sub("<time>", line))
    before, *named = re.split(f"({WORKER.pattern})", line, maxsplit=1)
    if named:
        line = before + "<worker>" + NUMBER.sub("<number>", named[1])
    return " ".join(line.split())
