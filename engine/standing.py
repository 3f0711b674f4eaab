"""What the pool thinks of a worker: its states, its whole life as a table, and what is known of it.

Pure data. `WorkerPool` alone changes any of it: everybody else reads.
"""

from enum import StrEnum
from typing import NamedTuple

from engine.latency import LatencyWindow


class State(StrEnum):
    """What the pool thinks of a worker."""

    CANDIDATE = "candidate"  # announced, to be examined
    LIVE = "live"
    SUSPECT = "suspect"  # the last thing heard of it was a failure: probed, gets nothing new
    DEAD = "dead"
    DRAINING = "draining"  # took leave, and finishes what it has
    REJECTED = "rejected"  # computed something wrongly, when examined or later


class Event(StrEnum):
    """What can happen to a worker, as far as its state is concerned."""

    ANNOUNCED = "announced"
    ANSWERED = "answered"
    PASSED = "passed"
    FLUNKED = "flunked"
    FAILED = "failed"
    GAVE_OUT = "gave out"
    FAULTED = "faulted"
    LIED = "lied"
    LEFT = "left"


# The whole life of a worker. An event that a state does not list changes nothing.
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.CANDIDATE: {
        Event.PASSED: State.LIVE,
        Event.FLUNKED: State.REJECTED,
        Event.LIED: State.REJECTED,
        Event.GAVE_OUT: State.DEAD,
        Event.LEFT: State.DRAINING,
    },
    State.LIVE: {
        Event.FAILED: State.SUSPECT,
        Event.FAULTED: State.CANDIDATE,
        Event.LIED: State.REJECTED,
        Event.LEFT: State.DRAINING,
    },
    State.SUSPECT: {
        Event.ANSWERED: State.LIVE,
        Event.FAULTED: State.CANDIDATE,
        Event.LIED: State.REJECTED,
        Event.GAVE_OUT: State.DEAD,
        Event.LEFT: State.DRAINING,
    },
    State.DEAD: {
        Event.ANSWERED: State.CANDIDATE,
        Event.PASSED: State.LIVE,
        Event.FLUNKED: State.REJECTED,
        Event.LIED: State.REJECTED,
        Event.LEFT: State.DRAINING,
    },
    State.REJECTED: {
        Event.PASSED: State.LIVE,
        Event.LEFT: State.DRAINING,
    },
    State.DRAINING: {Event.ANNOUNCED: State.CANDIDATE},
}

EXAMINED_STATES = (State.CANDIDATE, State.DEAD, State.REJECTED)  # to be examined, not just probed


class WorkerKey(NamedTuple):
    """What tells workers apart: two may share a name."""

    name: str
    url: str


class Abilities(NamedTuple):
    """What a worker announced that it can do."""

    operations: frozenset[str]
    batch: int = 1  # operations in one call
    chains: bool = False  # whether, in an array, an operand may refer to an earlier item


class Worker:
    """What the pool knows of one worker. Changed by the pool alone."""

    def __init__(self, key: WorkerKey, abilities: Abilities, now: float) -> None:
        self.key = key
        self.abilities = abilities
        self.state = State.CANDIDATE
        self.state_since = now
        self.reason: str | None = None  # why it is not LIVE, in words
        self.heard_at: float | None = None
        self.probe_at = now
        self.probing = False
        self.failures = 0  # a call or probe, then probes only, without an answer, in a row
        self.faults = 0  # answers that were none, and calls that timed out, in a row
        self.timed_out_at: float | None = None  # the latest of those calls
        self.deaths = 0
        self.life = 0  # how often it was LIVE again after it had missed a probe
        self.has_missed_probe = False
        self.readmit_at = now
        self.first_announced_at = self.announced_at = now
        self.rests_until = now
        self.calls = 0  # in flight
        self.reserved = False  # for the one call that is in flight
        self.in_flight = 0  # operations in flight
        self.completed = 0
        self.failed = 0
        self.latency = LatencyWindow()
        self.pace_s: float | None = None  # seconds per operation, smoothed

    def __repr__(self) -> str:
        """Tell the state in one line: tests and logs read it."""
        return f"<Worker {self.key.name} {self.key.url} {self.state} calls={self.calls}>"

    @property
    def name(self) -> str:
        """The name that it announced."""
        return self.key.name

    @property
    def operations(self) -> frozenset[str]:
        """The names of the operations that it takes."""
        return self.abilities.operations

    @property
    def batch(self) -> int:
        """How many operations it takes in one call."""
        return self.abilities.batch

    @property
    def chains(self) -> bool:
        """Whether it takes operands that refer to earlier items of the same call."""
        return self.abilities.chains

    @property
    def url(self) -> str:
        """The address that it is called at, scheme and port included."""
        return self.key.url
