"""An errand keeps to the contract's flow, and asks again where asking again is safe."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.client.api import MasterClient
from engine.client.errors import ApiError, MasterUnreachable
from engine.client.flow import REASON_S, SILENCE_S, WAIT_S, Errand, pause_s
from engine.messages import JobStatus, Submitted, TaskRefused
from tests.scripted_master import (
    HANG_UP,
    Asked,
    Reply,
    ScriptedMaster,
    a_closed_port,
    a_job,
    calculate,
    problem,
    running,
)

Got = TypeVar("Got")


class SteppedClock:
    """A clock on which only sleeping takes time; it remembers for how long each sleep was."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        """Return the seconds slept so far."""
        return sum(self.slept)

    def wall(self) -> float:
        """Return the same: nobody here asks for the date."""
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` be over at once."""
        self.slept.append(seconds)


def why(sentence: str, state: str = "waiting_for_worker") -> dict[str, object]:
    """Return why a job has not finished, as `/job/{id}/why` says it."""
    return {"job_id": 47, "state": state, "sentences": [sentence]}


class Run:
    """Runs errands at the master at `url`, and keeps what they said and how long they slept."""

    def __init__(self, url: str, *, on_master: bool = False) -> None:
        self.clock = SteppedClock()
        self.said: list[str] = []
        self.pending: list[int] = []
        self._url = url
        self._on_master = on_master

    def __call__(self, work: Callable[[Errand], Awaitable[Got]]) -> Got:
        """Return what `work` returns."""

        async def attempt() -> Got:
            with MasterClient(self._url) as master:
                keys = iter(f"key {n}" for n in range(1_000))
                errand = Errand(
                    master,
                    self.clock,
                    self.said.append,
                    on_master=self._on_master,
                    chance=lambda: 1.0,
                    new_key=lambda: next(keys),
                )
                try:
                    return await work(errand)
                finally:
                    self.pending = list(errand.pending)

        return asyncio.run(attempt())


def taking_one(master: ScriptedMaster, *jobs: dict[str, object]) -> None:
    """Script a master that takes one task, and shows its job as `jobs` one after the other."""
    master.script("POST /submit", Reply({"job_id": 47, "finished": False}))
    master.script("GET /jobs", Reply([running() | {"task": "1+1"}]))
    master.script("GET /job/47", *(Reply(job) for job in jobs))


def test_the_job_is_looked_for_once_in_the_list_and_then_asked_for_every_five_seconds(
    master: ScriptedMaster,
) -> None:
    """The flow is the contract's, but for a first look that most jobs need no second one after."""
    taking_one(master, running(), running(), a_job(47, 2))
    run = Run(master.url)
    assert run(lambda errand: errand.answer("1+1")) == JobStatus(47, True, 2)
    asked_for = [f"{asked.method} {asked.path}" for asked in master.asked]
    assert [each for each in asked_for if each != "GET /job/47/why"] == [
        "POST /submit",
        "GET /jobs",
        *["GET /job/47"] * 3,
    ]
    assert run.clock.slept == [0.1, 5.0, 5.0]


def test_a_job_that_the_list_shows_as_finished_is_not_waited_for(master: ScriptedMaster) -> None:
    """The look into the list tells all that there is to know."""
    taking_one(master)
    master.script("GET /jobs", Reply([a_job(47, 2) | {"task": "1+1"}]))
    run = Run(master.url)
    assert run(lambda errand: errand.answer("1+1")) == JobStatus(47, True, 2)
    assert run.clock.slept == []


def test_a_job_that_others_have_pushed_out_of_the_list_is_asked_for_all_the_same(
    master: ScriptedMaster,
) -> None:
    """A hundred jobs may have come in between."""
    taking_one(master, a_job(47, 2))
    master.script("GET /jobs", Reply([a_job(48, 1) | {"task": "1"}]))
    run = Run(master.url)
    assert run(lambda errand: errand.answer("1+1")).answer == 2
    assert any("not among the last jobs" in sentence for sentence in run.said)


