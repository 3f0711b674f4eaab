"""What a person types decides what is printed where, and the exit code."""

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import engine
from engine.client import session
from engine.client.cli import main
from engine.client.session import Program
from tests.scripted_master import (
    HOLD,
    Reply,
    ScriptedMaster,
    a_closed_port,
    a_job,
    a_worker,
    calculate,
    failed,
    problem,
    running,
)

NO_SETTINGS = dict.fromkeys(("EXECUTOR_MASTER", "NO_COLOR", "FORCE_COLOR", "COLUMNS"))


def client(url: str, *args: str, stdin: bytes | None = None, **env: str) -> Result:
    """Return what `client.py` prints and exits with, speaking to the master at `url`."""
    settings: dict[str, str | None] = NO_SETTINGS | {"EXECUTOR_MASTER": url} | env
    return CliRunner().invoke(main, args, input=stdin, env=settings, prog_name="client.py")


def having(master: ScriptedMaster, *jobs: dict[str, object]) -> str:
    """Script a master that takes one task, shows `jobs` as it goes on; return its address."""
    master.script("POST /submit", Reply({"job_id": 47, "finished": False}))
    master.script("GET /jobs", Reply([{"task": "1+1"} | jobs[0]]))
    master.script("GET /job/47", *(Reply(job) for job in jobs))
    return master.url


# --- submit: the answer and nothing else on stdout ---


@pytest.mark.parametrize(
    "answer", [-2.5, 2, 0, -0.0, 0.1, 1e16, 5e-324, 2**53 + 1, -(10**4299), 3.0]
)
def test_submit_prints_only_the_answer_exactly(master: ScriptedMaster, answer: float) -> None:
    """As Python writes it, to the bit and the type."""
    result = client(having(master, a_job(47, answer)), "submit", "1+1")
    assert (result.stdout, result.exit_code) == (f"{answer!r}\n", 0)
    assert result.stderr == "job 47 submitted\n"


def test_submit_asks_again_until_the_job_has_finished(master: ScriptedMaster) -> None:
    """--poll-interval is how often."""
    url = having(master, running(), running(), a_job(47, 2))
    result = client(url, "submit", "1+1", "--poll-interval", "0.001")
    assert (result.stdout, result.exit_code) == ("2\n", 0)


def test_submit_waits_on_the_master_if_asked_to(master: ScriptedMaster) -> None:
    """--wait is in the query of what is asked."""
    url = having(master, running(), a_job(47, 2))
    assert client(url, "submit", "1+1", "--wait", "--poll-interval", "0.001").stdout == "2\n"
    assert "wait" in master.asked_for("GET /job/47")[0].query


def test_an_expression_may_begin_with_a_minus(master: ScriptedMaster) -> None:
    """And is submitted as it was typed."""
    assert client(having(master, a_job(47, 2)), "submit", "-.5", "--wait").exit_code == 0
    assert [asked.body["task"] for asked in master.asked_for("POST /submit")] == ["-.5"]


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["1+1", "2+2"],
        ["1+1", "--file", "F"],
        ["1+1", "--timeout", "-1"],
        ["1+1", "--timeout", "0"],
        ["1+1", "--poll-interval", "0"],
        ["--file", "no such file"],
        ["1+1", "--master", "ftp://x"],
        ["1+1", "--wiat"],
        ["1+1", "--color", "pink"],
        ["1+\udcff1"],
    ],
)
def test_wrong_usage_exits_with_2_and_asks_nothing(master: ScriptedMaster, args: list[str]) -> None:
    """The sentence says what is wrong."""
    result = client(master.url, "submit", *args)
    assert (result.exit_code, result.stdout, master.asked) == (2, "", [])
    assert "Error: " in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["submit", "1+1", "--timeout", "nan"],
        ["wait", "47", "--poll-interval", "nan"],
        ["top", "--count", "1", "--interval", "NaN"],
    ],
)
def test_a_time_that_is_no_number_is_wrong_usage(master: ScriptedMaster, args: list[str]) -> None:
    """Whatever would be compared with it would be false."""
    result = client(master.url, *args)
    assert (result.exit_code, result.stdout, master.asked) == (2, "", [])
    assert "give seconds, like 5 or 0.5" in result.stderr


