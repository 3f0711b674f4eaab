"""Count the interpreter's steps for small jobs in bulk: a figure that no neighbour disturbs.

    python -m bench.steps

A step is a bytecode. The master is whole but for HTTP and the disk: tasks go to its engine, calls
to workers that compute in this process and are not counted, and the record is in memory. What C
does within a step counts as nothing, so the figure says where to look, and not how long it takes.
"""

import argparse
import asyncio
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bench.expressions import small_jobs
from engine.clock import LoopClock
from engine.exchange import Reply
from engine.master.assembly import Master
from engine.messages import Announcement, Computation, Reader, encode
from engine.settings import MasterSettings
from engine.store.memory import MemoryStore
from engine.worker.app import compute_items

JOBS = 1_000
WORKERS = 3
OPERATIONS = ["sum", "sub", "mul", "div"]
ROOT = Path(__file__).resolve().parent.parent
NOT_COUNTED = tuple(
    str(ROOT / place) for place in ("engine/worker", "engine/arithmetic.py", "bench")
)
SHOWN = 25  # functions

_read: Reader[list[Computation] | Computation] = Reader(list[Computation] | Computation)


class InProcess:
    """A transport to workers that compute here."""

    async def compute(
        self, _url: str, body: bytes, _timeout_s: float, _trace_parent: str | None = None
    ) -> Reply:
        """Answer as a worker would, in a later turn of the loop."""
        await asyncio.sleep(0)
        asked = _read(body)
        if isinstance(asked, list):
            return Reply(HTTPStatus.OK, encode(compute_items(asked)), None, 1e-5)
        (item,) = compute_items([asked])
        has_result = isinstance(item.result, int | float)
        status = HTTPStatus.OK if has_result else HTTPStatus.UNPROCESSABLE_ENTITY
        return Reply(status, encode(item), None, 1e-5)

    async def health(self, _url: str, _timeout_s: float) -> Reply:
        """Answer that all is well."""
        return Reply(HTTPStatus.OK, b'{"status": "ok"}')

    def close(self) -> None:
        """Close nothing."""


class Steps:
    """Counts steps by function, from `begin` to `end`."""

    def __init__(self) -> None:
        self.of: Counter[CodeType] = Counter()

    def begin(self) -> None:
        """Count from the next call of a function on."""
        sys.settrace(self._called)

    def end(self) -> None:
        """Count no more."""
        sys.settrace(None)

    def _called(self, frame: FrameType, _event: str, _: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename.startswith(NOT_COUNTED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        if event == "opcode":
            self.of[frame.f_code] += 1
        return self._stepped


async def count(jobs: int) -> Counter[CodeType]:
    """Return the steps of so many jobs of ten operations, when as many have gone before."""
    store, chance = MemoryStore(), random.Random(1)
    master = Master(MasterSettings(), InProcess(), store, LoopClock(), chance)
    await master.start()
    for number in range(1, WORKERS + 1):
        said = Announcement(
            f"w{number}", port=number, operations=OPERATIONS, batch=512, chains=True
        )
        master.announce(said, f"http://127.0.0.1:{number}")
    while len(master.pool.live()) < WORKERS:  # noqa: ASYNC110  # turns of the loop are counted
        await asyncio.sleep(0)
    tasks = [task.text for task in small_jobs(chance, jobs)]
    steps = Steps()
    for counted in (False, True):
        if counted:
            steps.begin()
        await master.engine.submit_many(tasks)
        while master.engine.counts.unfinished:  # noqa: ASYNC110  # turns of the loop are counted
            await asyncio.sleep(0)
    steps.end()
    await master.stop()
    return steps.of


def main() -> None:
    """Print the steps that a job takes, in all and by function."""
    parser = argparse.ArgumentParser(prog="python -m bench.steps", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help="in a request")
    jobs: int = parser.parse_args().jobs
    logging.disable(logging.WARNING)  # under this the master believes that it slept
    steps = asyncio.run(count(jobs))
    print(f"{steps.total() / jobs:,.0f} steps for a job of ten operations\n")
    print("| steps | function | module |\n| --- | --- | --- |")
    for code, times in steps.most_common(SHOWN):
        path = Path(code.co_filename)
        module = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        print(f"| {times / jobs:,.0f} | `{code.co_qualname}` | {module} |")


if __name__ == "__main__":
    main()
