"""Answers that are long: the loop belongs to others between their pieces."""

import asyncio
from collections import Counter

import pytest
from tornado.httpserver import HTTPServer

from engine.master.handlers import PIECE_BYTES, BaseHandler
from engine.roof import bound
from engine.site import Route
from engine.web import site
from tests.integration.serving import Caller, a_master, a_worker

LONG = "7" * 4000  # to write it in JSON takes a third of a millisecond


def test_no_turn_of_the_loop_encodes_more_than_a_piece() -> None:
    """Even where the socket has room for all of it."""
    written: Counter[int] = Counter()
    turn = 0

    class LongAnswer(BaseHandler):
        async def get(self) -> None:
            await self.respond_in_pieces([b"x" * 1000] * 1000)

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
            sockets, port = bound("127.0.0.1", 0)
            server = HTTPServer(site([Route("/", LongAnswer)], {"master": master.master}))
            server.add_sockets(sockets)
            caller = Caller(f"http://127.0.0.1:{port}")
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