def test_waiting_on_the_master_does_not_sleep(master: ScriptedMaster) -> None:
    """The master answers when the job has finished."""
    taking_one(master, a_job(47, 2))
    run = Run(master.url, on_master=True)
    run(lambda errand: errand.answer("1+1"))
    assert master.asked_for("GET /job/47")[0].query == {"wait": f"{REASON_S}"}
    assert run.clock.slept == []


def test_a_master_that_does_not_know_how_to_wait_is_not_hammered(master: ScriptedMaster) -> None:
    """An answer that comes too early is followed by a pause."""
    taking_one(master, running(), running(), a_job(47, 2))
    run = Run(master.url, on_master=True)
    run(lambda errand: errand.answer("1+1"))
    assert run.clock.slept == [REASON_S, 5.0]
    waits = [asked.query["wait"] for asked in master.asked_for("GET /job/47")]
    assert waits == [f"{REASON_S}", f"{WAIT_S}", f"{WAIT_S}"]


@pytest.mark.parametrize("on_master", [False, True])
def test_the_reason_of_a_long_wait_is_told_once(master: ScriptedMaster, on_master: bool) -> None:
    """Nobody sits before a silent program because there is no worker."""
    taking_one(master, running(), running(), running(), a_job(47, 2))
    master.script("GET /job/47/why", Reply(why("no live worker takes sum")))
    run = Run(master.url, on_master=on_master)
    run(lambda errand: errand.answer("1+1"))
    assert run.said == ["job 47 submitted", "job 47: no live worker takes sum"]
    assert len(master.asked_for("GET /job/47/why")) == 1


def test_a_short_wait_needs_no_reason(master: ScriptedMaster) -> None:
    """Most jobs are done by then, and the master has other things to do."""
    taking_one(master, a_job(47, 2))
    Run(master.url)(lambda errand: errand.answer("1+1"))
    assert master.asked_for("GET /job/47/why") == []


@pytest.mark.parametrize(
    "reply", [HANG_UP, problem(404, "not_found", "no such path"), Reply(why("done", "finished"))]
)
def test_a_master_that_gives_no_reason_is_asked_for_the_job_all_the_same(
    master: ScriptedMaster, reply: Reply
) -> None:
    """An older one cannot tell; a job that has just finished has none."""
    taking_one(master, running(), running(), a_job(47, 2))
    master.script("GET /job/47/why", reply)
    run = Run(master.url)
    assert run(lambda errand: errand.answer("1+1")).answer == 2
    assert run.said == ["job 47 submitted"]


def test_a_submission_whose_answer_was_lost_is_repeated_with_the_same_key(
    master: ScriptedMaster,
) -> None:
    """Whether or not the master had taken the task, there is one job of it."""
    taking_one(master, a_job(47, 2))
    master.script("POST /submit", HANG_UP, HANG_UP, Reply({"job_id": 47, "finished": False}))
    Run(master.url)(lambda errand: errand.answer("1+1"))
    keys = {asked.headers["Idempotency-Key"] for asked in master.asked_for("POST /submit")}
    assert keys == {"key 0"}


class Interrupting(SteppedClock):
    """A clock on which nobody sleeps: there is Ctrl-C instead."""

    async def sleep(self, seconds: float) -> None:
        """End what would have slept."""
        raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("reply", "unsure"),
    [
        (HANG_UP, True),
        (problem(503, "overloaded", "too much to do"), False),
        (Reply({"job_id": 47, "finished": False}), False),
    ],
)
def test_a_submission_is_unsure_if_it_was_sent_and_not_answered(
    master: ScriptedMaster, reply: Reply, unsure: bool
) -> None:
    """A busy master has not taken it, and says so."""
    taking_one(master, running())
    master.script("POST /submit", reply)
    assert unsure_after(master, lambda errand: errand.answer("1+1")) == unsure


