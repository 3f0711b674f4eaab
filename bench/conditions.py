"""What is the same for all measurements of one run: sizes, rounds, chance, the disk."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter

from bench.cluster import Cluster, Held
from engine.client.api import MasterClient

SEED = 47
CONNECTIONS = 64
PATIENCE_S = 120.0  # for a single request; a job of a million operations takes its time


@dataclass
class Conditions:
    """How much is measured, where the record lies, and how long loops were held meanwhile."""

    scratch: Path
    rounds: int = 5
    scale: float = 1.0
    held: list[tuple[str, Held]] = field(default_factory=list)

    def size(self, full: int) -> int:
        """Return a number of things, smaller if the run is to be short."""
        return max(10, int(full * self.scale))

    def rng(self) -> Random:
        """Return chance that is the same in every run, for one measurement."""
        return Random(SEED)

    @asynccontextmanager
    async def cluster(
        self,
        what: str,
        workers: int = 3,
        master_settings: Sequence[str] = (),
        worker_settings: Sequence[str] = (),
        *,
        durable: bool = True,
    ) -> AsyncIterator[tuple[Cluster, MasterClient]]:
        """Run a master with its workers let in; note at the end how long its loop was held."""
        with (
            Cluster(
                self.scratch, workers, master_settings, worker_settings, durable=durable
            ) as cluster,
            MasterClient(cluster.url, timeout_s=PATIENCE_S) as client,
        ):
            await cluster.until_live(client, workers)
            cluster.held()  # what the start took holds nobody up
            yield cluster, client
            self.held.append((what, cluster.held()))

    def fsync_ms(self) -> float:
        """Return how long the disk takes to make 4 KiB durable: every commit waits for that."""
        took_s = []
        with TemporaryFile(dir=self.scratch) as file:
            for _ in range(50):
                file.write(b"x" * 4096)
                file.flush()
                began_at = perf_counter()
                os.fdatasync(file.fileno())
                took_s.append(perf_counter() - began_at)
        return 1000 * median(took_s)
