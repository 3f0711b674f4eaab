"""Row 36 takes the time that it is about: `tests/chaos/run` runs it, `make test` does not."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.processes import a_cluster, connections, errors, submit, tasks, wrong_answers

pytestmark = pytest.mark.gen_test


async def test_36_connections_that_send_next_to_nothing_are_cut_and_nobody_else_notices(
    tmp_path: Path,
) -> None:
    """In the middle of a head, or of a body: a byte now and then does not keep them."""
    async with (
        a_cluster(1, "--data", str(tmp_path)) as (cluster, client),
        connections(cluster.master.port, 300) as slow,
    ):
        for number, connection in enumerate(slow):
            head = b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            connection.writer.write(head if number % 2 else head + b"\r\n{")
        cut = asyncio.gather(*(connection.closed() for connection in slow))
        while not cut.done():
            for connection in slow:
                connection.writer.write(b" ")
            assert await wrong_answers(client, await submit(client, tasks(10))) == []
            await asyncio.sleep(0.5)
        assert errors(cluster.master) == []
