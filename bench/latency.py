"""How long one has to wait: for a small job, for a look at a job, for others beside a large one."""

import asyncio
from statistics import median
from time import perf_counter

from bench.conditions import Conditions
from bench.expressions import Task, balanced, float_chain, integer_sum
from bench.figures import Figure, at_most, quantile
from bench.load import each_answered_s, timed
from engine.client.api import MasterClient

ONE = Task("1+1", 2)
EVERY_S = 0.02


async def one_operation(conditions: Conditions) -> list[Figure]:
    """Measure a job of one operation, submitted and answered in one request.

    By a client that costs next to nothing, and in turns by ours in Python.
    """
    count = conditions.size(300)
    bare: list[list[float]] = []
    ours: list[list[float]] = []
    async with conditions.cluster("one operation at a time") as (cluster, client):
        for _ in range(conditions.rounds):
            bare.append([1000 * s for s in await each_answered_s(cluster.url, ONE, count)])
            ours.append([1000 * await timed(client, ONE) for _ in range(count)])
    what = "one operation, submitted and answered in one request"
    note = f"through our client in Python {_median_of(ours, 0.5):.2f} ms"
    return [
        Figure(f"{what}: p50", _median_of(bare, 0.5), "ms", at_most(3), note),
        Figure(f"{what}: p99", _median_of(bare, 0.99), "ms", at_most(10)),
    ]


async def dependent_operations(conditions: Conditions) -> list[Figure]:
    """Measure jobs that leave nothing to do at the same time, or seem to."""
    links, terms = conditions.size(1_000), conditions.size(10_000)
    chain = float_chain(conditions.rng(), links)
    total = integer_sum(conditions.rng(), terms)
    async with conditions.cluster("chains and sums") as (_, client):
        await timed(client, chain)  # the first one makes the connections
        chains = [1000 * await timed(client, chain) for _ in range(conditions.rounds)]
        sums = [1000 * await timed(client, total) for _ in range(conditions.rounds)]
    return [
        Figure(f"a chain of {links:,} operations on floats", median(chains), "ms", at_most(30)),
        Figure(f"a sum of {terms:,} integers", median(sums), "ms"),
    ]


async def beside_a_large_job(conditions: Conditions) -> list[Figure]:
    """Measure others' small jobs, and looks at the large one, while a large one is running."""
    operations = conditions.size(100_000)
    large = balanced(conditions.rng(), operations)
    looks: list[list[float]] = []
    ones: list[list[float]] = []
    async with conditions.cluster("beside large jobs") as (_, client):
        await timed(client, large)
        for _ in range(conditions.rounds):
            looks.append(await _looks_at(client, large))
            ones.append(await _ones_beside(client, large))
    return [
        Figure(
            f"`GET /job/{{id}}` of a job of {operations:,} operations while it runs: p99",
            _median_of(looks, 0.99),
            "ms",
            at_most(50),
        ),
        Figure(
            f"`1+1` every 20 ms while jobs of {operations:,} operations run: p99",
            _median_of(ones, 0.99),
            "ms",
            at_most(50),
            f"p50 {_median_of(ones, 0.5):.1f} ms",
        ),
    ]


async def _looks_at(client: MasterClient, large: Task) -> list[float]:
    submitted = await client.submit(large.text)
    took_ms = []
    finished = False
    while not finished:
        began_at = perf_counter()
        finished = (await client.job(submitted.job_id)).finished
        took_ms.append(1000 * (perf_counter() - began_at))
        await asyncio.sleep(0.002)
    return took_ms


async def _ones_beside(client: MasterClient, large: Task) -> list[float]:
    """Submit at fixed times, whether or not the last answer has come: nobody waits for others."""
    running = asyncio.create_task(timed(client, large))
    loop = asyncio.get_running_loop()
    ones, began_at = [], loop.time()
    while not running.done():
        ones.append(asyncio.create_task(timed(client, ONE)))
        await asyncio.sleep(began_at + len(ones) * EVERY_S - loop.time())
    await running
    return [1000 * took_s for took_s in await asyncio.gather(*ones)]


def _median_of(rounds: list[list[float]], share: float) -> float:
    return median(quantile(values, share) for values in rounds)
