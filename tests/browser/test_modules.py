"""The pure modules, in the engine that they are written for."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser

from deploy.local import LocalCluster
from tests.browser.dashboard import Dashboard

WIDE = "\U0001d7d9"  # a character that JavaScript counts as two


@pytest.fixture(scope="module")
def page(browser: Browser, cluster: LocalCluster) -> Iterator[Dashboard]:
    """Give a page that can import modules."""
    page = Dashboard(browser, cluster.url).open()
    yield page
    page.page.context.close()


def operations(parents: list[int | None]) -> list[dict[str, Any]]:
    """Return operations of which each hangs on its parent, in the order of the text."""
    return [
        {"index": index, "parent": parent, "column": index + 1}
        for index, parent in enumerate(parents)
    ]


# json.js


@pytest.mark.parametrize("number", ["9007199254740993", "7.0", "-0.0", "1e400", "-" + "9" * 4300])
def test_numbers_of_a_task_stay_as_written(page: Dashboard, number: str) -> None:
    """An answer and an operand are text, digit for digit."""
    text = f'{{"answer":{number},"operations":[{{"op1":{number},"index":3}}]}}'
    read = page.module("json.js", "m.parse(argument)", text)
    assert read == {"answer": number, "operations": [{"op1": number, "index": 3}]}


@pytest.mark.parametrize(
    "value",
    [
        {"task": 'answer": 5, "answer', "job_id": 1},
        {"task": "\\", "n": -1.5e-7, "list": ["answer", 3, "op1"]},
        {"answer": None, "op1": "7", "finished": True},
    ],
)
def test_everything_else_is_plain_json(page: Dashboard, value: object) -> None:
    """Neither quotes nor keys in strings, nor numbers of other keys, are mistaken."""
    text = json.dumps(value, separators=(",", ":"))
    assert page.module("json.js", "m.parse(argument)", text) == value


# format.js


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\u2013"),
        (0, "0 ms"),
        (0.00034, "0.34 ms"),
        (0.0123, "12.3 ms"),
        (0.5, "500 ms"),
        (1.234, "1.23 s"),
        (61.5, "61.5 s"),
        (125, "2 min"),
        (7200, "2 h"),
    ],
)
def test_durations_have_about_three_digits(
    page: Dashboard, seconds: float | None, text: str
) -> None:
    """The unit is the one that leaves something to read."""
    assert page.module("format.js", "m.duration(argument)", seconds) == text


def test_a_long_number_keeps_its_ends_and_counts_its_digits(page: Dashboard) -> None:
    """What is left out is said."""
    shown = page.module("format.js", "m.number(argument, 10)", "-" + "1" * 2000 + "2" * 2000)
    assert shown == "-1111…22222 (4,000 digits)"


def test_a_long_text_is_cut_between_characters(page: Dashboard) -> None:
    """A character that JavaScript counts twice is not cut in half."""
    shown = page.module("format.js", "m.shortened(argument, 2)", WIDE * 3)
    assert shown == f"{WIDE * 2}… (3 characters)"


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ([2026, 10, 23, 23, 59], "00:03:22"),
        ([2026, 10, 24, 0, 0], "23 Nov 2026, 00:03:22"),
        ([2027, 10, 23, 0, 4], "23 Nov 2026, 00:03:22"),
    ],
)
def test_what_was_on_another_day_has_a_date(page: Dashboard, now: list[int], text: str) -> None:
    """Of today the time is enough."""
    wall = "new Date(2026, 10, 23, 0, 3, 22) / 1000"
    moment = f"m.moment({wall}, new Date(...argument) / 1000)"
    assert page.module("format.js", moment, now) == text


# tree-layout.js


def test_a_parent_stands_over_the_middle_of_its_children(page: Dashboard) -> None:
    """Leaves stand side by side, and their parent between them, a row higher."""
    drawn = page.module("tree-layout.js", "m.layOut(argument, 9)", operations([2, 2, None]))
    assert {node["index"]: (node["x"], node["y"]) for node in drawn["nodes"]} == {
        0: (0, 1),
        1: (1, 1),
        2: (0.5, 0),
    }
    assert (drawn["width"], drawn["height"], drawn["left"]) == (2, 2, 0)


@pytest.mark.parametrize("most", [1, 7, 100])
def test_no_two_nodes_share_a_place(page: Dashboard, most: int) -> None:
    """Whatever is drawn of a tree, it is drawn apart, and the rest is counted."""
    random = Random(most)
    tree = operations([*[random.randrange(index + 1, 100) for index in range(99)], None])
    drawn = page.module("tree-layout.js", "m.layOut(argument[0], argument[1])", [tree, most])
    places = [(node["x"], node["y"]) for node in drawn["nodes"]]
    assert len(set(places)) == len(places) <= most
    assert drawn["left"] == len(tree) - len(places)
    assert len(drawn["edges"]) == len(places) - 1


def test_a_deep_tree_is_a_straight_line(page: Dashboard) -> None:
    """A chain of 10,000 is laid out without recursion, in one column."""
    chain = operations([*range(1, 10_000), None])
    drawn = page.module(
        "tree-layout.js",
        "(it => [it.width, it.height, it.nodes.length])(m.layOut(argument, 20000))",
        chain,
    )
    assert drawn == [1, 10_000, 10_000]


def test_a_sample_without_its_root_is_not_drawn(page: Dashboard) -> None:
    """Operations that hang on nothing have no place, and all are counted as left out."""
    assert page.module("tree-layout.js", "m.layOut(argument, 9).left", operations([7, 8])) == 2


# timeline.js


def test_operations_of_one_call_are_one_bar(page: Dashboard) -> None:
    """What travelled together is drawn once; what overlaps stands below."""
    timed = [
        {"index": index, "worker": worker, "sent_s": sent, "queued_s": 1, "on_the_way_s": ran}
        for index, (worker, sent, ran) in enumerate(
            [("w", 1, 2), ("w", 1, 2), ("w", 2, 2), ("w", 3, 1), ("v", 1, 9)]
        )
    ]
    drawn = page.module("timeline.js", "m.schedule(argument)", timed)
    assert drawn["length"] == 10
    assert [row["worker"] for row in drawn["rows"]] == ["v", "w"]
    calls = [(call["indexes"], call["lane"], call["from"]) for call in drawn["rows"][1]["calls"]]
    assert calls == [([0, 1], 0, 0), ([2], 1, 1), ([3], 0, 2)]


def test_a_call_that_is_under_way_reaches_to_now(page: Dashboard) -> None:
    """Now is where the axis ends, though what has come back ended before."""
    timed = [
        {"index": 0, "worker": "w", "sent_s": 1, "queued_s": 1, "on_the_way_s": 1},
        {"index": 1, "worker": "w", "sent_s": 2, "queued_s": 0, "on_the_way_s": None},
    ]
    drawn = page.module("timeline.js", "m.schedule(argument, 9)", timed)
    assert drawn["length"] == 9
    assert [call["until"] for call in drawn["rows"][0]["calls"]] == [2, 9]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"finished": False}, "3 operations waiting"),
        ({"finished": True}, "3 operations without a result"),
        ({"sampled": True, "shown": 750, "total": 100_000}, "747 of 100,000 operations drawn"),
    ],
)
def test_what_has_no_bar_is_counted(page: Dashboard, job: dict[str, Any], said: str) -> None:
    """Operations that wait, or were never waited for; of a sample, how much is drawn."""
    assert page.module("timeline.js", "m.leftOut(argument, 0, 3)", job) == said


# state.js

REDUCED = """argument.reduce((state, event) => m.reduce(state, event), m.nothing)"""


def snapshot(**data: object) -> dict[str, Any]:
    """Return what the stream begins with."""
    return {"type": "snapshot", "data": {"now": 1000, "started_at": 1, "summary": {}, **data}}


def change(**data: object) -> dict[str, Any]:
    """Return what the stream goes on with, a second later."""
    return {"type": "change", "data": {"now": 1001, **data}}


def worker(name: str, **said: object) -> dict[str, Any]:
    """Return a worker as the master tells of it."""
    return {"name": name, "url": "u", "state": "live", "completed": 0, "last_seen_s": 0.5, **said}


def test_a_snapshot_replaces_everything(page: Dashboard) -> None:
    """After a restart nothing of what was known before is left."""
    events = [
        snapshot(workers=[worker("a")], jobs=[{"job_id": 9}], history=[[999, 1, 1, 0]]),
        snapshot(workers=[worker("b")], jobs=[{"job_id": 1}]),
    ]
    state = page.module(
        "state.js",
        "(s => [[...s.workers.values()].map(w => w.name), [...s.jobs.keys()], s.history])"
        f"({REDUCED})",
        events,
    )
    assert state == [["b"], [1], []]


def test_a_change_changes_what_it_names(page: Dashboard) -> None:
    """Others stay, workers that are gone go, and the summary keeps what was not said again."""
    events = [
        snapshot(workers=[worker("a"), worker("b")], summary={"queued": 1, "workers": 2}),
        change(
            workers=[worker("a", state="dead")],
            workers_gone=[{"name": "b", "url": "u"}],
            summary={"queued": 5},
        ),
    ]
    state = page.module(
        "state.js",
        f"(s => [[...s.workers.values()].map(w => [w.name, w.state]), s.summary])({REDUCED})",
        events,
    )
    assert state == [[["a", "dead"]], {"queued": 5, "workers": 2}]


def test_the_newest_hundred_jobs_are_kept(page: Dashboard) -> None:
    """However many come, memory is bounded, and the newest is the first."""
    events = [snapshot(), change(jobs=[{"job_id": n} for n in range(1, 301)])]
    keys = page.module("state.js", f"[...({REDUCED}).jobs.keys()]", events)
    assert keys == list(range(300, 200, -1))


def test_history_is_five_minutes_long(page: Dashboard) -> None:
    """Older points go, by the master's clock."""
    events = [
        snapshot(history=[[t, 0, 0, 0] for t in range(600, 1000)]),
        change(history=[[1001, 0, 0, 0]]),
    ]
    history = page.module("state.js", f"({REDUCED}).history.map(([t]) => t)", events)
    assert (history[0], history[-1]) == (702, 1001)


