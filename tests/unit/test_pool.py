"""The worker pool: states, places and probes, by tables of numbers and no event loop."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import (
    BrokenReply,
    ForeignReply,
    Overloaded,
    Refused,
    TimedOut,
    Unreachable,
    WorkerNotFound,
)
from engine.pool import WARM_S, WorkerPool
from engine.settings import DispatchSettings, WorkersSettings
from engine.standing import TRANSITIONS, Abilities, Event, State, Worker

ALL = frozenset({"sum", "sub", "mul", "div"})
GONE = Unreachable("closed the connection", aboard=True)


def a_pool(**settings: object) -> WorkerPool:
    """Return a pool with two calls a worker, unless told otherwise."""
    return WorkerPool(WorkersSettings(**settings), DispatchSettings())  # type: ignore[arg-type]


def announced(
    pool: WorkerPool, name: str = "w", now: float = 0.0, *, batch: int = 512, port: int = 1
) -> Worker:
    """Announce a worker."""
    return pool.announce(name, f"http://10.0.0.1:{port}", Abilities(ALL, batch), now)


def admitted(pool: WorkerPool, name: str = "w", now: float = 0.0, **more: int) -> Worker:
    """Announce a worker and let it pass its examination."""
    worker = announced(pool, name, now, **more)
    pool.due(now, 1000)
    pool.passed(worker, worker.abilities, now)
    return worker


def dead(pool: WorkerPool, now: float = 0.0) -> Worker:
    """Return a worker that was LIVE and has died."""
    worker = admitted(pool, now=now)
    for _ in range(3):
        pool.due(now, 1000)
        pool.probe_failed(worker, GONE, now)
        now += 0.2
    assert worker.state is State.DEAD
    return worker


def taken(pool: WorkerPool, now: float = 0.0) -> list[str]:
    """Acquire all free places and return whose they were."""
    names = []
    while (worker := pool.acquire(ALL, now)) is not None:
        names.append(worker.name)
    return names


def test_an_announcement_alone_makes_no_worker_live() -> None:
    """However often it is repeated: only a passed examination does."""
    pool = a_pool()
    for now in range(100):
        announced(pool, now=now)
    assert [worker.state for worker in pool] == [State.CANDIDATE]
    assert taken(pool) == []


def test_the_same_announcement_again_is_one_entry() -> None:
    """Told apart by name and address: another address is another worker, of the same name too."""
    pool = a_pool()
    assert announced(pool) is announced(pool, now=1.0)
    assert announced(pool, port=2) is not announced(pool)
    assert len(pool) == 2


def test_a_worker_that_passed_has_its_places_and_no_more() -> None:
    """As many calls as the settings allow, whatever came and went before."""
    pool = a_pool()
    worker = admitted(pool)
    assert taken(pool) == ["w", "w"]
    pool.sent(worker, 5)
    pool.answered(worker, 5, 0.001, now=1.0)
    assert taken(pool) == ["w"]
    assert (worker.completed, worker.in_flight) == (5, 0)


def test_places_are_handed_out_round_the_workers() -> None:
    """Whose place was unused longest is next, so that work spreads over the pool."""
    pool = a_pool()
    workers = {name: admitted(pool, name) for name in "abc"}
    assert taken(pool) == ["a", "a", "b", "b", "c", "c"]
    for name in "cab":
        pool.answered(workers[name], 1, 0.001, 1.0)
    assert taken(pool, 1.0) == ["c", "a", "b"]


@pytest.mark.parametrize(("pause_s", "next_one"), [(WARM_S, "b"), (1.01 * WARM_S, "a")])
def test_a_worker_that_has_answered_just_now_is_next_if_asked_for(
    pause_s: float, next_one: str
) -> None:
    """After a while it is as cold as all others, and whose place was unused longest is next."""
    pool = a_pool()
    workers = {name: admitted(pool, name) for name in "abc"}
    assert taken(pool) == ["a", "a", "b", "b", "c", "c"]
    for name in "aaccbb":
        pool.answered(workers[name], 1, 0.001, 0.0)
    pool.prefer_warm(pause_s)
    first = pool.acquire(ALL, pause_s)
    assert first is workers[next_one]
    assert Counter(taken(pool, pause_s)) == Counter("aabbcc") - Counter(next_one)


def test_a_worker_is_not_warm_because_its_place_came_free() -> None:
    """Nor is one that answered before that: who slept longest is next."""
    pool = a_pool()
    first, second = admitted(pool, "a"), admitted(pool, "b")
    assert taken(pool) == ["a", "a", "b", "b"]
    pool.answered(second, 1, 0.001, 0.0)
    pool.broke(first, 1, BrokenReply("nonsense"), 0.0)
    pool.prefer_warm(0.0)
    assert taken(pool) == ["b", "a"]


def test_a_broken_call_makes_suspect_at_once_and_probes_at_once() -> None:
    """A suspect gets nothing new, and its probe is due immediately."""
    pool = a_pool()
    worker = admitted(pool)
    pool.acquire(ALL, 1.0)
    pool.broke(worker, 1, GONE, 1.0)
    assert worker.state is State.SUSPECT
    assert taken(pool) == []
    assert pool.due(1.0, 1000) == [worker]


def test_a_suspect_that_answers_is_live_again_with_all_its_places() -> None:
    """One answer is enough: it has been examined before."""
    pool = a_pool()
    worker = admitted(pool)
    pool.broke(pool.acquire(ALL, 1.0) or worker, 1, TimedOut("late"), 1.0)
    pool.due(1.0, 1000)
    pool.probe_answered(worker, 1.1)
    assert worker.state is State.LIVE
    assert taken(pool) == ["w", "w"]


def test_many_calls_that_break_together_are_one_suspicion_and_no_death() -> None:
    """It takes probes to declare a worker dead, not one accident that ended several calls."""
    pool = a_pool()
    worker = admitted(pool)
    for _ in range(2):
        pool.acquire(ALL, 1.0)
    for _ in range(2):
        pool.broke(worker, 1, GONE, 1.0)
    assert worker.state is State.SUSPECT


def test_an_idle_hung_worker_is_dead_within_three_and_a_half_seconds() -> None:
    """Silence, a probe that times out, and two more: the settings' defaults add up to less."""
    pool = a_pool()
    worker = admitted(pool)
    now, tick = 0.0, 0.05
    while worker.state is not State.DEAD and now < 10:
        now += tick
        if pool.due(now, 1000):
            now += pool.probe_timeout_s(worker)
            pool.probe_failed(worker, TimedOut("late"), now)
    assert now <= 3.5


