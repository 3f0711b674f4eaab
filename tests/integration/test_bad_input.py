"""Bad input, row by row: exact status, code, content type and column, and nothing of our inside."""

import asyncio

import pytest

from tests.integration.serving import Answer, a_master, a_worker, assert_problem

pytestmark = pytest.mark.gen_test

NO_JSON = {
    "empty": b"",
    "unclosed": b"{",
    "trailing text": b'{"task": "1"} x',
    "two documents": b'{"task": "1"}{"task": "2"}',
    "invalid UTF-8": b'{"task": "\xff"}',
    "UTF-8 in Latin-1": b'{"task": "1\xd7"}',
    "invalid UTF-8 in an ignored key": b'{"task": "1", "note": "\xff"}',
    "UTF-16": '{"task": "1"}'.encode("utf-16"),
    "UTF-32": '{"task": "1"}'.encode("utf-32"),
    "BOM": b'\xef\xbb\xbf{"task": "1"}',
    "deep": b"[" * 100_000,
    "deep in an ignored key": b'{"task": "1", "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "lone surrogate": b'{"task": "\\ud800"}',
    "5,000 digits": b'{"task": ' + b"9" * 5000 + b"}",
    "NaN": b'{"task": NaN}',
    "Infinity": b'{"task": -Infinity}',
    "1e400": b'{"task": 1e400}',
    "single quotes": b"{'task': '1'}",
    "control character": b'{"task": "1\n"}',
    "form": b"task=1%2B1",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("path", ["/submit", "/worker"])
async def test_what_is_no_json_is_refused_by_the_master(path: str, body: bytes) -> None:
    """Whatever is wrong with it, and wherever in it."""
    async with a_master() as master:
        assert_problem(await master.post(path, body), 400, "invalid_json")
        assert (await master.get("/jobs")).json == []


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_no_json_is_refused_by_a_worker(body: bytes) -> None:
    """By the same rules."""
    async with a_worker() as worker:
        assert_problem(await worker.post("/compute", body), 400, "invalid_json")


async def test_what_is_under_an_unknown_key_must_be_json_and_nothing_more() -> None:
    """It is skipped, not read: whether a number is in range is not looked at there."""
    async with a_master() as master:
        answer = await master.post("/submit", b'{"task": "1", "note": {"size": 1e400}}')
        assert (answer.status, answer.json["job_id"]) == (200, 1)
        assert_problem(
            await master.post("/submit", b'{"task": "1", "note": {"size": NaN}}'),
            400,
            "invalid_json",
        )


IN_WORDS = {
    "empty": (b"", 'the body is empty; send {"task": "1+2"}'),
    "cut off": (b'{"task": "1', "the body must be JSON in UTF-8, and whole: it ends too early"),
    "Latin-1": (b'{"task": "1\xd7"}', "the body must be JSON in UTF-8; its byte 12 is not UTF-8"),
    "deep": (
        b"[" * 100_000,
        "the body is nested too deeply; send it with fewer arrays or objects in one another",
    ),
    "first half of a pair": (
        b'{"task": "\\ud800"}',
        "the body has half of a surrogate pair (\\ud800 to \\udfff); send whole characters",
    ),
    "second half of a pair": (
        b'{"task": "\\udc00+1"}',
        "the body has half of a surrogate pair (\\ud800 to \\udfff); send whole characters",
    ),
    "whole pair, cut off": (
        b'{"task": "\\ud83d\\ude00',
        "the body must be JSON in UTF-8, and whole: it ends too early",
    ),
    "number": (b'{"task": 1}', "task should be text, not a number"),
    "null": (b'{"task": null}', "task should be text, not null"),
    "no array": (b'{"tasks": "1"}', "tasks should be an array, not text"),
    "number among many": (
        b'{"tasks": ["1", 1.5]}',
        "tasks[1] should be text, not a number with a fraction",
    ),
    "array": (b"[]", "the body should be an object, not an array"),
}


@pytest.mark.parametrize(("body", "detail"), IN_WORDS.values(), ids=IN_WORDS)
async def test_what_is_wrong_with_a_body_is_told_in_words_for_people(
    body: bytes, detail: str
) -> None:
    """Not in those of the library that reads it."""
    async with a_master() as master:
        assert (await master.post("/submit", body)).json["detail"] == detail


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", 'the body is empty; send {"operation": "sum", "op1": 1, "op2": 2}'),
        (b'{"operation": "sum", "op1": "1", "op2": 2}', "op1 should be a number or an object"),
        (b'[{"operation": 1, "op1": 1, "op2": 2}]', "[0].operation should be text, not a number"),
        (b"1", "the body should be an object or an array, not a number"),
    ],
)
async def test_what_is_wrong_with_a_question_is_told_in_words_for_people(
    body: bytes, detail: str
) -> None:
    """By the same table."""
    async with a_worker() as worker:
        assert (await worker.post("/compute", body)).json["detail"].startswith(detail)


