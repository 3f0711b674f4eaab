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
from collections.abc import Callable

from engine.roof import prefer_throughput
from tests.simulation.script import Report, figures, simulate, simulate_power_cuts

Runner = Callable[[str], Report]

CHUNK = 4  # seeds
CHUNKS_OF_A_CHILD = 250  # then a fresh process goes on: the collector comes rarely
SHOWN = 3  # broken laws of a seed; the history has them all


def main() -> int:
    """Run the seeds that the command line names; return 1 if a law was broken."""
    asked = _arguments()
    runner: Runner = simulate_power_cuts if asked.power_cuts else simulate
    seeds = [str(seed) for seed in range(asked.first, asked.first + asked.seeds)]
    began = time.monotonic()
    if asked.history:
        reports = [_told(runner(seed), asked) for seed in seeds]
    else:
        with multiprocessing.get_context("spawn").Pool(
            asked.jobs, prefer_throughput, maxtasksperchild=CHUNKS_OF_A_CHILD
        ) as pool:
            ran = pool.imap_unordered(functools.partial(figures, runner), seeds, CHUNK)
            reports = [_told(report, asked) for report in ran]
    print(_summary(reports, time.monotonic() - began))
    return 1 if any(report.broken for report in reports) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seeds", type=int, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--power-cuts", action="store_true", help="cut the master's power, mostly")
    parser.add_argument("--history", action="store_true", help="print all that happened")
    return parser.parse_args()


def _told(report: Report, asked: argparse.Namespace) -> Report:
    """Print a seed's history if that is asked for, and its broken laws as soon as it is known."""
    if report.history:
        print("\n".join(report.history))
    if report.broken:
        print(f"seed {report.seed}: {len(report.broken)} broken")
        for sentence in report.broken[:SHOWN]:
            print(f"    {sentence[:500]}")
        mode = " --power-cuts" if asked.power_cuts else ""
        replay = f"python -m tests.simulation 1 --first {report.seed}{mode} --history"
        print(f"    {replay}", flush=True)
    return report


def _summary(reports: list[Report], took_s: float) -> str:
    return (
        f"{len(reports)} seeds, {sum(bool(report.broken) for report in reports)} with broken laws:"
        f" {sum(report.jobs for report in reports):,} jobs,"
        f" {sum(report.faults for report in reports):,} faults,"
        f" {sum(report.lives for report in reports):,} lives of a master,"
        f" {sum(report.virtual_s for report in reports) / 3600:.1f} virtual hours"
        f" in {took_s:.0f} s ({len(reports) / took_s:.1f} seeds/s)"
    )


if __name__ == "__main__":
    sys.exit(main())
