"""The program itself: signals, closed pipes, and what a shell sees of them."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scripted_master import HOLD, Reply, ScriptedMaster, a_job, calculate, running

ROOT = Path(__file__).resolve().parents[3]


def program(
    url: str, *args: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> "subprocess.Popen[bytes]":
    """Start `client.py`, speaking to the master at `url`."""
    inherited = {name: each for name, each in os.environ.items() if not name.startswith("EXECUTOR")}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "client.py"), "--master", url, *args],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=inherited | {"TERM": "xterm"},
    )


def test_ctrl_c_exits_with_130_and_says_how_to_resume(master: ScriptedMaster) -> None:
    """In one line and without a traceback: the job goes on."""
    master.script("POST /submit", Reply({"job_id": 47, "finished": False}))
    master.script("GET /jobs", Reply([running() | {"task": "1+1"}]))
    master.script("GET /job/47", Reply(running()))
    with program(master.url, "submit", "1+1", "--poll-interval", "60") as process:
        master.await_request("GET /jobs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines()[1:] == [
        "error: interrupted",
        f"the job goes on; for the answer:  client.py --master {master.url} wait 47",
    ]


def test_ctrl_c_ends_a_program_that_waits_for_a_line(master: ScriptedMaster) -> None:
    """Reading stdin does not hold it; what was not submitted is told."""
    calculate(master)
    with program(master.url, "submit", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"1+1\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"2\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err == b"error: interrupted\nlines from 2 on were not submitted\n"


def test_ctrl_c_while_lines_are_submitted_tells_which_may_have_been(
    master: ScriptedMaster, tmp_path: Path
) -> None:
    """Whoever goes on with the lines behind them submits none twice."""
    calculate(master)
    master.script_more("POST /submit", HOLD)
    file = tmp_path / "F"
    file.write_text("1\n" * 2_500)
    with program(master.url, "submit", "--file", str(file)) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(1_000)] == [b"1\n"] * 1_000
        for _ in range(2):
            master.await_request("POST /submit")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.decode().splitlines() == [
        "error: interrupted",
        f"lines 1001-2000 may have been submitted; to see:  client.py --master {master.url} jobs",
        "lines from 2001 on were not submitted",
    ]


@pytest.mark.parametrize("args", [["status", "1"], ["submit", "-"], ["jobs", "--color", "always"]])
def test_a_closed_pipe_is_quiet(master: ScriptedMaster, args: list[str]) -> None:
    """`client.py ... | head` has had enough: nobody wants a traceback for that."""
    calculate(master)
    master.script("GET /job/1", Reply(a_job(1, 1)))
    reading, writing = os.pipe()
    os.close(reading)
    with program(master.url, *args, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(b"1+1\n")
    assert (process.returncode, err) == (141, b"")


def all_of(terminal: int) -> Iterator[bytes]:
    """Give what is written on a terminal until its last writer has gone, and close it."""
    with suppress(OSError):  # EIO is how a terminal ends
        while data := os.read(terminal, 4096):
            yield data
    os.close(terminal)


def test_a_progress_bar_is_drawn_on_stderr_where_it_is_a_terminal(
    master: ScriptedMaster, tmp_path: Path
) -> None:
    """And stdout has the answers and nothing else."""
    calculate(master)
    file = tmp_path / "F"
    file.write_text("1+1\n2+2\n")
    ours, theirs = pty.openpty()
    with program(master.url, "submit", "--file", str(file), stderr=theirs) as process:
        os.close(theirs)
        drawn = b"".join(all_of(ours))
        out, _ = process.communicate()
    assert (process.returncode, out) == (0, b"2\n4\n")
    assert b"100%" in drawn


def test_answers_are_printed_as_they_come(master: ScriptedMaster) -> None:
    """The first is out before the second line is in."""
    calculate(master)
    with program(master.url, "submit", "-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for n in range(3):
            process.stdin.write(b"%d+1\n" % n)
            process.stdin.flush()
            assert process.stdout.readline() == b"%d\n" % (n + 1)
        process.communicate()
    assert process.returncode == 0
