"""`/metrics`: what Prometheus asks for, made from plain integers at the moment it asks.

Nothing on the way of an operation knows of Prometheus. No label holds a job's id, a task or a
worker's name, so the number of series is bounded, whoever comes and goes.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from engine import __version__
from engine.master.assembly import Master
from engine.master.handlers import BaseHandler
from engine.standing import State
from engine.tally import BOUNDS_S, Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def rendered(master: Master) -> bytes:
    """Return all metrics of `master` in the text format."""
    registry = CollectorRegistry()
    registry.register(_Metrics(master))
    return generate_latest(registry)


class MetricsHandler(BaseHandler):
    """`/metrics`."""

    def get(self) -> None:
        """Answer in the text format of Prometheus."""
        self.headers["Content-Type"] = CONTENT_TYPE
        self.finish(rendered(self.master))

    head = get


class _Metrics(Collector):
    def __init__(self, master: Master) -> None:
        self._engine = master.engine
        self._refused = master.refused
        self._tally = master.dispatcher.tally
        self._dispatcher = master.dispatcher
        self._pool = master.pool
        self._health = master.health
        self._now = master.clock.now()

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "executor_build", "The version of the program.", {"version": __version__}
        )
        yield from self._jobs()
        yield from self._operations()
        yield from self._queue()
        states = Counter(worker.state for worker in self._pool)
        workers = GaugeMetricFamily("executor_workers", "Workers by state.", labels=["state"])
        for state in State:
            workers.add_metric([state], states[state])
        yield workers
        yield GaugeMetricFamily(
            "executor_event_loop_lag_seconds",
            "How late the event loop came to a timer, the worst of the last second.",
            self._health.loop_lag_s,
        )

    def _jobs(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "executor_jobs_submitted", "Jobs taken since the start.", self._engine.submitted
        )
        finished = CounterMetricFamily(
            "executor_jobs_finished", "Jobs finished since the start.", labels=["outcome"]
        )
        for outcome, count in self._engine.finished.items():
            finished.add_metric([outcome], count)
        yield finished
        yield GaugeMetricFamily(
            "executor_jobs_unfinished",
            "Jobs of the record that have no outcome yet.",
            self._engine.counts.unfinished,
        )
        yield CounterMetricFamily(
            "executor_requests_refused",
            "Requests refused since a bound of `limits` was reached.",
            self._refused,
        )
        yield GaugeMetricFamily(
            "executor_record_writable",
            "1, or 0 if the record could not be written the last time: then nothing is taken.",
            self._engine.trouble is None,
        )

    def _operations(self) -> Iterator[Metric]:
        tally = self._tally
        operations = CounterMetricFamily(
            "executor_operations",
            "Operations that came back from workers, and whether they had a result.",
            labels=["operation", "outcome"],
        )
        seconds = HistogramMetricFamily(
            "executor_operation_seconds",
            "How long the calls took that operations were computed in, the way included.",
            labels=["operation"],
        )
        for name, count in sorted(tally.computed.items()):
            operations.add_metric([name, "succeeded"], count - tally.failed[name])
            operations.add_metric([name, "failed"], tally.failed[name])
            seconds.add_metric([name], *_buckets(tally.call_s[name]))
        yield operations
        yield seconds
        retries = CounterMetricFamily(
            "executor_retries",
            "Operations asked for again, by reason; of `late` and `verify` nothing went wrong.",
            labels=["reason"],
        )
        for reason, count in sorted(tally.retries.items()):
            retries.add_metric([reason], count)
        yield retries

    def _queue(self) -> Iterator[Metric]:
        waited = HistogramMetricFamily(
            "executor_operation_queue_seconds",
            "How long operations waited for a worker: the first of each call.",
            labels=[],
        )
        waited.add_metric([], *_buckets(self._tally.queue_s))
        yield waited
        yield GaugeMetricFamily(
            "executor_queue_operations", "Operations that wait.", self._dispatcher.queued
        )
        yield GaugeMetricFamily(
            "executor_queue_oldest_seconds",
            "How long the operation has waited that has waited longest.",
            self._dispatcher.oldest_queued_s(self._now),
        )


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*BOUNDS_S, None), histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound is None else str(bound), total))
    return buckets, histogram.sum