async def test_a_parameter_that_is_no_text_is_quoted_as_it_was_sent() -> None:
    """Not as Python would write it."""
    async with a_master() as master:
        told = (await master.get("/jobs?limit=%ff")).json["detail"]
        assert told == "limit=%FF should be text in UTF-8"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ([], "invalid_request"),
        ([{"task": "1"}], "invalid_request"),
        (1, "invalid_request"),
        ("1+1", "invalid_request"),
        (b"null", "invalid_request"),
        (True, "invalid_request"),
        ({"task": "1", "tasks": ["1"]}, "invalid_request"),
        ({"task": None, "tasks": ["1"]}, "invalid_task"),
        ({}, "invalid_task"),
        ({"Task": "1"}, "invalid_task"),
        ({"task": None}, "invalid_task"),
        ({"task": 1}, "invalid_task"),
        ({"task": True}, "invalid_task"),
        ({"task": ["1"]}, "invalid_task"),
        ({"task": {"text": "1"}}, "invalid_task"),
        ({"tasks": "1"}, "invalid_task"),
        ({"tasks": None}, "invalid_task"),
        ({"tasks": [1]}, "invalid_task"),
        ({"tasks": ["1", None]}, "invalid_task"),
    ],
)
async def test_a_body_that_is_no_submission_is_refused(body: object, error: str) -> None:
    """It says whether the body or the task in it is wrong, and adds no job."""
    async with a_master() as master:
        assert_problem(await master.post("/submit", body), 400, error)
        assert (await master.get("/jobs")).json == []


@pytest.mark.parametrize(
    ("task", "column"),
    [
        ("", 1),
        ("   ", 4),
        ("()", 2),
        ("1+", 3),
        ("*1", 1),
        ("1 2", 3),
        ("(1", 3),
        ("1)", 2),
        ("1..2", 3),
        (".", 1),
        ("2(3)", 2),
        ("(2)(3)", 4),
        ("2**3", 3),
        ("7//2", 3),
        ("0x10", 2),
        ("1_000", 2),
        ("inf", 1),
        ("nan", 1),
        ("x", 1),
        ("1+x", 3),
        ("²", 1),
        ("1²", 2),
        ("١٢", 1),
        ("\uff11", 1),
        ("\u22121", 1),
        ("2\u00d73", 2),
        ("1\x00", 2),
        ("\u00a01", 1),
        ("1e", 2),
        ("1;2", 2),
        ("1,2", 2),
        ("__import__('os')", 1),
    ],
)
async def test_a_task_that_is_no_expression_is_refused_with_its_column(
    task: str, column: int
) -> None:
    """And with what was expected there instead."""
    async with a_master() as master:
        answer = await master.post("/submit", {"task": task})
        assert_problem(answer, 400, "invalid_expression", column)
        assert f"column {column}" in answer.json["detail"]
        assert "expected" in answer.json["detail"]