def test_only_the_silent_are_probed() -> None:
    """A worker that just answered a call is alive by that evidence."""
    pool = a_pool()
    worker = admitted(pool)
    for now in (0.5, 1.0, 1.5, 2.0):
        pool.acquire(ALL, now)
        pool.answered(worker, 1, 0.001, now)
        assert pool.due(now + 0.4, 1000) == []
    assert pool.due(3.1, 1000) == [worker]


def test_a_worker_being_probed_is_not_probed_a_second_time() -> None:
    """One probe at a time."""
    pool = a_pool()
    admitted(pool)
    assert len(pool.due(5.0, 1000)) == 1
    assert pool.due(9.0, 1000) == []


def test_the_longest_due_are_probed_first_and_no_more_than_there_is_room_for() -> None:
    """A large pool does not eat the master."""
    pool = a_pool()
    for port in range(1, 11):
        announced(pool, now=float(port), port=port)
    assert [w.url[-1] for w in pool.due(100.0, 3)] == ["1", "2", "3"]


def test_the_probe_interval_grows_with_the_pool() -> None:
    """1,000 workers are probed 200 times a second at the most, so each every 5 seconds."""
    pool = a_pool()
    for port in range(1, 1001):
        admitted(pool, port=port)
    assert pool.announce_s == 5.0
    assert pool.due(4.9, 5000) == []
    assert len(pool.due(5.1, 5000)) == 1000


