"""Why a job is not finished: facts on the left, sentences on the right."""

import pytest

from engine.job import Job, JobId, Outcome
from engine.standing import State
from engine.trace import FailedAttempt, UnderWay
from engine.why import Facts, WorkerFacts, explain
from tests.builders import an_operation

JOB = Job(JobId(47), "1+(2*3)/4-5", 0.0)
MUL = an_operation(3, "mul", (2, 3), column=5)
NOW = 10.0
WAITING = UnderWay(MUL, 8.8)
AT_WORKER = UnderWay(MUL, 8.8, "w1", 9.6)
NO_ROOM = Facts(JOB, NOW, begun=False, running_jobs=7, most_running_jobs=7)


def worker(state: State, *operations: str) -> WorkerFacts:
    """Return a worker that takes these operations, all four unless told."""
    return WorkerFacts("w1", state, frozenset(operations or ("sum", "sub", "mul", "div")))


def ended(**outcome: object) -> Job:
    """Return the job as it ended."""
    return Job(JOB.job_id, JOB.task, 0.0, Outcome(**outcome), 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "state", "sentences"),
    [
        (
            Facts(ended(answer=-2.5), NOW),
            "finished",
            ["it has finished: the answer is -2.5"],
        ),
        (
            Facts(ended(answer=10**100), NOW),
            "finished",
            ["it has finished, with an answer of 101 characters"],
        ),
        (
            Facts(ended(error="division_by_zero", detail="'/' at column 2: by zero"), NOW),
            "finished",
            ["it has failed with division_by_zero: '/' at column 2: by zero"],
        ),
        (
            Facts(ended(error="cancelled", detail="cancelled by a client"), NOW),
            "finished",
            ["it was cancelled by a client"],
        ),
        (
            NO_ROOM._replace(workers=[worker(State.LIVE)]),
            "waiting_for_room",
            [
                "it has not begun: 7 jobs run, which is as many as limits.running_jobs lets",
                "it begins when those before it have finished; more workers make that sooner",
            ],
        ),
        (
            NO_ROOM._replace(workers=[worker(State.DEAD)]),
            "waiting_for_room",
            [
                "it has not begun: 7 jobs run, which is as many as limits.running_jobs lets",
                "it begins when those before it have finished; no worker is live to compute them",
            ],
        ),
        (
            Facts(JOB, NOW, planned=False),
            "planning",
            ["its text of 11 characters is being read; that takes a moment"],
        ),
        (
            Facts(JOB, NOW, under_way=[WAITING]),
            "waiting_for_worker",
            [
                "operation 3 (mul, column 5) has waited 1.2 s: no live worker takes mul;"
                " start one that does (python worker.py)"
            ],
        ),
        (
            Facts(JOB, NOW, under_way=[WAITING], workers=[worker(State.LIVE, "sum")]),
            "waiting_for_worker",
            [
                "operation 3 (mul, column 5) has waited 1.2 s: no live worker takes mul;"
                " start one that does (python worker.py --operations mul)"
            ],
        ),
        (
            Facts(
                JOB,
                NOW,
                under_way=[WAITING],
                workers=[worker(State.SUSPECT), worker(State.SUSPECT), worker(State.LIVE, "sum")],
            ),
            "waiting_for_worker",
            [
                "operation 3 (mul, column 5) has waited 1.2 s: no live worker takes mul;"
                " 2 are suspect; it goes on as soon as one answers, or another one is started"
            ],
        ),
        (
            Facts(JOB, NOW, under_way=[WAITING], workers=[worker(State.REJECTED)]),
            "waiting_for_worker",
            [
                "operation 3 (mul, column 5) has waited 1.2 s: no live worker takes mul;"
                " 1 is rejected; start another one"
            ],
        ),
        (
            Facts(JOB, NOW, under_way=[WAITING], workers=[worker(State.LIVE)], queued=900),
            "queued",
            [
                "operation 3 (mul, column 5) has waited 1.2 s: the live worker that takes mul is"
                " busy, and 900 operations of all jobs wait; another worker would help"
            ],
        ),
        (
            Facts(JOB, NOW, under_way=[AT_WORKER], workers=[worker(State.LIVE)]),
            "running",
            ["operation 3 (mul, column 5) is at worker w1 for 0.4 s"],
        ),
        (
            Facts(
                JOB,
                NOW,
                under_way=[AT_WORKER._replace(failed=(FailedAttempt("w2", "timed_out"),))],
                workers=[worker(State.LIVE)],
            ),
            "running",
            [
                "operation 3 (mul, column 5) is at worker w1 for 0.4 s; an attempt failed"
                " before, the last one at worker w2: timed_out"
            ],
        ),
        (Facts(JOB, NOW), "running", ["its last result is being recorded"]),
        (
            Facts(JOB, NOW, trouble="the disk of /data is full; make room there"),
            "running",
            [
                "what has come of it cannot be recorded, and is tried again:"
                " the disk of /data is full; make room there"
            ],
        ),
    ],
)
def test_the_facts_become_sentences(facts: Facts, state: str, sentences: list[str]) -> None:
    """Each names the operation, its column, the workers that matter, and what would help."""
    told = explain(facts)
    assert (told.job_id, told.state, told.sentences) == (47, state, sentences)


def test_one_missing_kind_of_worker_is_told_first() -> None:
    """It is what a person must do something about."""
    other = UnderWay(an_operation(1, "sum"), 5.0)
    told = explain(Facts(JOB, NOW, under_way=[other, WAITING], workers=[worker(State.LIVE, "sum")]))
    assert told.state == "waiting_for_worker"
    assert "no live worker takes mul" in told.sentences[0]


def test_many_operations_at_workers_are_summed_up() -> None:
    """Nobody reads a thousand sentences."""
    many = [AT_WORKER] * 1000
    assert len(explain(Facts(JOB, NOW, under_way=many)).sentences) == 4
