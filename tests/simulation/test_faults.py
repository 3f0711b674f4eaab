"""The table of faults, row by row: what the right behaviour is, in virtual time.

The numbers are those of the table; where it names a time, it is the time that the script sees,
with the settings as they are by default.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from engine.dispatcher import QUICK_CALLS
from engine.errors import StoreError
from engine.exchange import Reply
from engine.hedging import CREDIT
from engine.job import Job
from engine.messages import Announcement, Item
from engine.pool import WARM_S
from engine.settings import DispatchSettings, JobsSettings, MasterSettings, WorkersSettings
from engine.standing import State
from tests.simulation import nonsense
from tests.simulation.laws import MARK, POISON, is_examination, is_poison
from tests.simulation.loop import run
from tests.simulation.machines import ALL_FOUR, WorkerMachine
from tests.simulation.network import Call, ScriptedWorker
from tests.simulation.script import in_floats, one_too_much
from tests.simulation.world import World

SLOW_OPERATION_S = 0.2  # long enough for a script to meet it half-way
UNHEDGED = MasterSettings(dispatch=DispatchSettings(hedge_share=0.0))
Scenario = Callable[[World], Awaitable[None]]


def play(scenario: Scenario, settings: MasterSettings | None = None) -> None:
    """Run a scenario in a world of its own; the laws hold in it too."""

    async def whole() -> list[str]:
        world = World("scenario", settings)
        async with world:
            await scenario(world)
        return world.laws.broken

    assert run(whole()) == []


def work_calls(world: World, worker: WorkerMachine | None = None) -> list[Call]:
    """Return the calls that carried operations of jobs, to one worker or to all."""
    return [
        call
        for call in world.calls
        if not call.is_probe
        and not is_examination(call)
        and (worker is None or call.url == worker.url)
    ]


async def a_call_in_hand(world: World, worker: WorkerMachine) -> Call:
    """Wait until the worker has begun a call with operations, and return that."""
    await world.until(lambda: worker.server.calls_in_hand > 0)
    return work_calls(world, worker)[-1]


def slow_operations(*workers: WorkerMachine) -> None:
    """Let every operation take its time."""
    for worker in workers:
        worker.server.operation_s = SLOW_OPERATION_S


def right(job: Job, answer: float) -> bool:
    """Return whether a job ended with an answer."""
    return job.outcome is not None and job.outcome.answer == answer


# Workers that die


def test_a_bug_of_ours_in_a_call_loses_no_operation_of_it() -> None:
    """It is logged, and asked again; the worker has done nothing wrong."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        slow_operations(worker)
        job_id = await world.submit("6*7")
        (await a_call_in_hand(world, worker)).answer.set_exception(RuntimeError("a bug"))
        assert right(await world.ending(job_id), 42)
        entry = world.entry(worker)
        assert entry is not None
        assert (entry.state, entry.failed, entry.in_flight) == (State.LIVE, 0, 0)
        (broken,) = world.laws.broken  # nothing of ours may be unforeseen
        assert "a call ended in an unforeseen way" in broken
        world.laws.broken.clear()

    play(scenario)


def test_row_1_a_worker_that_is_gone_is_left_at_once() -> None:
    """Refused: another worker within milliseconds, and a probe at once."""

    async def scenario(world: World) -> None:
        first, _ = await world.with_live(2)
        first.crash()
        died_at = world.loop.time()
        for _ in range(4):
            assert right(await world.answer("6*1+6*6"), 42)
        assert world.loop.time() - died_at < 0.1
        assert world.state(first) is State.SUSPECT
        assert any(call.is_probe and call.url == first.url for call in world.calls)

    play(scenario)


@pytest.mark.parametrize("progress", [0.1, 0.9])
def test_rows_2_and_3_what_a_worker_dies_with_goes_to_another_at_once(progress: float) -> None:
    """Killed while computing, or just before it replies: re-dispatched within 50 ms."""

    async def scenario(world: World) -> None:
        first, second = await world.with_live(2)
        slow_operations(first)
        job_ids = [await world.submit("6*7") for _ in range(2)]
        await a_call_in_hand(world, first)
        await world.pass_time(SLOW_OPERATION_S * progress)
        first.crash()
        died_at = world.loop.time()
        await world.until(lambda: any(c.sent_at >= died_at for c in work_calls(world, second)))
        assert world.loop.time() - died_at < 0.05
        for job_id in job_ids:
            assert right(await world.ending(job_id), 42)

    play(scenario, UNHEDGED)


def test_row_4_a_worker_that_hangs_loses_its_operations_and_dies_and_comes_back() -> None:
    """Elsewhere after the call time-out, DEAD within 3.5 s, LIVE after SIGCONT."""

    async def scenario(world: World) -> None:
        first, _ = await world.with_live(2)
        first.hang()
        hung_at = world.loop.time()
        for _ in range(3):
            assert right(await world.answer("6*1+6*6"), 42)
        await world.until(lambda: world.state(first) is State.DEAD)
        assert world.loop.time() - hung_at < 3.5
        first.resume()
        await world.until(lambda: world.state(first) is State.LIVE, 5.0)

    play(scenario)


