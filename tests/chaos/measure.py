"""`python -m tests.chaos.measure`: how soon and how well a cluster gets over what happens to it.

Prints the table of docs/reliability.md, measured here and now. `--rounds` says how often the short
ones are repeated (the long ones a fifth as often), `--only` which of them are.
"""

import argparse
import asyncio
import signal
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from time import perf_counter
from typing import Any

from deploy.local import LocalCluster, Process
from engine.client.api import MasterClient
from engine.messages import WorkerStatus
from engine.roof import open_files
from tests.chaos.processes import (
    MIB,
    Connection,
    KeepingOn,
    a_cluster,
    connections,
    fill,
    peak_memory,
    submit,
    tasks,
    wrong_answers,
)
from tests.integration.serving import eventually_async

ONE_OPERATION = ["1+1"] * 8
NO_HEDGES = ("--set", "dispatch.hedge_share=0")  # else late operations are elsewhere already
UNFINISHED = 100_000
SLOW = 4_000

Line = tuple[str, str]


def quantiles(seconds: list[float]) -> str:
    """Return the median, the 99th percentile (or what comes nearest) and the largest."""
    ordered = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[round(0.99 * (len(ordered) - 1))]
    return f"p50 {p50:.3f} s, p99 {p99:.3f} s, longest {ordered[-1]:.3f} s ({len(ordered)} times)"


async def of(client: MasterClient, worker: Process) -> WorkerStatus | None:
    """Return what the master says of a worker, if it knows it."""
    statuses = [w for w in await client.workers() if w.url.endswith(f":{worker.port}")]
    return statuses[0] if statuses else None


async def until(client: MasterClient, worker: Process, state: str) -> None:
    """Wait until the master says that a worker is in a state and has nothing aboard."""

    async def reached() -> bool:
        status = await of(client, worker)
        return status is not None and status.state == state and not status.in_flight

    await eventually_async(reached, lambda: f"worker {worker.port} should become {state}")


async def hold_operations(client: MasterClient, worker: Process) -> list[int]:
    """Stop a worker and submit until it has operations aboard; return jobs, some of which hang."""
    worker.signal(signal.SIGSTOP)
    jobs = list(await submit(client, ONE_OPERATION))
    while (status := await of(client, worker)) is not None and status.in_flight == 0:
        jobs += await submit(client, ONE_OPERATION)
    return jobs


async def seconds_until_all_have_ended(client: MasterClient, jobs: list[int]) -> float:
    """Return how long it takes from now."""
    begun = perf_counter()
    await asyncio.gather(*(client.job(job_id, wait_s=60) for job_id in jobs))
    return perf_counter() - begun


async def killed_worker(data: str, rounds: int) -> list[Line]:
    """Kill a worker with operations aboard."""
    taken = []
    async with a_cluster(2, "--data", data, *NO_HEDGES) as (cluster, client):
        for _ in range(rounds):
            worker = cluster.workers.pop()
            jobs = await hold_operations(client, worker)
            worker.kill()
            taken.append(await seconds_until_all_have_ended(client, jobs))
            await replace_dead(cluster, client)
    return [("worker killed with operations aboard: until they are answered", quantiles(taken))]


async def replace_dead(cluster: LocalCluster, client: MasterClient) -> None:
    """Start a worker for one that was killed, and wait until it is live."""
    worker = await asyncio.to_thread(cluster.start_worker)
    await until(client, worker, "live")


