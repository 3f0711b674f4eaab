"""A master and its workers as processes of this machine: the demo, `make run`, tests, benchmarks.

Ports are free ones unless told otherwise. Whatever is started here is stopped here, in the order
workers first, so that each takes leave of a master that still listens.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import Self

from deploy.ports import held_port

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class StartFailed(RuntimeError):
    """Raised when a process ended before it listened; `code` is what it ended with."""

    def __init__(self, detail: str, code: int) -> None:
        super().__init__(detail)
        self.code = code


class Process:
    """One program of ours, whose stderr is read for the line that says where it listens."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        echo: bool = False,
        *,
        crash_at: str = "",
        under: Sequence[str] = (),
    ) -> None:
        """Start `program` and return when it listens; `under` is a command that runs it."""
        self._echo = echo
        self._lines: Queue[str | None] = Queue()
        self.seen: list[str] = []  # what it has written, for whoever wants to know why
        environment = {key: v for key, v in os.environ.items() if not key.startswith("EXECUTOR_")}
        if crash_at:
            environment["EXECUTOR_CRASH_AT"] = crash_at  # see engine/crashpoints.py
        self.popen = subprocess.Popen(  # noqa: S603  # our own programs
            [*under, sys.executable, str(ROOT / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.said(r"listening on (http://\S+)")[1]

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def _read(self) -> None:
        assert self.popen.stderr is not None  # noqa: S101  # PIPE was asked for
        with self.popen.stderr as lines:
            for line in lines:
                self.seen.append(line)
                if self._echo:
                    sys.stderr.write(line)
                self._lines.put(line)
        self._lines.put(None)

    def said(self, pattern: str) -> re.Match[str]:
        """Wait for the next line of stderr in which `pattern` is found; return what was found.

        Raises `StartFailed` when it has ended, and `queue.Empty` when it says nothing for long.
        """
        while True:
            line = self._lines.get(timeout=START_TIMEOUT_S)
            if line is None:
                code = self.popen.wait()
                raise StartFailed("".join(self.seen) or "it ended without a word", code)
            found = re.search(pattern, line)
            if found:
                return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended already."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> int:
        """Ask it to end, wait until it has, and return its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.popen.returncode


class LocalCluster:
    """A master and any number of workers; a context manager that stops what it started."""

    master_program = "master.py"

    def __init__(
        self,
        workers: int = 3,
        master_arguments: Iterable[str] = (),
        worker_arguments: Iterable[str] = (),
        *,
        port: int = 0,
        echo: bool = False,
    ) -> None:
        self._arguments = tuple(master_arguments)
        self._worker_arguments = tuple(worker_arguments)
        self._port = port
        self._held = ExitStack()  # the master's port, while there is no master
        self._echo = echo
        self._wanted = workers
        self.workers: list[Process] = []
        self.master: Process

    def __enter__(self) -> Self:
        """Start all, and return once each of them listens."""
        try:
            self.start_master()
            for _ in range(self._wanted):
                self.start_worker(*self._worker_arguments)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all."""
        self.stop()

    @property
    def url(self) -> str:
        """The master's public address."""
        return self.master.url

    def start_master(self, crash_at: str = "", under: Sequence[str] = ()) -> Process:
        """Start the master, always at the same port.

        With `crash_at` it dies at a crash point; if that comes before it listens, `StartFailed`.
        `under` is a command that runs it, as `prlimit` does.
        """
        self._port = self._port or self._held.enter_context(held_port())
        self.master = Process(
            self.master_program,
            ["--port", str(self._port), "--config", "config/local.yaml", *self._arguments],
            self._echo,
            crash_at=crash_at,
            under=under,
        )
        return self.master

    def start_worker(self, *arguments: str) -> Process:
        """Start one more worker."""
        worker = Process(
            "worker.py",
            [
                "--master",
                self.url,
                "--port",
                "0",
                "--config",
                "config/local.yaml",
                *arguments,
            ],
            self._echo,
        )
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        """Stop the workers, all at once, then the master."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        for process in (*self.workers, getattr(self, "master", None)):
            if process is not None:
                process.signal(signal.SIGCONT)
                process.stop()
        self._held.close()


def demo(task: str, workers: int) -> int:
    """Start all, submit `task` with the client, print its answer as the last line, stop all."""
    try:
        return _demo(task, workers)
    except KeyboardInterrupt:
        print("interrupted: master and workers are stopped, and the job is gone", file=sys.stderr)
        return INTERRUPTED


def _demo(task: str, workers: int) -> int:
    with tempfile.TemporaryDirectory() as data, LocalCluster(workers, ["--data", data]) as cluster:
        print(f"master at {cluster.url}, {workers} workers; submitting {task}", flush=True)
        client = [sys.executable, str(ROOT / "client.py"), "--master", cluster.url]
        # In a session of its own Ctrl-C does not reach it: it would say how to come back to a job
        # whose master is being stopped.
        return subprocess.run(  # noqa: S603  # our own client
            [*client, "submit", "--wait", task], check=False, start_new_session=True
        ).returncode


def run(workers: int, port: int, data: str) -> int:
    """Start all and leave them running until Ctrl-C."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with LocalCluster(workers, ["--data", data], port=port, echo=True) as cluster:
        print(f"ready: python client.py --master {cluster.url} submit '1+(2*3)/4-5'", flush=True)
        stopped.wait()
    return 0


def main() -> int:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--data", default="data")
    parser.add_argument("--demo", metavar="TASK")
    arguments = parser.parse_args()
    try:
        if arguments.demo is not None:
            return demo(arguments.demo, arguments.workers)
        return run(arguments.workers, arguments.port, arguments.data)
    except StartFailed as error:
        if arguments.demo is not None:
            told = f"could not start: {error}"
        else:  # the program's own words are there already
            told = "could not start; another port and folder: make run PORT=8081 DATA=data-8081"
        print(told, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