def test_death_is_reversible_by_an_examination() -> None:
    """The dead are examined like the new: another program may be there by now."""
    pool = a_pool()
    worker = dead(pool)
    assert pool.due(100.0, 10) == [worker]
    pool.passed(worker, worker.abilities, 100.0)
    assert worker.state is State.LIVE
    assert taken(pool) == ["w", "w"]


def test_a_crash_loop_is_readmitted_later_each_time() -> None:
    """1, 2, 4 ... 30 seconds: however often it announces itself meanwhile."""
    pool = a_pool()
    worker = admitted(pool)
    now, pauses = 0.0, []
    for _ in range(7):
        while worker.state is not State.DEAD:
            pool.due(now, 10)
            pool.probe_failed(worker, GONE, now)
            now += 0.2
        died = now
        while not pool.due(now, 10):
            announced(pool, now=now)
            now += 0.1
        pauses.append(round(now - died + 0.2))
        pool.passed(worker, worker.abilities, now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_a_worker_that_was_live_for_a_minute_has_its_deaths_forgiven() -> None:
    """Back-off is for loops, not for a worker that is restarted once a day."""
    pool = a_pool()
    worker = dead(pool)
    pool.passed(worker, worker.abilities, 10.0)
    pool.due(75.0, 10)
    pool.probe_answered(worker, 75.0)
    assert worker.deaths == 0


def test_a_wrong_answer_rejects_and_says_which() -> None:
    """A rejected worker gets no work, and /workers tells the call that it failed."""
    pool = a_pool()
    worker = announced(pool)
    pool.due(0.0, 1)
    pool.flunked(worker, "div of 7 and 2 gave 3, should be 3.5", 0.0)
    assert (worker.state, worker.reason) == (
        State.REJECTED,
        "div of 7 and 2 gave 3, should be 3.5",
    )
    assert taken(pool) == []


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        ([BrokenReply("x")] * 2, State.LIVE),
        ([BrokenReply("x")] * 3, State.CANDIDATE),
        ([Refused("x", busy=False)] * 3, State.CANDIDATE),
        ([ForeignReply("x")], State.CANDIDATE),
        ([Refused("x", busy=True)] * 9, State.LIVE),
    ],
)
def test_a_worker_that_answers_nonsense_is_examined_again(
    errors: list[Exception], state: State
) -> None:
    """Three faults in a row, or one answer to another question; busy is no fault."""
    pool = a_pool()
    worker = admitted(pool)
    for now, error in enumerate(errors):
        assert pool.acquire(ALL, 10.0 * now + 5) is worker
        pool.broke(worker, 1, error, 10.0 * now + 5)  # type: ignore[arg-type]
    assert worker.state is state


def test_a_worker_whose_calls_time_out_in_a_row_is_examined_again() -> None:
    """Its probes are answered meanwhile: that it lives does not mean that it computes."""
    pool = a_pool()
    worker = admitted(pool)
    now = 1.0
    for _ in range(3):
        assert worker.state is State.LIVE
        assert pool.acquire(ALL, now) is worker
        now += 2.0
        pool.broke(worker, 1, TimedOut("late"), now)
        pool.due(now, 1000)
        now += 0.001
        pool.probe_answered(worker, now)
    assert worker.state is State.CANDIDATE
    assert taken(pool, now) == []
    assert pool.due(now + 0.9, 1000) == []
    assert pool.due(now + 1.1, 1000) == [worker]


def test_calls_that_time_out_together_are_one_fault() -> None:
    """One pause of a worker condemns nobody, however many calls it had, or how they followed."""
    pool = WorkerPool(WorkersSettings(), DispatchSettings(calls_per_worker=8))
    worker = admitted(pool)
    assert len(taken(pool)) == 8
    for call in range(8):
        now = 3.0 + call / 10
        pool.broke(worker, 1, TimedOut("late"), now)
        pool.due(now, 1000)
        pool.probe_answered(worker, now)
    assert worker.state is State.LIVE


