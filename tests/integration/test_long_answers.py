"""Answers that are long: the loop belongs to others between their pieces."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from engine.job import JobId, Outcome
from engine.master.handlers import PIECE_BYTES, BaseHandler
from engine.site import Route
from engine.store.base import PAGE_BYTES, Page, Status
from engine.store.memory import MemoryStore
from engine.web import site
from tests.integration.serving import Caller, a_master, a_worker, listening, url

LONG = "7" * 4000  # to write it in JSON takes a third of a millisecond


def test_no_turn_of_the_loop_encodes_more_than_a_piece() -> None:
    """Even where the socket has room for all of it."""
    written: Counter[int] = Counter()
    turn = 0

    class LongAnswer(BaseHandler):
        async def get(self) -> None:
            await self.respond_in_pieces(self.parts())

        async def parts(self) -> AsyncIterator[list[bytes]]:
            yield [b"x" * 1000] * 1000

        def send(self, piece: bytes) -> "asyncio.Future[None]":
            written[turn] += len(piece)
            return super().send(piece)

    async def count_turns() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    async def law() -> None:
        async with a_master() as master:
            server, port = listening(site([Route("/", LongAnswer)], {"master": master.master}))
            caller = Caller(url(port))
            counting = asyncio.create_task(count_turns())
            answer = await caller.get("/")
            counting.cancel()
            caller.close()
            server.stop()
            await server.close_all_connections()
        assert answer.body == b"x" * 1_000_000

    asyncio.run(law())
    assert max(written.values()) <= PIECE_BYTES + 1000


@pytest.mark.parametrize("tasks", [[], ["1"], [LONG] * 50])
def test_a_list_in_pieces_is_one_list(tasks: list[str]) -> None:
    """Empty, of one, or longer than a piece."""

    async def law() -> None:
        async with a_master() as master:
            await master.post("/submit", {"tasks": tasks})
            listed = (await master.get("/jobs")).json
        assert [job["task"] for job in listed] == tasks

    asyncio.run(law())


def test_operations_in_pieces_are_one_object() -> None:
    """Whatever their operands have for digits."""

    async def law() -> None:
        async with a_master() as master, a_worker(master):
            task = "+".join([LONG] * 50)
            job_id = (await master.answer_of(task))["job_id"]
            told = (await master.get(f"/job/{job_id}/operations")).json
        assert (told["task"], told["shown"], len(told["operations"])) == (task, 49, 49)
        assert told["summary"]["attempts"] == 49

    asyncio.run(law())


def test_a_page_of_large_jobs_is_got_while_it_is_sent() -> None:
    """A few jobs at a time: no client has a master hold all of a page for it."""
    held: list[int] = []

    class Watched(MemoryStore):
        async def page(
            self,
            limit: int,
            before: JobId | None = None,
            status: Status | None = None,
            max_bytes: int = PAGE_BYTES,
        ) -> Page:
            return self.seen(await super().page(limit, before, status, max_bytes))

        async def rest(self, ids: Sequence[JobId], max_bytes: int = PAGE_BYTES) -> Page:
            return self.seen(await super().rest(ids, max_bytes))

        def seen(self, page: Page) -> Page:
            held.append(sum(len(job.task) for job in page.jobs))
            return page

    async def law() -> None:
        async with a_master(Watched()) as master:
            tasks = [f"{number}" + " " * 200_000 for number in range(20)]
            for task in tasks:
                await master.post("/submit", {"task": task})
            answer = await master.get("/jobs?limit=15")
        assert [job["task"] for job in answer.json] == tasks[:4:-1]
        assert answer.headers["Link"] == '</jobs?limit=15&before=6>; rel="next"'

    asyncio.run(law())
    assert len(held) > 1
    assert max(held) <= PAGE_BYTES


def test_a_job_that_ends_while_a_page_is_sent_is_in_no_list_of_unfinished_ones() -> None:
    """Its list had it when it began, and no longer when its turn came."""

    class Ending(MemoryStore):
        async def rest(self, ids: Sequence[JobId], max_bytes: int = PAGE_BYTES) -> Page:
            await self.finish([(JobId(2), Outcome(answer=2))], 1.0)
            return await super().rest(ids, max_bytes)

    async def law() -> None:
        async with a_master(Ending()) as master:
            for number in range(1, 5):
                await master.post("/submit", {"task": f"1+{number}" + " " * 300_000})
            unfinished = (await master.get("/jobs?status=unfinished")).json
        assert [job["job_id"] for job in unfinished] == [4, 3, 1]

    asyncio.run(law())