def test_stdin_is_read_only_when_asked_for(master: ScriptedMaster) -> None:
    """A script that runs the client in a loop keeps its own input."""
    assert client(master.url, "submit", stdin=b"1+1\n").exit_code == 2


# --- how it ends ---


def test_a_failed_job_exits_with_1_and_says_why(master: ScriptedMaster) -> None:
    """Nothing is on stdout that could be taken for an answer."""
    result = client(having(master, failed()), "submit", "1/0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "job 47 failed: division_by_zero: '/' at column 2" in result.stderr


def test_a_refused_expression_exits_with_2_and_a_caret_below_the_column(
    master: ScriptedMaster,
) -> None:
    """The master's sentence, the expression, and where it is wrong."""
    refusal = problem(400, "invalid_expression", "unexpected ')' at column 8", column=8)
    master.script("POST /submit", refusal)
    result = client(master.url, "submit", "1+(2*3))")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: unexpected ')' at column 8\n  1+(2*3))\n         ^\n"


def test_a_master_out_of_reach_exits_with_3_and_says_what_to_do() -> None:
    """Start one, or name another."""
    result = client(a_closed_port(), "submit", "1+1")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "make run" in result.stderr
    assert "`python master.py` and `python worker.py`" in result.stderr
    assert "--master URL" in result.stderr


def test_something_else_at_the_address_exits_with_3(master: ScriptedMaster) -> None:
    """A web server answers everything, but not as a master does."""
    page = b"<html>welcome</html>"
    for reply in (Reply(page), Reply(page, 404), Reply(page, 302), Reply(page, 502)):
        master.script("POST /submit", reply)
        result = client(master.url, "submit", "1+1")
        assert result.exit_code == 3
        assert master.url in result.stderr


@pytest.mark.parametrize("command", ["status", "wait", "cancel", "tree", "why"])
def test_an_unknown_job_exits_with_4(master: ScriptedMaster, command: str) -> None:
    """Whatever was to be done with it."""
    unknown = problem(404, "job_not_found", "no job has the id 99")
    for path in ("GET /job/99", "DELETE /job/99", "GET /job/99/operations", "GET /job/99/why"):
        master.script(path, unknown)
    result = client(master.url, command, "99")
    assert (result.exit_code, result.stdout.strip()) == (4, "")
    assert "no job has the id 99" in result.stderr


def test_a_timeout_exits_with_5_and_says_how_to_resume(master: ScriptedMaster) -> None:
    """The job goes on, so its answer can still be had."""
    url = having(master, running())
    result = client(url, "wait", "47", "--poll-interval", "0.001", "--timeout", "0.2")
    assert (result.exit_code, result.stdout) == (5, "")
    assert f"client.py --master {url} wait 47" in result.stderr


def test_a_timeout_tells_what_the_job_waits_for(master: ScriptedMaster) -> None:
    """In the master's words, and with nothing in them that moves the cursor."""
    url = having(master, running())
    told = {"job_id": 47, "state": "waiting_for_worker", "sentences": ["no worker\x1b lives"]}
    master.script("GET /job/47/why", Reply(told))
    lines = client(url, "wait", "47", "--timeout", "0.2", "-q").stderr.splitlines()
    assert lines[:2] == ["error: not finished within 0.2 s", "job 47: no worker\ufffd lives"]


def test_a_timeout_ends_a_request_that_is_not_answered(master: ScriptedMaster) -> None:
    """There is no job to come back to then, but there may be one all the same."""
    master.script("POST /submit", HOLD)
    for options in ([], ["--wait"]):
        result = client(master.url, "submit", "1+1", "--timeout", "0.05", *options)
        assert result.exit_code == 5
        assert result.stderr.splitlines()[1:] == [
            f"it may have been submitted; to see:  client.py --master {master.url} jobs"
        ]