@pytest.mark.parametrize(
    ("task", "error"), [("1+1e400", "overflow"), ("2*" + "9" * 5000, "too_many_digits")]
)
async def test_a_literal_that_is_out_of_range_is_refused_with_its_column(
    task: str, error: str
) -> None:
    """At submit, with the code that an operation would fail with."""
    async with a_master() as master:
        assert_problem(await master.post("/submit", {"task": task}), 400, error, 3)


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r"])
async def test_blanks_separate(blank: str) -> None:
    """The four of JSON."""
    async with a_master() as master:
        assert (await master.answer_of(f"{blank}42{blank}"))["answer"] == 42


async def test_a_task_over_its_limit_is_too_large() -> None:
    """Counted in bytes; one that just fits is taken."""
    async with a_master(limits__task_bytes=1000) as master:
        assert (await master.post("/submit", {"task": "1" + " " * 999})).status == 200
        assert_problem(await master.post("/submit", {"task": "1" + " " * 1000}), 413, "too_large")
        many = {"tasks": ["1", "1" + " " * 1000]}
        assert_problem(await master.post("/submit", many), 413, "too_large")


async def test_more_tasks_than_one_request_may_have_are_too_large() -> None:
    """And none of them becomes a job."""
    async with a_master(limits__tasks_per_submit=3) as master:
        assert_problem(await master.post("/submit", {"tasks": ["1"] * 4}), 413, "too_large")
        assert (await master.get("/jobs")).json == []


@pytest.mark.parametrize(
    "job_id",
    [
        "7", "abc", "-1", "0", "1.5", "%ff", "%00", "x" * 10_000, str(2**63), "9" * 19, "9" * 5000,
        "1e3", "%201", "1%20", "+1", "0x1", "%D9%A1", "%EF%BC%91", "%E2%82%AC", "1%2F2", "None",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_id_that_no_job_has_is_not_found(method: str, job_id: str) -> None:
    """Whatever it looks like."""
    async with a_master() as master:
        answer = await master.call(method, f"/job/{job_id}")
        assert_problem(answer, 404, "job_not_found")
        assert_quotes_little(answer, job_id)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=x", "limit=1e9", "limit=1001", "limit=", "limit=1.0",
        "limit=%D9%A1", "limit=%ff", "limit=" + "9" * 5000, "limit=5&limit=0",
        "before=0", "before=-1", "before=x", "before=", "before=" + str(2**63), "before=1.5",
        "status=", "status=done", "status=FAILED", "status=%ff", "status=" + "x" * 5000,
    ],
)  # fmt: skip
async def test_a_parameter_of_the_list_that_does_not_fit_is_refused(query: str) -> None:
    """It says which, and what would fit."""
    async with a_master() as master:
        answer = await master.get(f"/jobs?{query}")
        assert_problem(answer, 400, "invalid_parameter")
        assert query.partition("=")[0] in answer.json["detail"]
        assert_quotes_little(answer, query.partition("=")[2])


