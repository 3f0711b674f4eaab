"""What others see of the engine's objects: from a worker, a job or the whole master to messages."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from engine.calls import Call
from engine.job import Job, Number
from engine.messages import InHand, JobListed, JobSeen, WorkerStatus
from engine.standing import Worker, WorkerKey

LONGEST_TASK = 200  # characters of a task in an event: whoever wants all of it asks for the job
EXACT_IN_A_BROWSER = 2**53


def worker_status(worker: Worker, now: float, oldest: Call | None = None) -> WorkerStatus:
    """Return the public view of a worker, whose `oldest` call is still on its way."""
    return WorkerStatus(
        name=worker.name,
        url=worker.url,
        state=worker.state,
        operations=sorted(worker.operations),
        batch=worker.batch,
        chains=worker.chains,
        in_flight=worker.in_flight,
        completed=worker.completed,
        failed=worker.failed,
        latency_p50_s=worker.latency.quantile(0.5),
        latency_p95_s=worker.latency.quantile(0.95),
        last_seen_s=None if worker.heard_at is None else round(now - worker.heard_at, 3),
        reason=worker.reason,
        in_hand=None if oldest is None else _in_hand(oldest, now),
    )


def worker_statuses(
    workers: Iterable[Worker], now: float, oldest: Mapping[WorkerKey, Call]
) -> list[WorkerStatus]:
    """Return the public views of workers, each with the `oldest` call of those that have one."""
    return [worker_status(worker, now, oldest.get(worker.key)) for worker in workers]


def _in_hand(call: Call, now: float) -> InHand:
    lane, operation, _ = call.load[0]
    return InHand(lane.job_id, operation.name, round(now - call.sent_at, 3))


def job_seen(job: Job) -> JobSeen:
    """Return a job as events show it."""
    listed = JobListed.of(job)
    return JobSeen(
        job_id=listed.job_id,
        finished=listed.finished,
        answer=listed.answer,
        task=job.task[:LONGEST_TASK],
        submitted_at=job.submitted_at,
        finished_at=job.finished_at,
        error=listed.error,
        detail=listed.detail,
        task_cut=True if len(job.task) > LONGEST_TASK else UNSET,
        answer_text=str(listed.answer) if _needs_text(listed.answer) else UNSET,
    )


def _needs_text(answer: Number | None) -> bool:
    if isinstance(answer, float):
        return True  # to JavaScript 2.0 is 2
    return answer is not None and abs(answer) > EXACT_IN_A_BROWSER