def unsure_after(master: ScriptedMaster, work: Callable[[Errand], Awaitable[object]]) -> bool:
    """Return whether `work` is unsure where it is interrupted."""
    told: list[bool] = []

    async def interrupted(errand: Errand) -> None:
        try:
            await work(errand)
        finally:
            told.append(errand.unsure)

    run = Run(master.url)
    run.clock = Interrupting()
    with pytest.raises(asyncio.CancelledError):
        run(interrupted)
    return told[0]


def test_tasks_of_which_a_half_was_taken_are_unsure(master: ScriptedMaster) -> None:
    """Nobody is told of halves."""
    master.script(
        "POST /submit",
        problem(413, "too_large", "send less"),
        Reply({"jobs": [{"job_id": 1, "finished": False}]}),
        problem(503, "overloaded", "too much to do"),
    )
    assert unsure_after(master, lambda errand: errand.submit_many(["1", "2"]))


def test_every_submission_has_a_key_of_its_own(master: ScriptedMaster) -> None:
    """The same task twice is two jobs."""
    taking_one(master, a_job(47, 2))

    async def twice(errand: Errand) -> None:
        await errand.answer("1+1")
        await errand.answer("1+1")

    Run(master.url)(twice)
    keys = [asked.headers["Idempotency-Key"] for asked in master.asked_for("POST /submit")]
    assert keys == ["key 0", "key 1"]


def test_a_busy_master_is_asked_again_but_not_before_it_wants_to_be(
    master: ScriptedMaster,
) -> None:
    """Retry-After is kept, on 503 and on 429, and the first time is told."""
    taking_one(master, a_job(47, 2))
    master.script(
        "POST /submit",
        problem(503, "overloaded", "too much to do", retry_after=7),
        problem(429, "overloaded", "too much to do", retry_after=3),
        Reply({"job_id": 47, "finished": False}),
    )
    run = Run(master.url)
    run(lambda errand: errand.answer("1+1"))
    first, second, _look = run.clock.slept
    assert first >= 7
    assert second >= 3
    assert run.said == ["the master is busy (too much to do); asking again", "job 47 submitted"]


def test_a_master_that_stays_busy_is_never_given_up(master: ScriptedMaster) -> None:
    """Only the command's time-out ends that: the master is there and says when to come back."""
    busy = problem(503, "overloaded", "too much to do", retry_after=60)
    master.script("GET /job/47", *[busy] * 50, Reply(a_job(47, 2)))
    run = Run(master.url)
    assert run(lambda errand: errand.ending(47)).answer == 2
    assert run.clock.now() > 50 * 60


def test_a_refusal_that_will_not_change_is_raised_at_once(master: ScriptedMaster) -> None:
    """Asking again does not make an expression of it."""
    master.script("POST /submit", problem(400, "invalid_expression", "no", column=2))
    with pytest.raises(ApiError):
        Run(master.url)(lambda errand: errand.answer("1+"))
    assert len(master.asked) == 1


def test_a_master_that_refuses_the_first_connection_is_given_up_at_once() -> None:
    """The address is wrong, or nobody has started it: waiting would hide that."""
    run = Run(a_closed_port())
    with pytest.raises(MasterUnreachable):
        run(lambda errand: errand.answer("1+1"))
    assert run.clock.slept == []


def test_a_master_that_falls_silent_is_given_time_for_a_restart(master: ScriptedMaster) -> None:
    """What was there a moment ago comes back, and the job with it; but not for ever."""
    taking_one(master)
    master.script("GET /job/47", HANG_UP)
    run = Run(master.url)
    with pytest.raises(MasterUnreachable):
        run(lambda errand: errand.answer("1+1"))
    assert SILENCE_S <= run.clock.now() < SILENCE_S + 10
    assert run.pending == [47]