async def hung_worker(data: str, rounds: int) -> list[Line]:
    """Stop a worker with operations aboard, with and without hedges."""
    lines = []
    for name, settings in (("hedges", ()), ("time-outs alone", NO_HEDGES)):
        taken = []
        async with a_cluster(2, "--data", data, *settings) as (cluster, client):
            for _ in range(max(1, rounds // 5)):
                worker = cluster.workers[0]
                begun = perf_counter()
                jobs = await hold_operations(client, worker)
                await seconds_until_all_have_ended(client, jobs)
                taken.append(perf_counter() - begun)
                worker.signal(signal.SIGCONT)
                await until(client, worker, "live")
        lines.append(
            (f"worker stopped, {name}: until what it had is answered", quantiles(taken)),
        )
    return lines


async def idle_death(data: str, rounds: int) -> list[Line]:
    """Kill a worker that has nothing to do."""
    taken = []
    async with a_cluster(1, "--data", data) as (cluster, client):
        for _ in range(max(1, rounds // 5)):
            worker = cluster.workers.pop()
            worker.kill()
            begun = perf_counter()
            await until(client, worker, "dead")
            taken.append(perf_counter() - begun)
            await replace_dead(cluster, client)
    return [("idle worker killed: until it is seen dead", quantiles(taken))]


async def long_record(data: str, _rounds: int) -> list[Line]:
    """Start on many unfinished jobs."""
    await asyncio.to_thread(fill, Path(data), UNFINISHED)
    begun = perf_counter()
    async with a_cluster(0, "--data", data) as (cluster, client):
        assert await client.ready()
        ready_s = perf_counter() - begun
        cluster.start_worker()
        await client.job(UNFINISHED, wait_s=60)
        memory = peak_memory(cluster.master) / MIB
    return [
        (f"start with {UNFINISHED:,} unfinished jobs: until ready", f"{ready_s:.2f} s"),
        ("its peak memory until the last one was finished", f"{memory:.0f} MiB"),
    ]


async def crowd(data: str, _rounds: int) -> list[Line]:
    """Submit 10,000 times from 1,000 connections."""

    async def ten(connection: Connection) -> list[int]:
        return [(await connection.ask("POST", "/submit", {"task": "1+1"}))[0] for _ in range(10)]

    async with (
        a_cluster(1, "--data", data) as (cluster, _),
        connections(cluster.master.port, 1000) as many,
    ):
        begun = perf_counter()
        answers = [status for ten in await asyncio.gather(*map(ten, many)) for status in ten]
        taken = perf_counter() - begun
        memory = peak_memory(cluster.master) / MIB
    taken_in = answers.count(200)
    return [
        (
            "10,000 submits from 1,000 connections",
            f"{taken_in:,} taken, {answers.count(503):,} told to come back, {taken:.1f} s",
        ),
        ("its peak memory", f"{memory:.0f} MiB"),
    ]


async def sleeping_master(data: str, rounds: int) -> list[Line]:
    """Stop the master for 10 s, again and again, under load."""
    times = max(1, rounds // 5)
    async with a_cluster(3, "--data", data) as (cluster, client):
        for _ in range(times):
            jobs = await submit(client, tasks(2000))
            cluster.master.signal(signal.SIGSTOP)
            await asyncio.sleep(10)
            cluster.master.signal(signal.SIGCONT)
            assert await wrong_answers(client, jobs) == []
        blamed = [line for line in cluster.master.seen if ": dead" in line or ": suspect" in line]
    return [(f"master stopped for 10 s, {times} times: workers blamed", f"{len(blamed)}")]


async def rolling_restarts(data: str, rounds: int) -> list[Line]:
    """Restart every worker in turn, again and again, under load."""
    times = max(1, rounds // 5)
    async with a_cluster(3, "--data", data) as (cluster, client):
        load = KeepingOn(client)
        submitting = asyncio.create_task(load.run())
        for _ in range(3 * times):
            worker = cluster.workers.pop(0)
            assert await asyncio.to_thread(worker.stop) == 0
            await replace_dead(cluster, client)
        load.stop()
        await submitting
        wrong = await wrong_answers(client, load.jobs)
    return [
        (
            f"all workers restarted in turn, {times} times: jobs that failed",
            f"{len(wrong)} of {len(load.jobs):,}",
        )
    ]


async def slow_crowd(data: str, _rounds: int) -> list[Line]:
    """Open thousands of connections that send next to nothing."""
    others: list[float] = []
    async with (
        a_cluster(1, "--data", data) as (cluster, client),
        connections(cluster.master.port, SLOW) as slow,
    ):
        begun = perf_counter()
        for connection in slow:
            connection.writer.write(b"POST /submit HTTP/1.1\r\nHost: x\r\n")
        cut = asyncio.gather(*(connection.closed() for connection in slow))
        while not cut.done():
            asked = perf_counter()
            await client.submit("1+1", wait_s=60)
            others.append(perf_counter() - asked)
            await asyncio.sleep(0.05)
        taken = perf_counter() - begun
    return [
        (f"{SLOW:,} connections that send half a head: until all are cut", f"{taken:.1f} s"),
        ("a job of somebody else meanwhile", quantiles(others)),
    ]


MEASUREMENTS: dict[str, Callable[[str, int], Coroutine[Any, Any, list[Line]]]] = {
    "killed": killed_worker,
    "hung": hung_worker,
    "idle": idle_death,
    "record": long_record,
    "crowd": crowd,
    "asleep": sleeping_master,
    "rolling": rolling_restarts,
    "slow": slow_crowd,
}


def main() -> None:
    """Read the arguments and do what they say."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.measure", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--only", metavar="NAME,...", default=",".join(MEASUREMENTS))
    given = parser.parse_args()
    open_files(2 * SLOW)
    print("| what | measured |\n| --- | --- |")
    for name in given.only.split(","):
        with tempfile.TemporaryDirectory(prefix="chaos-") as data:
            for what, measured in asyncio.run(MEASUREMENTS[name](data, given.rounds)):
                print(f"| {what} | {measured} |", flush=True)


if __name__ == "__main__":
    main()
