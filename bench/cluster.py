"""A master under measurement, with whatever works for it.

The master is `watched_master.py`: it tells how long its loop was held. Whatever is started is
stopped here.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from deploy.local import LocalCluster, Process
from engine.client.api import MasterClient


class Held(NamedTuple):
    """The longest turn of the master's loop, by the clock on the wall and by its own CPU time."""

    wall_s: float
    cpu_s: float


class Cluster(LocalCluster):
    """A watched master and its workers; `durable` keeps jobs in a new folder under `scratch`."""

    master_program = "bench/watched_master.py"

    def __init__(
        self,
        scratch: Path,
        workers: int = 3,
        master_settings: Sequence[str] = (),
        worker_settings: Sequence[str] = (),
        *,
        durable: bool = True,
    ) -> None:
        self._folder = TemporaryDirectory(dir=scratch)
        data = self._folder.name if durable else ""
        super().__init__(
            workers, ["--data", data, *_flags(master_settings)], _flags(worker_settings)
        )

    def stop(self) -> None:
        """Stop all, and remove the folder."""
        super().stop()
        self._folder.cleanup()

    def start_crowd(self, workers: int, *, batch: int = 512, pace_ms: float = 0.0) -> Process:
        """Start one process that is many workers."""
        arguments = {"--workers": workers, "--batch": batch, "--pace-ms": pace_ms}
        flags = [text for name, value in arguments.items() for text in (name, str(value))]
        crowd = Process("bench/crowd.py", ["--master", self.url, *flags])
        self.workers.append(crowd)
        return crowd

    async def until_live(self, client: MasterClient, workers: int) -> None:
        """Return when so many workers have been examined and let in."""

        async def live() -> int:
            return sum(worker.state == "live" for worker in await client.workers())

        while await live() < workers:  # noqa: ASYNC110  # the event is in another process
            await asyncio.sleep(0.2)  # telling of 500 workers is work for the master, too

    def held(self) -> Held:
        """Return the longest turn of the master's loop since this was last asked."""
        self.master.signal(signal.SIGUSR1)
        said = self.master.said(r"held (\S+) (\S+)")
        return Held(float(said[1]), float(said[2]))

    def cpu_s(self) -> float:
        """Return how much CPU time the master has used, all its threads, as Linux counts it."""
        after_name = Path(f"/proc/{self.master.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Return the master's resident memory, as Linux counts it."""
        for line in Path(f"/proc/{self.master.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise OSError(f"/proc/{self.master.pid}/status says no VmRSS; measure this one on Linux")


def _flags(settings: Sequence[str]) -> list[str]:
    return [text for setting in settings for text in ("--set", setting)]