def test_row_4_a_call_that_is_not_answered_is_given_up() -> None:
    """After its time-out, not sooner and not later: nothing else asks again here."""

    async def scenario(world: World) -> None:
        hung, _ = await world.with_live(2)
        hung.hang()
        began = world.loop.time()
        for job_id in [await world.submit("6*7") for _ in range(4)]:
            assert right(await world.ending(job_id), 42)
        assert 2.0 <= world.loop.time() - began < 2.1

    play(scenario, UNHEDGED)


def test_row_4_a_late_reply_is_ignored() -> None:
    """What another worker answered meanwhile stands, and nothing is counted twice."""

    async def scenario(world: World) -> None:
        (first,) = await world.with_live(1)
        job_id = await world.submit("6*7")
        first.hang()
        await world.pass_time(0.1)
        await world.with_live(1)
        assert right(await world.ending(job_id), 42)
        first.resume()
        await world.pass_time(5.0)
        assert world.state(first) is State.LIVE
        assert world.running.dispatcher.in_flight == 0

    play(scenario)


def test_row_33_a_worker_in_a_crash_loop_is_readmitted_less_and_less_often() -> None:
    """1, 2, 4 ... seconds, and never more than 30."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        pauses = []
        for _ in range(8):
            worker.crash()
            await world.until(lambda: world.state(worker) is State.DEAD)
            worker.start()
            pauses.append(await world.until(lambda: world.state(worker) is State.LIVE))
        assert pauses[:4] == pytest.approx([1, 2, 4, 8], abs=0.3)
        assert max(pauses) < 30.5

    play(scenario)


# Workers that are slow, busy or mad


def test_a_worker_whose_operations_take_their_time_is_admitted() -> None:
    """An examination may take as long as the calls that it is made of."""

    async def scenario(world: World) -> None:
        worker = world.add_worker()
        worker.server.operation_s = 1.5
        await world.until(lambda: world.state(worker) is State.LIVE)
        assert right(await world.answer("6*7"), 42)

    play(scenario)


def test_row_5_a_slow_worker_gets_less_and_stays() -> None:
    """Ten times slower than the others: it gets its share of the work, and is not ejected."""

    async def scenario(world: World) -> None:
        slow, *others = await world.with_live(3)
        for worker in (slow, *others):
            worker.server.operation_s = 0.002
        slow.slow_down(10.0)
        job_ids = [await world.submit("+".join(f"{n}*1.5" for n in range(40))) for _ in range(20)]
        for job_id in job_ids:
            await world.ending(job_id)
        assert slow.server.computed < min(other.server.computed for other in others) / 3
        assert world.state(slow) is State.LIVE

    play(scenario)


def test_row_5_what_is_late_is_asked_for_elsewhere() -> None:
    """One operation at a worker that is a thousand times slower: a second copy wins."""

    async def scenario(world: World) -> None:
        slow, _ = await world.with_live(2)
        for _ in range(20):
            await world.answer("6*1+6*6")
        slow.slow_down(1000.0)
        began = world.loop.time()
        for _ in range(4):
            assert right(await world.answer("6*1+6*6"), 42)
        assert world.loop.time() - began < 0.3

    play(scenario)


def test_row_5_no_more_than_a_share_is_asked_for_twice() -> None:
    """A worker that hangs with much in hand keeps it until its time-out: that is a fault, not late.

    Else each fault would double the load of those that are left.
    """

    async def scenario(world: World) -> None:
        hung, *_ = await world.with_live(2)
        for _ in range(20):
            await world.answer("6*1+6*6")
        hung.hang()
        for _ in range(2):
            await world.answer("6*1+6*6")  # one of them is late, and there is credit for it
        hung.resume()
        await world.until(lambda: len(world.running.pool.live()) == 2)
        task = "+".join(f"{n}*1.5" for n in range(100))
        jobs = await asyncio.gather(*(world.submit(task) for _ in range(40)))
        (its,) = (worker for worker in world.running.pool if worker.url == hung.url)
        await world.until(lambda: its.in_flight > 3 * CREDIT)
        hung.hang()
        for job_id in jobs:
            await world.ending(job_id)
        assert 0 < world.running.dispatcher.tally.retries["late"] <= CREDIT

    # With next to no share, all that there is to spend is what is there at the start.
    play(scenario, MasterSettings(dispatch=DispatchSettings(hedge_share=1e-6, fuse_from=0)))


@pytest.mark.parametrize("code", [503, 429])
def test_row_6_a_busy_worker_has_its_rest_and_is_not_dead(code: int) -> None:
    """Retry-After is kept: nothing is sent to it for so long, and no attempt is spent."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        worker.misbehave(nonsense.status(code, 1.5))
        job_id = await world.submit("6*7")
        await world.until(lambda: len(work_calls(world)) == 1)
        await world.pass_time(0.1)
        worker.misbehave(None)
        assert right(await world.ending(job_id), 42)
        first, second = work_calls(world)
        assert 1.5 <= second.sent_at - first.sent_at < 1.8
        assert world.state(worker) is State.LIVE

    play(scenario)


