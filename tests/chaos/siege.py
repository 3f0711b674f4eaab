"""Lives of one master, each ended by kill -9, under load and with workers that come and go.

    start, armed or not -> load -> death, at a crash point or at any moment -> post-mortem -> start

At the end a master that nobody kills finishes what was acknowledged, and stops when it is told to.
Processes are real, and so are their signals; chance is a seeded argument, so that a run that finds
something can be run again, as far as real processes repeat themselves.
"""

import asyncio
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from deploy.local import LocalCluster, Process, StartFailed
from engine.client.api import MasterClient
from engine.client.errors import MasterUnreachable
from engine.crashpoints import POINTS, Point
from tests.chaos.ledger import FAULTS, Ledger
from tests.chaos.load import Load
from tests.chaos.postmortem import examine

WORKERS = 3
KILLS_IN_AN_ERA = 50  # lives on one record; then a new one begins, so that records stay small
LIFE_S = 1.0  # of a master that is not armed, at most
PATIENCE_S = 4.0  # with one that is armed; then it is killed where it is
PATIENCE_AT_THE_END_S = 60.0  # a job that takes longer is stuck
KEPT = 200  # finished jobs, where it is tried what forgetting does
EVERYTHING = 10**9

ONLY_FRESH: Point = "recovery.half_migrated"
FORGETTING = frozenset({p for p in POINTS if p.startswith("retention.")})
STOPPING = frozenset({p for p in POINTS if p.startswith(("drain.", "close."))})
STARTING = frozenset({p for p in POINTS if p.startswith("recovery.")})
NEED_A_BACKLOG = frozenset({"recovery.read", "recovery.taken_up"})

Say = Callable[[str], None]


class Report:
    """What a whole run came to."""

    def __init__(self) -> None:
        self.kills = 0
        self.points: Counter[str] = Counter()  # where masters died by themselves
        self.acknowledged = 0
        self.observations = 0
        self.workers_lost = 0
        self.faults: dict[str, list[str]] = {kind: [] for kind in FAULTS}

    def add(self, ledger: Ledger) -> None:
        """Add what a ledger has when its record is done with."""
        self.acknowledged += ledger.acknowledged
        self.observations += ledger.observations
        for kind, sentences in ledger.faults.items():
            self.faults[kind] += sentences

    @property
    def is_clean(self) -> bool:
        """Whether no law was broken."""
        return not any(self.faults.values())

    def __str__(self) -> str:
        """Return the line that sums it up, and the first faults if there are any."""
        counts = ", ".join(f"{kind} {len(found)}" for kind, found in self.faults.items())
        lines = [
            f"{self.kills} kills ({self.points.total()} at {len(self.points)} crash points),"
            f" {self.workers_lost} workers lost, {self.acknowledged} jobs acknowledged,"
            f" {self.observations} observations: {counts}"
        ]
        lines += [f"{kind}: {line}" for kind, found in self.faults.items() for line in found[:5]]
        return "\n".join(lines)