def test_a_timeout_ends_the_patience_with_a_busy_master(master: ScriptedMaster) -> None:
    """Without it the client would wait for its turn for ever."""
    master.script("POST /submit", problem(503, "overloaded", "too much to do", retry_after=60))
    result = client(master.url, "submit", "1+1", "--timeout", "0.05")
    assert result.exit_code == 5
    assert "the master is busy (too much to do); asking again" in result.stderr


def test_the_master_of_the_command_line_beats_the_one_of_the_environment(
    master: ScriptedMaster,
) -> None:
    """Before the command's name and behind it, with and without http://."""
    url = having(master, a_job(47, 2))
    for args in (
        ("--master", url, "status", "47"),
        ("status", "47", "--master", url.removeprefix("http://")),
    ):
        assert client(a_closed_port(), *args).exit_code == 0


def test_a_bad_master_of_the_environment_is_told_as_such(master: ScriptedMaster) -> None:
    """It is in the way of nothing that does not need it."""
    bad = "ftp://x"
    result = client(bad, "status", "47")
    assert result.exit_code == 2
    assert "Error: EXECUTOR_MASTER: 'ftp://x' is no address of a master" in result.stderr
    url = having(master, a_job(47, 2))
    for args in (
        ("--master", url, "status", "47"),
        ("status", "47", "--master", url),
        ("completion", "bash"),
        ("-h",),
    ):
        assert client(bad, *args).exit_code == 0


def test_quiet_says_nothing_but_errors(master: ScriptedMaster) -> None:
    """What goes well needs no words."""
    assert client(having(master, a_job(47, 2)), "submit", "1+1", "-q").stderr == ""
    assert "division_by_zero" in client(having(master, failed()), "submit", "1+1", "-q").stderr


def test_json_is_what_the_master_says(master: ScriptedMaster) -> None:
    """A line for the job, also when it failed."""
    result = client(having(master, failed()), "submit", "1/0", "--json")
    assert json.loads(result.stdout) == failed()
    assert result.exit_code == 1


@pytest.mark.parametrize("where", [{"column": 2}, {}])
def test_json_has_a_line_for_a_refused_expression_too(
    master: ScriptedMaster, where: dict[str, int]
) -> None:
    """As it has for each of many."""
    refusal = problem(400, "invalid_expression", "unexpected '!'", **where)
    master.script("POST /submit", refusal)
    result = client(master.url, "submit", "2!", "--json")
    told = {"answer": None, "error": "invalid_expression", "detail": "unexpected '!'"}
    assert (json.loads(result.stdout), result.exit_code) == (told | where, 2)
    assert "unexpected '!'" in result.stderr


# --- many lines ---


def test_a_file_is_answered_line_by_line(master: ScriptedMaster, tmp_path: Path) -> None:
    """Line n of stdout belongs to line n of the file, whatever became of it."""
    calculate(master)
    file = tmp_path / "F"
    file.write_text("1+1\n\n2!\n1/0\n-7/2\n")
    result = client(master.url, "submit", "--file", str(file))
    assert result.stdout == "2\n\n\n\n-3.5\n"
    assert "line 3: unexpected '!'\n  2!\n   ^\n" in result.stderr
    assert "line 4: job 2 failed: division_by_zero" in result.stderr


@pytest.mark.parametrize(
    ("lines", "code"), [(b"1\n2\n", 0), (b"1\n1/0\n", 1), (b"1/0\n2!\n", 2), (b"", 0), (b"\n", 0)]
)
def test_the_worst_line_decides_the_exit_code(
    master: ScriptedMaster, lines: bytes, code: int
) -> None:
    """A refused line is worse than a failed one: the file is wrong."""
    calculate(master)
    assert client(master.url, "submit", "-", stdin=lines).exit_code == code


def test_lines_as_json_name_their_line(master: ScriptedMaster) -> None:
    """Blank lines have nothing to say."""
    calculate(master)
    result = client(master.url, "submit", "-", "--json", stdin=b"1+1\n\n2!\n1/0\n")
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert first == {"line": 1, "job_id": 1, "finished": True, "answer": 2}
    assert (second["line"], second["error"], second["column"]) == (3, "invalid_expression", 2)
    assert (third["line"], third["error"]) == (4, "division_by_zero")


