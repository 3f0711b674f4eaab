"""`/events` over real HTTP: a snapshot, then changes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from engine.messages import Change, JobSeen
from tests.integration.serving import (
    ServedMaster,
    a_master,
    a_worker,
    assert_problem,
    eventually,
)


class Event(NamedTuple):
    """A server-sent event."""

    kind: str
    number: str
    data: Any


class Stream:
    """An open stream of events."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._text = ""

    async def head(self) -> str:
        """Return the head of the response."""
        return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def event(self) -> Event:
        """Return the next event; comments and `retry` are passed over."""
        while True:
            fields = {}
            for line in (await self._block()).split("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
            if "event" in fields:
                return Event(fields["event"], fields["id"], json.loads(fields["data"]))

    async def until(self, *keys: str) -> Any:  # noqa: ANN401  # whatever JSON may be
        """Return the first change that has all of these keys."""
        while True:
            event = await self.event()
            if event.kind == "change" and all(key in event.data for key in keys):
                return event.data

    async def rest(self) -> int:
        """Read until the master ends the stream; return how many bytes that were."""
        size = 0
        while piece := await self._reader.read(65536):
            size += len(piece)
        return size

    async def _block(self) -> str:
        while "\n\n" not in self._text:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            chunk = await self._reader.readexactly(size + 2)
            self._text += chunk[:-2].decode()
        block, self._text = self._text.split("\n\n", 1)
        return block


@asynccontextmanager
async def following(master: ServedMaster, last: str | None = None) -> AsyncIterator[Stream]:
    """Open `/events`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", master.port)
    resume = f"Last-Event-ID: {last}\r\n" if last else ""
    writer.write(f"GET /events HTTP/1.1\r\nHost: x\r\n{resume}\r\n".encode())
    try:
        yield Stream(reader)
    finally:
        writer.close()


def test_a_snapshot_tells_everything() -> None:
    """Under the keys that pages rely on."""

    async def law() -> None:
        async with a_master() as master, a_worker(master, "w1"):
            job_id = (await master.answer_of("1/4"))["job_id"]
            async with following(master) as stream:
                head = await stream.head()
                event = await stream.event()
        assert "HTTP/1.1 200" in head
        assert "Content-Type: text/event-stream" in head
        assert event.kind == "snapshot"
        told = event.data
        assert set(told) == {"now", "started_at", "summary", "history", "workers", "jobs"}
        assert [(w["name"], w["state"], w["completed"]) for w in told["workers"]] == [
            ("w1", "live", 1)
        ]
        (job,) = told["jobs"]
        assert (job["job_id"], job["finished"], job["answer"]) == (job_id, True, 0.25)
        assert (job["task"], job["answer_text"]) == ("1/4", "0.25")
        assert job["submitted_at"] <= job["finished_at"] <= told["now"] + 0.001
        summary = told["summary"]
        assert (summary["workers"], summary["workers_live"], summary["succeeded"]) == (1, 1, 1)

    asyncio.run(law())


def test_changes_tell_what_is_new_only() -> None:
    """A job as it comes and as it ends, its worker, and no other job."""

    async def law() -> None:
        async with a_master() as master, a_worker(master, "w1"):
            await master.answer_of("1+1")
            async with following(master) as stream:
                await stream.head()
                await stream.event()
                submitted = asyncio.ensure_future(master.answer_of("2+2"))
                change = await stream.until("jobs")
                while not change["jobs"][0]["finished"]:
                    change = await stream.until("jobs")
                await submitted
        assert [(job["job_id"], job["answer"]) for job in change["jobs"]] == [(2, 4)]

    asyncio.run(law())


def test_a_second_is_a_point_of_the_history() -> None:
    """When, operations waiting, operations a second, failures a second."""

    async def law() -> None:
        async with a_master() as master, following(master) as stream:
            await master.post("/submit", {"task": "1+1"})
            await stream.head()
            change = await stream.until("history")
        (point,) = change["history"]
        assert point[1:] == [1, 0.0, 0.0]

    asyncio.run(law())


def test_a_worker_that_left_is_told() -> None:
    """By its name and address."""

    async def law() -> None:
        async with (
            a_master() as master,
            a_worker(master, "w1") as worker,
            following(master) as stream,
        ):
            await stream.head()
            await stream.event()
            await master.call("DELETE", f"/worker/w1?port={worker.port}")
            change = await stream.until("workers_gone")
        assert change["workers_gone"] == [{"name": "w1", "url": worker.url}]

    asyncio.run(law())


def test_whoever_comes_back_goes_on_where_it_was() -> None:
    """With no second snapshot, and no change lost."""

    async def law() -> None:
        async with a_master() as master:
            async with following(master) as stream:
                await stream.head()
                last = (await stream.event()).number
            await master.post("/submit", {"task": "1+1"})
            async with following(master, last) as stream:
                await stream.head()
                change = await stream.until("jobs")
        assert change["jobs"][0]["task"] == "1+1"

    asyncio.run(law())


def test_a_master_after_this_one_begins_anew() -> None:
    """Its numbers are others."""

    async def law() -> None:
        async with a_master() as master, following(master, "18f0-1") as stream:
            await stream.head()
            assert (await stream.event()).kind == "snapshot"

    asyncio.run(law())


def test_too_many_readers_are_refused() -> None:
    """With a problem that says when to come back."""

    async def law() -> None:
        async with a_master(limits__event_readers=1) as master, following(master) as stream:
            await stream.head()
            refused = await master.get("/events")
        assert_problem(refused, 503, "overloaded")
        assert "Retry-After" in refused.headers

    asyncio.run(law())


def test_a_reader_that_has_gone_makes_room() -> None:
    """The next one is taken."""

    async def law() -> None:
        async with a_master(limits__event_readers=1) as master:
            for _ in range(3):
                async with following(master) as stream:
                    assert "200 OK" in await stream.head()
                await eventually(
                    lambda: not master.master.events.readers, lambda: "the reader should be gone"
                )

    asyncio.run(law())


def test_a_master_on_its_way_out_ends_all_streams() -> None:
    """And begins no new ones."""

    async def law() -> None:
        async with a_master() as master, following(master) as stream:
            await stream.head()
            await stream.event()
            master.master.engine.drain()
            master.master.events.close()
            await stream.rest()
            assert_problem(await master.get("/events"), 503, "draining")

    asyncio.run(law())


def test_a_stream_that_the_master_ends_does_not_wait_to_be_idle() -> None:
    """It is closed while a connection that has said nothing for longer is still open."""

    async def law() -> None:
        async with a_master() as master:
            silent, writer = await asyncio.open_connection("127.0.0.1", master.port)
            async with following(master) as stream:
                await stream.head()
                await stream.event()
                master.master.events.close()
                await stream.rest()
                assert not silent.at_eof()
            writer.close()

    asyncio.run(law())


def test_a_stream_ends_with_all_that_has_happened() -> None:
    """What changed since the last change is told before a master on its way out ends it."""

    async def law() -> None:
        async with a_master() as master, following(master) as stream:
            await stream.head()
            await stream.event()
            await master.master.engine.submit("1+1")
            master.master.events.close()
            change = await stream.until("jobs")
            assert await stream.rest() == len(b"0\r\n\r\n")
        assert change["jobs"][0]["task"] == "1+1"

    asyncio.run(law())


def test_a_long_task_is_cut_and_large_integers_are_text_too() -> None:
    """A page shows them exactly, and asks for the rest."""

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            text = f"{2**53}+1" + " " * 300
            await master.answer_of(text)
            async with following(master) as stream:
                await stream.head()
                (job,) = (await stream.event()).data["jobs"]
        assert (job["task"], job["task_cut"]) == (text[:200], True)
        assert job["answer_text"] == str(2**53 + 1)

    asyncio.run(law())


def test_a_reader_that_does_not_read_is_let_go() -> None:
    """Nothing is kept for it: what it missed, it never gets."""
    size, count = 100_000, 2_000

    async def law() -> None:
        async with a_master() as master, following(master) as stream:
            await stream.head()
            events = master.master.events
            await eventually(lambda: events.readers, lambda: "the reader should be there")
            for number in range(count):  # far more than sockets and the ring can hold
                events.tell(Change(0.0, jobs=[JobSeen(number, False, None, "x" * size, 0.0)]))
                await asyncio.sleep(0)
            received = await stream.rest()
            assert events.readers == 0
        assert received < size * count / 2

    asyncio.run(law())
