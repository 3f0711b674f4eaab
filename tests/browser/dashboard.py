"""The dashboard as a reader meets it: in a real browser, at a real master.

Every page notes what it has asked the network for, and what it said on the console; `conftest.py`
holds both to the rules when the test is over.
"""

import json
import re
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, ViewportSize

REFUSED = "Failed to load resource"  # the browser's own note of a 4xx, or of a master that is gone


class Dashboard:
    """One page of a browser that looks at the master at `url`."""

    def __init__(self, browser: Browser, url: str, width: int = 1280) -> None:
        self.url = url
        viewport: ViewportSize = {"width": width, "height": 900}
        self.page: Page = browser.new_context(viewport=viewport).new_page()
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, route: str = "") -> "Dashboard":
        """Go to `#/route` and wait until the master's first word is shown."""
        self.page.goto(f"{self.url}/#/{route}")
        self.wait("#connection[data-state='live']")
        return self

    def wait(self, selector: str, text: str | re.Pattern[str] | None = None) -> Locator:
        """Wait until `selector`, with `text` in it, is there; return it."""
        found = self.page.locator(selector)
        if text is not None:
            found = found.filter(has_text=text)
        found.first.wait_for(state="attached")
        return found

    def row(self, job_id: int, state: str | None = None) -> Locator:
        """Wait for the row of a job in the list, in a state if one is named; return it."""
        such = "" if state is None else f"[data-state='{state}']"
        return self.wait(f"#jobs tr{such}:has(a[href='#/job/{job_id}'])")

    def text(self, selector: str) -> str:
        """Return the text of one element."""
        return self.page.locator(selector).inner_text()

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all elements, as they are in the document."""
        return self.page.locator(selector).all_text_contents()

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return self.page.locator(selector).count()

    def module(self, name: str, expression: str, argument: object = None) -> Any:  # noqa: ANN401  # JSON
        """Return what `expression`, of the exports `m` of a module and `argument`, comes to."""
        script = "async ([name, argument]) => { const m = await import(name); return %s; }"
        return self.page.evaluate(script % expression, [f"/dashboard/{name}", argument])

    def follow_the_rules(self) -> None:
        """Assert that nothing was complained of, and that nothing came from elsewhere."""
        assert self.complaints == []
        assert {urlsplit(url).netloc for url in self.requested} <= {urlsplit(self.url).netloc}


Open = Callable[..., Dashboard]


def call(url: str, body: object = None) -> Any:  # noqa: ANN401  # JSON
    """GET `url`, or POST `body` to it, and return the JSON that comes back."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data)) as response:  # noqa: S310
        return json.loads(response.read())


def run(url: str, task: str) -> int:
    """Submit a task, wait for its end, and return its id."""
    job: dict[str, Any] = call(f"{url}/submit?wait=60", {"task": task})
    assert job["finished"]
    return int(job["job_id"])


def run_all(url: str, tasks: Sequence[str]) -> list[int]:
    """Submit many tasks at once, wait for the end of all, and return their ids."""
    ids = [job["job_id"] for job in call(f"{url}/submit", {"tasks": list(tasks)})["jobs"]]
    while unfinished := call(f"{url}/jobs?status=unfinished&limit=1"):
        call(f"{url}/job/{unfinished[0]['job_id']}?wait=60")
    return ids
