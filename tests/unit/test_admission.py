"""Admission: which jobs run, which wait in memory, and which in the store alone."""

from collections.abc import Callable, Iterable

import pytest

from engine.admission import LOBBY_CHARACTERS, Admission
from engine.expression.parser import parse
from engine.job import Job, JobId
from engine.plan import Plan
from engine.settings import LimitsSettings

PLAN = Plan(parse("1+1"))
LARGE_FROM = 100


def an_admission(running_jobs: int = 2, running_bytes: int = 1000) -> Admission:
    """Return an admission that has looked into the store once and found nothing."""
    limits = LimitsSettings(running_jobs=running_jobs, running_bytes=running_bytes)
    admission = Admission(limits, LARGE_FROM)
    admission.behind = False
    return admission


def a_job(job_id: int, size: int = 3) -> Job:
    """Return a job with a task of so many characters."""
    return Job(JobId(job_id), "1" * size, 0.0)


def offer(admission: Admission, ids: Iterable[int], size: int = 3) -> None:
    """Offer jobs that were just stored."""
    for job_id in ids:
        admission.offer(a_job(job_id, size), PLAN)


def begun(admission: Admission) -> list[int]:
    """Begin what may be begun, and return the ids."""
    return [entry.job.job_id for entry in admission.begin()]


def test_jobs_begin_in_the_order_of_their_ids_as_far_as_there_is_room() -> None:
    """The next one begins when one ends."""
    admission = an_admission(running_jobs=2)
    offer(admission, [1, 2, 3])
    entries = list(admission.begin())
    assert [entry.job.job_id for entry in entries] == [1, 2]
    assert admission.waiting == 1
    admission.ended(entries[0])
    assert begun(admission) == [3]


def test_what_waits_in_the_lobby_keeps_its_plan() -> None:
    """No plan is made twice."""
    admission = an_admission(running_jobs=1)
    offer(admission, [1, 2])
    first = next(admission.begin())
    admission.ended(first)
    assert next(admission.begin()).plan is PLAN


def test_a_job_that_is_not_the_next_in_line_is_left_to_the_store() -> None:
    """The one before it is there and has not been seen yet: both are read in their order."""
    admission = an_admission()
    offer(admission, [2])
    assert begun(admission) == []
    assert admission.wants_more
    admission.read([a_job(1), a_job(2)])
    assert begun(admission) == [1, 2]


def test_a_job_is_never_begun_twice() -> None:
    """Offered by its submission and read from the store: once is enough."""
    admission = an_admission()
    admission.read([a_job(1)])
    offer(admission, [1])
    admission.read([a_job(1)])
    assert begun(admission) == [1]


def test_a_full_lobby_leaves_jobs_in_the_store_until_there_is_room() -> None:
    """Memory is bounded; the order stays."""
    half = LOBBY_CHARACTERS // 2
    admission = Admission(LimitsSettings(running_jobs=1), LOBBY_CHARACTERS)
    admission.behind = False
    for job_id in range(1, 5):
        admission.offer(a_job(job_id, half), PLAN)
    assert admission.taken == 2
    assert admission.behind
    assert not admission.wants_more
    first = next(admission.begin())
    admission.ended(first)
    second = next(admission.begin())
    assert admission.wants_more
    admission.read([a_job(3, half), a_job(4, half), a_job(5, half)])
    assert admission.taken == 4
    admission.ended(second)
    assert begun(admission) == [3]


@pytest.mark.parametrize("leave", [begun, lambda admission: admission.drop(JobId(2))])
def test_what_did_not_fit_is_wanted_again_when_something_has_left_the_lobby(
    leave: Callable[[Admission], object],
) -> None:
    """Not before, however much room there is by the numbers: the next in line needs more."""
    admission = Admission(LimitsSettings(running_jobs=1), LOBBY_CHARACTERS)
    admission.read([a_job(1)])
    entry = next(admission.begin())
    most = a_job(3, LOBBY_CHARACTERS)
    admission.read([a_job(2), most])
    assert admission.taken == 2
    admission.ended(entry)
    assert not admission.wants_more
    leave(admission)
    assert admission.wants_more
    admission.read([most])
    assert admission.taken == 3


