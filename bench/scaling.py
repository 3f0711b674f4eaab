"""What more operations and more workers bring and cost. The workers are simulated: `crowd.py`."""

import asyncio
import json
from statistics import median
from time import perf_counter

from tornado.httpclient import AsyncHTTPClient

from bench.conditions import Conditions
from bench.expressions import Task, balanced, integer_sum, small_jobs
from bench.figures import Figure, at_least, at_most, median_ratio
from bench.load import in_bulk, timed
from bench.throughput import operations_per_s
from engine.client.api import MasterClient

PACE_MS = 10.0
MANY = 16
OPERATIONS_EACH = 200  # 2 s for every worker: long against the start and the end of it

# Everything that is ready travels in one call: then calls are rounds.
ONE_CALL_AT_A_TIME = ["dispatch.calls_per_worker=1", "dispatch.batch=100000"]


async def rounds_of_a_sum(conditions: Conditions) -> list[Figure]:
    """Count how many times one has to wait for results in a long sum of integers."""
    terms = conditions.size(10_000)
    total = integer_sum(conditions.rng(), terms)
    settings = [*ONE_CALL_AT_A_TIME, "dispatch.target_call_s=100"]
    async with conditions.cluster("a sum in rounds", 0, settings) as (cluster, client):
        crowd = cluster.start_crowd(1, batch=100_000)
        await cluster.until_live(client, 1)
        await timed(client, total)  # from here on the worker is known to be quick
        rounds = []
        for _ in range(conditions.rounds):
            before = await _calls(crowd.url)
            await timed(client, total)
            rounds.append(await _calls(crowd.url) - before)
    what = f"a sum of {terms:,} integers: rounds of calls"
    return [Figure(what, median(rounds), aim=at_most(20))]


async def _calls(url: str) -> int:
    response = await AsyncHTTPClient().fetch(f"{url}/calls")
    return int(json.loads(response.body)["calls"])


async def more_workers(conditions: Conditions) -> list[Figure]:
    """Measure small jobs with few and with many workers, all of them in one process."""
    tasks = small_jobs(conditions.rng(), conditions.size(2_000))  # where it is slow, it is slow
    costs_us: dict[int, list[float]] = {1: [], 10: [], 100: [], 500: []}
    for _ in range(min(3, conditions.rounds)):
        for workers, costs in costs_us.items():
            async with conditions.cluster(f"{workers} workers", 0) as (cluster, client):
                cluster.start_crowd(workers)
                await cluster.until_live(client, workers)
                await operations_per_s(client, tasks, 10)  # from here on all are known as quick
                costs.append(1e6 / await operations_per_s(client, tasks, 10))
    each = ", ".join(f"{workers}: {median(costs):.1f}" for workers, costs in costs_us.items())
    rounds = zip(*costs_us.values(), strict=True)
    return [
        Figure(
            "cost of an operation with 1 to 500 workers, in one process: largest / smallest",
            median(max(costs) / min(costs) for costs in rounds),
            aim=at_most(1.5),
            note=f"µs by workers: {each}",
        )
    ]


async def slow_workers(conditions: Conditions) -> list[Figure]:
    """Compare many workers whose operations take long with one such worker."""
    many, one = [], []
    for _ in range(min(2, conditions.rounds)):
        many.append(await _paced(conditions, MANY))
        one.append(await _paced(conditions, 1))
    return [
        Figure(
            f"{MANY} workers of {PACE_MS:g} ms an operation / {MANY} times one",
            median_ratio(many, one) / MANY,
            aim=at_least(0.95),
            note=f"{median(many):,.0f} and {median(one):,.0f} operations/s",
        )
    ]


async def _paced(conditions: Conditions, workers: int) -> float:
    operations = conditions.size(OPERATIONS_EACH) * workers
    tasks = [Task("1+1", 2)] * operations
    async with conditions.cluster(f"{workers} slow workers", 0) as (cluster, client):
        cluster.start_crowd(workers, batch=1, pace_ms=PACE_MS)
        await cluster.until_live(client, workers)
        began_at = perf_counter()
        await in_bulk(client, tasks)
        return operations / (perf_counter() - began_at)


async def memory(conditions: Conditions) -> list[Figure]:
    """Measure what an operation takes in memory while it waits; there is no worker."""
    operations = conditions.size(100_000)
    task = balanced(conditions.rng(), operations)
    async with conditions.cluster("operations that wait", 0) as (cluster, client):
        before = cluster.resident_bytes()
        await client.submit(task.text)
        await _until_planned(client)
        grown = cluster.resident_bytes() - before
    return [
        Figure(
            f"memory of an operation that waits ({operations:,} in one job)",
            grown / operations,
            "bytes",
            at_most(500),
            "its share of the text and of the plan included",
        )
    ]


async def _until_planned(client: MasterClient) -> None:
    # A submit is answered once it is on record; its operations are queued a moment later.
    for _ in range(20):
        await client.jobs(limit=1)
        await asyncio.sleep(0.05)