def test_a_good_answer_between_time_outs_forgives_them() -> None:
    """One that is slow at times gets on with its work."""
    pool = a_pool()
    worker = admitted(pool)
    for now in range(0, 90, 9):
        for late in (2, 5):
            pool.acquire(ALL, now)
            pool.broke(worker, 1, TimedOut("late"), now + late)
            pool.due(now + late, 1000)
            pool.probe_answered(worker, now + late)
        pool.acquire(ALL, now + 6)
        pool.answered(worker, 1, 0.001, now + 6)
    assert worker.state is State.LIVE


def test_a_good_answer_between_faults_forgives_them() -> None:
    """Three faults in a row count, not three in a life."""
    pool = a_pool()
    worker = admitted(pool)
    for _ in range(5):
        for error in (BrokenReply("x"), BrokenReply("x"), None):
            pool.acquire(ALL, 1.0)
            if error is None:
                pool.answered(worker, 1, 0.001, 1.0)
            else:
                pool.broke(worker, 1, error, 1.0)
    assert worker.state is State.LIVE


@pytest.mark.parametrize(("asked", "rest"), [(None, 0.1), (1.0, 1.0), (60.0, 2.0)])
def test_a_busy_worker_rests_for_what_it_asked_up_to_two_seconds(
    asked: float | None, rest: float
) -> None:
    """429 and 503 are heeded, and are no sign of death."""
    pool = a_pool()
    worker = admitted(pool)
    pool.acquire(ALL, 5.0)
    pool.broke(worker, 1, Refused("busy", retry_after_s=asked, busy=True), 5.0)
    assert worker.state is State.LIVE
    assert pool.acquire(ALL, 5.0 + rest - 0.01) is None
    assert pool.acquire(ALL, 5.0 + rest + 0.01) is worker


def test_a_worker_that_takes_leave_gets_nothing_new_and_goes_when_it_has_finished() -> None:
    """What it has in flight still counts."""
    pool = a_pool()
    worker = admitted(pool)
    pool.acquire(ALL, 1.0)
    pool.leave("w", lambda _worker: True, 1.0)
    assert worker.state is State.DRAINING
    assert taken(pool) == []
    pool.answered(worker, 1, 0.001, 1.1)
    assert len(pool) == 0


def test_an_idle_worker_that_takes_leave_is_gone_at_once_and_may_come_back() -> None:
    """Coming back is a new admission."""
    pool = a_pool()
    admitted(pool)
    pool.leave("w", lambda _worker: True, 1.0)
    assert len(pool) == 0
    assert announced(pool, now=2.0).state is State.CANDIDATE
    with pytest.raises(WorkerNotFound):
        pool.leave("nobody", lambda _worker: True, 3.0)


def test_a_full_pool_lets_a_dead_worker_go_for_a_new_one_but_no_live_one() -> None:
    """The pool is bounded, and a flood of announcements pushes nobody out who works."""
    pool = a_pool(max=2)
    dead(pool)
    admitted(pool, "live", port=2)
    announced(pool, "new", port=3)
    assert sorted(worker.name for worker in pool) == ["live", "new"]
    with pytest.raises(Overloaded):
        announced(pool, "one too many", port=4)


def test_the_dead_are_forgotten_after_a_while() -> None:
    """A list of workers that nobody will see again helps nobody."""
    pool = a_pool(forget_s=600.0)
    worker = dead(pool)
    pool.due(500.0, 10)
    pool.probe_failed(worker, GONE, 500.0)
    assert len(pool) == 1
    pool.due(700.0, 10)
    assert len(pool) == 0


@pytest.mark.parametrize("is_back", [False, True])
def test_what_comes_of_a_forgotten_worker_changes_nothing(is_back: bool) -> None:
    """An examination that was under way does not bring it back, nor the one that has its key."""
    pool = a_pool(max=1)
    worker = dead(pool)
    assert pool.due(10.0, 10) == [worker]
    announced(pool, "newcomer", 11.0, port=2)
    assert worker not in pool
    if is_back:
        pool.leave("newcomer", lambda _worker: True, 12.0)
        announced(pool, now=12.0)
    before = [(known.name, known.state) for known in pool]
    pool.passed(worker, worker.abilities, 12.1)
    assert pool.acquire(ALL, 12.1) is None
    pool.probe_answered(worker, 12.2)
    pool.flunked(worker, "wrong", 12.3)
    assert worker.state is State.DEAD
    assert [(known.name, known.state) for known in pool] == before
    assert pool.places(ALL) == 0