def test_silence_is_counted_from_the_last_answer(master: ScriptedMaster) -> None:
    """Two short silences are not a long one, whatever the answer between them was."""
    busy = problem(503, "overloaded", "too much to do", retry_after=1)
    master.script("GET /job/48", *[*[HANG_UP] * 4, busy] * 4, Reply(a_job(48, 2)))
    assert Run(master.url)(lambda errand: errand.ending(48)).answer == 2
    pattern = [HANG_UP] * 7 + [Reply(running())]
    master.script("GET /job/47", *pattern * 3, Reply(a_job(47, 2)))
    run = Run(master.url)
    assert run(lambda errand: errand.ending(47)).answer == 2
    assert run.clock.now() > SILENCE_S


@given(
    st.integers(0, 2_000),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 1),
)
def test_a_pause_is_never_shorter_than_asked_and_never_much_longer(
    attempt: int, asked_s: float | None, chance: float
) -> None:
    """However often was asked before."""
    pause = pause_s(attempt, asked_s, chance)
    assert (asked_s or 0) <= pause <= (asked_s or 0) + 5.05


def test_pauses_grow_from_a_fifth_of_a_second_to_five_seconds() -> None:
    """The table of the docstring."""
    growing = [round(pause_s(attempt, None, 1.0) - 0.05, 3) for attempt in range(7)]
    assert growing == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_request_that_is_too_large_is_sent_in_halves(master: ScriptedMaster) -> None:
    """A task that is too large even alone is refused alone."""

    def submit(asked: Asked) -> Reply:
        tasks = asked.body["tasks"]
        if len(tasks) > 2 or "large" in tasks:
            return problem(413, "too_large", "send less")
        return Reply({"jobs": [{"job_id": int(task), "finished": False} for task in tasks]})

    master.script("POST /submit", submit)
    items = Run(master.url)(lambda errand: errand.submit_many(["1", "2", "large", "4"]))
    refused = TaskRefused("too_large", "send less", 0)
    assert items == [Submitted(1), Submitted(2), refused, Submitted(4)]


async def answers(errand: Errand, count: int) -> list[object]:
    """Submit `count` tasks and return their answers as they come."""
    items = await errand.submit_many([str(n) for n in range(count)])
    ids = [item.job_id for item in items if isinstance(item, Submitted)]
    return [job.answer async for block in errand.endings(ids) for job in block]


def test_the_answers_of_many_jobs_come_in_their_order_and_by_the_page(
    master: ScriptedMaster,
) -> None:
    """A thousand finished jobs are one request."""
    calculate(master)
    assert Run(master.url)(lambda errand: answers(errand, 1_000)) == list(range(1_000))
    assert len(master.asked_for("GET /jobs")) == 1


def test_the_answers_of_jobs_that_no_page_shows_as_finished_come_all_the_same(
    master: ScriptedMaster,
) -> None:
    """Each is asked for by its number then."""
    calculate(master, finished=False)
    assert Run(master.url)(lambda errand: answers(errand, 30)) == list(range(30))


@pytest.mark.parametrize("last", [30, 10**14, 10**30])
def test_of_a_range_that_goes_beyond_the_last_job_the_first_id_too_many_is_told(
    master: ScriptedMaster, last: int
) -> None:
    """After the jobs before it, and however far it goes."""
    calculate(master)
    for job_id in range(18, 1_100):
        unknown = problem(404, "job_not_found", f"no job has the id {job_id}")
        master.script(f"GET /job/{job_id}", unknown)
    given: list[int] = []

    async def wait(errand: Errand) -> None:
        await errand.submit_many(["1"] * 17)
        async for block in errand.endings(range(1, last + 1)):
            given.extend(job.job_id for job in block)

    with pytest.raises(ApiError, match=r"no job has the id 18$"):
        Run(master.url)(wait)
    assert given == list(range(1, 18))
    assert len(master.asked) < 10


def test_jobs_are_pending_until_their_answers_were_given(master: ScriptedMaster) -> None:
    """Somebody who is interrupted wants to know those, and no others."""
    calculate(master)

    async def first_only(errand: Errand) -> None:
        await errand.submit_many(["1", "2", "3"])
        errand.given([(await errand.ending(1)).job_id])

    run = Run(master.url)
    run(first_only)
    assert run.pending == [2, 3]
