"""`/openapi.json`: the API in OpenAPI 3.1, made from the messages and from a table of calls.

The schemas are those that the messages are read and written by, so they cannot differ from them; a
test holds this table and the route table together. Each call lists every problem that it may be
answered with, by the stable codes.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from tornado.httputil import HTTPServerRequest

from engine import __version__
from engine.master.announcements import MOST_OPERATIONS
from engine.master.assembly import Master
from engine.master.handlers import (
    DEFAULT_PAGE,
    LARGEST_ID,
    LONGEST_PAGE,
    LONGEST_WAIT_S,
    BaseHandler,
)
from engine.messages import (
    Announcement,
    AnnouncementTaken,
    Change,
    Explanation,
    JobListed,
    JobOperations,
    JobStatus,
    Problem,
    Snapshot,
    Submission,
    Submitted,
    TaskRefused,
    WorkerStatus,
    encode,
)
from engine.store.base import STATUSES
from engine.web import PROBLEM_TYPE

Schema = dict[str, Any]

MESSAGES = (
    Announcement,
    AnnouncementTaken,
    Change,
    Explanation,
    JobListed,
    JobOperations,
    JobStatus,
    Problem,
    Snapshot,
    Submission,
    Submitted,
    TaskRefused,
    WorkerStatus,
)
REFERENCE = "#/components/schemas/{name}"
TEXT: Schema = {"type": "string"}

# Which problems any call of a kind may be answered with: status -> codes.
Problems = Mapping[HTTPStatus, tuple[str, ...]]
EVERYWHERE: Problems = {
    HTTPStatus.BAD_REQUEST: ("invalid_request",),
    HTTPStatus.FORBIDDEN: ("cross_site",),
    HTTPStatus.REQUEST_TIMEOUT: ("too_slow",),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too_large",),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ("too_large",),
}
BODY: Problems = {HTTPStatus.BAD_REQUEST: ("invalid_json",)}
NO_JOB: Problems = {HTTPStatus.NOT_FOUND: ("job_not_found",)}
STORE: Problems = {HTTPStatus.SERVICE_UNAVAILABLE: ("storage_unavailable",)}
PARAMETERS: Problems = {HTTPStatus.BAD_REQUEST: ("invalid_parameter",)}
TOKEN: Problems = {HTTPStatus.UNAUTHORIZED: ("unauthorized",)}


class Call(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    name: str
    summary: str
    answer: Schema
    tag: str = "clients"
    parameters: Sequence[Schema] = ()
    body: Schema | None = None
    problems: Sequence[Problems] = ()
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    links: Mapping[str, Schema] = {}


def _ref(kind: type[msgspec.Struct]) -> Schema:
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _status(*statuses: str) -> Schema:
    return {"type": "object", "required": ["status"], "properties": {"status": {"enum": statuses}}}


def _parameter(place: str, name: str, description: str, schema: Schema) -> Schema:
    required = {"required": True} if place == "path" else {}
    told = {"name": name, "in": place, "description": description, "schema": schema}
    return {**told, **required}


JOB_ID = _parameter(
    "path",
    "job_id",
    "The job's id.",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_ID, "examples": [1]},
)
FILE_NAME = _parameter(
    "path", "name", "A file of the dashboard.", {**TEXT, "examples": ["main.js", "style.css"]}
)
WORKER_NAME = _parameter("path", "worker_name", "The name that it announced.", TEXT)
WAIT = _parameter(
    "query",
    "wait",
    "Answer when the job has finished, at the latest after so many seconds.",
    {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT_S},
)
PREFER = _parameter("header", "Prefer", "`wait=S` does what the parameter does.", TEXT)
KEY = _parameter(
    "header",
    "Idempotency-Key",
    "The same key with the same body gives the same jobs again.",
    {"type": "string", "pattern": "^[\\x21-\\x7e]{1,255}$"},
)
TRACE_PARENT = _parameter(
    "header",
    "traceparent",
    "W3C trace context: passed on with calls that carry this job's operations alone, and logged.",
    TEXT,
)
PAGING = (
    _parameter(
        "query",
        "limit",
        "How many jobs.",
        {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": DEFAULT_PAGE},
    ),
    _parameter(
        "query",
        "before",
        "Only jobs older than this one.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
    ),
    _parameter("query", "status", "Only jobs of one status.", {"enum": list(STATUSES)}),
)
LAST_EVENT = _parameter("header", "Last-Event-ID", "Go on after this event.", TEXT)
NONE_MATCH = _parameter("header", "If-None-Match", "ETags that the browser has.", TEXT)
URL = _parameter(
    "query",
    "url",
    "Only the worker at the address that it announced as `url`.",
    {"type": "string", "maxLength": 2000},
)
PORT = _parameter(
    "query",
    "port",
    "Only the worker at this port of the caller's address.",
    {"type": "integer", "minimum": 1, "maximum": 65535},
)

# All that a regular expression can say of the grammar: brackets may still not match, and a literal
# be out of range.
_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_OPERAND = rf"[-+( \t\n\r]*{_NUMBER}[) \t\n\r]*"
EXPRESSION: Schema = {
    "type": "string",
    "pattern": rf"^{_OPERAND}([-+*/]{_OPERAND})*$",
    "examples": ["1+(2*3)/4-5", "-.5e3 * (2 - 7)"],
}
SUBMISSION: Schema = {
    "allOf": [_ref(Submission)],
    "oneOf": [
        {"required": ["task"], "properties": {"task": EXPRESSION}},
        {"required": ["tasks"]},
    ],
    "examples": [{"task": "1+(2*3)/4-5"}, {"tasks": ["1+1", "2*("]}],
}
ANNOUNCED: Schema = {
    "allOf": [_ref(Announcement)],
    "properties": {
        "url": {"pattern": r"^http://[^/?#@]+/?$"},
        "operations": {"maxItems": MOST_OPERATIONS},
    },
    "examples": [{"worker_name": "w1"}, {"worker_name": "w1", "port": 8082, "batch": 100}],
}
SUBMITTED_MANY: Schema = {
    "type": "object",
    "required": ["jobs"],
    "properties": {"jobs": _array({"anyOf": [_ref(Submitted), _ref(TaskRefused)]})},
}
FILE: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}


def _links(member: str, *names: str) -> dict[str, Schema]:
    """Return where a member of the answer leads: to calls that take it as a parameter."""
    parameters = {member: f"$response.body#/{member}"}
    return {name: {"operationId": name, "parameters": parameters} for name in names}


CALLS = (
    Call(
        "post",
        "/submit",
        "submit",
        "Submit a task, or many. With `wait`, one task is answered as `/job/{job_id}` answers;"
        " many are refused with it.",
        {"anyOf": [_ref(Submitted), _ref(JobStatus), SUBMITTED_MANY]},
        parameters=(WAIT, PREFER, KEY, TRACE_PARENT),
        body=SUBMISSION,
        problems=(
            BODY,
            PARAMETERS,
            {
                HTTPStatus.BAD_REQUEST: (
                    "invalid_task",
                    "invalid_expression",
                    "overflow",
                    "too_many_digits",
                ),
                HTTPStatus.UNPROCESSABLE_ENTITY: ("idempotency_key_reused",),
                HTTPStatus.SERVICE_UNAVAILABLE: ("overloaded", "draining"),
            },
            STORE,
        ),
        links=_links("job_id", "get_job", "get_operations", "explain_job", "cancel_job"),
    ),
    Call(
        "get",
        "/job/{job_id}",
        "get_job",
        "Tell how a job is.",
        _ref(JobStatus),
        parameters=(JOB_ID, WAIT, PREFER),
        problems=(NO_JOB, PARAMETERS, STORE),
        links=_links("job_id", "get_operations", "explain_job", "cancel_job"),
    ),
    Call(
        "delete",
        "/job/{job_id}",
        "cancel_job",
        "Cancel a job, unless it has finished before.",
        _ref(JobStatus),
        parameters=(JOB_ID,),
        problems=(NO_JOB, STORE),
    ),
    Call(
        "get",
        "/job/{job_id}/operations",
        "get_operations",
        "Tell what happened to each operation of a job, as long as that is kept.",
        _ref(JobOperations),
        parameters=(JOB_ID,),
        problems=(NO_JOB, {HTTPStatus.NOT_FOUND: ("trace_not_kept",)}, STORE),
    ),
    Call(
        "get",
        "/job/{job_id}/why",
        "explain_job",
        "Tell why a job is not finished, and what would help.",
        _ref(Explanation),
        parameters=(JOB_ID,),
        problems=(NO_JOB, STORE),
    ),
    Call(
        "get",
        "/jobs",
        "list_jobs",
        "List jobs, newest first.",
        _array(_ref(JobListed)),
        parameters=PAGING,
        problems=(PARAMETERS, STORE),
        headers={"Link": 'The next page, as `rel="next"`, where there may be one.'},
    ),
    Call(
        "get",
        "/events",
        "follow",
        "Follow the master: server-sent events, a `snapshot` first, then `change`s.",
        {"type": "string", "x-events": {"snapshot": _ref(Snapshot), "change": _ref(Change)}},
        parameters=(LAST_EVENT,),
        problems=({HTTPStatus.SERVICE_UNAVAILABLE: ("overloaded", "draining")}, STORE),
        content_type="text/event-stream",
    ),
    Call(
        "get",
        "/workers",
        "list_workers",
        "List the pool.",
        _array(_ref(WorkerStatus)),
    ),
    Call("get", "/livez", "livez", "Tell that the master is alive.", _status("ok")),
    Call(
        "get",
        "/readyz",
        "readyz",
        "Tell whether a task would be taken now.",
        {
            "type": "object",
            "required": ["status", "workers"],
            "properties": {"status": {"enum": ["ok"]}, "workers": {"type": "integer"}},
        },
        problems=({HTTPStatus.SERVICE_UNAVAILABLE: ("draining",)}, STORE),
    ),
    Call("get", "/metrics", "metrics", "Metrics for Prometheus.", TEXT, content_type="text/plain"),
    Call("get", "/openapi.json", "openapi", "This document.", {"type": "object"}),
    Call(
        "get",
        "/",
        "dashboard",
        "The dashboard.",
        FILE,
        parameters=(NONE_MATCH,),
        content_type="text/html",
    ),
    Call(
        "get",
        "/dashboard/{name}",
        "dashboard_file",
        "A file of the dashboard.",
        FILE,
        parameters=(FILE_NAME, NONE_MATCH),
        problems=({HTTPStatus.NOT_FOUND: ("not_found",)},),
        content_type="*/*",
    ),
    Call(
        "post",
        "/worker",
        "announce",
        "Announce a worker, or that it is still there.",
        _ref(AnnouncementTaken),
        tag="workers",
        body=ANNOUNCED,
        problems=(
            BODY,
            TOKEN,
            {
                HTTPStatus.BAD_REQUEST: ("invalid_announcement",),
                HTTPStatus.SERVICE_UNAVAILABLE: ("overloaded",),
            },
        ),
        links=_links("worker_name", "take_leave"),
    ),
    Call(
        "delete",
        "/worker/{worker_name}",
        "take_leave",
        "Let a worker finish what it has, and forget it.",
        _array(_ref(WorkerStatus)),
        tag="workers",
        parameters=(WORKER_NAME, PORT, URL),
        problems=(
            PARAMETERS,
            TOKEN,
            {HTTPStatus.NOT_FOUND: ("worker_not_found",)},
        ),
    ),
)


class OpenApiHandler(BaseHandler):
    """`/openapi.json`."""

    def __init__(self, request: HTTPServerRequest, master: Master, document: bytes) -> None:
        super().__init__(request, master)
        self.document = document

    def get(self) -> None:
        """Send the document."""
        self.headers["Content-Type"] = "application/json"
        self.finish(self.document)

    head = get


def document() -> Schema:
    """Return the whole document."""
    paths: dict[str, Schema] = {}
    for call in CALLS:
        path = paths.setdefault(call.path, {})
        path[call.method] = _operation(call)
        if call.method == "get":
            path["head"] = _operation(call, head=True)
    _, components = msgspec.json.schema_components(MESSAGES, ref_template=REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Distributed task execution engine",
            "version": __version__,
            "description": "Submit arithmetic expressions; workers compute their operations."
            " Integers are exact at any size. Every error is an RFC 9457 problem whose `error` is"
            " a stable code.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The shared token, where one is set.",
                }
            },
        },
    }


def encoded() -> bytes:
    """Return the whole document as JSON."""
    return encode(document())


def _operation(call: Call, *, head: bool = False) -> Schema:
    good: Schema = {"description": call.summary}
    if call.headers:
        good["headers"] = {
            name: {"description": told, "schema": TEXT} for name, told in call.headers.items()
        }
    if not head:
        good["content"] = {call.content_type: {"schema": call.answer}}
        if call.links:
            good["links"] = dict(call.links)
    responses = {"200": good, **_problems(call, head=head)}
    if NONE_MATCH in call.parameters:
        responses["304"] = {"description": "The browser has it already."}
    operation: Schema = {
        "operationId": f"{call.name}_head" if head else call.name,
        "summary": call.summary,
        "tags": [call.tag],
        "responses": dict(sorted(responses.items())),
    }
    if call.parameters:
        operation["parameters"] = list(call.parameters)
    if call.body is not None:
        content = {"application/json": {"schema": call.body}}
        operation["requestBody"] = {"required": True, "content": content}
    if call.tag == "workers":
        operation["security"] = [{}, {"token": []}]
    return operation


def _problems(call: Call, *, head: bool) -> dict[str, Schema]:
    codes: dict[HTTPStatus, list[str]] = {}
    for problems in (EVERYWHERE, *call.problems):
        for status, more in problems.items():
            codes.setdefault(status, []).extend(more)
    return {str(status.value): _problem(status, told, head) for status, told in codes.items()}


def _problem(status: HTTPStatus, codes: list[str], head: bool) -> Schema:
    told: Schema = {"description": f"{status.phrase}: {', '.join(codes)}"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        seconds = {
            "description": "Seconds after which to try again.",
            "schema": {"type": "integer"},
        }
        told["headers"] = {"Retry-After": seconds}
    if status is HTTPStatus.UNAUTHORIZED:
        told["headers"] = {"WWW-Authenticate": {"schema": TEXT}}
    if not head:
        only = {"type": "object", "properties": {"error": {"enum": codes}}}
        told["content"] = {PROBLEM_TYPE: {"schema": {"allOf": [_ref(Problem), only]}}}
    return told
