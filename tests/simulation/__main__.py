"""Run many seeds: `python -m tests.simulation SEEDS [--first N] [--jobs P] [--power-cuts]`.

Each seed is a random schedule of faults, or with `--power-cuts` one of many power cuts. A seed in
which a law was broken is printed with the command that replays it and shows its whole history.
"""

import argparse
import functools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable

from tests.simulation.script import Report, figures, simulate, simulate_power_cuts

Runner = Callable[[str], Report]

SHOWN = 3  # broken laws of a seed; the history has them all


def main() -> int:
    """Run the seeds that the command line names; return 1 if a law was broken."""
    asked = _arguments()
    runner: Runner = simulate_power_cuts if asked.power_cuts else simulate
    seeds = [str(seed) for seed in range(asked.first, asked.first + asked.seeds)]
    began = time.monotonic()
    if asked.history:
        reports = [runner(seed) for seed in seeds]
        for report in reports:
            print("\n".join(report.history))
        return _summary(reports, began, power_cuts=asked.power_cuts)
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        reports = list(pool.imap(functools.partial(figures, runner), seeds, chunksize=4))
    return _summary(reports, began, power_cuts=asked.power_cuts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seeds", type=int, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--power-cuts", action="store_true", help="cut the master's power, mostly")
    parser.add_argument("--history", action="store_true", help="print all that happened")
    return parser.parse_args()


def _summary(reports: Iterable[Report], began: float, *, power_cuts: bool) -> int:
    reports = list(reports)
    broken = [report for report in reports if report.broken]
    mode = " --power-cuts" if power_cuts else ""
    for report in broken:
        print(f"seed {report.seed}: {len(report.broken)} broken")
        for sentence in report.broken[:SHOWN]:
            print(f"    {sentence[:500]}")
        print(f"    python -m tests.simulation 1 --first {report.seed}{mode} --history")
    took_s = time.monotonic() - began
    print(
        f"{len(reports)} seeds, {len(broken)} of them with broken laws:"
        f" {sum(report.jobs for report in reports):,} jobs,"
        f" {sum(report.faults for report in reports):,} faults,"
        f" {sum(report.lives for report in reports):,} lives of a master,"
        f" {sum(report.virtual_s for report in reports) / 3600:.1f} virtual hours"
        f" in {took_s:.0f} s ({len(reports) / took_s:.1f} seeds/s)"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
