"""What `top` shows: one look at the pool and the queue, and how it is drawn.

The numbers are the master's own metrics; rates are differences between two looks. A master without
metrics is shown without them.
"""

from dataclasses import dataclass
from typing import Self

from rich.console import Group
from rich.text import Text

from engine.client import views
from engine.client.errors import ApiError
from engine.client.flow import Errand
from engine.messages import JobListed, WorkerStatus

JOBS_SHOWN = 10  # unfinished ones; the pool is what the screen is for


@dataclass
class Glance:
    """A master at one moment; `at_s` is monotonic."""

    at_s: float
    pool: list[WorkerStatus]
    unfinished: list[JobListed]
    metrics: dict[str, float]

    @classmethod
    async def at(cls, errand: Errand) -> Self:
        """Look at the master of `errand` now."""
        master = errand.master
        pool = await errand.persist(master.workers)
        unfinished = await errand.persist(
            lambda: master.jobs(limit=JOBS_SHOWN, status="unfinished")
        )
        try:
            metrics = await errand.persist(master.metrics)
        except ApiError as error:
            if error.status != 404:
                raise
            metrics = {}
        return cls(errand.clock.now(), pool, unfinished, metrics)

    def drawn(self, before: Self | None, width: int) -> Group:
        """Return a sentence and tables of `width` columns; `before` is the look before this one."""
        tables = [views.table(views.WORKER_HEADER, map(views.worker_row, self.pool), width)]
        if self.unfinished:
            jobs = map(views.job_row, self.unfinished)
            tables.append(views.table(views.JOB_HEADER, jobs, width))
        return Group(Text(self.sentence(before), style="bold"), *tables)

    def sentence(self, before: Self | None) -> str:
        """Return the state of the whole in one line."""
        live = sum(worker.state == "live" for worker in self.pool)
        parts = [f"{live} of {len(self.pool)} workers live"]
        queued = self.metrics.get("executor_queue_operations")
        if queued is not None:
            parts.append(f"{queued:.0f} operations queued")
        rate = self._operations_per_s(before)
        if rate is not None:
            parts.append(f"{rate:.0f} operations/s")
        if queued:
            oldest_s = self.metrics.get("executor_queue_oldest_seconds")
            parts.append(f"oldest waits {views.duration(oldest_s)}")
        return " · ".join(parts)

    def _operations_per_s(self, before: Self | None) -> float | None:
        name = "executor_operations_total"
        if before is None or name not in self.metrics or self.at_s <= before.at_s:
            return None
        done = self.metrics[name] - before.metrics.get(name, 0.0)
        return max(0.0, done) / (self.at_s - before.at_s)  # it starts at 0 with a new master
