"""What is kept of a job's operations, and what is made of it when somebody asks."""

import gc

from engine.arithmetic import compute
from engine.errors import OperationFailed
from engine.expression.parser import parse
from engine.job import JobId
from engine.plan import Plan
from engine.trace import (
    COST_OF_A_TRACE,
    PIECE,
    SHARE,
    WHOLE_UP_TO,
    Arrival,
    FailedAttempt,
    SampledTrace,
    Traces,
    Trip,
    UnderWay,
    WholeTrace,
)
from tests.builders import an_operation
from tests.traces import shown, told_by

FORMULA = "1+(2*3)/4-5"  # the numbers of its operations: 2*3 is 0, then 1, 2 and 3


def a_trip(sent_at: float = 10.0, replied_at: float = 11.0, worker: str = "w1") -> Trip:
    """Return a call that brought results."""
    return Trip(worker, sent_at, replied_at)


def compute_all(text: str, trace: WholeTrace | SampledTrace, plan: Plan, at: float = 10.0) -> None:
    """Compute a job one operation a second, each sent half a second after it was ready."""
    ready = plan.ready()
    while ready:
        operation = ready.pop(0)
        result = compute(operation.name, operation.operands)
        trace.came(operation.index, result, a_trip(at + 0.5, at + 1.0), at)
        following = plan.complete(operation.index, result)
        at += 1.0
        if following is not None:
            ready.append(plan.operation(following))


def test_results_that_come_at_once_are_told_as_if_one_by_one() -> None:
    """By one trip or by several."""
    for middle in (0, 2, 4):
        at_once, one_by_one = WholeTrace(4, 10.0), WholeTrace(4, 10.0)
        results = [(0, 6), (1, 1.5), (2, 2.5), (3, -2.5)]
        trips = a_trip(), a_trip(11.5, 12.5, "w2")
        parts = zip((results[:middle], results[middle:]), trips, strict=True)
        arrived = [Arrival(part, len(part), trip, 10.0) for part, trip in parts if part]
        at_once.came_whole(dict(results), arrived)
        for arrival in arrived:
            for index, result in arrival.results:
                one_by_one.came(index, result, arrival.trip, arrival.since)
        assert shown(FORMULA, at_once) == shown(FORMULA, one_by_one)


def test_a_finished_job_is_shown_operation_by_operation() -> None:
    """What, operands, result, where in the text, for whom, worker and times."""
    plan = Plan(parse(FORMULA))
    trace = WholeTrace(len(plan), 10.0)
    compute_all(FORMULA, trace, plan)
    operations = shown(FORMULA, trace).operations
    assert [(o.index, o.operation, o.op1, o.op2, o.result) for o in operations] == [
        (0, "mul", 2, 3, 6),
        (1, "div", 6, 4, 1.5),
        (2, "sum", 1, 1.5, 2.5),
        (3, "sub", 2.5, 5, -2.5),
    ]
    assert [(o.column, o.parent, o.state, o.worker) for o in operations] == [
        (5, 1, "done", "w1"),
        (8, 2, "done", "w1"),
        (2, 3, "done", "w1"),
        (10, None, "done", "w1"),
    ]
    assert [(o.queued_s, o.sent_s, o.on_the_way_s) for o in operations] == [
        (0.5, 0.5, 0.5),
        (0.5, 1.5, 0.5),
        (0.5, 2.5, 0.5),
        (0.5, 3.5, 0.5),
    ]


def test_the_summary_adds_up_what_came_back() -> None:
    """Times over all operations, attempts, and how many each worker computed."""
    plan = Plan(parse(FORMULA))
    trace = WholeTrace(len(plan), 10.0)
    compute_all(FORMULA, trace, plan)
    summary = shown(FORMULA, trace).summary
    assert (summary.queued_s, summary.on_the_way_s) == (2.0, 2.0)
    assert (summary.attempts, summary.workers) == (4, {"w1": 4})


def test_the_critical_path_is_what_the_answer_waited_for() -> None:
    """Of two operands, the one that came last."""
    text = "(1*2)/(3*4)"
    trace = WholeTrace(3, 0.0)
    trace.came(0, 2, a_trip(0.0, 5.0), 0.0)
    trace.came(1, 12, a_trip(0.0, 1.0), 0.0)
    trace.came(2, 2 / 12, a_trip(5.0, 6.0), 5.0)
    assert shown(text, trace).critical_path == [0, 2]


