"""Compare with other engines: `python -m bench.peers`, or `make bench-peers`.

Every contender is a process of its own with three workers, started once. First all its ways are
tried on each scenario; the quickest one that gives right answers is taken. Then the contenders
take turns, round by round, so that a machine that is slower now is slower for all. What is said
is the median of the rounds, and how many times ours it is.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.expressions import Task, float_chain, small_jobs
from bench.figures import median_ratio, shown
from bench.peers.redis_server import redis_server
from bench.run import leave_in_order, machine

ROOT = Path(__file__).resolve().parents[2]
SEED = 47
OURS = "this engine"


class Scenario(NamedTuple):
    """What all are asked to do, `times` times, and how the seconds of one time are told."""

    what: str
    tasks: list[Task]
    times: int
    unit: str
    figure: Callable[[float], float]
    more_is_better: bool


class Peer(NamedTuple):
    """How a contender is started."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()


PEERS = [
    Peer(OURS, "bench.peers.ours"),
    Peer(
        f"{OURS}, operation by operation",
        "bench.peers.ours",
        ("jobs.chain_from=0", "dispatch.fuse_from=0"),
    ),
    Peer("Dask", "bench.peers.dask_peer"),
    Peer("Ray", "bench.peers.ray_peer"),
    Peer("Celery + Redis", "bench.peers.celery_peer"),
    Peer("Dramatiq + Redis", "bench.peers.dramatiq_peer"),
]


class Failed(Exception):
    """Raised when a contender cannot do what it was asked, or gives a wrong answer."""


class Contender:
    """A running contender."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self.name = name
        self._process = process
        self.ways: list[str] = self._reply()["ways"]

    def took_s(self, way: str, scenario: Scenario) -> float:
        """Do the scenario one way; return the median seconds of its times. Raises `Failed`."""
        return median(self._once(way, scenario.tasks) for _ in range(scenario.times))

    def _once(self, way: str, tasks: list[Task]) -> float:
        assert self._process.stdin is not None  # noqa: S101  # PIPE was asked for
        asked = {"way": way, "tasks": [task.text for task in tasks]}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        reply = self._reply()
        if "failed" in reply:
            raise Failed(reply["failed"])
        if repr(reply["answers"]) != repr([task.answer for task in tasks]):
            raise Failed("a wrong answer")
        return float(reply["took_s"])

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101  # PIPE was asked for
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended; its log tells why")
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextmanager
def contender(peer: Peer, python: str, logs: Path, redis_url: str) -> Iterator[Contender]:
    """Run a contender, whose stderr goes to a file in `logs`."""
    log_path = logs / f"{peer.name}.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [python, "-m", peer.module, *peer.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PEERS_REDIS": redis_url},
            start_new_session=True,
        )
    try:
        yield Contender(peer.name, process)
    except RuntimeError:
        print(log_path.read_text()[-2000:], file=sys.stderr)
        raise
    finally:
        _end(process)


def _end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None  # noqa: S101  # PIPE was asked for
    process.stdin.close()  # it leaves when it has nothing more to read
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):  # what it left behind
        os.killpg(process.pid, signal.SIGTERM)


def scenarios(scale: float) -> list[Scenario]:
    """Return what is compared: the same expressions in every run."""
    rng = Random(SEED)
    jobs, links = max(2, int(100 * scale)), max(2, int(1_000 * scale))
    return [
        Scenario(
            f"{jobs} jobs of 10 operations",
            small_jobs(rng, jobs),
            1,
            "operations/s",
            lambda took_s: 10 * jobs / took_s,
            more_is_better=True,
        ),
        Scenario("one operation", [Task("1+1", 2)], 20, "ms", lambda took_s: 1000 * took_s, False),
        Scenario(
            f"a chain of {links} operations on floats",
            [float_chain(rng, links)],
            1,
            "ms",
            lambda took_s: 1000 * took_s,
            False,
        ),
    ]


def best_way(rival: Contender, scenario: Scenario) -> str | None:
    """Try all ways, each twice since the first time may be special; return the quickest."""
    took_s: dict[str, float] = {}
    for way in rival.ways:
        try:
            took_s[way] = min(rival.took_s(way, scenario) for _ in range(2))
        except Failed as failed:
            print(f"  {rival.name}, {way}: cannot: {failed}", file=sys.stderr)
        else:
            print(f"  {rival.name}, {way}: {took_s[way]:.4f} s", file=sys.stderr, flush=True)
    return min(took_s, key=lambda way: took_s[way], default=None)


def compare(rivals: Sequence[Contender], scenario: Scenario, rounds: int) -> list[str]:
    """Let all take turns; return a line of the table for each."""
    print(f"{scenario.what} ...", file=sys.stderr, flush=True)
    ways = {rival: best_way(rival, scenario) for rival in rivals}
    figures: dict[Contender, list[float]] = {rival: [] for rival in rivals}
    for _ in range(rounds):
        for rival, way in ways.items():
            if way is not None:
                figures[rival].append(scenario.figure(rival.took_s(way, scenario)))
    ours = figures[rivals[0]]
    return [_line(scenario, rival, ways[rival], figures[rival], ours) for rival in rivals]


def _line(
    scenario: Scenario, rival: Contender, way: str | None, figures: list[float], ours: list[float]
) -> str:
    if not figures:
        return f"| {scenario.what} | {rival.name} | cannot | | |"
    better, worse = (ours, figures) if scenario.more_is_better else (figures, ours)
    ratio = shown(median_ratio(better, worse))
    figure = shown(median(figures), scenario.unit)
    return f"| {scenario.what} | {rival.name} | {figure} | {ratio} | {way} |"


def main() -> int:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--python", required=True, help="of the environment that has the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    arguments = parser.parse_args()
    leave_in_order()
    print(f"{machine()}\n", flush=True)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        redis_url = stack.enter_context(redis_server(Path(folder)))
        rivals = [
            stack.enter_context(contender(peer, _python(peer, arguments), Path(folder), redis_url))
            for peer in PEERS
        ]
        lines = [
            line
            for scenario in scenarios(arguments.scale)
            for line in compare(rivals, scenario, arguments.rounds)
        ]
    print("| what | engine | figure | ours is better by | way |\n| --- | --- | --- | --- | --- |")
    print("\n".join(lines))
    return 0


def _python(peer: Peer, arguments: argparse.Namespace) -> str:
    return sys.executable if peer.module == "bench.peers.ours" else arguments.python


if __name__ == "__main__":
    sys.exit(main())