@pytest.mark.parametrize(
    "wait", ["", "x", "-1", "61", "1e9", "nan", "inf", "-inf", "1_0", "%D9%A1", "%ff", "9" * 5000]
)
async def test_a_wait_that_does_not_fit_is_refused(wait: str) -> None:
    """Of both calls that take it, and before anything is submitted."""
    async with a_master() as master:
        for answer in (
            await master.post(f"/submit?wait={wait}", {"task": "1"}),
            await master.get(f"/job/1?wait={wait}"),
        ):
            assert_problem(answer, 400, "invalid_parameter")
            assert_quotes_little(answer, wait)
        assert (await master.get("/jobs")).json == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/submit", {"POST"}),
        ("/job/1", {"GET", "HEAD", "DELETE"}),
        ("/jobs", {"GET", "HEAD"}),
        ("/worker", {"POST"}),
        ("/worker/w", {"DELETE"}),
        ("/workers", {"GET", "HEAD"}),
        ("/events", {"GET", "HEAD"}),
        ("/livez", {"GET", "HEAD"}),
        ("/readyz", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(path: str, allowed: set[str]) -> None:
    """In `Allow`, for every other method."""
    async with a_master() as master:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"} - allowed:
            answer = await master.call(method, path, b"")
            assert_problem(answer, 405, "method_not_allowed")
            assert set(answer.headers["Allow"].split(", ")) == allowed


async def test_a_wrong_method_is_told_by_a_worker_too() -> None:
    """Tornado's own page is nowhere."""
    async with a_worker() as worker:
        answer = await worker.get("/compute")
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/nothing", "/job", "/job/", "/job/1/x", "/jobs/", "//jobs", "/%ff", "/Submit"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "BREW"])
async def test_an_unknown_path_is_not_found(method: str, path: str) -> None:
    """Whatever the method."""
    async with a_master() as master, a_worker() as worker:
        assert_problem(await master.call(method, path, b""), 404, "not_found")
        assert_problem(await worker.call(method, path, b""), 404, "not_found")


@pytest.mark.parametrize("path", ["/job/1", "/jobs", "/workers", "/livez", "/readyz"])
async def test_head_says_what_get_says_without_the_body(path: str) -> None:
    """Status and headers alike."""
    async with a_master() as master:
        await master.answer_of("1")
        got, headed = await master.get(path), await master.call("HEAD", path)
        assert (headed.status, headed.body) == (200, b"")
        for name in ("Content-Type", "Cache-Control", "Content-Length"):
            assert headed.headers.get(name) == got.headers.get(name), name


async def test_head_of_the_events_says_what_get_begins_with_and_ends() -> None:
    """It has no length, nor does it take one of the places for readers."""
    async with a_master(limits__event_readers=1) as master:
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", master.port)
            writer.write(b"HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n")
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            writer.close()
            assert head.startswith("HTTP/1.1 200 OK\r\n")
            assert "Content-Type: text/event-stream; charset=utf-8\r\n" in head
            assert "Connection: close" in head
            assert "Content-Length" not in head
            assert body == ""


async def test_head_of_what_is_not_there_is_not_found() -> None:
    """As GET would say."""
    async with a_master() as master:
        for path in ("/job/1", "/nothing"):
            assert (await master.call("HEAD", path)).status == 404


@pytest.mark.parametrize(
    "question",
    [
        {"operation": 1, "op1": 1, "op2": 2},
        {"operation": None, "op1": 1, "op2": 2},
        {"op1": 1, "op2": 2},
        {"operation": "sum", "op1": 1},
        {"operation": "sum", "op2": 1},
        {"operation": "sum", "op1": "1", "op2": 2},
        {"operation": "sum", "op1": True, "op2": 2},
        {"operation": "sum", "op1": None, "op2": 2},
        {"operation": "sum", "op1": [1], "op2": 2},
        {"operation": "sum", "op1": {}, "op2": 2},
        {},
        1,
        "sum",
        b"null",
        [1],
        [{"operation": "sum", "op1": "1", "op2": 2}],
    ],
)
async def test_a_question_of_the_wrong_shape_is_refused(question: object) -> None:
    """Missing, string, bool, null: none of them is taken for a number."""
    async with a_worker() as worker:
        assert_problem(await worker.post("/compute", question), 400, "invalid_request")


@pytest.mark.parametrize("name", ["pow", "", "SUM", "__add__", "+"])
async def test_an_unknown_operation_is_refused(name: str) -> None:
    """By itself, and in an array."""
    async with a_worker() as worker:
        question = {"operation": name, "op1": 1, "op2": 2}
        assert_problem(await worker.post("/compute", question), 400, "unknown_operation")
        assert_problem(await worker.post("/compute", [question]), 400, "unknown_operation")


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000])
async def test_a_number_that_nobody_has_is_no_json(number: bytes) -> None:
    """Python's own reader would take some of them."""
    async with a_worker() as worker:
        body = b'{"operation": "sum", "op1": 1, "op2": ' + number + b"}"
        assert_problem(await worker.post("/compute", body), 400, "invalid_json")


