"""Crash points: the process dies where it is told to, and nowhere else."""

import ast
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.crashpoints import POINTS

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys
from engine.crashpoints import arm, crash_point
arm(sys.argv[1])
for passing in range(3):
    print(passing, flush=True)
    crash_point("submit.stored")
    crash_point("submit.parsed")
"""


def passing_thrice(armed: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that passes two points three times."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, armed],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    ("armed", "lives_through"),
    [("submit.stored", 1), ("submit.stored:1", 1), ("submit.parsed:2", 2), ("submit.stored:3", 3)],
)
def test_the_process_kills_itself_at_the_passing_that_it_is_told(
    armed: str, lives_through: int
) -> None:
    """As `kill -9` does: nothing is cleaned up, nobody is told."""
    ended = passing_thrice(armed)
    assert ended.returncode == -signal.SIGKILL
    assert len(ended.stdout.split()) == lives_through


@pytest.mark.parametrize("armed", ["", "submit.stored:4", "drain.begun"])
def test_what_is_not_armed_or_not_reached_is_passed(armed: str) -> None:
    """In silence."""
    ended = passing_thrice(armed)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (0, ["0", "1", "2"], "")


def test_asked_what_is_passed_the_process_says_it_once_each() -> None:
    """And lives."""
    ended = passing_thrice("?")
    assert ended.returncode == 0
    assert ended.stderr == "crash point submit.stored\ncrash point submit.parsed\n"


@pytest.mark.parametrize("armed", ["submit.storde", "submit.stored:x", "no"])
def test_a_point_that_does_not_exist_is_refused(armed: str) -> None:
    """A test that arms it would prove nothing."""
    ended = passing_thrice(armed)
    assert ended.returncode == 1
    assert "there is no such point" in ended.stderr


def test_every_point_is_somewhere_in_the_code() -> None:
    """And nothing else is: the list is complete."""
    placed = {
        node.args[0].value
        for path in [*(ROOT / "engine").rglob("*.py"), ROOT / "master.py"]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "crash_point"
        and isinstance(node.args[0], ast.Constant)
    }
    assert placed == set(POINTS)


def test_the_table_of_points_is_complete() -> None:
    """In docs/reliability.md, in the order of the list."""
    table = (ROOT / "docs" / "reliability.md").read_text().partition("## Crash points")[2]
    assert tuple(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", table, re.MULTILINE)) == POINTS
