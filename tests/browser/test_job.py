import re
from typing import Any

import pytest

from deploy.local import LocalCluster
from tests.browser.dashboard import Open, call, run


@pytest.mark.parametrize(
    ("task", "operations"),
    [
        ("1+(2*3)/4-5", 4),
        ("((1.5+2)*(8-3)-4/(1+1))*((6+7)*(8-9)+10/(3-1))", 13),
        ("+".join(map(str, range(100))), 99),
        ("-(3.5)*2", 2),
    ],
)
def test_the_tree_has_a_node_for_each_operation(
    open_page: Open, cluster: LocalCluster, task: str, operations: int
) -> None:
    """5: Nodes are operations, all but the root hang on another one, and the root is the answer."""
    page = open_page(cluster.url, f"job/{run(cluster.url, task)}")
    page.wait(".node")
    assert page.count(".node") == operations
    assert page.count(".edge") == operations - 1
    assert page.texts(".node:first-of-type .came") == [f"= {eval(task)}"]


def test_the_table_says_the_same_as_the_tree(open_page: Open, cluster: LocalCluster) -> None:
    """5: For screen readers there is a row for each node, with its value and its worker."""
    job_id = run(cluster.url, "(1+2)*(3+4)")
    page = open_page(cluster.url, f"job/{job_id}")
    page.wait("#operations tr")
    told = call(f"{cluster.url}/job/{job_id}/operations")["operations"]
    rows = page.page.eval_on_selector_all(
        "#operations tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert [(row[0], row[3], row[6]) for row in rows] == [
        (str(operation["index"]), str(operation["result"]), operation["worker"])
        for operation in told
    ]


def test_the_last_operation_is_said_to_feed_the_answer(
    open_page: Open, cluster: LocalCluster
) -> None:
    """5: In a column that has room for the word; what may be cut elsewhere is a title too."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '1/(2-2)')}")
    page.wait("#operations tr")
    needed, there, title = page.page.evaluate(
        "() => { const [,,,, state, feeds] = document.querySelector('#operations tr:last-child')"
        ".cells; return [feeds.scrollWidth, feeds.clientWidth, state.title]; }"
    )
    assert page.texts("#operations tr:last-child .n")[2] == "answer"
    assert needed <= there
    assert title == "division_by_zero"


def test_the_timeline_has_a_row_for_each_worker(open_page: Open, cluster: LocalCluster) -> None:
    """5: Every worker that took part has a row, and every operation is in a call of one."""
    job_id = run(cluster.url, "+".join(["(1.5*2)"] * 60))
    page = open_page(cluster.url, f"job/{job_id}")
    page.wait(".call")
    told = call(f"{cluster.url}/job/{job_id}/operations")["operations"]
    rows = page.texts(".timeline .row:not(.axis) .name")
    assert sorted(rows) == sorted({operation["worker"] for operation in told})


def test_what_one_points_at_is_marked_everywhere(open_page: Open, cluster: LocalCluster) -> None:
    """5: A node, its bar, its row and its sign in the expression are linked."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '10/4')}")
    page.wait(".node").hover()
    page.wait(".node.marked")
    page.wait(".call.marked")
    page.wait("#operations .marked")
    assert page.text("#job-task mark") == "/"


def test_the_critical_path_is_marked(open_page: Open, cluster: LocalCluster) -> None:
    """5: A chain is all critical: in the tree, in the timeline and in the table."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '1.5/2/3')}")
    page.wait(".node")
    assert page.count(".node.critical") == 2
    assert page.count(".edge.critical") == 1
    assert page.count(".call.critical") >= 1
    assert page.texts("#operations .path") == ["critical", "critical"]


def test_the_tree_is_walked_with_the_arrows(open_page: Open, cluster: LocalCluster) -> None:
    """Down goes to the first child, right to its neighbour, up to the parent."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '(1+2)*(3-4)')}")
    page.wait(".node[tabindex='0']").focus()
    signs = []
    for key in ("ArrowDown", "ArrowRight", "ArrowUp"):
        page.page.keyboard.press(key)
        signs.append(page.text("#job-task mark"))
    assert signs == ["+", "-", "*"]