class Era:
    """The lives of a master on one record, with its workers and its clients."""

    def __init__(
        self, data: Path, rng: Random, report: Report, *, forgetting: bool, say: Say
    ) -> None:
        keep = KEPT if forgetting else EVERYTHING
        settings = ["--set", f"jobs.keep={keep}", "--set", "log.level=error"]
        self._cluster = LocalCluster(0, ["--data", str(data), *settings])
        self._data = data
        self._rng = rng
        self._report = report
        self._say = say
        self._ledger = Ledger(KEPT if forgetting else None)
        self._repeats = not forgetting  # a key is forgotten with its job
        self._load: Load | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    async def run(self, lives: Sequence[str]) -> None:
        """Live through all of `lives`, each armed at a point or '', then let all jobs end."""
        try:
            for number, crash_at in enumerate(lives):
                following = lives[number + 1] if number + 1 < len(lives) else ""
                await self._live(crash_at, burst=following in NEED_A_BACKLOG)
            await self._end()
        finally:
            await self._calm_down()
            self._cluster.stop()
            self._report.add(self._ledger)

    # A life

    async def _live(self, crash_at: str, *, burst: bool) -> None:
        try:
            master = await asyncio.to_thread(self._cluster.start_master, crash_at)
        except StartFailed as error:
            self._died(crash_at, error.code, str(error))
            return
        await self._come_to_life()
        if crash_at:
            ended = await self._ends_by_itself(master, crash_at)
        else:
            await asyncio.sleep(self._rng.uniform(0, LIFE_S))
            ended = False
            if burst and self._load is not None:
                await self._load.burst()
        if not ended:
            master.kill()
        self._died(crash_at if ended else "", master.popen.returncode, "".join(master.seen))

    async def _come_to_life(self) -> None:
        if self._load is None:
            for _ in range(WORKERS):
                await asyncio.to_thread(self._cluster.start_worker)
            self._client = MasterClient(self._cluster.url)
            self._load = Load(self._client, self._ledger, self._rng, repeats=self._repeats)
            self._tasks = [
                asyncio.create_task(self._load.run()),
                asyncio.create_task(self._torment()),
            ]
        for task in self._tasks:
            if task.done():
                task.result()  # it goes on until it is told to stop: this raises

    async def _ends_by_itself(self, master: Process, crash_at: str) -> bool:
        if crash_at in STOPPING:
            await asyncio.sleep(self._rng.uniform(0.1, 0.5))
            master.signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(master.popen.wait, PATIENCE_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _died(self, crash_at: str, code: int, said: str) -> None:
        self._report.kills += 1
        if code == -signal.SIGKILL:
            self._report.points.update([crash_at.partition(":")[0]] if crash_at else [])
        else:
            self._ledger.fault("crashed", f"a master ended with {code} (at {crash_at!r}): {said}")
        self._heed(said)
        jobs = examine(self._data, self._ledger)
        self._say(f"life {self._report.kills}: {crash_at or 'kill -9'}, {jobs} jobs on record")

    def _heed(self, said: str) -> None:
        known = ("listening on", "it ended without a word")
        lines = [line for line in said.splitlines() if not any(words in line for words in known)]
        if lines:
            self._ledger.fault("complaint", "\n".join(lines))

    # Workers that come and go

    async def _torment(self) -> None:
        while not await self._is_over_after(self._rng.uniform(0.5, 2)):
            await self._rng.choice([self._kill_one, self._hold_one, self._replace_one])()

    async def _kill_one(self) -> None:
        worker = self._take_one()
        worker.kill()
        await asyncio.to_thread(self._cluster.start_worker)

    async def _replace_one(self) -> None:
        worker = self._take_one()
        if await asyncio.to_thread(worker.stop) != 0:
            self._ledger.fault("crashed", f"a worker stopped in disorder: {''.join(worker.seen)}")
        await asyncio.to_thread(self._cluster.start_worker)

    async def _hold_one(self) -> None:
        worker = self._rng.choice(self._cluster.workers)
        worker.signal(signal.SIGSTOP)
        await self._is_over_after(self._rng.uniform(0.2, 3))
        worker.signal(signal.SIGCONT)

    def _take_one(self) -> Process:
        self._report.workers_lost += 1
        workers = self._cluster.workers
        return workers.pop(self._rng.randrange(len(workers)))

    async def _is_over_after(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def _calm_down(self) -> None:
        """Let clients and tormentor end by themselves: the latter leaves no process behind then."""
        self._over.set()
        if self._load is not None:
            self._load.stop()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for result in results:
            if isinstance(result, Exception):
                raise result

    # The end

    async def _end(self) -> None:
        await self._calm_down()
        master = await asyncio.to_thread(self._cluster.start_master)
        if self._load is not None:
            await self._let_all_end(self._load)
            self._client.close()
        code = await asyncio.to_thread(master.stop)
        if code != 0:
            self._ledger.fault("crashed", f"the last master ended with {code}")
        self._heed("".join(master.seen))
        examine(self._data, self._ledger)
        for job_id in self._ledger.unfinished:
            self._ledger.fault("stuck", f"job {job_id} ({self._ledger.task(job_id)[:200]})")

    async def _let_all_end(self, load: Load) -> None:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_AT_THE_END_S
        for job_id in self._ledger.unfinished:
            left_s = max(0, round(give_up_at - loop.time()))
            try:
                await load.look_at(job_id, left_s)
            except MasterUnreachable:  # libcurl counts connections that died over all requests
                await load.look_at(job_id, left_s)


# Whole runs


def at_random(kills: int, rng: Random, *, forgetting: bool) -> list[str]:
    """Return `kills` lives: one half ends at any moment, the other at crash points."""
    possible: list[str] = [point for point in POINTS if forgetting or point not in FORGETTING]
    possible.remove(ONLY_FRESH)
    lives: list[str] = [ONLY_FRESH]
    while len(lives) < kills:
        point = rng.choice(possible)
        once = point in STARTING | STOPPING | FORGETTING
        passing = 1 if once else 1 + int(rng.expovariate(1 / 20))
        lives.append(rng.choice(["", point if passing == 1 else f"{point}:{passing}"]))
    return lives[:kills]


async def besiege(kills: int, seed: int, say: Say) -> Report:
    """Kill masters `kills` times, on a new record after every `KILLS_IN_AN_ERA`."""
    report = Report()
    for era, begun in enumerate(range(0, kills, KILLS_IN_AN_ERA)):
        rng, forgetting = Random(f"{seed}/{era}"), era % 4 == 3
        lives = at_random(min(KILLS_IN_AN_ERA, kills - begun), rng, forgetting=forgetting)
        await _era(lives, rng, report, forgetting=forgetting, say=say)
    return report


async def visit(points: Sequence[Point], seed: int, say: Say) -> Report:
    """Let a master die once at each of `points`; it is a fault if it lives through one."""
    report = Report()
    rng = Random(seed)
    for forgetting in (False, True):
        lives: list[str] = []
        for point in sorted(points, key=lambda point: point != ONLY_FRESH):  # that one first
            if (point in FORGETTING) == forgetting:
                lives += ["", point] if point in NEED_A_BACKLOG else [point]
        if lives:
            await _era(lives, rng, report, forgetting=forgetting, say=say)
    report.faults["missed"] = [point for point in points if not report.points[point]]
    return report


async def _era(
    lives: Sequence[str], rng: Random, report: Report, *, forgetting: bool, say: Say
) -> None:
    with TemporaryDirectory(prefix="chaos-") as folder:
        await Era(Path(folder), rng, report, forgetting=forgetting, say=say).run(lives)