def test_row_6_no_worker_can_ask_for_a_rest_of_an_hour() -> None:
    """Two seconds are the most."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        worker.misbehave(nonsense.status(503, 3600.0))
        job_id = await world.submit("6*7")
        await world.until(lambda: len(work_calls(world)) == 1)
        await world.pass_time(0.1)
        worker.misbehave(None)
        assert right(await world.ending(job_id, 5.0), 42)

    play(scenario)


def test_row_6_retries_are_a_share_of_what_is_in_flight() -> None:
    """What failed together does not come back together, to bring down the next worker."""

    async def scenario(world: World) -> None:
        *mad, honest = await world.with_live(4)
        for _ in range(80):
            await world.answer("6*1+6*6")
        for one in mad:
            one.misbehave(nonsense.only_arrays(nonsense.status(500)))
        await world.answer("+".join(f"{n}.25*1.5" for n in range(400)))
        lost = [call for one in mad for call in work_calls(world, one)]
        failed = {str(item) for call in lost for item in call.computations}
        again = [
            sum(str(item) in failed for item in call.computations)
            for call in work_calls(world, honest)
        ]
        assert sum(again) > 100
        assert max(again) <= 40  # a fifth of all that there is

    play(scenario, UNHEDGED)


@pytest.mark.parametrize("kind", sorted(nonsense.ALL))
def test_rows_6_to_10_nonsense_is_never_a_result(kind: str) -> None:
    """Whatever one of three workers answers, jobs end with the right answers."""

    async def scenario(world: World) -> None:
        mad, _, _ = await world.with_live(3)
        mad.misbehave(nonsense.ALL[kind])
        job_ids = [await world.submit(f"({n}+1)*(2-{n})/7") for n in range(20)]
        for job_id in job_ids:
            await world.ending(job_id)  # the laws compare with the oracle
        assert work_calls(world, mad)

    play(scenario)


def test_row_10_an_array_of_the_wrong_length_or_order_is_no_answer_to_any_of_it() -> None:
    """Not even to those items that would fit."""

    async def scenario(world: World) -> None:
        mad, _ = await world.with_live(2)
        for spoil in (nonsense.of_wrong_length, nonsense.of_wrong_order):
            mad.misbehave(nonsense.only_arrays(spoil))
            await world.answer("+".join(f"{n}*1.5" for n in range(300)))
        spoilt = [call for call in work_calls(world, mad) if call.fate == "faulty"]
        assert spoilt

    play(scenario)


@pytest.mark.parametrize("kind", ["500", "garbage"])
def test_rows_6_and_7_what_failed_at_one_worker_goes_to_another(kind: str) -> None:
    """No operation comes to the same worker twice while there are others."""

    async def scenario(world: World) -> None:
        mad, *_ = await world.with_live(3)
        mad.misbehave(nonsense.ALL[kind])
        for n in range(12):
            await world.answer(f"{n}*7")
        asked = [call.computations[0].op1 for call in work_calls(world, mad)]
        assert asked
        assert len(asked) == len(set(asked))

    play(scenario)


def test_an_operation_that_fails_everywhere_is_given_up_after_its_attempts() -> None:
    """`attempts_exhausted` after ten: nobody waits for ever for workers that only talk nonsense."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(4)
        for worker in workers:
            worker.misbehave(lambda items, _: _garbage() if items[0]["op1"] == MARK else None)
        job = await world.answer(f"({MARK}*3)+1")
        assert job.outcome is not None
        assert job.outcome.error == "attempts_exhausted"
        assert sum(call.fate == "faulty" for call in work_calls(world)) == 10

    async def lawless() -> None:
        world = World("scenario", UNHEDGED)
        async with world:
            await scenario(world)

    run(lawless())  # the laws know of no world in which all workers go mad at once


def _garbage() -> tuple[str, Reply]:
    return "faulty", Reply(200, b"garbage")


def test_row_11_a_worker_that_computes_in_floats_is_rejected() -> None:
    """Its examination shows it; no operation of a job ever comes to it."""

    async def scenario(world: World) -> None:
        liar = world.add_worker()
        liar.server.arithmetic = in_floats
        world.laws.liars.add(liar.url)
        await world.with_live(1)
        for _ in range(4):
            assert right(await world.answer("6*1+6*6"), 42)
        assert world.state(liar) is State.REJECTED

    play(scenario)


VERIFIED = MasterSettings(dispatch=DispatchSettings(verify=1.0))
HALF_VERIFIED = MasterSettings(dispatch=DispatchSettings(verify=0.5))
A_CHAIN = "1.5" + "".join(f"*{n}.5-{n}" for n in range(1, 40))


def test_row_11_who_announces_more_while_it_is_examined_is_examined_in_that_too() -> None:
    """Else it would be asked for what it never showed that it can."""

    async def scenario(world: World) -> None:
        worker = ScriptedWorker("http://10.0.1.1:8082", world.random("worker"))
        worker.arithmetic = in_floats
        worker.operation_s = 0.1
        worker.start()
        world.network.connect(worker)
        master = world.running
        known = master.announce(Announcement("w", operations=["price"]), worker.url)
        await world.until(lambda: known.probing)
        master.announce(Announcement("w", operations=["price", "mul"]), worker.url)
        await world.until(lambda: known.state is not State.CANDIDATE)
        assert known.state is State.REJECTED

    play(scenario)


