"""How much a master gets done: operations per second, alone and against what the wire allows.

Two things are compared by taking them in turns, round by round; what counts is the median of the
rounds' ratios, so that a machine that is slower today is slower for both.
"""

import json
from statistics import median
from time import perf_counter

from bench.conditions import CONNECTIONS, Conditions
from bench.expressions import Task, balanced, small_jobs
from bench.figures import Figure, at_least, at_most, median_ratio, shown
from bench.load import calls_per_s, check, in_bulk, posts_per_s, until_finished
from bench.page import an_open_page
from deploy.local import Process
from engine.client.api import MasterClient

OPERATIONS = 10  # in a small job
CALLS_PER_WORKER = 2  # `dispatch.calls_per_worker`, for the bare client too


async def operations_per_s(client: MasterClient, tasks: list[Task], operations: int) -> float:
    """Submit tasks of so many operations each in bulk; answers must be right and durable."""
    began_at = perf_counter()
    await in_bulk(client, tasks)
    took_s = perf_counter() - began_at
    await check(client, tasks)
    return len(tasks) * operations / took_s


async def against_a_bare_client(conditions: Conditions) -> list[Figure]:
    """Compare a master that sends single operations with a client that does nothing else."""
    calls = conditions.size(5_000)
    tasks = small_jobs(conditions.rng(), calls // OPERATIONS)
    ours, bare = [], []
    async with conditions.cluster(
        "single operations to plain workers", worker_settings=["batch=1"]
    ) as (cluster, client):
        urls = [worker.url for worker in cluster.workers]
        for _ in range(conditions.rounds):
            bare.append(await calls_per_s(urls, calls, CALLS_PER_WORKER))
            ours.append(await operations_per_s(client, tasks, OPERATIONS))
    return [
        Figure(
            "plain workers: calls of a master / calls of a bare client",
            median_ratio(ours, bare),
            aim=at_least(0.5),
            note=f"{shown(median(ours))} and {shown(median(bare))} calls/s",
        )
    ]


async def small_jobs_in_bulk(conditions: Conditions) -> list[Figure]:
    """Measure small jobs, many in a request, with a record on disk and with one in memory."""
    tasks = small_jobs(conditions.rng(), conditions.size(5_000))
    durable, memory = [], []
    cpu_s = 0.0
    async with (
        conditions.cluster("small jobs in bulk") as (cluster, on_disk),
        conditions.cluster("small jobs in bulk, in memory", durable=False) as (_, in_memory),
    ):
        for _ in range(conditions.rounds):
            used_before_s = cluster.cpu_s()
            durable.append(await operations_per_s(on_disk, tasks, OPERATIONS))
            cpu_s += cluster.cpu_s() - used_before_s
            memory.append(await operations_per_s(in_memory, tasks, OPERATIONS))
    cpu_us = 1e6 * cpu_s / (conditions.rounds * len(tasks) * OPERATIONS)
    what = f"{len(tasks):,} jobs of {OPERATIONS} operations in bulk"
    return [
        Figure(
            f"{what}, until the last answer is durable",
            median(durable),
            "operations/s",
            at_least(50_000),
            f"{shown(median(durable) / OPERATIONS)} jobs/s;"
            f" the master's CPU time is {cpu_us:.1f} µs an operation",
        ),
        Figure("the same: durable / in memory", median_ratio(durable, memory), aim=at_least(0.8)),
    ]


async def while_a_page_is_open(conditions: Conditions) -> list[Figure]:
    """Measure small jobs in bulk while somebody looks at the dashboard, and while nobody does."""
    tasks = small_jobs(conditions.rng(), conditions.size(10_000))
    seen, unseen = [], []
    async with conditions.cluster("an open page") as (cluster, client):
        for _ in range(conditions.rounds):
            unseen.append(await operations_per_s(client, tasks, OPERATIONS))
            async with an_open_page(cluster.url):
                seen.append(await operations_per_s(client, tasks, OPERATIONS))
    return [
        Figure(
            "small jobs in bulk: a page of the dashboard open / none open",
            median_ratio(seen, unseen),
            aim=at_least(0.95),
            note=f"{shown(median(seen))} and {shown(median(unseen))} operations/s",
        )
    ]


async def small_jobs_one_by_one(conditions: Conditions) -> list[Figure]:
    """Measure small jobs, each in a request of its own, against a server that does nothing."""
    tasks = small_jobs(conditions.rng(), conditions.size(5_000))
    bodies = [json.dumps({"task": task.text}).encode() for task in tasks]
    ours, empty = [], []
    server = Process("bench/empty_server.py", [])
    try:
        async with conditions.cluster("small jobs one by one") as (cluster, client):
            for _ in range(conditions.rounds):
                empty.append(await posts_per_s(server.url, bodies, CONNECTIONS))
                began_at = perf_counter()
                await posts_per_s(cluster.url, bodies, CONNECTIONS)
                await until_finished(client)
                ours.append(len(bodies) / (perf_counter() - began_at))
                await check(client, tasks)
    finally:
        server.stop()
    return [
        Figure(
            f"the same, one `POST /submit` each from {CONNECTIONS} connections / empty handler",
            median_ratio(ours, empty),
            aim=at_least(0.4),
            note=f"{shown(median(ours))} jobs/s and {shown(median(empty))} requests/s",
        )
    ]


async def one_large_job(conditions: Conditions) -> list[Figure]:
    """Measure a single job whose operations are mostly independent."""
    operations = conditions.size(100_000)
    task = balanced(conditions.rng(), operations)
    async with conditions.cluster("one balanced job") as (_, client):
        rates = [
            await operations_per_s(client, [task], operations) for _ in range(conditions.rounds)
        ]
    return [Figure(f"one balanced job of {operations:,} operations", median(rates), "operations/s")]


async def cost_by_size(conditions: Conditions) -> list[Figure]:
    """Measure what an operation costs in jobs of ten and of a million operations, in turns."""
    total = conditions.size(100_000)
    largest = conditions.size(1_000_000)
    rng = conditions.rng()
    tasks = {
        operations: [balanced(rng, operations) for _ in range(max(1, total // operations))]
        for operations in (10, 100, 1_000, 10_000, 100_000, largest)
    }
    costs_us: dict[int, list[float]] = {operations: [] for operations in tasks}
    room = ["limits.task_bytes=16777216"]  # a million operations are 4 MB of text
    async with conditions.cluster("jobs of all sizes", master_settings=room) as (_, client):
        for _ in range(min(3, conditions.rounds)):
            for operations, costs in costs_us.items():
                costs.append(1e6 / await operations_per_s(client, tasks[operations], operations))
    each = ", ".join(
        f"{operations:,}: {median(costs):.1f}" for operations, costs in costs_us.items()
    )
    rounds = zip(*costs_us.values(), strict=True)
    return [
        Figure(
            "cost of an operation in jobs of 10 to 1,000,000: largest / smallest",
            median(max(costs) / min(costs) for costs in rounds),
            aim=at_most(1.5),
            note=f"µs by size: {each}",
        )
    ]
