"""Ray: a node of this machine with three CPUs.

Promised, and not by us: functions, classes and data of any kind, on as many machines as there are.
Not promised: a record. Tasks and results are in memory, and end with the driver.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import ray

from bench.expressions import Number
from bench.peers.contender import serve
from bench.peers.operations import Job, Ref, compute, operations_of

OBJECT_STORE_BYTES = 200_000_000


class Worker:
    """An actor: its calls need no scheduling, which is what makes them cheaper than tasks."""

    def compute(self, symbol: str, left: Number, right: Number) -> Number:
        """Compute one operation."""
        return compute(symbol, left, right)


def final(job: Job, start: Callable[..., Any]) -> Any:  # noqa: ANN401  # an ObjectRef
    """Call `start` for each operation, with the references to others' results as operands."""
    begun: list[Any] = []
    for symbol, left, right in job:
        operands = [begun[o.place] if isinstance(o, Ref) else o for o in (left, right)]
        begun.append(start(symbol, *operands))
    return begun[-1]


def main() -> None:
    """Serve with a node of our own."""
    ray.init(
        num_cpus=3,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=OBJECT_STORE_BYTES,
    )
    task = ray.remote(compute)
    actor = ray.remote(num_cpus=0)(Worker)
    actors = [actor.remote() for _ in range(3)]
    in_turn = cycle(actors)

    def tasks(jobs: Sequence[Job]) -> list[Number]:
        return list(ray.get([final(job, task.remote) for job in jobs]))

    def actor_calls(jobs: Sequence[Job]) -> list[Number]:
        # All operations of a job go to one actor: then operands are already where they are needed.
        return list(ray.get([final(job, next(in_turn).compute.remote) for job in jobs]))

    serve({"tasks": tasks, "actors": actor_calls}, prepare=operations_of)
    ray.shutdown()


if __name__ == "__main__":
    main()