@pytest.mark.parametrize("task", ["6*7", "1+(2*3)/4-5", A_CHAIN, "1/(2-2)", "(2*3)/(3-3)+1"])
@pytest.mark.parametrize("others", [0, 1, 2, 5])
def test_row_11_no_job_believes_a_worker_that_lies_after_its_examination(
    others: int, task: str
) -> None:
    """With all verified every answer is the oracle's, however few workers can be asked."""

    async def scenario(world: World) -> None:
        liar, *_ = await world.with_live(1 + others)
        liar.server.arithmetic = one_too_much
        job_ids = [await world.submit(task) for _ in range(2 + others)]
        await world.until(lambda: world.state(liar) is State.REJECTED)
        if not others:
            await world.with_live(1)
        for job_id in job_ids:
            await world.ending(job_id)  # the laws compare with the oracle

    play(scenario, VERIFIED)


def test_row_11_the_reason_names_the_call_and_the_liar_stays_out() -> None:
    """Another examination would prove nothing: it is not asked again for `forget_s`."""

    async def scenario(world: World) -> None:
        liar, *_ = await world.with_live(3)
        liar.server.arithmetic = one_too_much
        for _ in range(6):
            await world.pass_time(2 * WARM_S)  # else they all begin at one worker
            await world.answer("6*7")
        entry = world.entry(liar)
        assert entry is not None
        assert entry.reason == "mul of 6 and 7 gave 43, should be 42"
        convicted_at = len(world.calls)
        await world.pass_time(300.0)
        assert not [call for call in world.calls[convicted_at:] if call.url == liar.url]

    play(scenario, VERIFIED)


def test_row_11_an_unfinished_job_that_believed_a_liar_starts_afresh() -> None:
    """Half of the operations are verified: what the liar got through before is computed again."""

    async def scenario(world: World) -> None:
        liar, *others = await world.with_live(3)
        slow_operations(liar, *others)
        liar.server.arithmetic = one_too_much
        # Products first, and all of them are in: the sums wait for the last.
        job_id = await world.submit("+".join(f"({n}.5*3)" for n in range(1, 40)))
        assert (await world.ending(job_id)).outcome is not None
        assert any(f"job {job_id} starts afresh" in line for line in world.history.lines)
        assert world.state(liar) is State.REJECTED

    play(scenario, HALF_VERIFIED)


def test_row_11_a_finished_job_that_believed_a_liar_stays_and_is_named() -> None:
    """The promise comes first: who reads the log knows which answers to doubt."""

    async def scenario(world: World) -> None:
        liar, *_ = await world.with_live(3)
        liar.server.arithmetic = one_too_much
        ended = []
        while world.state(liar) is State.LIVE:
            ended.append(await world.engine.submit("6*7"))
            ended[-1] = await world.engine.wait(ended[-1].job_id, 60.0)
        wrong = [job for job in ended if not right(job, 42)]
        assert wrong
        named = [line for line in world.history.lines if "stay as they are" in line]
        assert len(named) == 1
        assert named[0].endswith(": " + ", ".join(str(job.job_id) for job in wrong))
        for job in wrong:
            assert await world.engine.job(job.job_id) == job

    # Its answers were wrong, which in this scenario is no law broken: nobody else was asked.
    play(scenario, MasterSettings(dispatch=DispatchSettings(verify=0.1)))


def test_row_9_an_answer_to_another_question_is_enough_to_be_examined_again() -> None:
    """It counts threefold: the first one takes the worker out."""

    async def scenario(world: World) -> None:
        mad, _ = await world.with_live(2)
        mad.misbehave(nonsense.foreign_operand())
        for _ in range(3):
            await world.pass_time(2 * WARM_S)  # else they all begin at one worker
            assert right(await world.answer("6*7"), 42)
        assert len(work_calls(world, mad)) == 1
        assert world.state(mad) is not State.LIVE

    play(scenario)


# The network


@pytest.mark.parametrize(("deaf", "mute"), [(True, True), (True, False), (False, True)])
def test_row_12_a_partition_is_seen_by_probes_and_heals_by_itself(deaf: bool, mute: bool) -> None:
    """Announcements that still arrive make no worker LIVE."""

    async def scenario(world: World) -> None:
        lost, _ = await world.with_live(2)
        lost.cut_off(deaf=deaf, mute=mute)
        await world.until(lambda: world.state(lost) is State.DEAD, 5.0)
        sent = len(work_calls(world, lost))
        for _ in range(40):  # in all, longer than an announcer waits before it tries again
            assert right(await world.answer("6*1+6*6"), 42)
            await world.pass_time(0.1)
        assert len(work_calls(world, lost)) == sent
        lost.heal()
        await world.until(lambda: world.state(lost) is State.LIVE, 10.0)

    play(scenario)


def test_row_13_no_call_looks_a_name_up() -> None:
    """The pool keeps addresses: every call goes to one, whatever becomes of names."""

    async def scenario(world: World) -> None:
        await world.with_live(2)
        await world.answer("1+(2*3)/4-5")
        assert {call.url for call in world.calls} <= {worker.url for worker in world.workers}
        assert all(worker.url.startswith("http://10.0.0.") for worker in world.workers)

    play(scenario)


# The master


