"""Faults that only root can bring about: a full disk, and the kernel's view of a commit.

`tests/chaos/run` runs these, and installs what they need; `make test` does not.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.client.errors import ApiError
from engine.store.database import FILE
from tests.chaos.processes import MIB, a_cluster, submit, wrong_answers
from tests.chaos.test_processes import until_refused

pytestmark = pytest.mark.gen_test


def stop_child_of(tracer: int) -> None:
    """Stop the process that a strace has started: a strace that is stopped leaves it running."""
    (child,) = Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
    os.kill(int(child), signal.SIGTERM)


async def test_15_what_is_answered_was_synced_before(tmp_path: Path) -> None:
    """Seen by the kernel: the disk has confirmed the WAL before the first byte of the answer."""
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,recvfrom,sendto"
    strace = ("strace", "-f", "-y", "-o", str(trace), "-e", calls, "-s", "32")
    async with a_cluster(0, "--data", str(tmp_path / "data"), under=strace) as (cluster, client):
        await client.submit("1+1")
        stop_child_of(cluster.master.pid)
    lines = trace.read_text().splitlines()
    asked = next(at for at, line in enumerate(lines) if "POST /submit" in line)
    answered = next(at for at, line in enumerate(lines) if at > asked and "HTTP/1.1 200 OK" in line)
    between = "\n".join(lines[asked:answered])
    assert re.search(rf"fdatasync\(\d+<.*{re.escape(FILE)}-wal>", between), between
    assert re.search(r"fdatasync.*= 0$", between, re.MULTILINE), between  # and it had come back


@contextmanager
def a_small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """Mount a file system of a few MiB."""
    size = f"size={mib}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_16_on_a_full_disk_submits_are_refused_and_taken_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    """Nothing that was acknowledged is lost by it, and the master goes on meanwhile."""
    with a_small_disk(tmp_path, 4) as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(3 * MIB))
        async with a_cluster(0, "--data", str(disk)) as (cluster, client):
            jobs, refusal = await until_refused(client, 100)
            assert isinstance(refusal, ApiError)
            assert (refusal.status, refusal.code) == (503, "storage_unavailable")
            assert refusal.retry_after_s
            assert "full" in refusal.detail
            assert len(await client.jobs()) == 100
            filler.unlink()
            jobs |= await submit(client, ["1+1"])
            cluster.start_worker()
            assert await wrong_answers(client, jobs) == []