def test_a_lost_stream_makes_the_state_stale(page: Dashboard) -> None:
    """What is known stays, with the time of the last word."""
    events = [snapshot(), {"type": "lost", "retryInS": 2}]
    state = page.module("state.js", f"(s => [s.connection, s.now, s.retryInS])({REDUCED})", events)
    assert state == ["stale", 1000, 2]


def test_a_rate_falls_when_a_worker_falls_silent(page: Dashboard) -> None:
    """Operations per second are those of the last three seconds."""
    events = [
        snapshot(workers=[worker("a")]),
        change(workers=[worker("a", completed=30)]),
    ]
    rates = page.module(
        "state.js",
        f"(s => [1001, 1003, 1010].map(now => m.rate([...s.workers.values()][0], now)))({REDUCED})",
        events,
    )
    assert rates == [30, 10, 0]


# workers.js


@pytest.mark.parametrize(
    ("in_hand", "in_flight", "said"),
    [
        (None, 0, "\N{EN DASH}"),
        ({"job_id": 47, "operation": "mul", "sent_s": 0.1}, 1, "\N{MULTIPLICATION SIGN} of 47"),
        ({"job_id": 47, "operation": "sum", "sent_s": 0.1}, 1004, "+ of 47 + 1,003"),
        ({"job_id": 47, "operation": "div", "sent_s": 9.0}, 1, "÷ of 47 · 9 s"),
    ],
)
def test_what_a_worker_has_in_hand_is_named(
    page: Dashboard, in_hand: object, in_flight: int, said: str
) -> None:
    """The operation that it has had longest; and for how long, if that is worth a word."""
    (known,) = page.module(
        "state.js",
        f"(s => [...s.workers.values()])({REDUCED})",
        [snapshot(workers=[worker("a", in_hand=in_hand, in_flight=in_flight)])],
    )
    shown = "m.inHandOf(argument[0], argument[1])"
    assert page.module("workers.js", shown, [known, 1000]) == said


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (0, "No worker is here yet. Start one:"),
        (1, "The only worker is dead; start it again, or another:"),
        (3, "All 3 workers are dead; start them again, or another:"),
    ],
)
def test_an_empty_list_tells_whether_workers_ever_were(
    page: Dashboard, gone: int, said: str
) -> None:
    """Who is dead for long is not listed any more, and yet had been here."""
    assert page.module("workers.js", "m.emptiness(argument)", gone) == said


