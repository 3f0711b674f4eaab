"""Take one safeguard away at a time and see its test fail: `python -m tests.mutants [WORD...]`.

For each safeguard of `safeguards.py` the tree is copied, the safeguard is removed from the copy,
and its test runs there. A test that does not fail is a safeguard that nobody would miss. First all
these tests run as they are: one that fails by itself says nothing. Words choose safeguards by row,
name or file.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.mutants.safeguards import SAFEGUARDS, Safeguard

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "data", "*.sqlite3*", "*.log")
HUNG_AFTER_S = 30  # a test that waits for what no longer comes has noticed
TESTS_FAILED = 1  # pytest's exit code; 2 and above: it could not even run them


class Verdict(NamedTuple):
    """What became of a safeguard that was taken away."""

    safeguard: Safeguard
    seen: bool
    says: str
    took_s: float


def main() -> int:
    """Run the safeguards that the command line chooses; return 1 if one is not missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only those that have it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="copies at a time")
    asked = parser.parse_args()
    chosen = [one for one in SAFEGUARDS if _is_chosen(one, asked.words)]
    if not chosen:
        parser.error("no safeguard has all of these words; without words all are tried")
    began = time.monotonic()
    if not _are_green(sorted({one.test for one in chosen})):
        return 1
    with ThreadPoolExecutor(asked.jobs) as pool:
        verdicts = []
        for verdict in pool.map(_try_without, chosen):
            verdicts.append(verdict)
            _print(verdict)
    missed = sum(verdict.seen for verdict in verdicts)
    print(f"{missed} of {len(chosen)} safeguards are missed, in {time.monotonic() - began:.0f} s")
    return 0 if missed == len(chosen) else 1


def _is_chosen(safeguard: Safeguard, words: Sequence[str]) -> bool:
    files = " ".join(change.file for change in safeguard.changes)
    told = f"row {safeguard.row} {safeguard.name} {files}"
    return all(word in told for word in words)


def _print(verdict: Verdict) -> None:
    mark = "missed" if verdict.seen else "NOT MISSED"
    safeguard = verdict.safeguard
    test = safeguard.test.rpartition("::")[2]
    print(f"{safeguard.row:>3}  {safeguard.name:<62} {mark}  {verdict.took_s:4.1f} s  {test}")
    if not verdict.seen:
        print(f"     {verdict.says}")
    sys.stdout.flush()


def _are_green(tests: Sequence[str]) -> bool:
    done = _run_tests(ROOT, tests)
    if done.returncode:
        print(done.stdout, "these tests fail with every safeguard in place", sep="\n")
    return done.returncode == 0


def _try_without(safeguard: Safeguard) -> Verdict:
    began = time.monotonic()
    with _copy() as tree:
        for change in safeguard.changes:
            change.apply_in(tree)
        done = _run_tests(tree, [safeguard.test])
    last = done.stdout.strip().rpartition("\n")[2]
    return Verdict(safeguard, done.returncode == TESTS_FAILED, last, time.monotonic() - began)


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="executor-mutant-") as directory:
        tree = Path(directory) / "tree"
        shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
        yield tree


def _run_tests(tree: Path, tests: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", f"--timeout={HUNG_AFTER_S}", *tests],
        cwd=tree,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
