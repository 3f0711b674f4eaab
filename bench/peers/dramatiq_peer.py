"""Dramatiq: a Redis broker and result backend, three worker processes of one thread.

Promised, and not by us: functions of any kind, and queues that outlive the process that submitted.
A message is acknowledged after its work, so it survives a worker, as with us; it does not survive
Redis here, which runs without its disk. Not promised: a graph. Pipelines are chains; for trees the
client has to wait for results and send what became ready.
"""

import os
import subprocess
import sys
from collections.abc import Sequence

import dramatiq
from dramatiq.message import Message

from bench.expressions import Number
from bench.peers.contender import serve
from bench.peers.dramatiq_actors import broker, compute, from_left
from bench.peers.operations import Job, Operation, Ref, known, levels, operations_of

PATIENCE_MS = 60_000
WORKER = [
    *(sys.executable, "-m", "dramatiq", "bench.peers.dramatiq_actors"),
    *("--processes", "3", "--threads", "1"),
]


def by_levels(jobs: Sequence[Job]) -> list[Number]:
    """Send a group of all messages that are ready, of all jobs, and wait for it; and again."""
    results: list[list[Number]] = [[0] * len(job) for job in jobs]
    for level in levels(jobs):
        messages = [_ready(jobs[number][index], results[number]) for number, index in level]
        sent = dramatiq.group(messages, broker=broker).run()
        computed = sent.get_results(block=True, timeout=PATIENCE_MS)
        for (number, index), result in zip(level, computed, strict=True):
            results[number][index] = result
    return [result[-1] for result in results]


def _ready(operation: Operation, results: list[Number]) -> Message:
    symbol, left, right = operation
    return compute.message(symbol, known(left, results), known(right, results))


def by_pipelines(jobs: Sequence[Job]) -> list[Number]:
    """Send each job, which must be a chain, as one pipeline, and wait for all of them."""
    sent = [dramatiq.pipeline(_stages(job), broker=broker).run() for job in jobs]
    return [pipeline.get_result(block=True, timeout=PATIENCE_MS) for pipeline in sent]


def _stages(job: Job) -> list[Message]:
    first, *others = job
    if any(isinstance(other.right, Ref) for other in others):
        raise NotImplementedError("a pipeline is a chain, and this is a tree")
    return [compute.message(*first), *(from_left.message(o.symbol, o.right) for o in others)]


def main() -> None:
    """Serve with workers of our own."""
    worker = subprocess.Popen(WORKER, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=os.environ)
    try:
        by_levels([operations_of("1+1")])  # answered once the workers are there
        serve(
            {"groups, level by level": by_levels, "pipelines": by_pipelines},
            prepare=operations_of,
        )
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
