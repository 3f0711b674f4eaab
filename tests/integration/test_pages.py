"""The dashboard's files over real HTTP, and who may come to see them."""

import asyncio
from pathlib import Path

import pytest

from engine.master.pages import read_files
from tests.integration.serving import a_master, assert_problem

HOSTILE = {"Sec-Fetch-Site": "cross-site"}
SCRIPT = "main.js"


def test_the_page_is_at_the_root_and_may_load_nothing_from_elsewhere() -> None:
    """With its type and its policy."""

    async def law() -> None:
        async with a_master() as master:
            answer = await master.get("/")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert b"<!doctype html>" in answer.body

    asyncio.run(law())


def test_every_file_of_the_folder_is_served_with_its_type() -> None:
    """Scripts as scripts: browsers refuse them otherwise."""

    async def law() -> None:
        async with a_master() as master:
            for name, file in read_files(Path("engine/master/dashboard")).items():
                answer = await master.get(f"/dashboard/{name}")
                assert (answer.status, answer.body) == (200, file.body)
                assert answer.headers["Content-Type"] == file.content_type

    asyncio.run(law())


@pytest.mark.parametrize(
    ("has", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),
        ('"older", {}', 304),
        ("*", 304),
        ('"older"', 200),
        ("nonsense", 200),
    ],
)
def test_a_browser_that_has_the_file_gets_no_second_copy(has: str, status: int) -> None:
    """By its ETag."""

    async def law() -> None:
        async with a_master() as master:
            first = await master.get("/")
            again = await master.get("/", {"If-None-Match": has.format(first.headers["Etag"])})
        assert (again.status, again.body) == (status, b"" if status == 304 else first.body)

    asyncio.run(law())


@pytest.mark.parametrize(
    "path",
    ["/dashboard/", "/dashboard/none.js", "/dashboard/..%2fpages.py", "/dashboard/%2e%2e", "/x"],
)
def test_what_is_no_file_of_the_folder_is_a_404(path: str) -> None:
    """However it is written."""

    async def law() -> None:
        async with a_master() as master:
            assert_problem(await master.get(path), 404, "not_found")

    asyncio.run(law())


def test_a_link_on_another_site_may_lead_to_the_page() -> None:
    """But no script of that site may read it, and nothing else may be linked to."""

    async def law() -> None:
        async with a_master() as master:
            followed = await master.get("/", {**HOSTILE, "Sec-Fetch-Mode": "navigate"})
            assert followed.status == 200
            read = await master.get("/", {**HOSTILE, "Sec-Fetch-Mode": "no-cors"})
            assert_problem(read, 403, "cross_site")
            elsewhere = {**HOSTILE, "Sec-Fetch-Mode": "navigate"}
            assert_problem(await master.get("/jobs", elsewhere), 403, "cross_site")

    asyncio.run(law())