def test_what_has_not_come_back_is_shown_where_it_is() -> None:
    """At a worker, in the queue, or waiting for another operation."""
    text = "(1*2)/(3*4)"
    first, second = an_operation(0, "mul", (1, 2)), an_operation(1, "mul", (3, 4))
    under_way = [
        UnderWay(first, 1.0, "w2", 1.5, (FailedAttempt("w1", "unreachable"),)),
        UnderWay(second, 1.0),
    ]
    operations = shown(text, WholeTrace(3, 1.0), under_way).operations
    assert [(o.state, o.op1, o.op2, o.result) for o in operations] == [
        ("sent", 1, 2, None),
        ("queued", 3, 4, None),
        ("waiting", None, None, None),
    ]
    assert [(a.worker, a.reason) for a in operations[0].attempts] == [
        ("w1", "unreachable"),
        ("w2", None),
    ]


def test_failed_attempts_are_told_with_the_one_that_brought_the_result() -> None:
    """In their order; the last one has no reason, unless it was the last straw."""
    trace = WholeTrace(1, 0.0)
    trip = Trip("w2", 2.0, 3.0, failed=(FailedAttempt("w1", "timed_out"),))
    trace.came(0, 3, trip, 0.0)
    (operation,) = shown("1+2", trace).operations
    assert [(a.worker, a.reason) for a in operation.attempts] == [("w1", "timed_out"), ("w2", None)]


def test_a_failed_operation_tells_its_error() -> None:
    """And what waited for it was never ready."""
    trace = WholeTrace(2, 0.0)
    failure = OperationFailed("division_by_zero", "division by zero")
    trace.refused(an_operation(0, "div", (1, 0)), failure, 0.0)
    failed, waiting = shown("1/0+1", trace).operations
    assert (failed.state, failed.error, failed.op1, failed.worker) == (
        "failed",
        "division_by_zero",
        1,
        None,
    )
    assert (waiting.state, waiting.op1, waiting.op2) == ("waiting", None, 1)


def test_what_a_worker_computed_is_told_if_it_told_it() -> None:
    """Of each operation its part, and the sum; a plain worker tells nothing, which is no zero."""
    for computing_s, total_s in [(None, None), (0.25, 1.0)]:
        plan = Plan(parse(FORMULA))
        trace = WholeTrace(len(plan), 10.0)
        ready = plan.ready()
        while ready:
            operation = ready.pop()
            trace.came(operation.index, 1, Trip("w1", 10.0, 11.0, computing_s), 10.0)
            following = plan.complete(operation.index, 1)
            ready += [] if following is None else [plan.operation(following)]
        told = shown(FORMULA, trace)
        assert [one.computing_s for one in told.operations] == [computing_s] * 4
        assert told.summary.computing_s == total_s


def test_the_links_of_a_chain_are_not_said_to_have_waited() -> None:
    """They travelled with the operation before them."""
    trace = WholeTrace(2, 0.0)
    trip = a_trip(1.0, 2.0)
    trace.came(0, 2.5, trip, 0.0)
    trace.came(1, 3.5, trip, 1.0)
    assert [o.queued_s for o in shown("1.5+1+1", trace).operations] == [1.0, 0.0]


def test_a_large_job_keeps_a_bounded_sample_and_exact_sums() -> None:
    """First, last, slowest and rough ones; the sums are over all."""
    text = "+".join(["1.5"] * (3 * WHOLE_UP_TO + 1))
    plan = Plan(parse(text))
    trace = SampledTrace(plan, 10.0)
    compute_all(text, trace, plan)
    told = told_by(trace.shown([]))
    assert len(told.operations) <= WHOLE_UP_TO
    assert (told.operations[0].index, told.operations[-1].index) == (0, len(plan) - 1)
    assert told.summary.workers == {"w1": len(plan)}
    assert told.summary.on_the_way_s == len(plan) * 0.5
    assert told.summary.queued_s == len(plan) * 0.5


def test_the_slowest_operation_and_those_that_failed_are_in_the_sample() -> None:
    """Wherever in the job they are."""
    text = "+".join(["1.5"] * (3 * WHOLE_UP_TO + 1))
    plan = Plan(parse(text))
    trace = SampledTrace(plan, 0.0)
    (operation,) = plan.ready()
    middle, next_to_it = len(plan) // 2, len(plan) // 2 + 1
    index: int | None = operation.index
    while index is not None:
        trip = a_trip(0.0, 9.0 if index == middle else 1.0)
        if index == next_to_it:
            trip = Trip("w2", 0.0, 1.0, failed=(FailedAttempt("w1", "refused"),))
        trace.came(index, 1.5, trip, 0.0)
        index = plan.complete(index, 1.5)
    trace.end()
    by_index = {o.index: o for o in told_by(trace.shown([])).operations}
    assert by_index[middle].on_the_way_s == 9.0
    assert by_index[middle].parent == middle + 1
    assert [a.worker for a in by_index[next_to_it].attempts] == ["w1", "w2"]


