"""The program itself: signals, closed pipes, and what a shell sees of them."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scripted_master import (
    HOLD,
    Reply,
    ScriptedMaster,
    a_job,
    a_worker,
    calculate,
    running,
)

ROOT = Path(__file__).resolve().parents[3]


def program(
    url: str,
    *args: str,
    stdin: int = subprocess.PIPE,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    through: str = 'exec "$@"',
    **env: str,
) -> "subprocess.Popen[bytes]":
    """Start `client.py`, speaking to the master at `url`, `through` a line of shell."""
    inherited = {name: each for name, each in os.environ.items() if not name.startswith("EXECUTOR")}
    return subprocess.Popen(
        [
            "sh",
            "-c",
            through,
            "sh",
            sys.executable,
            str(ROOT / "client.py"),
            "--master",
            url or "unused",
            *args,
        ],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=inherited | {"TERM": "xterm", "COLUMNS": "80"} | env,
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
        f"nothing is lost; for the answer:  client.py --master {master.url} wait 47",
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


def test_ctrl_c_while_the_program_starts_is_quiet(tmp_path: Path) -> None:
    """Whatever is being imported then."""
    (tmp_path / "msgspec.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    with program("", "-h", PYTHONPATH=str(tmp_path)) as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


def test_ctrl_c_that_is_to_be_ignored_is(master: ScriptedMaster, tmp_path: Path) -> None:
    """So is it for what a shell runs in the background."""
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    start = 'trap "" INT; exec "$@"'
    with program("", "-h", through=start, PYTHONPATH=str(tmp_path)) as process:
        process.communicate()
    assert process.returncode == 1  # there is nothing else in that click


def test_what_few_commands_need_is_not_imported_for_all() -> None:
    """A program that is called in a loop starts at once."""
    said = "import engine.client.cli, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", said], cwd=ROOT, text=True).split()
    assert not {"rich.live", "rich.progress", "prometheus_client"} & set(loaded)


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


@pytest.mark.parametrize("args", [["status", "1"], ["submit", "-"], ["top", "--count", "1"]])
def test_a_closed_pipe_is_quiet(master: ScriptedMaster, args: list[str]) -> None:
    """`client.py ... | head` has had enough: nobody wants a traceback for that."""
    calculate(master)
    master.script("GET /job/1", Reply(a_job(1, 1)))
    master.script("GET /workers", Reply([a_worker()]))
    reading, writing = os.pipe()
    os.close(reading)
    with program(master.url, *args, stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(b"1+1\n")
    assert (process.returncode, err) == (141, b"")


@pytest.fixture
def full_disk() -> Iterator[int]:
    """Give a test a file on which there is no room."""
    with Path("/dev/full").open("wb") as file:
        yield file.fileno()


@pytest.mark.parametrize(
    "args", [["submit", "1+1"], ["submit", "1+1", "--wait", "--json"], ["submit", "-"]]
)
def test_answers_that_cannot_be_written_can_be_had_again(
    master: ScriptedMaster, full_disk: int, args: list[str]
) -> None:
    """A full disk is told from a job that failed."""
    master.script(
        "POST /submit",
        lambda asked: Reply(
            {"jobs": [{"job_id": 1}]} if "tasks" in asked.body else {"job_id": 1, "finished": False}
        ),
    )
    master.script("GET /jobs", Reply([]))
    master.script("GET /job/1", Reply(a_job(1, 2)))
    with program(master.url, *args, stdout=full_disk) as process:
        _, err = process.communicate(b"1+1\n")
    assert process.returncode == 6
    told = err.decode()
    assert "error: cannot write the answers: No space left on device; " in told
    assert f"nothing is lost; for the answer:  client.py --master {master.url} wait 1\n" in told


@pytest.mark.parametrize(
    "args",
    [
        ["jobs"],
        ["workers", "--color", "always"],
        ["top", "--count", "1"],
        ["-h"],
        ["jobs", "-h"],
        ["completion", "bash"],
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_what_cannot_be_written_is_told_in_a_line(
    master: ScriptedMaster, full_disk: int, args: list[str], closed: bool
) -> None:
    """Also what no master is asked for, and where there is no stdout at all."""
    master.script("GET /jobs", Reply([running() | {"task": "1+1"}]))
    master.script("GET /workers", Reply([a_worker()]))
    start = 'exec "$@"' + (" >&-" if closed else "")
    with program(master.url, *args, stdout=full_disk, through=start) as process:
        _, err = process.communicate()
    assert process.returncode == 6
    (line,) = err.decode().splitlines()
    assert "cannot write the answers: " in line


def test_help_for_a_closed_pipe_is_quiet() -> None:
    """And no job has failed."""
    reading, writing = os.pipe()
    os.close(reading)
    with program("", "-h", stdout=writing) as process:
        _, err = process.communicate()
    assert (process.returncode, err) == (141, b"")


def test_a_closed_stdin_is_wrong_usage(master: ScriptedMaster) -> None:
    """There is nothing to take lines from."""
    with program(master.url, "submit", "-", through='exec "$@" <&-') as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert b"Error: stdin is closed" in err


def test_a_stdin_that_cannot_be_read_is_told(master: ScriptedMaster, full_disk: int) -> None:
    """One that is open for writing only, for one."""
    with program(master.url, "submit", "-", stdin=full_disk) as process:
        _, err = process.communicate()
    assert process.returncode == 2
    assert b"error: stdin cannot be read: Bad file descriptor" in err


def all_of(terminal: int) -> Iterator[bytes]:
    """Give what is written on a terminal until its last writer has gone, and close it."""
    with suppress(OSError):  # EIO is how a terminal ends
        while data := os.read(terminal, 4096):
            yield data
    os.close(terminal)


def on_a_terminal(url: str, *args: str) -> str:
    """Return what `client.py` shows on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    with program(url, *args, stdout=theirs) as process:
        os.close(theirs)
        shown = b"".join(all_of(ours))
        process.communicate()
    return shown.decode()


def test_a_terminal_gets_tables_that_fit(master: ScriptedMaster) -> None:
    """Whatever colours are wished for."""
    master.script("GET /workers", Reply([a_worker(url="http://" + "x" * 300)]))
    for color in ("auto", "never"):
        shown = on_a_terminal(master.url, "workers", "--color", color)
        lines = re.sub("\x1b\\[[0-9;]*m", "", shown).splitlines()
        assert lines[0].split()[:2] == ["worker", "state"]
        assert max(map(len, lines)) <= 80


def test_a_terminal_gets_no_styles_where_no_colours_are_wished_for(
    master: ScriptedMaster,
) -> None:
    """Bold and dim letters are as much in the way of whoever reads the text."""
    master.script("GET /workers", Reply([a_worker()]))
    assert "\x1b" in on_a_terminal(master.url, "workers")
    assert "\x1b" not in on_a_terminal(master.url, "workers", "--color", "never")


def test_top_on_a_terminal_draws_over_what_it_has_drawn(master: ScriptedMaster) -> None:
    """The screen does not fill with old looks."""
    master.script("GET /workers", Reply([a_worker()]))
    master.script("GET /jobs", Reply([]))
    shown = on_a_terminal(master.url, "top", "--count", "3", "--interval", "0.001")
    assert "\x1b[1A" in shown  # up one line


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