def test_rows_14_and_15_an_acknowledged_job_survives_the_masters_death() -> None:
    """It ends with the right answer in a later life; ids go on from there."""

    async def scenario(world: World) -> None:
        job_ids = [await world.submit(f"{n}*2") for n in range(5)]
        await world.master.kill()
        await world.master.start()
        await world.with_live(1)
        for n, job_id in enumerate(job_ids):
            assert right(await world.ending(job_id), 2 * n)
        assert await world.submit("1+1") > max(job_ids)

    play(scenario)


def test_rows_14_and_15_a_finished_job_never_changes() -> None:
    """Read again after a death that came at once, it is what it was."""

    async def scenario(world: World) -> None:
        await world.with_live(1)
        for task in 4 * ("6*7", "1/0", "1/3"):
            before = await world.answer(task)
            await world.master.kill()
            await world.master.start()
            assert await world.ending(before.job_id) == before

    play(scenario)


def test_a_job_that_is_cancelled_as_it_begins_leaves_nothing_behind() -> None:
    """It waited in the store when the client asked, and runs when that is done: it is stopped."""

    async def scenario(world: World) -> None:
        job_id = await world.submit("6*7")
        await world.master.kill()
        await world.master.start()
        world.laws.cancelled.add(job_id)
        await world.engine.cancel(job_id)
        await world.pass_time(0.1)
        assert world.engine.running == 0
        assert world.running.dispatcher.queued == 0

    play(scenario)


def test_row_16_a_full_disk_refuses_submits_and_loses_nothing() -> None:
    """`storage_unavailable`; jobs that run end when there is room again."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        slow_operations(worker)
        job_id = await world.submit("6*7")
        world.disk.full = True
        with pytest.raises(StoreError) as refusal:
            await world.submit("1+1")
        assert refusal.value.code == "storage_unavailable"
        await world.pass_time(3.0)
        (sentence,) = (await world.running.why(job_id)).sentences
        assert "cannot be recorded, and is tried again: the disk is full" in sentence
        world.disk.full = False
        assert right(await world.ending(job_id), 42)

    play(scenario)


def test_row_16_a_master_whose_disk_is_full_is_not_ready_until_there_is_room() -> None:
    """Though nobody submits anything meanwhile: then it finds out by itself."""

    async def scenario(world: World) -> None:
        assert world.engine.unreadiness is None
        world.disk.full = True
        with pytest.raises(StoreError):
            await world.submit("1+1")
        await world.pass_time(60.0)
        assert isinstance(world.engine.unreadiness, StoreError)
        assert "the disk is full" in str(world.engine.unreadiness)
        assert world.engine.refusal is None  # a task is tried: there may be room by now
        world.disk.full = False
        await world.pass_time(2.0)
        assert world.engine.unreadiness is None

    play(scenario)


def test_row_16_after_a_failed_fsync_nothing_is_promised_any_more() -> None:
    """Not ready, and every submit refused, until a new start has read what is there."""

    async def scenario(world: World) -> None:
        assert world.master.store is not None
        world.master.store.fail_to_sync()
        assert isinstance(world.engine.refusal, StoreError)
        with pytest.raises(StoreError):
            await world.submit("1+1")
        await world.master.kill()
        await world.master.start()
        assert world.engine.refusal is None

    play(scenario)


def test_row_19_only_monotonic_time_decides() -> None:
    """The clock goes back a day and forward a year: no worker and no job notices."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(2)
        for step_s in (-86400.0, 365 * 86400.0):
            world.master.clock.wall_offset_s += step_s
            assert right(await world.answer("6*7"), 42)
            await world.pass_time(5.0)
            assert all(world.state(worker) is State.LIVE for worker in workers)
            assert all(call.fate == "answered" for call in work_calls(world))

    play(scenario)


@pytest.mark.parametrize("slept_s", [2.5, 60.0])
def test_row_20_a_master_that_slept_blames_nobody(slept_s: float) -> None:
    """Calls and probes that were on their way say nothing: all workers stay, no attempt counts."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)
        slow_operations(*workers)
        job_ids = [await world.submit("6*7") for _ in range(6)]
        await world.pass_time(0.05)
        world.sleep_master(slept_s)
        for job_id in job_ids:
            assert right(await world.ending(job_id), 42)
        await world.pass_time(3.0)
        assert blamed(world) == []

    play(scenario)


def test_row_20_probes_of_a_master_that_slept_blame_nobody() -> None:
    """They were on their way when it fell asleep."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)
        for worker in workers:
            worker.slow_down(100.0)
        await world.until(lambda: sum(call.is_probe for call in world.calls) == 3)
        world.sleep_master(60.0)
        await world.pass_time(3.0)
        assert blamed(world) == []

    play(scenario)


def blamed(world: World) -> list[str]:
    """Return the lines that say that a worker does not answer."""
    return [line for line in world.history.lines if ": suspect, was" in line or ": dead" in line]


def test_row_29_the_same_key_is_the_same_job_in_every_life() -> None:
    """Across a power cut too; another body is a conflict."""

    async def scenario(world: World) -> None:
        first = await world.ask(lambda master: master.engine.submit("6*7", "key", "body"))
        await world.master.kill()
        await world.master.start()
        again = await world.ask(lambda master: master.engine.submit("6*7", "key", "body"))
        assert again.job_id == first.job_id

    play(scenario)