def test_other_abilities_than_before_are_another_program() -> None:
    """What the earlier one passed says nothing about it."""
    pool = a_pool()
    worker = admitted(pool)
    pool.announce("w", worker.url, Abilities(frozenset({"sum"}), 512), 5.0)
    assert worker.state is State.CANDIDATE
    pool.passed(worker, worker.abilities, 5.0)
    assert pool.acquire(ALL, 5.0) is None
    assert pool.acquire(frozenset({"sum"}), 5.0) is worker
    assert (pool.places(ALL), pool.places(frozenset({"sum"}))) == (0, 2)


def test_of_abilities_that_nobody_has_any_more_nothing_is_kept() -> None:
    """A worker that announces others each time fills no tables, nor one that leaves."""
    pool = a_pool()
    for number in range(50):
        abilities = Abilities(frozenset({f"op{number}"}))
        worker = pool.announce("w", "http://10.0.0.1:1", abilities, float(number))
        pool.passed(worker, abilities, float(number))
    stays = pool.announce("stays", "http://10.0.0.1:2", abilities, 50.0)
    assert pool.kinds == (abilities.operations,)
    pool.leave("w", lambda _worker: True, 51.0)
    pool.passed(stays, abilities, 52.0)
    assert pool.acquire(abilities.operations, 52.0) is stays
    pool.leave("stays", lambda _worker: True, 53.0)
    pool.answered(stays, 1, 0.001, 53.1)
    assert (pool._free, pool._live, pool._taking) == ({}, {}, {})


def test_an_examination_counts_for_the_abilities_that_it_was_about() -> None:
    """What was announced while it went on has not been asked for: that is examined next."""
    pool = a_pool()
    before, after = Abilities(frozenset({"sum"})), Abilities(frozenset({"sum", "div"}))
    worker = pool.announce("w", "http://10.0.0.1:1", before, 0.0)
    assert pool.due(0.0, 1000) == [worker]
    pool.announce("w", worker.url, after, 0.1)
    pool.passed(worker, before, 0.2)
    assert worker.state is State.CANDIDATE
    assert pool.acquire(after.operations, 0.2) is None
    assert pool.due(0.2, 1000) == [worker]
    pool.passed(worker, after, 0.3)
    assert pool.acquire(after.operations, 0.3) is worker


def test_a_worker_of_slow_operations_gets_few_at_a_time() -> None:
    """No call is to last much longer than the target, whatever the worker would take."""
    pool = a_pool()
    worker = admitted(pool)
    assert pool.batch_limit(worker) == 8
    for _ in range(3):
        pool.acquire(ALL, 1.0)
        pool.answered(worker, 5, 0.05, 1.0)
    assert pool.batch_limit(worker) == 5
    for _ in range(3):
        pool.acquire(ALL, 1.0)
        pool.answered(worker, 5, 0.0001, 1.0)
    assert pool.batch_limit(worker) == 512
    assert pool.batch_limit(admitted(pool, "plain", batch=1)) == 1


def test_the_pace_of_a_worker_is_what_it_says_but_no_slower_than_what_was_seen() -> None:
    """On the way and in queues is no computing; and nobody computes for longer than a call took."""
    pool = a_pool()
    worker = admitted(pool)
    for told_s, pace_s in [(0.01, 0.002), (99.0, 0.0029)]:
        pool.acquire(ALL, 1.0)
        pool.answered(worker, 5, 0.025, 1.0, told_s)
        assert worker.pace_s == pytest.approx(pace_s)


