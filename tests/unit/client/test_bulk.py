"""A file of any length goes through in order and in bounded memory."""

import asyncio
import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.client.api import MasterClient
from engine.client.bulk import (
    AHEAD,
    BULK_BYTES,
    BULK_TASKS,
    LINE_BYTES,
    READ_BYTES,
    Bulk,
    Ended,
    Line,
    Lines,
)
from engine.client.errors import ApiError, InputError
from engine.client.flow import Errand
from engine.clock import LoopClock
from engine.messages import JobListed, JobStatus, Submitted, TaskRefused
from tests.scripted_master import ScriptedMaster, calculate, problem


def taken(data: bytes) -> list[list[Line]]:
    """Return what each request takes of the lines in `data`."""

    async def attempt() -> list[list[Line]]:
        lines = Lines(io.BytesIO(data), "F")
        requests = []
        while taken := await lines.take():
            requests.append(taken)
        return requests

    return asyncio.run(attempt())


def tasks(data: bytes) -> list[str]:
    """Return the tasks in `data`."""
    return [line.task for request in taken(data) for line in request]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"1+1", ["1+1"]),
        (b"1+1\n", ["1+1"]),
        (b"1+1\r\n-2\r\n", ["1+1", "-2"]),
        (b"\n 1 \n\t\n2", ["", "1", "", "2"]),
        (b"\xef\xbb\xbf1+1\n", ["1+1"]),
        ("1\u00d72\n".encode(), ["1\u00d72"]),
    ],
)
def test_lines_end_as_editors_end_them(data: bytes, lines: list[str]) -> None:
    """With or without the last line end, with a carriage return, with a byte order mark."""
    assert tasks(data) == lines


def test_a_line_that_comes_in_pieces_is_whole() -> None:
    """A read ends anywhere."""
    long = b"1" * (3 * READ_BYTES)
    assert tasks(long + b"\n2\n") == [long.decode(), "2"]