# Who is in the pool


def test_row_21_the_same_announcement_again_and_again_is_one_entry() -> None:
    """However often a worker says that it is there."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        for _ in range(50):
            await worker.announce_twice()
        assert len(world.running.pool) == 1

    play(scenario)


def test_row_22_a_worker_at_a_new_port_is_another_one_and_the_old_one_dies() -> None:
    """The new entry is LIVE at once, the old one is dead by its own probes."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        old = worker.url
        worker.move()
        await world.until(lambda: world.state(worker) is State.LIVE, 1.0)
        await world.until(lambda: world.state_at(old) is State.DEAD, 4.0)
        assert right(await world.answer("6*7"), 42)

    play(scenario)


def test_row_23_two_workers_of_one_name_both_work() -> None:
    """They are told apart by their addresses."""

    async def scenario(world: World) -> None:
        twins = await world.with_live(2, name="twin")
        for _ in range(4):
            await world.answer("1*2+3*4")
        assert all(work_calls(world, twin) for twin in twins)

    play(scenario)


def test_row_24_the_pool_is_bounded() -> None:
    """Workers beyond `workers.max` are refused, and those that are in are not hurt."""

    async def scenario(world: World) -> None:
        await world.with_live(3)
        world.add_worker()
        await world.pass_time(5.0)
        assert len(world.running.pool) == 3
        assert right(await world.answer("6*7"), 42)

    play(scenario, MasterSettings(workers=WorkersSettings(max=3)))


def test_row_24_a_crowd_that_nobody_answers_for_is_probed_no_more_often_than_allowed() -> None:
    """Whatever becomes of the probes: each state that changes must not bring another batch."""

    async def scenario(world: World) -> None:
        began = world.loop.time()
        for number in range(900):
            url = f"http://10.1.{number // 250}.{number % 250 + 1}:8082"
            world.running.announce(Announcement(f"w{number}"), url)
        most = 10  # a tick's
        for tenth in range(1, 151):
            await world.pass_time(0.1)
            assert len(world.calls) <= most + 200 * (world.loop.time() - began), tenth
        assert len(world.calls) > 0.9 * 200 * 15
        assert any(worker.state is State.DEAD for worker in world.running.pool)

    play(scenario)


def test_row_25_without_workers_jobs_wait_and_go_on_with_the_first() -> None:
    """They are accepted, spend no attempt, and end within a second of the first worker."""

    async def scenario(world: World) -> None:
        job_ids = [await world.submit("6*7") for _ in range(5)]
        await world.pass_time(120.0)
        assert not world.calls
        worker = world.add_worker()
        came_at = world.loop.time()
        for job_id in job_ids:
            assert right(await world.ending(job_id), 42)
        assert world.loop.time() - came_at < 1.0
        assert {call.fate for call in work_calls(world, worker)} == {"answered"}

    play(scenario)


def test_what_waits_for_another_worker_has_waited_since_it_was_ready() -> None:
    """An operator sees how long, though no worker is there to try it again."""

    async def scenario(world: World) -> None:
        (only,) = await world.with_live(1)
        slow_operations(only)
        await world.submit("6*7")
        await a_call_in_hand(world, only)
        ready_at = world.loop.time()
        only.crash()
        await world.pass_time(5.0)
        dispatcher, now = world.running.dispatcher, world.loop.time()
        assert dispatcher.queued == 1
        assert dispatcher.oldest_queued_s(now) == pytest.approx(now - ready_at, abs=0.1)

    play(scenario)


def test_row_26_what_was_cancelled_waits_for_no_worker_any_more() -> None:
    """What had failed and was to be tried again is not counted as queued."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(2)
        slow_operations(*workers)
        job_ids = [await world.submit("1*2+3*4") for _ in range(6)]
        await a_call_in_hand(world, workers[0])
        for worker in workers:
            worker.crash()
        await world.pass_time(5.0)
        dispatcher = world.running.dispatcher
        assert dispatcher.queued
        for job_id in job_ids:
            await world.engine.cancel(job_id)
        await world.pass_time(5.0)
        assert dispatcher.queued == 0

    play(scenario)


def test_row_26_when_all_workers_die_in_the_middle_operations_wait() -> None:
    """Nothing fails in two minutes without them; then it goes on."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)
        slow_operations(*workers)
        job_ids = [await world.submit("1*2+3*4") for _ in range(6)]
        await a_call_in_hand(world, workers[0])
        for worker in workers:
            worker.crash()
        await world.pass_time(120.0)
        for worker in workers:
            worker.start()
        for job_id in job_ids:
            assert right(await world.ending(job_id), 14)

    play(scenario)


def test_row_30_a_master_told_to_stop_finishes_the_calls_in_flight() -> None:
    """Their results end their jobs before it goes."""

    async def scenario(world: World) -> None:
        (worker,) = await world.with_live(1)
        slow_operations(worker)
        job_id = await world.submit("6*7")
        await a_call_in_hand(world, worker)
        await world.master.stop()
        job = world.disk.record.get(job_id)
        assert job is not None
        assert right(job, 42)
        await world.master.start()

    play(scenario)


