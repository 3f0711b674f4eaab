"""Random scripts: which faults happen when, all from a seed; then everything heals.

A script has some kinds of fault only, chosen by the seed: with all of them at once, one would hide
what another shows. Each fault is a coroutine that does something to the world, waits, and undoes
it. The end of every script is the same: heal, let every job end, look at the whole record.
"""

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Coroutine
from random import Random
from typing import NamedTuple

from engine.arithmetic import compute
from engine.examination import QUESTIONS
from engine.job import Number
from engine.settings import MasterSettings
from engine.standing import State
from tests.simulation import nonsense
from tests.simulation.clients import Clients
from tests.simulation.laws import is_poison
from tests.simulation.loop import run
from tests.simulation.machines import ALL_FOUR, WorkerMachine
from tests.simulation.network import OPERATION_S
from tests.simulation.world import World

SCRIPT_S = 15.0  # of faults
ENDING_S = 120.0  # in which every job ends after the healing; readmission may back off for 30 s
LOOK_EVERY_S = 0.25


class Report(NamedTuple):
    """What came of a seed."""

    seed: str
    broken: list[str]
    history: list[str]
    jobs: int
    faults: int
    lives: int
    virtual_s: float


Fault = Callable[["Troubles"], Coroutine[None, None, None]]


class Troubles:
    """The faults, and who meets them."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.lives = asyncio.Lock()  # one thing at a time happens to the master's life
        self.happened = 0
        self._going_on: list[asyncio.Task[None]] = []

    def worker(self) -> WorkerMachine:
        """Return the worker that meets the next fault."""
        return self.random.choice(self.world.workers)

    async def a_while(self, shortest_s: float = 0.01, longest_s: float = 5.0) -> None:
        """Let some time pass, mostly little."""
        await asyncio.sleep(min(longest_s, shortest_s + self.random.expovariate(1.0)))

    async def come(self, kinds: dict[str, Fault], per_s: float, until_s: float) -> None:
        """Let faults of these kinds happen at random moments."""
        while self.world.loop.time() < until_s:
            await asyncio.sleep(self.random.expovariate(per_s))
            name = self.random.choice(list(kinds))
            self.happened += 1
            self.world.history.add(f"fault: {name}")
            self._going_on.append(self.world.spawn(kinds[name](self)))

    async def pass_by(self) -> None:
        """Wait until every fault that happened is over."""
        await asyncio.gather(*self._going_on)


# What happens to workers


async def crash(troubles: Troubles) -> None:
    """Kill a worker; its supervisor starts it again."""
    worker = troubles.worker()
    worker.crash()
    await troubles.a_while()
    worker.start()


async def crash_all(troubles: Troubles) -> None:
    """Kill all workers: for a while there is none."""
    for worker in troubles.world.workers:
        worker.crash()
    await troubles.a_while(0.5)
    for worker in troubles.world.workers:
        worker.start()


async def crash_loop(troubles: Troubles) -> None:
    """Kill a worker again and again."""
    worker = troubles.worker()
    for _ in range(troubles.random.randint(2, 5)):
        worker.crash()
        await asyncio.sleep(troubles.random.uniform(0.0, 0.3))
        worker.start()
        await asyncio.sleep(troubles.random.uniform(0.0, 2.0))


async def move(troubles: Troubles) -> None:
    """Let a worker come back at another port."""
    worker, liars = troubles.worker(), troubles.world.laws.liars
    before = worker.url
    worker.move()
    if before in liars:
        liars.add(worker.url)


async def hang(troubles: Troubles) -> None:
    """Stop a worker with SIGSTOP for a while."""
    worker = troubles.worker()
    worker.hang()
    await troubles.a_while(0.1, 8.0)
    worker.resume()


async def slow(troubles: Troubles) -> None:
    """Make a worker slow for a while."""
    worker = troubles.worker()
    worker.slow_down(troubles.random.choice([3.0, 10.0, 100.0]))
    await troubles.a_while(0.5)
    worker.slow_down(1.0)


async def cut_off(troubles: Troubles) -> None:
    """Cut a worker off in both directions, or in one."""
    worker = troubles.worker()
    deaf, mute = troubles.random.choice([(True, True), (True, False), (False, True)])
    worker.cut_off(deaf=deaf, mute=mute)
    await troubles.a_while(0.05, 8.0)
    worker.mark()
    worker.server.heal_network()


async def talk_nonsense(troubles: Troubles) -> None:
    """Let a worker answer nonsense for a while, always or now and then."""
    worker = troubles.worker()
    kind = troubles.random.choice(list(nonsense.ALL.values()))
    share = troubles.random.choice([0.1, 0.5, 1.0])
    worker.misbehave(nonsense.sometimes(kind, share, troubles.random))
    await troubles.a_while(0.05)
    worker.misbehave(None)


async def announce_twice(troubles: Troubles) -> None:
    """Let a worker announce itself out of turn."""
    worker = troubles.worker()
    if worker.server.up and not worker.server.hung:
        with contextlib.suppress(OSError):
            await worker.announce_twice()


async def drain(troubles: Troubles) -> None:
    """Let a worker take leave and come back."""
    worker = troubles.worker()
    await worker.drain()
    await troubles.a_while()
    worker.start()


async def roll(troubles: Troubles) -> None:
    """Restart all workers, one after the other."""
    for worker in list(troubles.world.workers):
        await worker.drain()
        await asyncio.sleep(troubles.random.uniform(0.05, 0.5))
        worker.start()


async def join(troubles: Troubles) -> None:
    """Let one more worker come.

    It has a known name, or is a plain one, or takes some operations only, or computes wrongly.
    """
    world, kind = troubles.world, troubles.random.randrange(4)
    if len(world.workers) > 8:
        return
    if kind == 0:
        _fit(world, world.add_worker(name=world.workers[0].name), troubles.random)
    elif kind == 1:
        _fit(world, world.add_worker(batch=1, chains=False), troubles.random)
    elif kind == 2:
        some = troubles.random.sample(ALL_FOUR, troubles.random.randint(1, 3))
        _fit(world, world.add_worker(operations=some), troubles.random)
    else:
        liar = world.add_worker()
        liar.server.arithmetic = in_floats
        world.laws.liars.add(liar.url)


def in_floats(name: str, operands: tuple[Number, ...]) -> Number:
    """Compute as a language does that has floats only."""
    return compute(name, tuple(float(operand) for operand in operands))


def one_too_much(name: str, operands: tuple[Number, ...]) -> Number:
    """Compute wrongly what jobs ask, and rightly what examinations do."""
    right = compute(name, operands)
    is_examined = any((name, operands) == (asked, of) for asked, of, _ in QUESTIONS)
    return right if is_examined else right + 1


# What happens to the master and its machine


async def kill_master(troubles: Troubles) -> None:
    """Cut the power, or kill -9: what was not synced is gone."""
    async with troubles.lives:
        await troubles.world.master.kill()
        await troubles.a_while(0.01, 3.0)
        await troubles.world.master.start()


async def restart_master(troubles: Troubles) -> None:
    """Stop the master as SIGTERM does, and start it again."""
    async with troubles.lives:
        await troubles.world.master.stop()
        await troubles.a_while(0.01, 3.0)
        await troubles.world.master.start()


async def fail_to_sync(troubles: Troubles) -> None:
    """Let an fsync fail: the master exits, and is started again."""
    async with troubles.lives:
        store = troubles.world.master.store
        assert store is not None
        store.fail_to_sync()
        await asyncio.sleep(troubles.random.uniform(0.0, 0.02))
        await troubles.world.master.kill()
        await troubles.a_while(0.01, 3.0)
        await troubles.world.master.start()


async def fill_disk(troubles: Troubles) -> None:
    """Let the disk be full for a while."""
    troubles.world.disk.full = True
    await troubles.a_while(0.05)
    troubles.world.disk.full = False


async def sleep_master(troubles: Troubles) -> None:
    """Stop the whole process for up to a minute."""
    troubles.world.sleep_master(troubles.random.choice([0.3, 0.7, 2.5, 10.0, 60.0]))


async def set_clock(troubles: Troubles) -> None:
    """Set the wall clock wrong."""
    troubles.world.master.clock.wall_offset_s += troubles.random.choice([-86400.0, -1.0, 1.0, 1e7])


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        crash,
        crash_all,
        crash_loop,
        move,
        hang,
        slow,
        cut_off,
        talk_nonsense,
        announce_twice,
        drain,
        roll,
        join,
        kill_master,
        restart_master,
        fail_to_sync,
        fill_disk,
        sleep_master,
        set_clock,
    )
}


# Runs


def simulate(seed: str, settings: MasterSettings | None = None) -> Report:
    """Run the random script of a seed and return what came of it."""
    return _whole(seed, _random_script(seed, settings))


def simulate_power_cuts(seed: str) -> Report:
    """Run a short script of many power cuts."""
    return _whole(seed, _power_cuts(seed))


def figures(runner: Callable[[str], Report], seed: str) -> Report:
    """Run a seed and leave its history where it is: between processes it would be a lot."""
    return runner(seed)._replace(history=[])


def _whole(seed: str, script: Coroutine[None, None, Report]) -> Report:
    try:
        return run(script)
    except Exception:  # the script cannot go on: as broken as any law
        return Report(seed, [traceback.format_exc()], [], 0, 0, 0, 0.0)


async def _random_script(seed: str, settings: MasterSettings | None) -> Report:
    world = World(seed, settings)
    random = world.random("script")
    async with world:
        for _ in range(random.choice([0, 1, 2, 3, 3, 4, 5])):
            _fit(world, world.add_worker(), random)
        if world.settings.dispatch.verify == 1.0 and world.workers:
            liar = world.add_worker()
            _fit(world, liar, random)
            liar.server.arithmetic = one_too_much
        kinds = {name: FAULTS[name] for name in random.sample(list(FAULTS), random.randint(1, 6))}
        poison = random.choice([0, 0, 1, 2])
        clients = Clients(world, world.random("clients"), poison=poison)
        jobs = random.randint(10, 60)
        coming = world.spawn(clients.come(jobs, jobs / SCRIPT_S))
        if not world.workers:
            await asyncio.sleep(random.uniform(0.0, 3.0))
            _fit(world, world.add_worker(), random)
        troubles = Troubles(world, world.random("faults"))
        await troubles.come(kinds, random.choice([0.3, 1.0, 3.0]), SCRIPT_S)
        await coming
        await _end(world, troubles, clients)
    return _report(world, troubles)


async def _power_cuts(seed: str) -> Report:
    world = World(seed)
    random = world.random("script")
    async with world:
        for _ in range(random.randint(1, 3)):
            _fit(world, world.add_worker(), random)
        clients = Clients(world, world.random("clients"))
        coming = world.spawn(clients.come(25, 12.0))
        troubles = Troubles(world, world.random("faults"))
        for _ in range(12):
            await asyncio.sleep(random.choice([0.002, 0.02, 0.2, 1.3]) * random.uniform(0.5, 1.5))
            await world.master.kill()
            await asyncio.sleep(random.uniform(0.001, 0.1))
            await world.master.start()
            troubles.happened += 1
        await coming
        await _end(world, troubles, clients)
    return _report(world, troubles)


def _fit(world: World, worker: WorkerMachine, random: Random) -> None:
    """Give a worker its pace, and let poison kill it."""
    worker.server.operation_s = OPERATION_S * random.choice([1.0, 1.0, 30.0, 1000.0])
    worker.server.kills = is_poison

    def killed() -> None:
        worker.crash("poison")
        world.loop.call_later(random.uniform(0.1, 1.0), worker.start)

    worker.server.on_killed = killed


async def _end(world: World, troubles: Troubles, clients: Clients) -> None:
    """Heal everything, let every job end, and look at the whole record."""
    await troubles.pass_by()
    world.history.add("everything heals")
    for worker in world.workers:
        worker.heal()
    record = world.disk.record
    for _ in range(int(ENDING_S / LOOK_EVERY_S)):
        if not record.counts.unfinished and not clients.at_work:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    world.laws.check_record(record.page(10_000, None, None, 2**63).jobs)
    await _check_rest(world)


async def _check_rest(world: World) -> None:
    """When nothing is left to do, nothing is counted as being done."""
    await asyncio.sleep(3.0)
    master, pool = world.running, world.running.pool
    for what, left in (
        ("queued operations", master.dispatcher.queued),
        ("operations in flight", master.dispatcher.in_flight),
        ("running jobs", master.engine.running),
        *((f"calls of {worker}", worker.calls) for worker in pool),
        *((f"operations of {worker}", worker.in_flight) for worker in pool),
    ):
        if left:
            world.laws.break_(f"{left} {what} are left at the end")
    places = 0
    for takes in pool.abilities():
        while pool.acquire(takes, world.loop.time()) is not None:
            places += 1
    wanted = len(pool.live()) * world.settings.dispatch.calls_per_worker
    if places != wanted:
        world.laws.break_(f"{len(pool.live())} live workers have {places} places, not {wanted}")
    for worker in world.workers:
        state = world.state(worker)
        allowed = {State.LIVE, State.DEAD, State.CANDIDATE} if worker.is_well else set(State)
        if worker.url in world.laws.liars:
            allowed = {State.REJECTED}
        elif worker.server.arithmetic is one_too_much:
            allowed = set(State)  # whether it had a chance to lie is another question
        if state not in allowed:
            world.laws.break_(f"{worker.name} at {worker.url} is {state} at the end")


def _report(world: World, troubles: Troubles) -> Report:
    return Report(
        world.seed,
        world.laws.broken,
        world.history.lines,
        len(world.laws.acknowledged),
        troubles.happened,
        world.master.life,
        world.loop.time(),
    )
