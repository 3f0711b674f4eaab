"""When the interpreter looks for reference cycles: not while there is work.

All that a master makes is freed by its reference count (`tests/integration/test_garbage.py` holds
it to that), so there is next to nothing to be found. But a look at what is young costs half a
microsecond for each object that lives, in one piece: with two thousand jobs in hand, 20 to 50 ms
for which nobody is served. Left to itself the interpreter looks whenever so many more objects have
been made than freed, which is when there is most to do.

Here it looks at what is young when the loop has been idle for a second and still is, and at
everything made since the start every ten minutes, or every twenty while the loop is never idle.
"""

import gc
import time
from enum import IntEnum

from engine.clock import Clock

LOOK_EVERY_S = 1.0
MOMENT_S = 0.02  # at the end of each second: in the first of a load, much is young already
IDLE_SHARE = 0.25  # of a core, for the loop's thread: with less to do it counts as idle
FEW = 1_000  # objects: not worth a look
ALL_EVERY_S = 600.0


class Generation(IntEnum):
    """What is looked at, in the interpreter's numbers."""

    YOUNG = 0
    ALL = 2


class Collector:
    """Decides when it is time, and for what; begins at `now`, with `cpu_s` used by the thread."""

    def __init__(self, now: float, cpu_s: float) -> None:
        self._now = now
        self._cpu_s = cpu_s
        self._all_at = now

    def due(self, now: float, cpu_s: float, latest_s: float, young: int) -> Generation | None:
        """Return what to look at now, if anything; there are `young` objects more than before.

        To be asked every second or so: whether the thread is idle is told by the CPU time that it
        took since then, and by the `latest_s` of it that it took in the last moment.
        """
        quiet = latest_s < IDLE_SHARE * MOMENT_S
        idle = quiet and cpu_s - self._cpu_s < IDLE_SHARE * (now - self._now)
        self._now, self._cpu_s = now, cpu_s
        if now - self._all_at >= (ALL_EVERY_S if idle else 2 * ALL_EVERY_S):
            self._all_at = now
            return Generation.ALL
        return Generation.YOUNG if idle and young > FEW else None


async def collect_when_idle(clock: Clock) -> None:
    """Look for reference cycles when it is time; until cancelled, the interpreter does not."""
    gc.disable()
    try:
        collector = Collector(clock.now(), time.thread_time())
        while True:
            await clock.sleep(LOOK_EVERY_S - MOMENT_S)
            before_s = time.thread_time()
            await clock.sleep(MOMENT_S)
            cpu_s = time.thread_time()
            generation = collector.due(clock.now(), cpu_s, cpu_s - before_s, gc.get_count()[0])
            if generation is not None:
                gc.collect(generation)
    finally:
        gc.enable()
