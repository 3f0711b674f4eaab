"""Why a job is not finished, in sentences that say what would help. Pure.

The facts are gathered by somebody else at one moment; here is only what they mean. A sentence names
the operation, where it stands in the task, and the workers that matter to it.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from engine.job import Job
from engine.messages import Explanation
from engine.standing import State
from engine.trace import UnderWay

LONGEST_ANSWER = 80  # characters of an answer in a sentence
MOST_SENT = 3  # operations at workers that have a sentence of their own


class WorkerFacts(NamedTuple):
    """What matters of a worker."""

    name: str
    state: State
    operations: frozenset[str]


class Facts(NamedTuple):
    """All that the sentences are made of."""

    job: Job
    now: float  # monotonic
    begun: bool = True  # whether it has found room to run
    planned: bool = True  # whether its text has been read
    under_way: Sequence[UnderWay] = ()
    workers: Sequence[WorkerFacts] = ()
    queued: int = 0  # operations of all jobs
    running_jobs: int = 0
    most_running_jobs: int = 0
    trouble: str | None = None  # why nothing can be recorded


def explain(facts: Facts) -> Explanation:
    """Return where a job stands and why, in a state for programs and sentences for people."""
    job = facts.job
    if job.outcome is not None:
        return Explanation(job.job_id, "finished", [_finished(job)])
    if not facts.begun:
        return Explanation(job.job_id, "waiting_for_room", _no_room(facts))
    if not facts.planned:
        sentence = f"its text of {len(job.task)} characters is being read; that takes a moment"
        return Explanation(job.job_id, "planning", [sentence])
    sent = [entry for entry in facts.under_way if entry.worker is not None]
    queued: dict[str, list[UnderWay]] = {}
    for entry in facts.under_way:
        if entry.worker is None:
            queued.setdefault(entry.step.name, []).append(entry)
    lacking = [name for name in queued if not _takers(facts, name)[State.LIVE]]
    sentences = [_queued(facts, name, queued[name]) for name in lacking]
    sentences += [_queued(facts, name, queued[name]) for name in queued if name not in lacking]
    sentences += _sent(facts, sent)
    if lacking:
        return Explanation(job.job_id, "waiting_for_worker", sentences)
    if queued and not sent:
        return Explanation(job.job_id, "queued", sentences)
    return Explanation(job.job_id, "running", sentences or [_recorded(facts)])


def _finished(job: Job) -> str:
    assert job.outcome is not None  # noqa: S101  # it has finished
    if job.outcome.error is not None:
        if job.outcome.error == "cancelled":
            return "it was cancelled by a client"
        return f"it has failed with {job.outcome.error}: {job.outcome.detail}"
    answer = str(job.outcome.answer)
    if len(answer) > LONGEST_ANSWER:
        return f"it has finished, with an answer of {len(answer)} characters"
    return f"it has finished: the answer is {answer}"


def _recorded(facts: Facts) -> str:
    if facts.trouble is None:
        return "its last result is being recorded"
    return f"what has come of it cannot be recorded, and is tried again: {facts.trouble}"


def _no_room(facts: Facts) -> list[str]:
    is_any_live = any(worker.state == State.LIVE for worker in facts.workers)
    sooner = "more workers make that sooner" if is_any_live else "no worker is live to compute them"
    if facts.running_jobs < facts.most_running_jobs:
        return [
            f"it has not begun: {facts.running_jobs} jobs run, and the large ones among them leave"
            " no room for one more, or its turn comes in a moment",
            "it begins when a large job has finished; raising limits.running_bytes lets more run",
        ]
    return [
        f"it has not begun: {facts.running_jobs} jobs run, which is as many as"
        " limits.running_jobs lets",
        f"it begins when those before it have finished; {sooner}",
    ]


def _takers(facts: Facts, name: str) -> Counter[State]:
    return Counter(worker.state for worker in facts.workers if name in worker.operations)


def _queued(facts: Facts, name: str, waiting: list[UnderWay]) -> str:
    first = min(waiting, key=lambda entry: entry.since)
    more = f" ({len(waiting) - 1} more with it)" if len(waiting) > 1 else ""
    waited = f"{_named(first)}{more} has waited {_seconds(facts.now - first.since)}"
    takers = _takers(facts, name)
    if not takers[State.LIVE]:
        return f"{waited}: no live worker takes {name}; {_what_would_help(facts, takers, name)}"
    tried = f"; {_tried(first)}" if first.failed else ""
    live = takers[State.LIVE]
    busy = (
        f"the live worker that takes {name} is"
        if live == 1
        else (f"the {live} live workers that take {name} are")
    )
    return (
        f"{waited}: {busy} busy, and {facts.queued} operations of all jobs wait;"
        f" another worker would help{tried}"
    )


def _what_would_help(facts: Facts, takers: Counter[State], name: str) -> str:
    if not takers:
        others_live = any(worker.state is State.LIVE for worker in facts.workers)
        only = f" --operations {name}" if others_live else ""
        return f"start one that does (python worker.py{only})"
    states = ", ".join(
        f"{count} {'is' if count == 1 else 'are'} {state}"
        for state, count in sorted(takers.items())
    )
    if set(takers) <= {State.REJECTED, State.DRAINING}:
        return f"{states}; start another one"
    return f"{states}; it goes on as soon as one answers, or another one is started"


def _sent(facts: Facts, sent: list[UnderWay]) -> list[str]:
    longest = sorted(sent, key=lambda entry: entry.sent_at)
    sentences = [
        f"{_named(entry)} is at worker {entry.worker} for"
        f" {_seconds(facts.now - entry.sent_at)}" + (f"; {_tried(entry)}" if entry.failed else "")
        for entry in islice(longest, MOST_SENT)
    ]
    if len(sent) > MOST_SENT:
        sentences.append(f"{len(sent) - MOST_SENT} more operations are at workers")
    return sentences


def _named(entry: UnderWay) -> str:
    return f"operation {entry.step.index} ({entry.step.name}, column {entry.step.column})"


def _tried(entry: UnderWay) -> str:
    last = entry.failed[-1]
    times = f"{len(entry.failed)} attempts" if len(entry.failed) > 1 else "an attempt"
    return f"{times} failed before, the last one at worker {last.worker}: {last.reason}"


def _seconds(seconds: float) -> str:
    return f"{max(0.0, seconds):.1f} s"