def test_what_is_under_way_is_shown_of_a_large_job_too() -> None:
    """Of a very long queue only a part."""
    plan = Plan(parse("+".join(["1.5"] * (2 * WHOLE_UP_TO))))
    trace = SampledTrace(plan, 0.0)
    waiting = [UnderWay(an_operation(index), 0.0) for index in range(WHOLE_UP_TO)]
    told = told_by(trace.shown(waiting))
    assert {o.state for o in told.operations} == {"queued"}
    assert len(told.operations) == SHARE


def test_traces_of_running_jobs_are_kept_and_of_ended_ones_the_latest() -> None:
    """As many as have `limit` operations together."""
    traces = Traces(20)
    plan = Plan(parse("1+2+3+4"))
    for number in range(1, 5):
        traces.begin(JobId(number), plan, 0.0)
    for number in (2, 1, 3):
        traces.end(JobId(number))
    kept = [number for number in range(1, 6) if traces.get(JobId(number)) is not None]
    assert kept == [1, 3, 4]


def test_an_empty_job_counts_too() -> None:
    """Or literals alone would fill the memory."""
    traces = Traces(20)
    plan = Plan(parse("42"))
    for number in range(1, 100):
        traces.begin(JobId(number), plan, 0.0)
        traces.end(JobId(number))
    assert sum(traces.get(JobId(number)) is not None for number in range(1, 100)) < 10


def test_a_trace_is_put_together_in_pieces() -> None:
    """So that nobody has to hold an event loop for all of it."""
    text = "+".join(["1.5"] * (WHOLE_UP_TO + 1))
    plan = Plan(parse(text))
    trace = WholeTrace(len(plan), 0.0)
    compute_all(text, trace, plan)
    pauses = list(trace.shown(Plan(parse(text)), []))
    assert len(pauses) >= WHOLE_UP_TO / PIECE


def test_a_sample_is_put_together_in_pieces() -> None:
    """As a whole trace is."""
    text = "+".join(["1.5"] * (3 * WHOLE_UP_TO))
    plan = Plan(parse(text))
    trace = SampledTrace(plan, 0.0)
    compute_all(text, trace, plan)
    shown = len(told_by(trace.shown([])).operations)
    assert shown >= 2 * SHARE
    assert len(list(trace.shown([]))) >= shown / PIECE


def test_what_comes_while_a_trace_is_told_is_not_told() -> None:
    """All of it is as it was at one moment."""
    trace = WholeTrace(1, 0.0)
    operation = an_operation()
    telling = trace.shown(Plan(parse("1+2")), [UnderWay(operation, 0.0)])
    next(telling)
    trace.came(0, 3, a_trip(), 0.0)
    (told,) = told_by(telling).operations
    assert (told.state, told.result) == ("queued", None)


def test_the_trace_of_a_job_that_starts_afresh_takes_the_place_of_the_first() -> None:
    """It costs once, so the traces of others are kept as long as before."""
    traces = Traces(limit=3 * (1 + COST_OF_A_TRACE))
    for job_id in (1, 2, 2, 2, 3):
        traces.begin(JobId(job_id), Plan(parse("1+1")), 0.0)
        traces.end(JobId(job_id))
    assert all(traces.get(JobId(job_id)) is not None for job_id in (1, 2, 3))


def test_what_is_kept_of_ended_jobs_is_nothing_that_the_collector_looks_into() -> None:
    """It may be hundreds of thousands of operations, and a look at them holds the loop."""
    gc.collect()
    before = len(gc.get_objects())
    traces = Traces(limit=10**6)
    for job_id in range(1, 1001):
        text = FORMULA if job_id > 10 else "+".join(["1.5"] * (WHOLE_UP_TO + 2))
        plan = Plan(parse(text))
        trace = traces.begin(JobId(job_id), plan, 0.0)
        compute_all(text, trace, plan)
        traces.end(JobId(job_id))
    del trace, plan
    gc.collect()
    assert len(gc.get_objects()) - before < 200
