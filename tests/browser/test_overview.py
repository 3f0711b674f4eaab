import re

import pytest
from playwright.sync_api import Browser

from deploy.local import LocalCluster
from tests.browser.dashboard import Open, call, run, run_all


def test_the_sentence_says_how_all_is(open_page: Open, cluster: LocalCluster) -> None:
    """1: One sentence tells workers, queue and rate, and that nothing needs attention."""
    page = open_page(cluster.url)
    page.wait("#sentence", "3 of 3 workers healthy · 0 operations queued")
    assert re.search(r" · [\d,.<]+ operations/s", page.text("#sentence"))
    page.wait("#causes", "Nothing needs attention.")


def test_the_sparklines_share_an_axis(open_page: Open, cluster: LocalCluster) -> None:
    """2: Queue and rate are drawn over the same five minutes, and work makes the rate rise."""
    page = open_page(cluster.url)
    run_all(cluster.url, ["1+2+3+4.5"] * 500)
    page.wait(".sparkline .peak", re.compile("peak [1-9]"))
    views = page.page.eval_on_selector_all(
        ".sparkline svg", "all => all.map(svg => [svg.getAttribute('viewBox'), svg.clientWidth])"
    )
    assert len(views) == 2
    assert views[0] == views[1]


def test_failures_are_drawn_in_red(open_page: Open, cluster: LocalCluster) -> None:
    """2: A second with failures has a bar, on the scale of the rate, in the colour of failures."""
    page = open_page(cluster.url)
    red = page.page.evaluate(
        """async () => {
            const { SparklinesView } = await import("/dashboard/sparklines.js");
            document.getElementById("sparklines").replaceChildren();
            const history = [[95, 0, 50, 0], [96, 0, 50, 20], [97, 0, 50, 0]];
            new SparklinesView().show({ history }, 100);
            const line = document.querySelector("path.bad[d='M296 48v-18']");
            const probe = document.createElement("i");
            probe.style.color = "var(--bad)";
            document.body.append(probe);
            return getComputedStyle(line).stroke === getComputedStyle(probe).color;
        }"""
    )
    assert red


def test_failures_are_no_peak_of_what_is_done(open_page: Open, cluster: LocalCluster) -> None:
    """2: More may fail in a second than ever were done in one."""
    page = open_page(cluster.url)
    page.page.evaluate(
        """async () => {
            const { SparklinesView } = await import("/dashboard/sparklines.js");
            document.getElementById("sparklines").replaceChildren();
            new SparklinesView().show({ history: [[95, 0, 50, 0], [96, 0, 50, 900]] }, 100);
        }"""
    )
    assert page.texts(".sparkline .peak")[1] == "peak 50"


def test_each_worker_has_a_row(open_page: Open, cluster: LocalCluster) -> None:
    """3: The list names every worker, its state, and what it has done."""
    run(cluster.url, "1+2*3-4/5")
    page = open_page(cluster.url)
    page.wait("#workers tr[data-state='live'] >> nth=2")
    names = sorted(worker["name"] for worker in call(f"{cluster.url}/workers"))
    assert sorted(page.texts("#workers th")) == names
    assert set(page.texts("#workers .state")) == {"live"}


def test_what_a_worker_has_in_hand_has_room(open_page: Open, cluster: LocalCluster) -> None:
    """3: A long id, many more operations and a time are there to be read, not cut off."""
    page = open_page(cluster.url)
    page.wait("#workers .hand >> nth=2")
    needed, there = page.page.evaluate(
        "() => { const cell = document.querySelector('#workers .hand');"
        " cell.textContent = '+ of 1234567 + 1,003 · 9 s';"
        " return [cell.scrollWidth, cell.clientWidth]; }"
    )
    assert needed <= there


def test_each_job_has_a_row(open_page: Open, cluster: LocalCluster) -> None:
    """4: A job is listed with its expression and its answer, without a reload."""
    page = open_page(cluster.url)
    job_id = run(cluster.url, "1+(2*3)/4-5")
    row = page.row(job_id, "succeeded")
    cells = row.locator("th, td").all_text_contents()
    assert cells[:4] == [str(job_id), "1+(2*3)/4-5", "succeeded", "-2.5"]


def test_a_job_that_failed_says_why(open_page: Open, cluster: LocalCluster) -> None:
    """4: In the place of an answer stands the sentence that tells what went wrong, and where."""
    job_id = run(cluster.url, "1/(2-2)")
    page = open_page(cluster.url)
    row = page.row(job_id)
    assert "column 2" in row.locator(".answer").inner_text()


