"""Celery: a Redis broker and result backend, one worker with three processes.

Promised, and not by us: functions of any kind, queues that outlive the process that submitted,
many brokers. Not promised here: a record. Redis runs without its disk, which makes it quicker;
tasks are acknowledged when they begin, so a worker that dies loses those that it has.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from celery import chain, chord
from celery.canvas import Signature

from bench.expressions import Number
from bench.peers.celery_tasks import app, compute, from_both, from_left, from_right
from bench.peers.contender import serve
from bench.peers.operations import Job, Operation, Ref, known, levels, operations_of

PATIENCE_S = 60
WORKER = [
    *(sys.executable, "-m", "celery", "-A", "bench.peers.celery_tasks", "worker"),
    *("--concurrency", "3", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"),
]


def by_levels(jobs: Sequence[Job]) -> list[Number]:
    """Send all tasks that are ready, of all jobs, and wait for all of them; again and again.

    They are no `group`: one that is waited for looks for its results every half a second.
    """
    results: list[list[Number]] = [[0] * len(job) for job in jobs]
    for level in levels(jobs):
        sent = [_ready(jobs[number][index], results[number]).delay() for number, index in level]
        for (number, index), result in zip(level, sent, strict=True):
            results[number][index] = result.get(timeout=PATIENCE_S)
    return [result[-1] for result in results]


def _ready(operation: Operation, results: list[Number]) -> Signature:
    symbol, left, right = operation
    return compute.s(symbol, known(left, results), known(right, results))


def by_canvas(jobs: Sequence[Job]) -> list[Number]:
    """Hand each job over as one canvas of chains and chords, and wait for all of them."""
    pending = [chain(*_canvas(job)).apply_async() for job in jobs]
    return [result.get(timeout=PATIENCE_S) for result in pending]


def _canvas(job: Job) -> list[Signature]:
    chains: list[list[Signature]] = []  # of each operation: the tasks that lead to its result
    for symbol, left, right in job:
        if isinstance(left, Ref) and isinstance(right, Ref):
            header = [chain(*chains[left.place]), chain(*chains[right.place])]
            chains.append([chord(header, from_both.s(symbol))])
        elif isinstance(left, Ref):
            chains.append([*chains[left.place], from_left.s(symbol, right)])
        elif isinstance(right, Ref):
            chains.append([*chains[right.place], from_right.s(symbol, left)])
        else:
            chains.append([compute.s(symbol, left, right)])
    return chains[-1]


def main() -> None:
    """Serve with a worker of our own."""
    worker = subprocess.Popen(WORKER, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=os.environ)
    try:
        while not app.control.ping(timeout=1.0):
            pass
        serve({"tasks, level by level": by_levels, "canvas": by_canvas}, prepare=operations_of)
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
