"""An open page of the dashboard, as far as the master has to do with it. A client's side.

It follows the events on a connection of its own. On another one it asks every second what a page
asks that shows a job which has not finished (here the newest one), and every two seconds for a list
that is filtered.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from engine.client.api import MasterClient
from engine.client.errors import ApiError

AGAIN_S = 1.0  # AGAIN_S of dashboard/job.js
LISTED_AGAIN = 2  # of these: READ_AGAIN_S of dashboard/jobs.js
LISTED = 100


@asynccontextmanager
async def an_open_page(url: str) -> AsyncIterator[None]:
    """Keep a page open. Raises at the end if it could not be kept open."""
    with MasterClient(url, connections=1) as client:
        tasks = [asyncio.create_task(_follow(url)), asyncio.create_task(_poll(client))]
        try:
            yield
        finally:
            broken = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in broken:
            raise AssertionError("the page was not served to the end") from task.exception()


async def _follow(url: str) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(f"GET /events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        if b" 200 " not in await reader.readline():
            raise AssertionError("the master does not serve its events")
        while await reader.read(65536):
            pass
    finally:
        writer.close()


async def _poll(client: MasterClient) -> None:
    look = 0
    while True:
        for newest in await client.jobs(limit=1):
            await client.job(newest.job_id)
            await asyncio.gather(_operations(client, newest.job_id), client.why(newest.job_id))
        if look % LISTED_AGAIN == 0:
            await client.jobs(limit=LISTED, status="succeeded")
        look += 1
        await asyncio.sleep(AGAIN_S)


async def _operations(client: MasterClient, job_id: int) -> None:
    try:
        await client.operations(job_id)
    except ApiError as error:
        if error.code != "trace_not_kept":  # it has not begun; pages say so
            raise