def test_answers_are_exact(open_page: Open, cluster: LocalCluster) -> None:
    """Integers beyond 2**53 keep every digit, and floats stay floats, also in the tree."""
    big, quotient = run(cluster.url, "9007199254740992+1"), run(cluster.url, "14/2")
    page = open_page(cluster.url)
    row = page.row(big)
    assert row.locator(".answer").inner_text() == "9007199254740993"
    row = page.row(quotient)
    assert row.locator(".answer").inner_text() == "7.0"
    page.open(f"job/{big}")
    page.wait("#job-answer", "= 9007199254740993")
    assert page.texts(".node .came") == ["= 9007199254740993"]


def test_jobs_are_filtered_and_found(open_page: Open, cluster: LocalCluster) -> None:
    """4: By status, by a part of the expression, and by id."""
    run(cluster.url, "1/(3-3)")
    run(cluster.url, "77 * 123123")
    page = open_page(cluster.url)
    page.page.select_option("#jobs-status", "failed")
    page.wait("#jobs-note", re.compile("^(all|the newest)"))
    page.wait("#jobs:not(:has(tr:not([data-state='failed'])))")
    page.page.select_option("#jobs-status", "")
    page.page.fill("#jobs-text", "77*123")
    page.wait("#jobs-note", re.compile("^1 found among"))
    assert page.texts("#jobs .task") == ["77 * 123123"]
    page.page.fill("#jobs-id", "1")
    page.page.press("#jobs-id", "Enter")
    page.wait("#job-title", "Job 1")
    page.wait("#job-state", re.compile("."))


def test_an_empty_page_says_what_to_do(open_page: Open) -> None:
    """A first reader learns what to type, and how to start a worker."""
    with LocalCluster(0, ["--data", ""]) as cluster:
        page = open_page(cluster.url)
        page.wait("#sentence", "no worker yet")
        page.wait("#jobs-empty:not([hidden])", "1+(2*3)/4-5")
        page.wait(
            "#workers-empty:not([hidden])", f"python worker.py --port 0 --master {cluster.url}"
        )


@pytest.mark.parametrize("width", [721, 900, 901, 1100, 1101])
def test_a_worker_has_a_name_on_every_screen(
    open_page: Open, cluster: LocalCluster, width: int
) -> None:
    """The other columns leave room for it, and the page need not be scrolled sideways."""
    page = open_page(cluster.url, width=width)
    page.wait("#workers .name >> nth=2")
    name, wide = page.page.evaluate(
        "[document.querySelector('#workers .name').clientWidth,"
        " document.documentElement.scrollWidth - innerWidth]"
    )
    assert name >= 100
    assert wide <= 0


def test_a_long_answer_is_seen_with_its_length(open_page: Open, cluster: LocalCluster) -> None:
    """4: It is shortened to what there is room for, and who points at it sees more."""
    job_id = run(cluster.url, "*".join(["99999999999999999999"] * 100))
    page = open_page(cluster.url)
    cell = page.row(job_id, "succeeded").locator(".answer")
    assert cell.inner_text().endswith("(2,000 digits)")
    assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
    assert len(cell.get_attribute("title") or "") > 200


def test_without_scripts_nothing_is_promised(browser: Browser, cluster: LocalCluster) -> None:
    """The page says what it needs, and what does without; it waits for no word, and asks none."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(cluster.url)
    assert page.locator("header code").is_visible()
    assert not page.locator("#sentence").is_visible()
    assert not page.locator("footer").is_visible()
    context.close()


def test_paper_is_white_and_has_all(open_page: Open, cluster: LocalCluster) -> None:
    """Whatever the screen's colours, nothing covers what is printed, or cuts it off."""
    job_id = run(cluster.url, "+".join(map(str, range(100))))
    page = open_page(cluster.url, f"job/{job_id}")
    page.wait(".node")
    page.page.emulate_media(media="print", color_scheme="dark")
    paper, box, cut = page.page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('footer')).display,"
        " ['.tree', '.scroll', '.task'].filter(one => { const it = document.querySelector(one);"
        " return it.scrollHeight > it.clientHeight + 1; })]"
    )
    assert paper == "rgb(255, 255, 255)"
    assert box == "none"
    assert cut == []


def test_a_phone_need_not_scroll_sideways(open_page: Open, cluster: LocalCluster) -> None:
    """At 400 pixels the page is as wide as the screen, both overview and job."""
    job_id = run(cluster.url, "+".join(["(1.5*2)"] * 40))
    page = open_page(cluster.url, width=400)
    for route, sign in (("", "#jobs tr"), (f"job/{job_id}", ".node")):
        page.open(route).wait(sign)
        wide = page.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