# summary.js


@pytest.mark.parametrize(
    ("summary", "workers", "said"),
    [
        ({"workers_live": 1, "workers": 1}, [], []),
        ({"workers_live": 0, "queued": 3}, [], ["no worker is live, so everything waits"]),
        (
            {"workers_live": 1, "oldest_queued_s": 7.1},
            [],
            ["the oldest operation has waited 7.1 s: more workers would help"],
        ),
        ({"workers_live": 1, "loop_lag_s": 0.5}, [], ["the master itself answers 500 ms late"]),
        (
            {"workers_live": 1},
            [worker("w", state="dead", reason="connection refused", seenAt=990)],
            ["w is dead: connection refused"],
        ),
        ({"workers_live": 1}, [worker("w", state="dead", reason=None, seenAt=800)], []),
        (
            {"workers_live": 1},
            [worker(name, state="suspect", reason=None, seenAt=999) for name in "abcde"],
            ["a is suspect", "b is suspect", "c is suspect", "and 2 more workers in trouble"],
        ),
    ],
)
def test_causes_are_said_in_words(
    page: Dashboard, summary: dict[str, Any], workers: list[dict[str, Any]], said: list[str]
) -> None:
    """What needs attention is named, with its reason; what does not is not."""
    full = {"queued": 0, "in_flight": 0, "waiting": 0, "oldest_queued_s": 0, "loop_lag_s": 0}
    state = {"summary": {**full, **summary}, "workers": list(enumerate(workers))}
    found = page.module(
        "summary.js",
        "m.causes({ ...argument, workers: new Map(argument.workers) }, 1000)",
        state,
    )
    assert found == said


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"oldest_queued_s": 7.1}, "operations wait long: more workers would help"),
        ({"oldest_queued_s": 8.1}, "operations wait long: more workers would help"),
        ({"loop_lag_s": 0.5}, "the master itself answers late"),
        ({}, ""),
    ],
)
def test_what_is_read_out_does_not_change_with_a_number(
    page: Dashboard, state: dict[str, Any], said: str
) -> None:
    """Else it would be read out every second."""
    full = {"workers_live": 1, "oldest_queued_s": 0, "loop_lag_s": 0}
    summary = {**full, **state}
    spoken = "m.announcement({ summary: argument, workers: new Map() }, 1000)"
    assert page.module("summary.js", spoken, summary) == said


