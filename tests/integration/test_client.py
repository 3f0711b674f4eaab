"""The client at a real master with real workers: what a person sees at the very end."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from deploy.local import LocalCluster
from tests.expressions import oracle, random_expression

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Give the tests a master and two workers."""
    with LocalCluster(2, ["--data", ""]) as running:
        yield running


def client(
    cluster: LocalCluster, *args: str, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Return what `client.py` did at the cluster's master."""
    return subprocess.run(
        [sys.executable, str(ROOT / "client.py"), "--master", cluster.url, *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_submit_prints_the_answer(cluster: LocalCluster) -> None:
    """The example of the contract, by polling and by waiting."""
    for options in ([], ["--wait"]):
        result = client(cluster, "submit", "1+(2*3)/4-5", *options)
        assert (result.stdout, result.returncode) == ("-2.5\n", 0)


def test_a_file_of_expressions_is_answered_as_python_would(cluster: LocalCluster) -> None:
    """In the order of its lines, to the bit, over several requests."""
    random = Random(7)
    tasks = [random_expression(random) for _ in range(2_500)]
    lines = client(cluster, "submit", "-", "--json", stdin="\n".join(tasks)).stdout.splitlines()
    assert len(lines) == len(tasks)
    for number, (task, line) in enumerate(zip(tasks, lines, strict=True), 1):
        told = json.loads(line)
        expected = oracle(task)
        got = told["error"] if isinstance(expected, str) else told["answer"]
        assert (told["line"], repr(got)) == (number, repr(expected))


def test_a_refused_expression_has_its_caret_where_the_master_says(cluster: LocalCluster) -> None:
    """The column is the master's, counted from 1."""
    result = client(cluster, "submit", "1+(2*3))")
    assert result.returncode == 2
    assert result.stderr.endswith("\n  1+(2*3))\n         ^\n")


def test_a_failed_job_says_where(cluster: LocalCluster) -> None:
    """With the code and the sentence of the master."""
    result = client(cluster, "submit", "1/(2-2)", "--wait")
    assert (result.returncode, result.stdout) == (1, "")
    assert "division_by_zero" in result.stderr


def test_jobs_can_be_looked_at_and_steered(cluster: LocalCluster) -> None:
    """By the number that submit told."""
    submitted = client(cluster, "submit", "6*7", "--wait")
    (job_id,) = re.findall(r"job (\d+) submitted", submitted.stderr)
    assert client(cluster, "status", job_id).stdout == f"{job_id}\tsucceeded\t42\n"
    assert client(cluster, "wait", job_id).stdout == "42\n"
    assert client(cluster, "jobs", "--limit", "1").stdout == f"{job_id}\tsucceeded\t42\t6*7\n"
    assert client(cluster, "cancel", job_id).returncode == 1
    assert client(cluster, "status", "999999").returncode == 4


def test_both_workers_are_listed(cluster: LocalCluster) -> None:
    """As live."""
    lines = client(cluster, "workers").stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["live", "live"]


def test_a_client_that_waits_outlives_a_master_that_is_killed(tmp_path: Path) -> None:
    """The restarted master knows the job, and the client has not given up."""
    with LocalCluster(0, ["--data", str(tmp_path)]) as cluster:
        command = [sys.executable, str(ROOT / "client.py"), "--master", cluster.url]
        with subprocess.Popen(
            [*command, "submit", "6*7", "--wait"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "job 1 submitted\n"
            cluster.master.kill()
            assert process.stderr.readline().endswith("; asking again\n")
            cluster.start_master()
            cluster.start_worker()
            out, _ = process.communicate()
    assert (process.returncode, out) == (0, "42\n")


def test_a_client_that_waits_outlives_a_master_that_is_restarted(tmp_path: Path) -> None:
    """It is answered before the old one goes, and asks the new one."""
    with LocalCluster(0, ["--data", str(tmp_path)]) as cluster:
        command = [sys.executable, str(ROOT / "client.py"), "--master", cluster.url]
        with subprocess.Popen(
            [*command, "submit", "6*7", "--wait", "--poll-interval", "0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "job 1 submitted\n"
            assert cluster.master.stop() == 0
            cluster.start_master()
            cluster.start_worker()
            out, _ = process.communicate()
    assert (process.returncode, out) == (0, "42\n")