def test_a_call_to_a_quick_worker_is_to_carry_many() -> None:
    """One that computes sooner than a call takes; of the others none waits for a full call."""
    pool = a_pool()
    worker = admitted(pool)
    assert pool.worth_a_call(worker) == 1
    pool.acquire(ALL, 1.0)
    pool.answered(worker, 1, 0.01, 1.0)
    assert pool.worth_a_call(worker) == 1
    for each_s, count in [(0.0001, 64), (0.000004, 125), (0.0000001, 256)]:
        pool.acquire(ALL, 1.0)
        pool.answered(worker, 1, 0.01, 1.0, each_s)
        assert worker.pace_s == each_s
        assert pool.worth_a_call(worker) == count


def test_a_probe_that_was_slept_through_is_taken_back() -> None:
    """It is asked again at once, and blames nobody."""
    pool = a_pool()
    worker = admitted(pool)
    pool.due(60.0, 10)
    pool.spare(worker, 60.0)
    assert worker.state is State.LIVE
    assert pool.due(60.0, 10) == [worker]


def test_every_state_has_its_row_and_every_row_leads_somewhere() -> None:
    """The table is the whole life of a worker."""
    assert set(TRANSITIONS) == set(State)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=200))
def test_whatever_happens_no_worker_holds_more_calls_than_it_has_places(  # noqa: C901  # a script
    script: list[tuple[int, int]],
) -> None:
    """And only LIVE workers are ever handed out; free places and calls always add up."""
    pool = a_pool()
    calls: list[Worker] = []
    workers = [announced(pool, str(port), port=port + 1) for port in range(3)]
    now = 0.0
    for what, who in script:
        now += 0.3
        worker = workers[who]
        if what == 0:
            announced(pool, str(who), now, port=who + 1)
        elif what == 1:
            pool.passed(worker, worker.abilities, now)
        elif what == 2:
            pool.probe_failed(worker, GONE, now)
        elif what == 3:
            pool.probe_answered(worker, now)
        elif what == 4:
            pool.flunked(worker, "wrong", now)
        elif what == 5 and calls:
            pool.answered(calls.pop(0), 0 + 1, 0.001, now)
        elif what == 6 and calls:
            pool.broke(calls.pop(0), 1, GONE, now)
        elif what == 7 and calls:
            pool.broke(calls.pop(0), 1, ForeignReply("x"), now)
        else:
            acquired = pool.acquire(ALL, now)
            if acquired is not None:
                assert acquired.state is State.LIVE
                calls.append(acquired)
        for known in workers:
            assert known.calls == calls.count(known) <= 2
            free = sum(1 for free in pool._free.get(ALL, ()) if free is known)
            assert free == (2 - known.calls if known.state is State.LIVE else 0)


def test_a_new_name_at_an_address_lets_the_dead_one_there_go() -> None:
    """Addresses are given out again: the dead must not live on by the newcomer's answers."""
    pool = a_pool()
    ghost = dead(pool)
    newcomer = announced(pool, "newcomer", 1.0)
    assert [worker.name for worker in pool] == ["newcomer"]
    assert newcomer.url == ghost.url


def test_a_live_worker_whose_address_another_one_announces_twice_is_gone() -> None:
    """It died unnoticed: the probes that it seemed to answer were the newcomer's."""
    pool = a_pool()
    admitted(pool, "ghost", 0.0)
    announced(pool, "ghost", 1.0)
    admitted(pool, "newcomer", 1.5)
    assert len(pool) == 2
    announced(pool, "newcomer", 2.5)
    assert [worker.name for worker in pool] == ["newcomer"]
    assert taken(pool, 3.0) == ["newcomer", "newcomer"]


def test_two_names_at_one_address_that_both_announce_themselves_both_stay() -> None:
    """Who is heard of is there."""
    pool = a_pool()
    for now in (0.0, 1.0, 2.0, 3.0):
        announced(pool, "a", now)
        announced(pool, "b", now)
    for worker in pool:
        pool.passed(worker, worker.abilities, 3.0)
    for now in (4.0, 5.0, 6.0):
        announced(pool, "a", now)
        announced(pool, "b", now)
    assert sorted(worker.name for worker in pool) == ["a", "b"]


