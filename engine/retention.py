"""Retention: finished jobs are forgotten when they are too many or too old, a few at a time.

Unfinished jobs are never forgotten. The steps are small and have pauses between them, so that
nobody's write waits for them.
"""

import logging

from engine.clock import Clock
from engine.errors import StoreError
from engine.settings import JobsSettings
from engine.store.base import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
AT_ONCE = 500  # finished jobs; with the pause, up to 25,000 a second are forgotten
PAUSE_S = 0.02


async def forget_old(store: Store, settings: JobsSettings, clock: Clock) -> None:
    """Forget what `settings` no longer keep, for ever."""
    while True:
        await clock.sleep(LOOK_EVERY_S)
        try:
            while await _forget_some(store, settings, clock) == AT_ONCE:
                await clock.sleep(PAUSE_S)
        except StoreError as error:
            log.warning("old jobs cannot be forgotten yet: %s", error)


async def _forget_some(store: Store, settings: JobsSettings, clock: Clock) -> int:
    counts, keep_s = store.counts, settings.keep_s
    if keep_s is None and counts.succeeded + counts.failed <= settings.keep:
        return 0
    older_than = None if keep_s is None else clock.wall() - keep_s
    return await store.prune(settings.keep, older_than, AT_ONCE)