# job.js


def test_what_the_stream_does_not_tell_is_told_by_the_operations(page: Dashboard) -> None:
    """When an old job was submitted and how long it took."""
    summary = {"attempts": 1, "workers": {}}
    trace = {"total": 1, "sampled": True, "operations": [], "summary": summary}
    times = {"submitted_at": 1000.5, "finished_at": 1002.5}
    read = {"job": {}, "trace": {**trace, **times}}
    facts = dict(page.module("job.js", "m.factsOf(argument, undefined, 1003)", read))
    assert facts["Submitted"]
    assert facts["Took"] == "2.00 s"


def test_a_job_that_does_not_change_is_read_more_and_more_seldom(page: Dashboard) -> None:
    """That it has waited longer is no change; any change brings it back to every second."""
    waits = {
        "job": {"finished": False},
        "trace": {"operations": [{"state": "queued"}], "running_s": 1.5},
        "why": {"state": "waiting_for_worker", "sentences": ["it has waited 1.5 s"]},
    }
    same = {
        **waits,
        "trace": {"operations": [{"state": "queued"}], "running_s": 2.5},
        "why": {"state": "waiting_for_worker", "sentences": ["it has waited 2.5 s"]},
    }
    changed = {**same, "trace": {"operations": [{"state": "sent"}]}}
    pauses = page.module(
        "job.js",
        "argument.map(([last, before, now]) => m.pauseS(last, before, now))",
        [
            [1, None, waits],
            [1, waits, same],
            [6, waits, same],
            [8, waits, same],
            [8, same, changed],
        ],
    )
    assert pauses == [1, 2, 8, 8, 1]


def test_attempts_and_workers_are_counted_as_the_tree_shows_them(page: Dashboard) -> None:
    """Also those of operations that have not come back; of a sample the master's sums are told."""
    attempts = [{"worker": "a", "reason": "timed_out"}, {"worker": "b", "reason": None}]
    trace = {
        "total": 2,
        "sampled": False,
        "operations": [{"attempts": attempts}, {"attempts": []}],
        "summary": {"attempts": 7, "workers": {"w": 7}},
    }
    facts = [
        page.module("job.js", "m.factsOf(argument)", {"job": {}, "trace": told})
        for told in (trace, {**trace, "sampled": True})
    ]
    assert facts == [
        [["Operations", "2"], ["Attempts", "2"], ["Workers", "2"]],
        [["Operations", "2"], ["Attempts", "7"], ["Workers", "1"]],
    ]


@pytest.mark.parametrize(
    ("finished", "states"),
    [
        (False, ["done", "failed", "waiting", "queued", "sent"]),
        (True, ["done", "failed", "no result", "no result", "no result"]),
    ],
)
def test_nothing_waits_when_the_job_has_ended(
    page: Dashboard, finished: bool, states: list[str]
) -> None:
    """What was left when it failed, or was cancelled, is waited for by nobody."""
    told = ["done", "failed", "waiting", "queued", "sent"]
    trace = {"finished": finished, "operations": [{"state": state} for state in told]}
    shown = page.module("job.js", "m.ended(argument).operations.map(it => it.state)", trace)
    assert shown == states
