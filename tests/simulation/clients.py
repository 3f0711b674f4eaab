"""Clients: they submit random tasks, try again until they are heard, cancel some, and look.

Whatever they are told goes to the laws. A client that sends an idempotency key keeps it when it
tries again; one without may leave a job behind that it never heard of.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from engine.errors import ExpressionError, IdempotencyConflict, Overloaded, StoreError
from engine.job import Job, JobId
from engine.master.assembly import Master
from tests.expressions import random_expression
from tests.simulation.laws import MARK, POISON
from tests.simulation.machines import Gone
from tests.simulation.world import World

Answer = TypeVar("Answer")

PATIENCE_S = 5.0  # after which a client closes its connection and tries again


class Clients:
    """All clients of one run."""

    def __init__(self, world: World, random: Random, *, poison: int = 0) -> None:
        self._world = world
        self._random = random
        self._poison = poison  # jobs that kill workers, and are still to come
        self._made = 0
        self.at_work = 0  # clients that have not heard of the end of their job yet

    async def come(self, jobs: int, per_s: float) -> None:
        """Let clients come at random moments until so many have come."""
        for _ in range(jobs):
            await asyncio.sleep(self._random.expovariate(per_s))
            kind = self._one if self._random.random() < 0.9 else self._several
            self._world.spawn(self._counted(kind()))

    async def _counted(self, visit: Awaitable[None]) -> None:
        self.at_work += 1
        try:
            await visit
        finally:
            self.at_work -= 1

    # Visits

    async def _one(self) -> None:
        task = self._task()
        # Tried again without a key, a marked operation might be there twice.
        keyed = "*3)" in task or self._random.random() < 0.5
        key = f"key-{self._made}" if keyed else None
        before = self._world.laws.last_acknowledged
        self._note(f"submit {task[:60]} key={key}")
        try:
            job = await self._insistently(lambda master: master.engine.submit(task, key, task))
        except ExpressionError as error:
            self._world.laws.was_refused(task, error.code)
            return
        if job is None:
            return
        self._acknowledged(job, task, key, before)
        if key is not None and self._random.random() < 0.2:
            await self._again(key, task)
        await self._follow(job.job_id)

    async def _several(self) -> None:
        tasks = [self._task() for _ in range(self._random.randint(2, 8))]
        key = f"key-{self._made}"
        before = self._world.laws.last_acknowledged
        self._note(f"submit {len(tasks)} tasks key={key}")
        jobs = await self._insistently(
            lambda master: master.engine.submit_many(tasks, key, str(tasks))
        )
        for place, (task, job) in enumerate(zip(tasks, jobs or [], strict=False)):
            if isinstance(job, ExpressionError):
                self._world.laws.was_refused(task, job.code)
            else:
                self._acknowledged(job, task, f"{key}#{place}", before)

    async def _again(self, key: str, task: str) -> None:
        """Send the same key again, with the same body or another one."""
        if self._random.random() < 0.5:
            before = self._world.laws.last_acknowledged
            job = await self._insistently(lambda master: master.engine.submit(task, key, task))
            if job is not None:
                self._acknowledged(job, task, key, before)
            return
        try:
            body = f"{task} "  # another one, whatever the task is
            other = await self._insistently(lambda master: master.engine.submit(body, key, body))
            if other is not None:
                self._world.laws.break_(f"{key} was taken with another body")
        except IdempotencyConflict:
            pass

    async def _follow(self, job_id: JobId) -> None:
        """Look at a job until it has ended; some are cancelled, some looked up in the list."""
        if self._random.random() < 0.08:
            await asyncio.sleep(self._random.uniform(0.0, 1.0))
            self._world.laws.cancelled.add(job_id)
            self._note(f"cancel {job_id}")
            await self._look(lambda master: master.engine.cancel(job_id))
        while job_id not in self._world.laws.finished:
            await self._look(_waiting(job_id, self._random.choice([0.0, 0.5, 3.0])))
            if self._random.random() < 0.1:
                await self._look_at_list()
            await asyncio.sleep(self._random.uniform(0.1, 1.0))

    async def _look(self, request: Callable[[Master], Awaitable[Job]]) -> None:
        """Ask once; whoever has to ask again knows only what is asked for then."""
        asked_at = self._now()
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._saw(await self._world.ask(request), asked_at)
        except (Gone, TimeoutError, StoreError) as error:
            self._note(f"no answer: {type(error).__name__}")

    async def _look_at_list(self) -> None:
        before, asked_at = self._world.laws.last_acknowledged, self._now()
        page = await self._insistently(lambda master: master.engine.jobs(100))
        if page is not None:
            self._world.laws.saw_page(page.jobs, before, asked_at)

    # Being heard

    async def _insistently(self, request: Callable[[Master], Awaitable[Answer]]) -> Answer | None:
        """Ask until there is an answer, or, now and then, give up: `None`."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._world.ask(request)
            except (Gone, TimeoutError):
                if self._random.random() < 0.05:
                    return None
            except (Overloaded, StoreError) as error:
                self._note(f"not now: {error.code}")
            await asyncio.sleep(self._random.uniform(0.05, 1.0))

    def _acknowledged(self, job: Job, task: str, key: str | None, before: int) -> None:
        self._note(f"acknowledged {job.job_id} key={key}")
        self._world.laws.was_acknowledged(job.job_id, task, key, before)
        if job.finished:
            self._saw(job, self._now())

    def _saw(self, job: Job, asked_at: float) -> None:
        if job.finished and job.job_id not in self._world.laws.finished:
            self._note(f"finished {job.job_id} {str(job.outcome)[:100]}")
        self._world.laws.saw(job, asked_at)

    def _now(self) -> float:
        return self._world.loop.time()

    def _note(self, what: str) -> None:
        self._world.history.add(what)

    # Tasks

    def _task(self) -> str:
        self._made += 1
        chance = self._random.random()
        if self._poison and chance < 0.2:
            self._poison -= 1
            return f"({POISON + self._made}*3)+{self._made}"
        if chance < 0.3:
            return f"{self._made}+({MARK + self._made}*3)-{self._made}/4"
        if chance < 0.33:
            return _long(self._random)
        return random_expression(self._random)


def _waiting(job_id: JobId, wait_s: float) -> Callable[[Master], Awaitable[Job]]:
    return lambda master: master.engine.wait(job_id, wait_s)


def _long(random: Random) -> str:
    """Return some hundred operations: a sum that becomes a tree, a chain, or both."""
    symbols = random.choice(["+", "+-", "+*", "+-/"])
    terms = [str(random.randint(1, 99)) for _ in range(random.randint(200, 600))]
    return "".join(term + random.choice(symbols) for term in terms) + random.choice(["1", "1.5"])