def test_a_reserved_worker_has_no_other_call_until_the_one_is_over() -> None:
    """Not even when it was suspect and answers again meanwhile; then it has all its places."""
    pool = a_pool()
    worker = admitted(pool)
    assert pool.acquire(ALL, 0.0) is worker
    pool.reserve(worker)
    assert taken(pool) == []
    pool.probe_failed(worker, GONE, 0.1)
    pool.probe_answered(worker, 0.2)
    assert worker.state is State.LIVE
    assert taken(pool) == []
    pool.answered(worker, 1, 0.5, 0.5)
    assert taken(pool) == ["w", "w"]


def test_a_worker_that_lied_is_out_and_no_examination_brings_it_back() -> None:
    """Neither its announcements, nor one that was going on: not for `forget_s`."""
    pool = a_pool(forget_s=600.0)
    worker = admitted(pool)
    assert pool.reject(worker.key, "mul of 6 and 7 gave 43", 1.0) is worker
    assert pool.reject(worker.key, "and again", 1.0) is None
    for now in range(2, 600):
        announced(pool, now=float(now))
        assert pool.due(float(now), 1000) == []
        pool.passed(worker, worker.abilities, float(now))
    assert (worker.state, worker.reason) == (State.REJECTED, "mul of 6 and 7 gave 43")
    assert taken(pool) == []


def test_a_call_that_breaks_afterwards_does_not_hide_why_a_worker_was_rejected() -> None:
    """People need to know the lie."""
    pool = a_pool()
    worker = admitted(pool)
    pool.acquire(ALL, 1.0)
    pool.reject(worker.key, "mul of 6 and 7 gave 43", 1.0)
    pool.broke(worker, 1, GONE, 1.1)
    assert worker.reason == "mul of 6 and 7 gave 43"


def test_a_rejected_worker_that_is_gone_is_asked_as_rarely_as_a_dead_one() -> None:
    """Else it would be asked at every tick, and in numbers leave no room for those that come."""
    pool = a_pool()
    worker = announced(pool)
    pool.flunked(worker, "sum of 1 and 2 gave 4", 1.0)
    asked, now = 0, 1.0
    for _ in range(1200):  # a minute of ticks
        now += 0.05
        for due in pool.due(now, 10):
            asked += 1
            pool.probe_failed(due, GONE, now)
    assert worker.state is State.REJECTED
    assert 1 < asked <= 1 + 60 / WorkersSettings().dead_probe_s


def test_a_worker_that_lied_may_come_back_as_another_program() -> None:
    """When it took leave, or can do other things than before."""
    pool = a_pool()
    worker = admitted(pool)
    pool.reject(worker.key, "mul of 6 and 7 gave 43", 1.0)
    pool.leave("w", lambda _worker: True, 2.0)
    assert admitted(pool, now=3.0).state is State.LIVE


def test_a_worker_that_lied_comes_back_after_the_time_that_the_dead_are_kept() -> None:
    """It is forgotten, and announces itself as a new one."""
    pool = a_pool(forget_s=600.0)
    worker = admitted(pool)
    pool.reject(worker.key, "mul of 6 and 7 gave 43", 1.0)
    pool.due(602.0, 1000)
    assert admitted(pool, now=603.0).state is State.LIVE


def test_a_worker_that_missed_a_probe_has_another_life_when_it_is_back() -> None:
    """One that breaks a call and answers the probe has not died."""
    pool = a_pool()
    worker = admitted(pool)
    for now, missed, lives in [(1.0, False, 0), (2.0, True, 1), (3.0, True, 2), (4.0, False, 2)]:
        pool.broke(pool.acquire(ALL, now) or worker, 1, GONE, now)
        if missed:
            pool.due(now + 0.5, 1000)
            pool.probe_failed(worker, GONE, now + 0.5)
        pool.due(now + 0.9, 1000)
        pool.probe_answered(worker, now + 0.9)
        assert (worker.state, worker.life) == (State.LIVE, lives)


def test_a_worker_that_missed_many_probes_has_one_other_life() -> None:
    """It was dead all the while."""
    pool = a_pool()
    worker = dead(pool)
    pool.due(10.0, 1000)
    pool.passed(worker, worker.abilities, 10.0)
    assert worker.life == 1
