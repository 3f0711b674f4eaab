from deploy.local import LocalCluster, Process
from tests.browser.dashboard import Open, run, run_all

WORKERS = 200
JOBS = 10_000
ELEMENTS = 1_500  # of the whole page: what a browser lays out without a thought


def test_many_workers_and_jobs_stay_usable(open_page: Open, own_cluster: LocalCluster) -> None:
    """The page stays small, says what it does not show, and leads to all of it."""
    more = str(WORKERS - len(own_cluster.workers))
    crowd = Process("bench/crowd.py", ["--master", own_cluster.url, "--workers", more])
    own_cluster.workers.append(crowd)
    failed = run(own_cluster.url, "1/(5-5)")
    run_all(own_cluster.url, ["1+1"] * (JOBS - 1))

    page = open_page(own_cluster.url)
    page.wait("#sentence", f"of {WORKERS} workers healthy")
    page.wait("#workers-note", f"12 of {WORKERS} shown")
    page.wait("#jobs-note", "the newest 15 of 10,000")
    assert page.page.evaluate("document.querySelectorAll('*').length") < ELEMENTS

    page.page.click("#workers-all")
    page.wait("#workers tr >> nth=199")
    page.page.click("#workers-all")
    page.page.click("#jobs-more")
    page.wait("#jobs-note", "the newest 100 of 10,000")
    page.page.click("#jobs-more")
    page.wait("#jobs-note", f"older than job {JOBS - 99}")
    page.page.select_option("#jobs-status", "failed")
    page.wait("#jobs-note", "all 1")
    assert page.texts("#jobs .id") == [str(failed)]


def test_the_long_dead_are_not_listed(open_page: Open, cluster: LocalCluster) -> None:
    """A worker that has been dead for over a minute goes, and the page says how many did."""
    page = open_page(cluster.url)
    workers = [
        ["new", {"name": "new", "url": "u", "state": "dead", "seenAt": 950}],
        ["old", {"name": "old", "url": "u", "state": "dead", "seenAt": 900}],
        ["live", {"name": "live", "url": "u", "state": "live", "seenAt": 999}],
    ]
    found = page.module(
        "workers.js",
        "(({ here, gone }) => [here.map(([key]) => key), gone])(m.listed(new Map(argument), 1000))",
        workers,
    )
    assert found == [["new", "live"], 1]
    assert page.module("workers.js", "m.leftOut(2, 2, 1)") == "1 dead for over a minute not shown"