def test_row_31_a_rolling_restart_of_all_workers_fails_no_job() -> None:
    """Each takes leave and finishes what it has, while jobs go on."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)
        slow_operations(*workers)
        job_ids = []
        for worker in workers:
            job_ids += [await world.submit("1*2+3*4") for _ in range(12)]
            await a_call_in_hand(world, worker)
            await worker.drain()
            worker.start()
            await world.until(lambda worker=worker: world.state(worker) is State.LIVE)  # type: ignore[misc]
        for job_id in job_ids:
            assert right(await world.ending(job_id), 14)
        assert {call.fate for call in work_calls(world)} <= {"answered", "busy"}

    play(scenario)


def test_row_32_a_poison_operation_kills_three_workers_and_no_innocent_job() -> None:
    """It fails its own job; those that were aboard with it end well."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(5)
        for worker in workers:
            worker.server.operation_s = 0.002
            worker.server.kills = is_poison
        innocent = [await world.submit(f"{n}*2+{n}*3+{n}*4.5") for n in range(30)]
        poison = await world.submit(f"({POISON}*3)+1")
        innocent += [await world.submit(f"{n}*2+{n}*3+{n}*4.5") for n in range(30)]
        job = await world.ending(poison)
        assert job.outcome is not None
        assert job.outcome.error == "poison_operation"
        for job_id in innocent:
            ended = await world.ending(job_id)
            assert ended.outcome is not None
            assert ended.outcome.error is None
        assert sum(not worker.server.up for worker in workers) == 3

    play(scenario)


@pytest.mark.parametrize("count", [1, 2])
def test_row_32_poison_is_found_where_there_are_fewer_than_three_workers(count: int) -> None:
    """They come back each time; after the third death the operation is given up."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(count)
        deaths = []

        def killed(worker: WorkerMachine) -> None:
            deaths.append(worker.name)
            worker.crash("poison")
            world.loop.call_later(0.1, worker.start)

        for worker in workers:
            worker.server.kills = is_poison
            worker.server.on_killed = partial(killed, worker)
        innocent = [await world.submit(f"{n}*2+{n}*3") for n in range(10)]
        job = await world.answer(f"({POISON}*3)+1")
        assert job.outcome is not None
        assert job.outcome.error == "poison_operation"
        assert len(deaths) == 3
        for job_id in innocent:
            assert (await world.ending(job_id)).outcome is not None

    play(scenario)


def test_row_32_poison_kills_three_workers_and_no_more_when_it_takes_its_time() -> None:
    """Late, it is on two workers at once; both may die, and then it has one to itself."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(6)
        for worker in workers:
            worker.server.operation_s = 0.05
            worker.server.kills = is_poison
        job = await world.answer(f"({POISON}*3)+1")
        assert job.outcome is not None
        assert job.outcome.error == "poison_operation"
        await world.pass_time(1.0)
        assert sum(not worker.server.up for worker in workers) == 3

    play(scenario)


def test_row_32_poison_that_only_travelled_along_kills_no_more_than_three_either() -> None:
    """With much to do it is aboard for another one's sake, and the worker dies all the same."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(4)
        for worker in workers:
            worker.server.operation_s = 0.001
            worker.server.kills = is_poison
        tasks = [f"({n}*2+{n}*3)*({n}-4.5)" for n in range(150)]
        tasks[120] = f"((0+{POISON})*3)*2"
        jobs = await asyncio.gather(*map(world.submit, tasks))
        ended = [await world.ending(job_id) for job_id in jobs]
        errors = [job.outcome.error for job in ended if job.outcome is not None]
        assert [place for place, error in enumerate(errors) if error is not None] == [120]
        assert errors[120] == "poison_operation"
        aboard = [computation for call in work_calls(world) for computation in call.asked]
        assert any(isinstance(asked.op1, Item) and asked.op2 == 3 for asked in aboard)
        assert sum(not worker.server.up for worker in workers) == 3

    play(scenario)


def test_row_32_nothing_travels_beside_what_may_be_poison() -> None:
    """The third worker dies with nothing else in hand, though others wait for it."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)
        for worker in workers:
            worker.server.operation_s = 0.05
            worker.server.kills = is_poison
        poison = await world.submit(f"({POISON}*3)+1")
        await world.until(lambda: sum(not worker.server.up for worker in workers) == 2)
        (third,) = (worker for worker in workers if worker.server.up)
        await a_call_in_hand(world, third)
        innocent = await world.submit("1*2+3*4")
        await world.ending(poison)
        assert len(work_calls(world, third)) == 1
        for worker in workers:
            worker.start()
        assert right(await world.ending(innocent), 14)

    play(scenario)


