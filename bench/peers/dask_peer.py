"""Dask: a scheduler and three workers as processes of this machine (`LocalCluster`).

Promised, and not by us: functions and data of any kind, kept at the workers in between.
Not promised: a record. The scheduler holds everything in memory, and what it knows dies with it.
Operations are told to be impure: Dask would compute equal ones of different jobs only once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import dask
from distributed import Client, LocalCluster

from bench.expressions import Number
from bench.peers.contender import serve
from bench.peers.operations import Job, Ref, compute, operations_of


def finals(jobs: Sequence[Job], start: Callable[..., Any]) -> list[Any]:
    """Call `start` for each operation, with what it returned for others as operands."""
    ends = []
    for job in jobs:
        begun: list[Any] = []
        for symbol, left, right in job:
            operands = [begun[o.place] if isinstance(o, Ref) else o for o in (left, right)]
            begun.append(start(symbol, *operands))
        ends.append(begun[-1])
    return ends


def main() -> None:
    """Serve with a cluster of our own."""
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):

        def futures(jobs: Sequence[Job]) -> list[Number]:
            submitted = finals(jobs, lambda *of: client.submit(compute, *of, pure=False))
            return list(client.gather(submitted))

        def graph(jobs: Sequence[Job]) -> list[Number]:
            computed = client.compute(finals(jobs, dask.delayed(compute, pure=False)))
            return list(client.gather(computed))

        serve({"futures": futures, "delayed graph": graph}, prepare=operations_of)


if __name__ == "__main__":
    main()
