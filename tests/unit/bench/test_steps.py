"""The count of the interpreter's steps."""

import re
import subprocess
import sys


def counted(jobs: int) -> str:
    """Return what the count prints; in a process of its own, since it takes the tracer over."""
    command = [sys.executable, "-m", "bench.steps", "--jobs", str(jobs)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_master_is_counted_and_its_workers_are_not() -> None:
    """They would be other processes, on cores of their own."""
    told = counted(50)
    in_all = re.search(r"^([0-9,]+) steps", told)
    parser = re.search(r"^\| ([0-9,]+) \| `_reading` \| engine/expression/parser.py", told, re.M)
    assert in_all is not None
    assert parser is not None
    assert int(in_all[1].replace(",", "")) > 3 * int(parser[1].replace(",", ""))
    assert "engine/worker" not in told
    assert "compute_items" not in told