def test_a_short_job_is_spread_over_the_pool_operation_by_operation() -> None:
    """With few operations waiting each place gets one, however quick the workers are."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)
        await world.answer("+".join(f"{n}*1.5" for n in range(100)))  # now they are known as quick
        before = len(work_calls(world))
        await world.answer("(1+2)*(3-4)-(5+6)*(7+8)/(9+10)*(11+12)")
        calls = work_calls(world)[before:]
        assert [len(call.asked) for call in calls] == [1] * 11
        assert {call.url for call in calls} == {worker.url for worker in workers}

    play(scenario)


def test_a_job_that_comes_alone_begins_at_the_worker_that_answered_last() -> None:
    """It is awake; what the job goes on with, and jobs that come later, are for the others, too."""

    async def scenario(world: World) -> None:
        workers = await world.with_live(3)

        async def asked_for(task: str) -> list[str]:
            before = len(work_calls(world))
            await world.answer(task)
            return [call.url for call in work_calls(world)[before:]]

        *_, last = await asked_for("1+2*3/4-5")
        for _ in range(5):
            assert await asked_for("1+1") == [last]
        first, *others = await asked_for("1+2*3/4-5")
        assert first == last
        assert {first, *others} == {worker.url for worker in workers}
        visited = []
        for _ in range(6):
            await world.pass_time(2 * WARM_S)
            visited += await asked_for("1+1")
        assert {*visited} == {worker.url for worker in workers}

    play(scenario)


def test_of_many_quick_workers_no_more_are_called_than_keep_the_master_busy() -> None:
    """More would wait for the master, and each carry less; one that is slow has its share."""

    async def scenario(world: World) -> None:
        many = await world.with_live(2 * QUICK_CALLS)
        (slow,) = await world.with_live(1)
        for worker in many:
            worker.server.tells_time = True
        slow.server.operation_s = 0.002
        group = "+".join(f"{n}*1.5" for n in range(64))
        task = "+".join(f"({group})" for _ in range(2 * QUICK_CALLS))
        job = await world.submit(task)  # by the end of this one they are known as quick
        await world.ending(job)
        known = {worker: world.entry(worker) for worker in many}
        before = len(work_calls(world, slow))
        jobs, peak = await asyncio.gather(*[world.submit(task) for _ in range(6)]), 0
        while not (await world.engine.job(jobs[-1])).finished:
            peak = max(peak, sum(one.calls for one in known.values() if one is not None))
            await world.pass_time(0.0001)
        assert QUICK_CALLS // 2 < peak <= QUICK_CALLS
        assert len(work_calls(world, slow)) > before

    play(scenario)


def test_while_much_waits_whole_parts_of_jobs_travel_together() -> None:
    """Then a job comes back to the master a few times, and not once for each operation."""

    async def scenario(world: World) -> None:
        await world.with_live(3)
        tasks = [f"(({n}+2)*(3-{n})-({n}+6)*7)/9+1.5" for n in range(300)]
        jobs = await asyncio.gather(*map(world.submit, tasks))
        for job_id in jobs:
            await world.ending(job_id)
        asked = [computation for call in work_calls(world) for computation in call.asked]
        links = sum(isinstance(one.op1, Item) or isinstance(one.op2, Item) for one in asked)
        assert links > len(asked) / 3

    play(scenario)


def test_a_worker_that_batches_and_takes_no_items_gets_numbers_alone() -> None:
    """However much waits, and however long the chains: it would refuse every such call."""

    async def scenario(world: World) -> None:
        await world.with_live(2, chains=False)
        many = [f"(({n}+2)*(3-{n})-({n}+6)*7)/9+1.5" for n in range(300)]
        chain = "+".join(f"{n}.5" for n in range(1, 200))
        for job_id in await asyncio.gather(*map(world.submit, [*many, chain])):
            await world.ending(job_id)
        asked = [computation for call in work_calls(world) for computation in call.asked]
        assert not any(isinstance(one.op1, Item) or isinstance(one.op2, Item) for one in asked)
        assert max(len(call.asked) for call in work_calls(world)) > 1

    play(scenario)


def test_row_38_a_dedicated_worker_is_asked_for_nothing_else_however_much_waits() -> None:
    """What travels along with an operation is bound by what its worker takes, as all else is."""

    async def scenario(world: World) -> None:
        for name in ALL_FOUR:
            await world.with_live(1, operations=(name,))
        many = [f"(({n}+2)*(3-{n})-({n}+6)*7)/9+1.5+2.5+3.5" for n in range(300)]
        chain = "+".join(f"{n}.5*{n}" for n in range(1, 200)) + "-1.5-2.5" * 100
        for job_id in await asyncio.gather(*map(world.submit, [*many, chain])):
            await world.ending(job_id)
        asked = [computation for call in work_calls(world) for computation in call.asked]
        assert any(isinstance(one.op1, Item) for one in asked)

    play(scenario)


def test_row_35_a_huge_job_does_not_hold_the_small_ones_up() -> None:
    """1+1 behind a job of 20,000 operations is answered within 50 ms."""

    async def scenario(world: World) -> None:
        await world.with_live(3)
        group = "+".join(f"{n}*1.5" for n in range(100))
        huge = await world.submit("+".join(f"({group})" for _ in range(100)))
        for _ in range(5):
            began = world.loop.time()
            assert right(await world.answer("1+1"), 2)
            assert world.loop.time() - began < 0.05
        await world.ending(huge)

    play(scenario)


def test_jobs_settings_of_no_chain_and_no_balance_compute_the_same() -> None:
    """Operation by operation: the answers are the oracle's then too."""

    async def scenario(world: World) -> None:
        await world.with_live(2)
        await world.answer("+".join(map(str, range(100))) + "-0.5*" * 40 + "2")

    play(scenario, MasterSettings(jobs=JobsSettings(balance_from=0, chain_from=0)))
