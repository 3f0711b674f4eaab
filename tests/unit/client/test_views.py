"""What people see points to the right place, and cannot do anything to their terminals."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from engine.client import views
from engine.messages import JobOperations, OperationShown


@pytest.mark.parametrize(
    ("task", "column", "picture"),
    [
        ("1+(2*3))", 8, "  1+(2*3))\n         ^"),
        ("1+", 3, "  1+\n    ^"),
        ("", 1, "  \n  ^"),
        ("\uff11+x", 3, "  \uff11+x\n     ^"),
        ("\t1 x", 4, "   1 x\n     ^"),
        ("1+" * 50 + "x" + "+1" * 50, 101, f"  …{'1+' * 15}x{'+1' * 15}…\n   {' ' * 30}^"),
    ],
)
def test_the_caret_is_below_the_column(task: str, column: int, picture: str) -> None:
    """Also behind wide characters and tabs, past the end, and in the middle of a long line."""
    assert views.caret(task, column) == picture


@given(st.text(), st.integers(1, 10_000))
def test_a_caret_is_always_two_lines(task: str, column: int) -> None:
    """Whatever is in the text, and wherever the column is."""
    assert views.caret(task, column).count("\n") == 1


@given(st.text())
def test_nothing_that_is_shown_moves_the_cursor(text: str) -> None:
    """Escape sequences, line ends and changes of direction stay out of the terminal."""
    assert views.plain(text).isprintable()
    assert len(views.plain(text)) == len(text)


@pytest.mark.parametrize(
    ("ids", "text"),
    [([], ""), ([3], "3"), ([3, 7, 8, 9], "3 7-9"), ([1, 2, 4, 5], "1-2 4-5")],
)
def test_ids_in_a_row_are_a_range(ids: list[int], text: str) -> None:
    """A thousand jobs fit on a command line."""
    assert views.ranges(ids) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.00123, "1.23 ms"), (0.5, "500 ms"), (1.5, "1.5 s"), (600, "10 min")],
)
def test_a_duration_has_a_unit_that_suits_it(seconds: float | None, text: str) -> None:
    """Microseconds are as common here as minutes."""
    assert views.duration(seconds) == text


def lines_of(table: Table, width: int) -> list[str]:
    """Return a table as a terminal of `width` columns shows it."""
    screen = io.StringIO()
    Console(file=screen, width=width).print(table)
    return screen.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (200, list(views.WORKER_HEADER)),
        (80, ["worker", "state", "operations", "in flight", "done", "failed", "p95", "seen"]),
        (40, ["worker", "state", "in flight", "done"]),
    ],
)
def test_a_narrow_terminal_does_without_columns_and_cuts_none(
    width: int, header: list[str]
) -> None:
    """Half an address is worth less than none."""
    row = ["box-42149", "live", "div,mul,sub,sum", "0", "3", "0", "2.5 ms", "4.69 ms", "386 ms ago"]
    row.append("http://127.0.0.1:42149")
    table = views.table(views.WORKER_HEADER, [row], width)
    first, second = lines_of(table, width)
    assert re.split(" {2,}", first.strip()) == header
    assert re.split(" {2,}", second.strip()) == [
        cell for name, cell in zip(views.WORKER_HEADER, row, strict=True) if name in header
    ]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_task_is_cut_to_what_a_terminal_has_room_for(width: int) -> None:
    """And never wrapped; an empty table is its header."""
    rows = [["2", "succeeded", "1" * 300, "1+" * 500], ["1", "failed", "overflow", "1"]]
    lines = lines_of(views.table(views.JOB_HEADER, rows, width), width)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    assert lines_of(views.table(views.JOB_HEADER, [], width), width)[0].split() == [
        *views.JOB_HEADER
    ]


def the_job(*operations: OperationShown, task: str = "1+2*3") -> JobOperations:
    """Return a job with these operations."""
    return JobOperations(47, task, len(operations), len(operations), list(operations))


def test_a_tree_has_what_is_computed_last_on_top() -> None:
    """Each operation shows its value, its place in the text, its worker and its times."""
    job = the_job(
        OperationShown(0, "mul", 2, 3, 6, column=4, parent=1, worker="w1", computing_s=0.001),
        OperationShown(1, "sum", 1, None, None, column=2),
    )
    assert views.tree(job) == [
        "1+2*3",
        "└── sum(1, ?) = ... · column 2",
        "    └── mul(2, 3) = 6 · column 4 · w1 · computing 1 ms",
    ]


def test_operations_whose_parent_is_not_shown_are_trees_of_their_own() -> None:
    """A job of a million operations is shown in part."""
    job = the_job(OperationShown(5, "mul", 2, 3, 6, parent=9), OperationShown(6, "sum", 1, 1, 2))
    assert views.tree(job)[1:] == ["├── mul(2, 3) = 6", "└── sum(1, 1) = 2"]


def test_a_chain_of_ten_thousand_operations_is_drawn() -> None:
    """Without recursion, and without running out of the window to the right."""
    chain = [OperationShown(n, "sum", 1, 1, 2, parent=n + 1) for n in range(10_000)]
    lines = views.tree(the_job(*chain))
    assert len(lines) == 10_001
    assert max(map(len, lines)) < 200