def test_a_request_holds_no_more_than_its_share() -> None:
    """Neither many small lines nor few large ones make a request that a master refuses."""
    many = taken(b"1\n" * (2 * BULK_TASKS + 1))
    large = taken(b"1" * (BULK_BYTES // 2 + 1) + b"\n" + b"2" * BULK_BYTES + b"\n3\n")
    assert max(map(len, many)) == BULK_TASKS
    assert [len(request) for request in large] == [1, 1, 1]


def test_a_line_knows_its_number_and_where_it_ends() -> None:
    """Errors and the progress bar need them."""
    ((first, second),) = taken(b"1+1\n\n")
    assert (first, second) == (Line(1, "1+1", 4), Line(2, "", 5))


def test_a_line_that_is_no_utf8_is_told_by_its_number_after_those_before_it() -> None:
    """Nobody finds a byte in a million lines by himself."""

    async def attempt() -> None:
        lines = Lines(io.BytesIO(b"1\n2\n3\xff\n4\n"), "F")
        assert [line.task for line in await lines.take()] == ["1", "2"]
        with pytest.raises(InputError, match=r"F: line 3 is not UTF-8 \(byte 0xff at position 2\)"):
            await lines.take()

    asyncio.run(attempt())


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory() -> None:
    """An image by mistake, or /dev/zero."""

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"1" * size

    async def attempt(stream: Endless) -> None:
        await Lines(stream, "F").take()  # type: ignore[arg-type]

    stream = Endless()
    with pytest.raises(InputError, match="line 1 is longer"):
        asyncio.run(attempt(stream))
    assert stream.given <= LINE_BYTES + 2 * READ_BYTES


def test_a_line_of_a_pipe_is_taken_as_soon_as_it_is_there() -> None:
    """A request does not wait to be full, and waiting for a line does not block the loop."""

    async def attempt(lines: Lines, writing: int) -> None:
        waiting = asyncio.ensure_future(lines.take())
        await asyncio.sleep(0)
        os.write(writing, b"1+1\n2")
        assert [line.task for line in await waiting] == ["1+1"]
        os.write(writing, b"+2\n")
        assert [line.task for line in await lines.take()] == ["2+2"]

    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb"):
        asyncio.run(attempt(Lines(stream, "F"), writing))


def test_a_file_has_a_size_and_a_pipe_has_none(tmp_path: Path) -> None:
    """The progress bar has an end only where there is one."""
    file = tmp_path / "F"
    file.write_bytes(b"1+1\n")
    with file.open("rb") as stream:
        assert Lines(stream, "F").size == 4
    assert Lines(io.BytesIO(b"1+1\n"), "F").size is None


def outcomes(master: ScriptedMaster, data: bytes) -> list[Ended]:
    """Return what became of each line of `data` at `master`."""
    ended: list[Ended] = []

    async def attempt() -> None:
        with MasterClient(master.url) as client:
            errand = Errand(client, LoopClock(), lambda _: None)
            async for block in Bulk(errand, Lines(io.BytesIO(data), "F")).outcomes():
                ended.extend(block)

    try:
        asyncio.run(attempt())
    except (ApiError, InputError) as error:
        error.add_note(f"after {len(ended)} lines")
        raise
    return ended


def test_every_line_has_its_outcome_in_its_place(master: ScriptedMaster) -> None:
    """Answers, failures, refusals and blank lines keep the order of the file."""
    calculate(master)
    first, second, third, fourth, fifth = outcomes(master, b"1+1\n\n2!\n1/0\n-3\n")
    assert first.outcome == JobStatus(1, True, 2)
    assert second.outcome is None
    assert isinstance(third.outcome, TaskRefused)
    assert isinstance(fourth.outcome, JobStatus)
    assert fourth.outcome.error == "division_by_zero"
    assert fifth.outcome == JobStatus(3, True, -3)


def test_a_long_file_has_as_many_answers_as_lines(master: ScriptedMaster) -> None:
    """Over several requests, too."""
    calculate(master)
    count = 3 * BULK_TASKS + 7
    ended = outcomes(master, b"".join(b"%d\n" % n for n in range(count)))
    answers = [each.outcome.answer for each in ended if isinstance(each.outcome, JobStatus)]
    assert answers == list(range(count))
    assert all(len(asked.body["tasks"]) <= BULK_TASKS for asked in master.asked_for("POST /submit"))


class InstantMaster(MasterClient):
    """A master without a network: each request is answered at once, every job has finished."""

    submitted = 0

    async def submit_many(
        self, tasks: Sequence[str], *, idempotency_key: str | None = None
    ) -> list[Submitted | TaskRefused]:
        """Take them all."""
        first = self.submitted + 1
        self.submitted += len(tasks)
        return [Submitted(first + place) for place in range(len(tasks))]

    async def jobs(
        self, *, limit: int | None = None, before: int | None = None, status: str | None = None
    ) -> list[JobListed]:
        """Return a page of jobs that have finished."""
        assert limit is not None
        assert before is not None
        return [
            JobListed(job_id, True, 1, task="1")
            for job_id in range(before - 1, before - 1 - limit, -1)
        ]


def test_what_is_submitted_and_not_yet_answered_is_bounded() -> None:
    """A file that is longer than the memory goes through all the same."""

    async def attempt() -> None:
        instant = InstantMaster("http://m")
        errand = Errand(instant, LoopClock(), lambda _: None)
        bulk = Bulk(errand, Lines(io.BytesIO(b"1\n" * 20 * BULK_TASKS), "F"))
        printed = 0
        async for block in bulk.outcomes():
            printed += len(block)
            for _ in range(1_000):  # turns of the loop: enough to submit all, if nothing bounds it
                await asyncio.sleep(0)
            # Besides those that wait, one request has just been answered and one been submitted.
            assert instant.submitted - printed <= (AHEAD + 1) * BULK_TASKS
        assert printed == 20 * BULK_TASKS

    asyncio.run(attempt())


def test_what_was_submitted_before_a_bad_line_is_answered(master: ScriptedMaster) -> None:
    """The error comes after the answers before it."""
    calculate(master)
    with pytest.raises(InputError) as raised:
        outcomes(master, b"1\n2\n\xff\n")
    assert raised.value.__notes__ == ["after 2 lines"]


def test_a_refused_request_ends_the_run(master: ScriptedMaster) -> None:
    """Where the master takes nothing, going on with the file makes no sense."""
    master.script("POST /submit", problem(401, "unauthorized", "say who you are"))
    with pytest.raises(ApiError, match="say who you are"):
        outcomes(master, b"1\n2\n")
