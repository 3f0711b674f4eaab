"""Measure this engine alone and print one table: `python -m bench.run`, or `make bench`.

Everything runs on this machine, over real sockets, with a record on a real disk; so no other load
should be on it. `--scale 0.02` tries everything out in seconds (its figures mean nothing).
"""

import argparse
import asyncio
import os
import platform
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir

from bench import latency, scaling, throughput
from bench.conditions import Conditions
from bench.figures import HEAD, Figure, at_most, line, shown

Measurement = Callable[[Conditions], Awaitable[list[Figure]]]

MEASUREMENTS: list[Measurement] = [
    throughput.against_a_bare_client,
    throughput.small_jobs_in_bulk,
    throughput.while_a_page_is_open,
    throughput.small_jobs_one_by_one,
    throughput.one_large_job,
    throughput.cost_by_size,
    latency.one_operation,
    latency.dependent_operations,
    latency.beside_a_large_job,
    scaling.rounds_of_a_sum,
    scaling.more_workers,
    scaling.slow_workers,
    scaling.memory,
]


def longest_held(conditions: Conditions) -> Figure:
    """Return the longest time for which any of the masters served nobody."""
    what, held = max(conditions.held, key=lambda one: one[1].wall_s)
    return Figure(
        "longest time that the event loop was held in all of these",
        1000 * held.wall_s,
        "ms",
        at_most(20),
        f"in: {what}; of it {shown(1000 * held.cpu_s, 'ms')} at most by the loop's own work",
    )


def machine() -> str:
    """Return what the figures were measured on."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs ({platform.machine()}),"
        f" {platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f} at the start"
    )


def leave_in_order() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it has started is stopped with it."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


async def measure(conditions: Conditions, wanted: list[Measurement]) -> None:
    """Take the measurements one after the other; print each figure as soon as it is there."""
    print(HEAD, flush=True)
    for measurement in wanted:
        print(f"{measurement.__name__} ...", file=sys.stderr, flush=True)
        for figure in await measurement(conditions):
            print(line(figure), flush=True)
    print(line(longest_held(conditions)))


def main() -> int:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--scratch", type=Path, default=Path(gettempdir()), help="on a real disk")
    parser.add_argument("only", nargs="*", help="measurements by name; all of them if none")
    arguments = parser.parse_args()
    by_name = {measurement.__name__: measurement for measurement in MEASUREMENTS}
    unknown = set(arguments.only) - set(by_name)
    if unknown:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are {', '.join(by_name)}")
    wanted = [by_name[name] for name in arguments.only] or MEASUREMENTS
    leave_in_order()
    conditions = Conditions(arguments.scratch, arguments.rounds, arguments.scale)
    print(f"{machine()}, {conditions.fsync_ms():.2f} ms to make 4 KiB durable\n", flush=True)
    asyncio.run(measure(conditions, wanted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
