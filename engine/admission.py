"""Which unfinished jobs run, which wait in memory, and which in the store alone. Pure.

Jobs are taken up in the order of their ids. As many run as there is room for; a few more wait in
the lobby with their plans made, so that no place stays empty; the rest stays in the store. Large
jobs have a bound of their own, so that they hold up no small one: of those that find no room,
ids and lengths are remembered.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.job import Job, JobId
from engine.plan import Plan
from engine.settings import LimitsSettings

LOBBY_CHARACTERS = 4 * 1024 * 1024  # of text, in all; plans take some hundred bytes for each


class Entry(NamedTuple):
    """A job that was taken up, its plan if it has been made, and its length if it is large."""

    job: Job
    plan: Plan | None
    size: int


class Admission:
    """Keeps the order, and counts the room."""

    def __init__(self, limits: LimitsSettings, large_from: int) -> None:
        self._limits = limits
        self._large_from = large_from
        self._taken = JobId(0)
        self._lobby: OrderedDict[JobId, Entry] = OrderedDict()
        self._lobby_characters = 0
        self._is_full = False  # the next one was refused, and nothing has left since
        self._large: OrderedDict[JobId, int] = OrderedDict()  # with their lengths
        self._ended: set[JobId] = set()  # before they were taken up
        self._running = 0
        self._running_characters = 0  # of the large ones
        self.behind = True  # whether the store may hold jobs that have not been taken up

    @property
    def taken(self) -> JobId:
        """Every job up to this id was taken up, or had finished before."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many jobs were taken up and do not run yet."""
        return len(self._lobby) + len(self._large)

    def is_to_come(self, job_id: JobId) -> bool:
        """Return whether a job that the store has had, and that does not run, has not ended."""
        if job_id > self._taken:
            return job_id not in self._ended
        return job_id in self._lobby or job_id in self._large

    def is_large(self, task: str) -> bool:
        """Return whether a task counts as large."""
        return len(task) > self._large_from

    def offer(self, job: Job, plan: Plan | None) -> None:
        """Take up a job that was just stored, if it is the next in line and there is room."""
        if job.job_id <= self._taken:
            return
        if job.job_id != self._taken + 1 or not self._take(job, plan):
            self.behind = True

    def read(self, jobs: Iterable[Job]) -> None:
        """Take up jobs that were read from the store, as far as there is room."""
        for job in jobs:
            if job.job_id > self._taken and not self._take(job, None):
                break
        self._ended = {job_id for job_id in self._ended if job_id > self._taken}

    def _take(self, job: Job, plan: Plan | None) -> bool:
        size = len(job.task) if self.is_large(job.task) else 0
        if job.job_id in self._ended:
            pass
        elif size and (self._large or not self._has_room_for(size)):
            self._large[job.job_id] = size
        elif self._lobby and self._lobby_characters + len(job.task) > LOBBY_CHARACTERS:
            self._is_full = True
            return False
        else:
            self._enter(Entry(job, plan, size))
        self._taken = job.job_id
        return True

    def _enter(self, entry: Entry) -> None:
        self._lobby[entry.job.job_id] = entry
        self._lobby_characters += len(entry.job.task)
        self._running_characters += entry.size

    def _leave(self, job_id: JobId) -> Entry:
        entry = self._lobby.pop(job_id)
        self._lobby_characters -= len(entry.job.task)
        self._is_full = False
        return entry

    def drop(self, job_id: JobId) -> None:
        """Let a job that has ended without running not begin: it waits here, or may be read yet."""
        if job_id in self._lobby:
            self._running_characters -= self._leave(job_id).size
        elif job_id > self._taken:
            self._ended.add(job_id)
        else:
            self._large.pop(job_id, None)

    def _has_room_for(self, size: int) -> bool:
        running = self._running_characters
        return running == 0 or running + size <= self._limits.running_bytes

    @property
    def is_idle(self) -> bool:
        """Whether a small job would run at once: nothing waits before it, and there is room."""
        return not self.behind and not self._lobby and self._has_place

    def begin_next(self, job: Job) -> Entry | None:
        """Take up a small job and count it as running, if it is the next in line and has room."""
        if job.job_id != self._taken + 1 or not self._has_place:
            return None
        if job.job_id in self._ended:
            return None
        self._taken = job.job_id
        self._running += 1
        return Entry(job, None, 0)

    @property
    def can_begin(self) -> bool:
        """Whether a job waits in the lobby and there is room for it to run."""
        return bool(self._lobby) and self._has_place

    @property
    def _has_place(self) -> bool:
        return self._running < self._limits.running_jobs

    def begin(self) -> Iterator[Entry]:
        """Yield the jobs that may run now, and count them as running."""
        while self.can_begin:
            entry = self._leave(next(iter(self._lobby)))
            self._running += 1
            yield entry

    @property
    def wants_more(self) -> bool:
        """Whether jobs should be read from the store: it may have some, and there is room."""
        has_room = not self._is_full and self._lobby_characters < LOBBY_CHARACTERS // 2
        return self.behind and has_room

    def next_large(self) -> JobId | None:
        """Return a large job that would find room now; it is to be read, then `admit_large`d."""
        job_id = next(iter(self._large), None)
        return job_id if job_id is not None and self._has_room_for(self._large[job_id]) else None

    def admit_large(self, job: Job) -> None:
        """Let the job named by `next_large` into the lobby, unless it was dropped meanwhile."""
        size = self._large.pop(job.job_id, None)
        if size is not None:
            self._enter(Entry(job, None, size))

    def ended(self, entry: Entry) -> None:
        """Count a job as no longer running."""
        self._running -= 1
        self._running_characters -= entry.size