def test_a_line_that_is_no_utf8_exits_with_2_after_the_answers_before_it(
    master: ScriptedMaster,
) -> None:
    """It is told by its number."""
    calculate(master)
    result = client(master.url, "submit", "-", stdin=b"1+1\n\xff\n")
    assert (result.exit_code, result.stdout) == (2, "2\n")
    assert "line 2 is not UTF-8" in result.stderr
    assert "lines from 2 on were not submitted" in result.stderr


# --- inspect and steer ---


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (running(), "47\tunfinished\n"),
        (a_job(47, 0), "47\tsucceeded\t0\n"),
        (failed(), "47\tfailed\tdivision_by_zero: '/' at column 2: the divisor is zero\n"),
    ],
)
def test_status_shows_the_job_as_it_is(
    master: ScriptedMaster, job: dict[str, object], line: str
) -> None:
    """Without waiting, and with exit code 0: the question was answered."""
    result = client(having(master, job), "status", "47")
    assert (result.stdout, result.exit_code) == (line, 0)


def test_wait_prints_answers_in_the_order_of_its_arguments(master: ScriptedMaster) -> None:
    """Single jobs and ranges; one that failed makes it 1."""
    for job in (a_job(1, 1), a_job(2, 2), failed(3), a_job(9, 9)):
        master.script(f"GET /job/{job['job_id']}", Reply(job))
    result = client(master.url, "wait", "9", "1-3")
    assert (result.stdout, result.exit_code) == ("9\n1\n2\n\n", 1)
    assert "job 3 failed" in result.stderr


def test_jobs_the_wrong_way_round_are_wrong_usage(master: ScriptedMaster) -> None:
    """Exit code 2, and the master is asked nothing."""
    result = client(master.url, "wait", "9-5")
    assert (result.stdout, result.exit_code) == ("", 2)
    assert "write 5-9" in result.stderr
    assert master.asked == []


def test_wait_goes_on_after_a_job_that_there_is_not(master: ScriptedMaster) -> None:
    """Its line is empty, so that line n belongs to the n-th job; in JSON it says why."""
    for job in (a_job(1, 1), a_job(2, 2)):
        master.script(f"GET /job/{job['job_id']}", Reply(job))
    master.script("GET /job/3", problem(404, "job_not_found", "no job has the id 3"))
    result = client(master.url, "wait", "1", "3", "2")
    assert (result.stdout, result.exit_code) == ("1\n\n2\n", 4)
    assert result.stderr == "error: no job has the id 3\n"
    lines = client(master.url, "wait", "2-9", "1", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        a_job(2, 2),
        {"job_id": 3, "answer": None, "error": "job_not_found", "detail": "no job has the id 3"},
        a_job(1, 1),
    ]


def test_jobs_are_fields_between_tabs_where_no_terminal_is(master: ScriptedMaster) -> None:
    """And nothing in a task can move the cursor or add a field."""
    listed = [a_job(2, 0.5) | {"task": "1\t/\x1b2"}, running(1) | {"task": "1"}]
    master.script("GET /jobs", Reply(listed))
    result = client(master.url, "jobs", "--limit", "2", "--before", "3", "--status", "failed")
    assert result.stdout == "2\tsucceeded\t0.5\t1\ufffd/\ufffd2\n1\tunfinished\t\t1\n"
    assert master.asked[0].query == {"limit": "2", "before": "3", "status": "failed"}


def test_jobs_say_how_to_see_older_ones(master: ScriptedMaster) -> None:
    """A full page has probably another one behind it."""
    master.script("GET /jobs", Reply([a_job(7, 1) | {"task": "1"}]))
    assert "jobs --before 7" in client(master.url, "jobs", "--limit", "1").stderr


