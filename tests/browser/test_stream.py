import re
import time
from pathlib import Path

from playwright.sync_api import Browser

from deploy.local import LocalCluster
from tests.browser.dashboard import Dashboard, Open, run

RED_WITHIN_S = 4.0  # what the page promises: probes of a silent worker take 2 s


def test_a_killed_worker_turns_red(open_page: Open, own_cluster: LocalCluster) -> None:
    """Within four seconds its row is red, and the sentence at the top says what happened."""
    page = open_page(own_cluster.url)
    page.wait("#sentence", "3 of 3 workers healthy")
    headings = [page.page.locator(f"#{it}-title").bounding_box() for it in ("workers", "jobs")]
    killed_at = time.monotonic()
    own_cluster.workers[0].kill()
    dead = page.wait("#workers tr[data-state='dead'] .state")
    took_s = time.monotonic() - killed_at
    red = page.page.evaluate("cell => getComputedStyle(cell).color", dead.element_handle())
    assert re.match(r"rgb\(197, 34, 31\)", red)
    page.wait("#causes[data-bad]", "is dead")
    page.wait("#sentence", "2 of 3 workers healthy")
    assert headings == [
        page.page.locator(f"#{it}-title").bounding_box() for it in ("workers", "jobs")
    ]  # and nothing has moved
    assert took_s < RED_WITHIN_S


def test_a_restarted_master_is_followed(open_page: Open, tmp_path: Path) -> None:
    """The page says since when it is stale, and goes on by itself when the master is back."""
    with LocalCluster(2, ["--data", str(tmp_path)]) as cluster:
        job_id = run(cluster.url, "2*21")
        page = open_page(cluster.url)
        page.row(job_id)
        page.page.evaluate("window.loadedOnce = true")
        cluster.master.kill()
        said = page.wait("#connection", re.compile(r"stale since \d\d:\d\d:\d\d · retry within"))
        page.page.mouse.wheel(0, 2000)
        assert said.evaluate("it => it.getBoundingClientRect().top") >= 0  # wherever one reads
        cluster.start_master()
        page.wait("#connection[data-state='live']")
        page.wait("#sentence", "2 of 2 workers healthy")
        later = run(cluster.url, "2*22")
        page.row(later)
        assert page.page.evaluate("window.loadedOnce")


def test_the_pauses_between_tries_grow(open_page: Open, cluster: LocalCluster) -> None:
    """The pauses double up to 15 seconds, and chance takes up to half of one away."""
    page = open_page(cluster.url)
    pauses = page.module("events.js", "[0, 1, 2, 5, 60].map(n => m.pauseMs(n, 0))")
    assert pauses == [500, 1000, 2000, 15_000, 15_000]
    assert page.module("events.js", "m.pauseMs(0, 1)") == 250


def test_a_page_that_is_refused_says_why(browser: Browser) -> None:
    """There is a master, and what it says is what helps; the page goes on when it may."""
    with LocalCluster(0, ["--data", "", "--set", "limits.event_readers=1"]) as cluster:
        first = Dashboard(browser, cluster.url).open()
        second = Dashboard(browser, cluster.url)
        second.page.goto(cluster.url)
        second.wait("#sentence", "limits.event_readers")
        second.wait("#connection", "the master refuses this page")
        first.page.context.close()
        second.wait("#connection[data-state='live']")
        second.page.context.close()


def test_a_hidden_page_listens_to_nothing(open_page: Open, cluster: LocalCluster) -> None:
    """One stream a page, none while it is hidden, and a new one when it is seen again."""
    page = open_page(cluster.url)
    page.page.evaluate(
        """() => {
            window.sources = [];
            const Real = window.EventSource;
            window.opened = new Promise((resolve) => {
                window.EventSource = class extends Real {
                    constructor(url) {
                        super(url);
                        window.sources.push(this);
                        this.addEventListener("open", () => resolve());
                    }
                };
            });
            window.turn = (hidden) => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            };
            turn(true);
            turn(false);
        }"""
    )
    page.page.evaluate("opened")
    assert page.page.evaluate("sources.map(source => source.readyState)") == [1]
    assert sum(url.endswith("/events") for url in page.requested) == 2
    page.page.evaluate("turn(true)")
    assert page.page.evaluate("sources.map(source => source.readyState)") == [2]
