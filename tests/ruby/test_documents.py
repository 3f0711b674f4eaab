"""The worker in Ruby that docs/workers.md shows: what holds only where there is a Ruby."""

from pathlib import Path

import pytest

from tests.documents import Command
from tests.examples import assert_computes_as_python_does, running_example
from tests.reader import a_reader, make_run, pages_with, read

RUBY = ("ruby", "-w")

pytestmark = pytest.mark.gen_test


def is_for_ruby(command: Command) -> bool:
    """Return whether a block that begins with a command is read by this test."""
    return command.program == "ruby"


@pytest.mark.parametrize("page", pages_with("ruby"))
def test_what_a_page_says_of_ruby_works(page: str, tmp_path: Path) -> None:
    """Typed by a reader beside a running master."""
    with a_reader(tmp_path) as reader:
        reader.begin(make_run())
        read(reader, page, is_for_ruby)


async def test_the_worker_in_ruby_computes_as_python_does(tmp_path: Path) -> None:
    """Taken out of the page as it is: it passes the examination, and every answer is right."""
    async with running_example("ruby", RUBY, tmp_path) as (master, _):
        await assert_computes_as_python_does(master)


async def test_the_worker_in_ruby_comes_back_to_a_master_that_has_forgotten_it(
    tmp_path: Path,
) -> None:
    """It announces itself again and again."""
    async with running_example("ruby", RUBY, tmp_path) as (master, worker):
        name = f"ruby-{worker.port}"
        await master.until_worker(name, "live")
        gone = await master.call("DELETE", f"/worker/{name}")
        assert [it["name"] for it in gone.json] == [name]
        await master.until_worker(name, "live")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (b"", "invalid_json"),
        (b'{"operation": "sum", "op1": 1, "op2": 2', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"operation": "sum", "op1": NaN, "op2": 2}', "invalid_json"),
        (b"null", "invalid_request"),
        (b"[]", "invalid_request"),
        (b'{"operation": "pow", "op1": 1, "op2": 2}', "invalid_request"),
        (b'{"operation": "sum", "op1": 1}', "invalid_request"),
        (b'{"operation": "sum", "op1": true, "op2": 2}', "invalid_request"),
        (b'{"operation": "sum", "op1": "1", "op2": 2}', "invalid_request"),
        (b'{"operation": "sum", "op1": 1e400, "op2": 2}', "invalid_request"),
    ],
)
async def test_the_worker_in_ruby_refuses_what_is_no_operation(
    tmp_path: Path, asked: bytes, error: str
) -> None:
    """And goes on to compute what is one."""
    async with running_example("ruby", RUBY, tmp_path) as (master, worker):
        await master.until_worker(f"ruby-{worker.port}", "live")
        refused = await worker.post("/compute", asked)
        assert (refused.status, refused.json["error"]) == (400, error)
        assert (await master.answer_of("1+2"))["answer"] == 3


@pytest.mark.parametrize(
    ("operation", "op1", "op2", "error"),
    [
        ("div", 1, 0, "division_by_zero"),
        ("div", 1.5, -0.0, "division_by_zero"),
        ("mul", 1e308, 10, "overflow"),
        ("div", 1.5, 10**400, "overflow"),
        ("sum", 10**400, 0.5, "overflow"),
        ("div", 10**400, 3, "overflow"),
        ("mul", 10**4000, 10**4000, "too_many_digits"),
    ],
)
async def test_the_worker_in_ruby_tells_why_an_operation_has_no_result(
    tmp_path: Path, operation: str, op1: float, op2: float, error: str
) -> None:
    """As a problem that is the operation's own."""
    async with running_example("ruby", RUBY, tmp_path) as (master, worker):
        await master.until_worker(f"ruby-{worker.port}", "live")
        asked = {"operation": operation, "op1": op1, "op2": op2}
        refused = await worker.post("/compute", asked)
        assert (refused.status, refused.json["error"]) == (422, error)
