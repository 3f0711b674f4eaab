"""The master as it is, on an event loop that notes how long it was held.

Held is the time from the moment at which the loop has looked for what happened to the moment at
which it looks again: meanwhile nobody is served. The loop's selector is asked once in a turn, so
two readings of a clock there see every turn and cost the master less than a microsecond each.
At SIGUSR1 it prints the longest turn since the last time, and starts anew.
"""

import asyncio
import os
import selectors
import signal
import sys
from pathlib import Path
from time import perf_counter, thread_time

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # started by its path

import master
from engine.flags import master_settings
from engine.logs import configure
from engine.roof import prefer_throughput
from engine.settings import MasterSettings


class WatchedSelector(selectors.DefaultSelector):
    """A selector that knows how long its loop stayed away."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_s = 0.0
        self.longest_cpu_s = 0.0  # of the loop's own thread: what others took does not count
        self._returned_at = perf_counter()
        self._returned_at_cpu = thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what happens, as any selector."""
        self.longest_s = max(self.longest_s, perf_counter() - self._returned_at)
        self.longest_cpu_s = max(self.longest_cpu_s, thread_time() - self._returned_at_cpu)
        events = super().select(timeout)
        self._returned_at, self._returned_at_cpu = perf_counter(), thread_time()
        return events

    def report(self) -> None:
        """Print the longest turn, and forget it."""
        print(f"held {self.longest_s:.6f} {self.longest_cpu_s:.6f}", file=sys.stderr, flush=True)
        self.longest_s = self.longest_cpu_s = 0.0


async def watched(settings: MasterSettings, selector: WatchedSelector) -> int:
    """Run the master, ready to report."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, selector.report)
    return await master.run(settings)


def main() -> int:
    """Run a watched master until SIGTERM; return the exit code."""
    settings = master_settings(sys.argv[1:], os.environ)
    configure(settings.log)
    prefer_throughput()
    selector = WatchedSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(watched(settings, selector))


if __name__ == "__main__":
    sys.exit(main())