def test_a_huge_tree_is_capped_and_says_so(open_page: Open, cluster: LocalCluster) -> None:
    """5: Of 20,000 operations at most 300 are drawn, and the page says of how many."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '+'.join(['1'] * 20_001))}")
    page.wait("#tree-note", "20,000 operations")
    assert page.count(".node") <= 300
    page.wait("#operations-note", "100 of 20,000 shown")
    assert page.count("#operations tr") == 100


def node(index: int, parent: int | None) -> dict[str, Any]:
    """Return an operation as it is drawn in a tree."""
    return {
        "index": index,
        "parent": parent,
        "column": index + 1,
        "operation": "sum",
        "op1": "1",
        "op2": "1",
        "result": "2",
        "state": "done",
        "error": None,
        "worker": "w",
        "attempts": [],
        "queued_s": 0.1,
        "on_the_way_s": 0.1,
    }


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([2, []], id="the same job while its sample had no root"),
        pytest.param([2, [node(0, None)]], id="the same job while its sample had the root alone"),
        pytest.param([1, [node(8, None), *(node(n, 8) for n in range(6))]], id="one that fits"),
    ],
)
def test_a_wide_tree_can_be_fitted_whatever_was_drawn_before(
    open_page: Open, cluster: LocalCluster, before: list[Any]
) -> None:
    """It begins in its full size, with the button, and without a node there is no box at all."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '1+2')}")
    page.wait(".node")
    wide = [2, [node(99, None), *(node(n, 99) for n in range(40))]]
    seen = page.module(
        "tree.js",
        """(() => {
            const view = new m.TreeView(() => {});
            const tree = document.getElementById("tree");
            return argument.map(([job_id, operations]) => {
                view.show({ job_id, operations, total: 99, critical_path: [] });
                const button = !document.getElementById("tree-fit").hidden;
                return [tree.hidden, tree.className, button, tree.querySelectorAll(".node").length];
            });
        })()""",
        [before, wide],
    )
    assert seen[0][0] == (not before[1])
    assert seen[1] == [False, "tree", True, 41]


def test_a_failed_operation_is_red(open_page: Open, cluster: LocalCluster) -> None:
    """5: The node that failed is marked, and the sentence of the job is there."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '5*(1/(2-2))')}")
    page.wait("#job-answer", "column 5")
    assert page.texts(".node[data-state='failed'] .came") == ["division_by_zero"]


def test_an_unfinished_job_says_why(open_page: Open) -> None:
    """Without a worker a job waits, the page says for what, and shows the answer when it comes."""
    with LocalCluster(0, ["--data", ""]) as cluster:
        job_id = call(f"{cluster.url}/submit", {"task": "6*7"})["job_id"]
        page = open_page(cluster.url, f"job/{job_id}")
        page.wait("#job-state", "unfinished")
        page.wait("#job-why li")
        cluster.start_worker()
        page.wait("#job-answer", "= 42")
        page.wait(".node .came", "= 42")
        assert page.count("#job-why li") == 0


def test_an_address_that_names_no_id_is_said_to_lead_nowhere(
    open_page: Open, cluster: LocalCluster
) -> None:
    """Without asking the master, and not by the overview."""
    page = open_page(cluster.url, "job/abc")
    page.wait("#job-problem:not([hidden])", "a whole number")
    assert page.text("#job-title") == "Job abc"
    assert not any("/job/" in url.partition("#")[0] for url in page.requested)


def test_the_end_of_a_job_is_told_with_its_answer(open_page: Open, cluster: LocalCluster) -> None:
    """To those who hear the page, and to those who see only the title of its tab."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '6*7')}")
    page.wait("#job-state[role='status']", "succeeded: 42")
    assert page.page.title().endswith("· succeeded - Executor")
    page.page.goto(f"{cluster.url}/#/")
    page.wait("#overview:not([hidden])")
    assert page.page.title() == "Executor"


def test_a_focused_node_is_told_from_a_critical_one(open_page: Open, cluster: LocalCluster) -> None:
    """By more than half a pixel."""
    page = open_page(cluster.url, f"job/{run(cluster.url, '1.5/2/3')}")
    page.wait(".node[tabindex='0']")
    stroke = (
        "[...document.querySelectorAll('.node.critical rect')]"
        ".map(it => getComputedStyle(it).stroke)"
    )
    page.page.keyboard.press("Tab")
    page.page.locator(".node[tabindex='0']").focus()
    page.page.mouse.move(0, 0)
    focused, other = page.page.evaluate(stroke)
    assert focused != other


def test_an_unknown_job_is_said_to_be_unknown(open_page: Open, cluster: LocalCluster) -> None:
    """A link to a job that never was leads to a sentence, after one look."""
    page = open_page(cluster.url, "job/999999999999999999")
    page.wait("#job-problem:not([hidden])", re.compile("no job has the id 9"))
    page.page.wait_for_timeout(3000)
    assert sum("/job/9" in url for url in page.requested) == 1


def test_a_job_that_has_no_room_yet_is_not_asked_for_operations(open_page: Open) -> None:
    """There are none; the page says what it waits for, and no request fails."""
    with LocalCluster(0, ["--data", "", "--set", "limits.running_jobs=1"]) as cluster:
        ids = [call(f"{cluster.url}/submit", {"task": "6*7"})["job_id"] for _ in range(2)]
        page = open_page(cluster.url, f"job/{ids[1]}")
        page.wait("#job-why li", "it has not begun")
        assert not any(url.endswith("/operations") for url in page.requested)
        cluster.start_worker()
        page.wait("#job-answer", "= 42")
        page.wait(".node")