def test_a_job_that_has_begun_already_counts_when_it_is_the_next_in_line() -> None:
    """Not before those before it, not twice, and not where there is no room."""
    admission = an_admission(running_jobs=1)
    assert admission.is_idle
    assert admission.begin_next(a_job(2)) is None
    entry = admission.begin_next(a_job(1))
    assert entry is not None
    assert admission.taken == 1
    assert not admission.is_idle
    assert admission.begin_next(a_job(1)) is None
    assert admission.begin_next(a_job(2)) is None
    offer(admission, [2, 3])
    admission.ended(entry)
    assert not admission.is_idle  # others wait before it
    assert begun(admission) == [2]


def test_large_jobs_hold_up_no_small_one() -> None:
    """Those without room are remembered by their ids, and let in one after the other."""
    admission = an_admission(running_jobs=10, running_bytes=500)
    offer(admission, [1, 2], size=400)
    offer(admission, [3])
    entries = list(admission.begin())
    assert [entry.job.job_id for entry in entries] == [1, 3]
    assert admission.next_large() is None
    admission.ended(entries[0])
    assert admission.next_large() == 2
    admission.admit_large(a_job(2, 400))
    assert begun(admission) == [2]


def test_large_jobs_run_side_by_side_as_far_as_there_is_room() -> None:
    """The bound is on their text in all."""
    admission = an_admission(running_jobs=10, running_bytes=900)
    offer(admission, [1, 2, 3], size=400)
    entries = list(admission.begin())
    assert [entry.job.job_id for entry in entries] == [1, 2]
    admission.ended(entries[1])
    assert admission.next_large() == 3


def test_a_large_job_larger_than_all_room_runs_alone() -> None:
    """It would wait for ever otherwise."""
    admission = an_admission(running_bytes=500)
    offer(admission, [1], size=5000)
    assert begun(admission) == [1]


def test_a_large_job_that_was_cancelled_while_it_waited_is_passed_over() -> None:
    """The next one has its turn."""
    admission = an_admission(running_bytes=500)
    offer(admission, [1, 2, 3], size=400)
    entry = next(admission.begin())
    admission.ended(entry)
    assert admission.next_large() == 2
    admission.drop(JobId(2))
    admission.admit_large(a_job(2, 400))  # it was being read just then
    assert admission.next_large() == 3
    assert begun(admission) == []


def test_a_job_that_ended_in_the_lobby_does_not_begin() -> None:
    """And leaves the room that it took."""
    half = LOBBY_CHARACTERS // 2
    admission = an_admission(running_jobs=1, running_bytes=half)
    offer(admission, [1])
    offer(admission, [2], size=half)
    offer(admission, [3, 4])
    admission.behind = True
    assert not admission.wants_more
    admission.drop(JobId(2))
    admission.drop(JobId(3))
    assert admission.wants_more
    offer(admission, [5], size=half)
    entry = next(admission.begin())
    admission.ended(entry)
    assert [entry.job.job_id, *begun(admission)] == [1, 4]
    assert admission.next_large() is None
    assert admission.waiting == 1


def test_a_job_that_ended_before_it_was_taken_up_does_not_begin() -> None:
    """Whether it is offered then, was begun ahead, or had been read from the store before."""
    admission = an_admission(running_jobs=10)
    for job_id in (1, 2, 4):
        admission.drop(JobId(job_id))
    offer(admission, [1])
    assert admission.begin_next(a_job(2)) is None
    offer(admission, [2])
    admission.read([a_job(3), a_job(4), a_job(5)])
    assert begun(admission) == [3, 5]
    assert admission.taken == 5