def test_cancel_tells_what_became_of_the_job(master: ScriptedMaster) -> None:
    """One that had finished before is not cancelled, and that is said."""
    cancelled = a_job(47, error="cancelled", detail="as a client asked")
    master.script("DELETE /job/47", Reply(cancelled), Reply(a_job(47, 2)))
    assert client(master.url, "cancel", "47").exit_code == 0
    late = client(master.url, "cancel", "47")
    assert (late.exit_code, late.stdout) == (1, "47\tsucceeded\t2\n")
    assert "had finished already" in late.stderr


def test_tree_shows_the_operations(master: ScriptedMaster) -> None:
    """And says when it shows only a part of them."""
    operation = {"index": 0, "operation": "sum", "op1": 1, "op2": 1, "result": 2, "column": 2}
    job = {"job_id": 47, "task": "1+1", "total": 9, "shown": 1, "operations": [operation]}
    master.script("GET /job/47/operations", Reply(job))
    result = client(master.url, "tree", "47")
    assert result.stdout == "1+1\n└── sum(1, 1) = 2 · column 2\n"
    assert result.stderr == "1 of 9 operations are shown\n"


def test_why_prints_the_masters_sentences(master: ScriptedMaster) -> None:
    """A line each."""
    told = {"job_id": 47, "state": "unfinished", "sentences": ["no worker takes mul", "it waits"]}
    master.script("GET /job/47/why", Reply(told))
    assert client(master.url, "why", "47").stdout == "no worker takes mul\nit waits\n"


@pytest.mark.parametrize("command", ["tree", "why"])
def test_a_master_that_cannot_tell_is_told_from_an_unknown_job(
    master: ScriptedMaster, command: str
) -> None:
    """The fixed contract has no such path."""
    result = client(master.url, command, "47")
    assert result.exit_code == 2
    assert "older than this client" in result.stderr


def test_a_master_that_fails_is_not_taken_for_an_older_one(master: ScriptedMaster) -> None:
    """Its own words say more."""
    master.script("GET /job/47/why", problem(500, "internal_error", "that should not happen"))
    result = client(master.url, "why", "47")
    assert result.exit_code == 3
    assert "that should not happen" in result.stderr


def test_workers_are_a_line_each(master: ScriptedMaster) -> None:
    """With the reason behind a state that needs one."""
    rejected = a_worker("w2", state="rejected", reason="7/2 was 3")
    master.script("GET /workers", Reply([a_worker(), rejected]))
    first, second = client(master.url, "workers").stdout.splitlines()
    assert first.split("\t")[:6] == ["w1", "live", "mul,sum", "1", "12", "0"]
    assert second.split("\t")[:2] == ["w2", "rejected (7/2 was 3)"]


def test_items_as_json_are_a_line_each(master: ScriptedMaster) -> None:
    """With all that the master says of them."""
    master.script("GET /workers", Reply([a_worker("w1"), a_worker("w2")]))
    lines = client(master.url, "workers", "--json").stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert [each | a_worker(each["name"]) for each in told] == told
    assert [each["name"] for each in told] == ["w1", "w2"]


def test_top_shows_the_pool_and_the_queue(master: ScriptedMaster) -> None:
    """The rate is what was done between two looks."""
    master.script("GET /workers", Reply([a_worker(), a_worker("w2", state="dead")]))
    master.script("GET /jobs", Reply([running() | {"task": "1+1"}]))
    samples = "executor_queue_operations 12\nexecutor_queue_oldest_seconds 0.4\n"
    counted = 'executor_operations_total{operation="sum"} %d\n'
    master.script(
        "GET /metrics",
        Reply((samples + counted % 5).encode()),
        Reply((samples + counted % 5).encode()),
    )
    result = client(master.url, "top", "--count", "2", "--interval", "0.001")
    assert "1 of 2 workers live · 12 operations queued · oldest waits 400 ms" in result.stdout
    assert "12 operations queued · 0 operations/s · oldest waits" in result.stdout
    assert "unfinished" in result.stdout


def test_top_does_without_metrics(master: ScriptedMaster) -> None:
    """An older master has none."""
    master.script("GET /workers", Reply([]))
    master.script("GET /jobs", Reply([]))
    result = client(master.url, "top", "--count", "1")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "0 of 0 workers live")


