"""What the pages say to type works, and prints what they show."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from deploy.local import ROOT
from tests.documents import PAGES, Block, Command, agrees, blocks, commands, sessions
from tests.examples import assert_computes_as_python_does, running_example
from tests.integration.serving import a_master
from tests.reader import ELSEWHERE, EXAMPLES, a_reader, make_run, read

LANGUAGES = {"console", "text", *EXAMPLES}

pytestmark = pytest.mark.gen_test


def is_for_here(command: Command) -> bool:
    """Return whether a block that begins with a command is read by this test."""
    return command.program not in ELSEWHERE


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_works_and_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    """Typed by a reader of this page alone, from the top to the bottom, into a fresh clone."""
    with a_reader(tmp_path) as reader:
        if page != "README.md":
            reader.begin(make_run())
            reader.do(Command(". .venv/bin/activate", ()))
        read(reader, page, is_for_here)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_tested(page: str) -> None:
    """A command cannot hide in a block that nobody types; what is `text` is for the eye."""
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page}:{block.line}: which language is this?"
        if block.language == "text":
            assert not re.search(
                r"^(\$ |(make|curl|python3?|docker-compose|ruby) )", block.text, re.MULTILINE
            ), f"{page}:{block.line}: there is a command in it: make it `console`"


@pytest.mark.parametrize("page", PAGES)
def test_every_line_of_a_console_is_typed_or_shown(page: str) -> None:
    """Each such block begins with a command."""
    for block in blocks(page):
        if block.language == "console":
            assert block.text.startswith("$ "), f"{page}:{block.line}: what does this come from?"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_read_elsewhere_has_a_place_there(page: str) -> None:
    """No block may be left out here and there."""
    for session in sessions(page):
        place = ELSEWHERE.get(session[0].program)
        assert place is None or (ROOT / place / "test_documents.py").exists()


def test_a_block_is_commands_and_what_they_show() -> None:
    """Lines after the prompt, and the lines below each."""
    block = Block("console", "$ A=1 make x\none\n\ntwo\n$ y\n", 1)
    first, second = commands(block)
    assert (first, first.program) == (Command("A=1 make x", ("one", "", "two")), "make")
    assert second == Command("y", ())


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (["a", "...", "d"], ["a", "b", "c", "d"]),
        (["a", "...", "d"], ["a", "d"]),
        (["took 1.2 ms"], ["took 31 s"]),
        (["at http://127.0.0.1:4711"], ["at http://127.0.0.1:81"]),
        (["laptop-39185  live  2  1.5 ms"], ["a1b2c3-41001  live  17  -   "]),
        (["mul(2, 3) = 6 · laptop-39185 · 1 attempts"], ["mul(2, 3) = 6 · x-1234 · 2 attempts"]),
    ],
)
def test_what_may_be_another_one_agrees(shown: list[str], seen: list[str]) -> None:
    """Times, addresses, workers and what is told of them."""
    assert agrees(shown, seen)


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (["a"], ["a", "b"]),
        (["a", "b"], ["a"]),
        (["...", "a"], ["a", "b"]),
        (["-2.5"], ["2.5"]),
        (["job 1 submitted"], ["job 2 submitted"]),
        (["http://127.0.0.1:8080"], ["http://127.0.0.1:8081"]),
        (["laptop-39185  live"], ["laptop-39185  dead"]),
        (["mul(2, 3) = 6 · laptop-39185"], ["mul(2, 3) = 5 · laptop-39185"]),
    ],
)
def test_what_is_another_answer_does_not_agree(shown: list[str], seen: list[str]) -> None:
    """Whatever is no time, address or worker is compared to the letter."""
    assert not agrees(shown, seen)


async def test_the_stand_in_for_curl_prints_what_curl_prints(tmp_path: Path) -> None:
    """Answers and problems alike, for all that the pages use of it."""
    async with a_master() as master:
        curl = [sys.executable, str(ROOT / "tests" / "curl.py"), "-s", master.url[7:] + "/submit"]
        asked = ["-H", "Idempotency-Key: a", "-d", '{"task": "1+1"}']
        taken = await asyncio.create_subprocess_exec(*curl, *asked, stdout=PIPE)
        assert (await taken.communicate())[0] == b'{"job_id":1,"finished":false}'
        refused = await asyncio.create_subprocess_exec(*curl, "-X", "DELETE", stdout=PIPE)
        assert json.loads((await refused.communicate())[0])["status"] == 405


async def test_the_worker_in_python_computes_as_python_does(tmp_path: Path) -> None:
    """Taken out of the page as it is: it passes the examination, and every answer is right."""
    async with running_example("python", [sys.executable], tmp_path) as (master, _):
        await assert_computes_as_python_does(master)