@pytest.mark.parametrize(
    "announcement",
    [
        {},
        {"name": "w"},
        {"worker_name": ""},
        {"worker_name": "w" * 201},
        {"worker_name": "w\n"},
        {"worker_name": "w\x00"},
        {"worker_name": "w\x7f"},
        {"worker_name": 1},
        {"worker_name": None},
        {"worker_name": "w", "port": 0},
        {"worker_name": "w", "port": 99999},
        {"worker_name": "w", "port": -1},
        {"worker_name": "w", "port": "80"},
        {"worker_name": "w", "port": True},
        {"worker_name": "w", "port": 80.5},
        {"worker_name": "w", "port": None},
        {"worker_name": "w", "url": 1},
        {"worker_name": "w", "url": "http://10.0.0.7:80/" + "x" * 2000},
        {"worker_name": "w", "operations": "sum"},
        {"worker_name": "w", "operations": [1]},
        {"worker_name": "w", "operations": [""]},
        {"worker_name": "w", "batch": 0},
        {"worker_name": "w", "batch": "many"},
        {"worker_name": "w", "batch": True},
        {"worker_name": "w", "api": 0},
        {"worker_name": "w", "api": "1"},
        [],
        1,
        b"null",
    ],
)
async def test_an_announcement_of_the_wrong_shape_is_refused(announcement: object) -> None:
    """And nobody is in the pool for it."""
    async with a_master() as master:
        assert_problem(await master.post("/worker", announcement), 400, "invalid_request")
        assert (await master.get("/workers")).json == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:80", "file:///etc/passwd", "http://user@127.0.0.1:80", "", "http://",
        "http://127.0.0.1:0", "http://127.0.0.1:99999", "http://127.0.0.1:80/compute",
        "http://169.254.169.254", "http://[fe80::1]:80", "http://0.0.0.0:80", "http://224.0.0.1",
        "http://255.255.255.255", "http://[::]:80", "http://[::ffff:169.254.169.254]:80",
        "http://no-such-host.invalid:80", "http://" + "x" * 300 + ":80", "http://a\u0000b:80",
        "http://2852039166", "http://0xa9fea9fe", "http://xn--:80", "http://..:80",
    ],
)  # fmt: skip
async def test_an_announcement_that_points_where_no_worker_can_be_is_refused(url: str) -> None:
    """The master would call that address: it must not be led to where only it can reach."""
    async with a_master() as master:
        answer = await master.post("/worker", {"worker_name": "w", "url": url})
        assert_problem(answer, 400, "invalid_announcement")
        assert (await master.get("/workers")).json == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/submit", {"task": "x" * 5000}),
        ("POST", "/submit", {"task": "1" * 300 + "x"}),
        ("POST", "/submit", {"x" * 5000: "1"}),
        ("POST", "/submit", b"x" * 5000),
        ("GET", "/" + "x" * 5000, None),
        ("BREW" * 100, "/submit", None),
        ("DELETE", "/worker/" + "x" * 5000, None),
        ("POST", "/worker", {"worker_name": "x" * 5000}),
        ("POST", "/worker", {"worker_name": "w", "url": "http://" + "x" * 1900}),
    ],
)
async def test_an_error_repeats_no_more_than_80_characters_of_the_input(
    method: str, path: str, body: object
) -> None:
    """An error is no mirror."""
    async with a_master() as master:
        answer = await master.call(method, path, body)
        told = answer.json
        assert_problem(answer, told["status"], told["error"], told.get("column"))
        assert b"x" * 81 not in answer.body
        assert b"1" * 81 not in answer.body
        assert len(answer.body) < 600


async def test_an_error_of_a_worker_repeats_no_more_than_80_characters_of_the_input() -> None:
    """Nor is it at a worker."""
    async with a_worker() as worker:
        question = {"operation": "x" * 5000, "op1": 1, "op2": 2}
        answer = await worker.post("/compute", question)
        assert_problem(answer, 400, "unknown_operation")
        assert b"x" * 81 not in answer.body


def assert_quotes_little(answer: Answer, sent: str) -> None:
    """Assert that no more than 80 characters in a row of what was sent come back."""
    assert len(sent) <= 80 or sent[:81].encode() not in answer.body
    assert len(answer.body) < 600