def test_what_is_no_terminal_loses_nothing(master: ScriptedMaster) -> None:
    """Neither to its width, which it does not have, nor to its colours."""
    url = "http://" + "x" * 300
    master.script("GET /workers", Reply([a_worker(url=url, operations=["mul"] * 50)]))
    master.script("GET /jobs", Reply([running() | {"task": "1+" * 200}]))
    for color in ("auto", "always"):
        for command in (["top", "--count", "1"], ["workers"]):
            shown = client(master.url, *command, "--color", color, COLUMNS="80").stdout
            assert url in shown
            assert ",".join(["mul"] * 50) in shown
        assert "1+" * 200 in client(master.url, "top", "--count", "1", "--color", color).stdout
        listed = client(master.url, "jobs", "--color", color).stdout
        assert listed == f"47\tunfinished\t\t{'1+' * 200}\n"


def test_top_as_json_is_a_line_for_each_look(master: ScriptedMaster) -> None:
    """With the pool, the queue and the metrics."""
    master.script("GET /workers", Reply([a_worker()]))
    master.script("GET /jobs", Reply([]))
    result = client(master.url, "top", "--count", "2", "--interval", "0.001", "--json")
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert [look["pool"][0]["name"] for look in looks] == ["w1", "w1"]


# --- the rest ---


def test_ctrl_c_before_a_command_runs_is_quiet() -> None:
    """And no job has failed."""

    @click.command(cls=Program, invoke_without_command=True)
    def interrupted() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(interrupted, [])
    assert (result.exit_code, result.output) == (130, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    """It asks the program itself what fits."""
    result = client("", "completion", shell)
    assert result.exit_code == 0
    assert "_CLIENT_PY_COMPLETE" in result.stdout


def test_completion_says_for_which_calls_it_is() -> None:
    """Most of the pages call the program in another way."""
    assert "./client.py" in client("", "completion", "-h").stdout


def test_the_version_is_the_engines() -> None:
    """And nothing else is on the line."""
    assert client("", "--version").stdout == f"{engine.__version__}\n"


def test_every_command_explains_itself() -> None:
    """-h works everywhere."""
    for name in main.commands:
        result = client("", name, "-h")
        assert (result.exit_code, result.stdout[:6]) == (0, "Usage:")


def test_help_and_page_name_every_exit_code() -> None:
    """Scripts go by them."""
    page = (Path(__file__).parents[3] / "docs/using.md").read_text()
    codes = {
        session.ANSWERED,
        session.FAILED,
        session.REFUSED,
        session.OUT_OF_REACH,
        session.UNKNOWN_JOB,
        session.TIMED_OUT,
        session.UNWRITABLE,
        session.INTERRUPTED,
        session.PIPE_CLOSED,
    }
    for told in (page, client("", "-h").stdout):
        _, _, listed = " ".join(told.split()).partition("Exit codes: ")
        named = re.findall(r"(\d+) ", listed.partition(".")[0])
        assert {int(code) for code in named} == codes


def test_help_has_a_whole_sentence_for_every_command() -> None:
    """None is cut where the line ends."""
    _, _, listed = client("", "-h").stdout.partition("Commands:\n")
    lines = listed.splitlines()
    assert [line.split()[0] for line in lines] == sorted(main.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


@pytest.mark.parametrize(
    ("color", "env", "coloured"),
    [
        ("always", {}, True),
        ("always", {"NO_COLOR": "1"}, True),
        ("auto", {}, False),
        ("never", {"FORCE_COLOR": "1"}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_terminals_unless_asked_otherwise(
    master: ScriptedMaster, color: str, env: dict[str, str], coloured: bool
) -> None:
    """--color is the strongest word, then NO_COLOR."""
    result = client(having(master, failed()), "submit", "1/0", "--color", color, stdin=None, **env)
    assert ("\x1b[1;31m" in result.stderr or "\x1b[31m" in result.stderr) == coloured
