"""The browser, the clusters and the pages that these tests use.

Run them apart from the others: playwright keeps an event loop running in the thread of the tests,
beside which `asyncio.run` refuses to start another one.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.local import LocalCluster
from tests.browser.dashboard import Dashboard, Open

# Debian's. The flags keep it from calling home: no request may leave this machine.
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Give one browser to all tests; each page has a context, and so storage, of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Give a master and three workers that all tests share: they only add jobs."""
    with LocalCluster(3, ["--data", ""]) as cluster:
        yield cluster


@pytest.fixture
def own_cluster() -> Iterator[LocalCluster]:
    """Give a master and three workers to a test that breaks something."""
    with LocalCluster(3, ["--data", ""]) as cluster:
        yield cluster


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Give `open_page(url, route, width=...)`, whose pages are held to the rules at the end."""
    with ExitStack() as stack:

        def opened(url: str, route: str = "", width: int = 1280) -> Dashboard:
            dashboard = Dashboard(browser, url, width)
            stack.callback(dashboard.page.context.close)
            dashboards.append(dashboard)
            return dashboard.open(route)

        dashboards: list[Dashboard] = []
        yield opened
        for dashboard in dashboards:
            dashboard.follow_the_rules()
