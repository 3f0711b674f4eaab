"""Clients that go on while masters die under them: they submit, repeat, cancel, and look.

Every task is written once in the whole run, so that a record that has it twice has doubled it.
What a client is not sure of (its request was sent, no answer came) it repeats if it has a key, and
lets be if it has none.
"""

import asyncio
from collections.abc import Awaitable
from random import Random

from engine.client.api import MasterClient
from engine.client.errors import ApiError, MasterUnreachable
from engine.messages import JobListed, JobStatus, Submitted
from tests.chaos.ledger import Ledger, Row
from tests.expressions import random_expression

CLIENTS = 6
PAUSE_S = 0.02  # between two requests of a client, on average
SILENCE_S = 0.05  # before a master that does not answer is asked again
BURST = 1000
REPEATED_KEYS = 200  # how many of them are remembered, to be sent once more


class Load:
    """Some clients of one master, and the ledger that they write into."""

    def __init__(self, master: MasterClient, ledger: Ledger, rng: Random, *, repeats: bool) -> None:
        self._master = master
        self._ledger = ledger
        self._rng = rng
        self._repeats = repeats
        self._serial = 0
        self._over = False
        self._keys: list[tuple[str, str, int]] = []  # key, task, the id that it was answered with

    def stop(self) -> None:
        """Let every client end with what it is about."""
        self._over = True

    async def run(self) -> None:
        """Go on until stopped."""
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def burst(self) -> None:
        """Submit so much at once that some of it is unfinished a moment later."""
        tasks, above = [self._task() for _ in range(BURST)], self._ledger.highest
        for task, item in zip(tasks, await self._master.submit_many(tasks), strict=True):
            if isinstance(item, Submitted):
                self._ledger.acknowledge(item.job_id, task, above)

    async def _client(self) -> None:
        doings = [self._submit, self._submit_keyed, self._submit_many, self._look, self._list]
        doings += [self._submit, self._submit_and_wait, self._cancel, self._repeat, self._wait]
        while not self._over:
            try:
                await self._rng.choice(doings)()
                await asyncio.sleep(self._rng.expovariate(1 / PAUSE_S))
            except MasterUnreachable:
                await asyncio.sleep(SILENCE_S)
            except ApiError as error:
                if not error.busy:
                    raise
                await asyncio.sleep(SILENCE_S)

    def _task(self) -> str:
        self._serial += 1
        return f"({random_expression(self._rng)})+0*{self._serial}"

    def _some_job(self) -> int | None:
        """Return a job that was acknowledged, one of the latest more often than not."""
        highest = self._ledger.highest
        if not highest:
            return None
        back = int(self._rng.expovariate(1 / 50)) if self._rng.random() < 0.7 else highest
        job_id = highest - back if back < highest else self._rng.randint(1, highest)
        return job_id if self._ledger.knows(job_id) else None

    # What they do

    async def _submit(self) -> None:
        task, above = self._task(), self._ledger.highest
        reply = await self._master.submit(task)
        self._ledger.acknowledge(reply.job_id, task, above)

    async def _submit_and_wait(self) -> None:
        """Let a job be recorded together with its answer, if that comes at once."""
        task, above, asked_at = self._task(), self._ledger.highest, self._ledger.observations
        reply = await self._master.submit(task, wait_s=self._rng.randrange(20) / 20)
        self._ledger.acknowledge(reply.job_id, task, above)
        if isinstance(reply, JobStatus):
            self._ledger.see(_row_of(reply, task), asked_at)

    async def _submit_keyed(self) -> None:
        task, above = self._task(), self._ledger.highest
        key, sent = f"key-{self._serial}", False
        while not self._over:
            try:
                reply = await self._master.submit(task, idempotency_key=key)
            except MasterUnreachable as error:
                sent = sent or error.sent
            except ApiError as error:
                if not error.busy:
                    raise
            else:
                self._ledger.acknowledge(reply.job_id, task, None if sent else above)
                self._keys = [*self._keys[-REPEATED_KEYS:], (key, task, reply.job_id)]
                return
            await asyncio.sleep(SILENCE_S)

    async def _repeat(self) -> None:
        if self._keys and self._repeats:
            key, task, first = self._rng.choice(self._keys)
            reply = await self._master.submit(task, idempotency_key=key)
            self._ledger.repeat(reply.job_id, first)

    async def _submit_many(self) -> None:
        tasks, above = [self._task() for _ in range(self._rng.randint(1, 30))], self._ledger.highest
        broken = self._rng.randrange(3 * len(tasks))
        sent = [task + "*" if place == broken else task for place, task in enumerate(tasks)]
        for place, item in enumerate(await self._master.submit_many(sent)):
            if isinstance(item, Submitted):
                self._ledger.acknowledge(item.job_id, sent[place], above)
            elif place != broken:
                self._ledger.fault("wrong", f"refused: {sent[place]}: {item.detail}")

    async def _cancel(self) -> None:
        job_id = self._some_job()
        if job_id is not None:
            self._ledger.cancel(job_id)
            await self._saw(self._master.cancel(job_id), job_id)

    async def _look(self) -> None:
        await self._ask(None)

    async def _wait(self) -> None:
        await self._ask(self._rng.randrange(20) / 20)

    async def _ask(self, wait_s: float | None) -> None:
        job_id = self._some_job()
        if job_id is not None:
            await self.look_at(job_id, wait_s)

    async def look_at(self, job_id: int, wait_s: float | None) -> None:
        """Ask how a job is, and write it down."""
        await self._saw(self._master.job(job_id, wait_s=wait_s), job_id)

    async def _list(self) -> None:
        asked_at = self._ledger.observations
        for listed in await self._master.jobs(limit=self._rng.choice([10, 100])):
            self._ledger.see(_row_of(listed, listed.task), asked_at)

    async def _saw(self, asking: Awaitable[JobStatus], job_id: int) -> None:
        asked_at = self._ledger.observations
        try:
            status = await asking
        except ApiError as error:
            if error.status != 404:
                raise
            self._ledger.miss(job_id)
        else:
            self._ledger.see(_row_of(status, self._ledger.task(status.job_id)), asked_at)


def _row_of(job: JobStatus | JobListed, task: str) -> Row:
    """Return a job as the master showed it."""
    error = job.error if isinstance(job.error, str) else None
    return Row(job.job_id, task, job.finished, job.answer, error)
