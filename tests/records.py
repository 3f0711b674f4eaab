"""What tests of the record say often."""

from engine.job import JobId, Outcome
from engine.store.base import Store


async def finish(store: Store, job_id: JobId, outcome: Outcome, now: float) -> bool:
    """Set the outcome of one job; return whether this call set it."""
    (is_first,) = await store.finish([(job_id, outcome)], now)
    return is_first
