"""`/compute` and `/health`: the whole of a worker, seen from the master.

A computation is done before its answer is awaited by anybody else: operations are quicker than any
hand-over. What has no result is a 422 problem, or, in an array, an item with `error` and `detail`.
"""

import asyncio
from asyncio import Future
from http import HTTPStatus
from time import perf_counter

from msgspec import UnsetType
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from engine.arithmetic import compute
from engine.errors import ExecutorError, OperationFailed
from engine.job import Number
from engine.messages import Computation, Computed, ComputedItem, Item, Problem, Reader
from engine.server import Server
from engine.site import Handler, Route, Site
from engine.web import ApiHandler, RequestRefused, site

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_CONNECTIONS = 1000
IDLE_CONNECTION_S = 3600.0  # the master keeps its connections, and is the only one to have any

_one_or_many: Reader[Computation | list[Computation]] = Reader(Computation | list[Computation])


class WorkerState:
    """What the handlers share: what this worker takes, and whether it is on its way out."""

    def __init__(self, operations: list[str], batch: int, token: str) -> None:
        self.operations = frozenset(operations)
        self.batch = batch
        self.token = token
        self.draining = False
        self.computed = 0
        self.calls = 0
        self._idle = asyncio.Event()

    def begin(self) -> None:
        """Count a call in hand."""
        self.calls += 1

    def end(self) -> None:
        """Count a call as answered."""
        self.calls -= 1
        if not self.calls:
            self._idle.set()

    async def idle(self) -> None:
        """Return when no call is in hand."""
        while self.calls:
            self._idle.clear()
            await self._idle.wait()


class WorkerHandler(ApiHandler):
    """What both handlers share."""

    def __init__(self, request: HTTPServerRequest, state: WorkerState) -> None:
        super().__init__(request)
        self.state = state

    def default_headers(self) -> HTTPHeaders:
        """Tell browsers nothing: none comes here, and the master reads every line."""
        return Handler.default_headers(self)

    def problem_of(self, error: ExecutorError) -> Problem:
        """Tell an operation that has no result as a 422."""
        if isinstance(error, OperationFailed):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return Problem(status.phrase, status.value, error.code, error.detail)
        return super().problem_of(error)


class ComputeHandler(WorkerHandler):
    """`POST /compute`. Each is counted as a call in hand: `finish` comes for it, always."""

    wanted = '{"operation": "sum", "op1": 1, "op2": 2}'

    def __init__(self, request: HTTPServerRequest, state: WorkerState) -> None:
        super().__init__(request, state)
        state.begin()

    def prepare(self) -> None:
        """Refuse callers without the token, and everybody when on the way out."""
        self.refuse_without(self.state.token)
        if self.state.draining:
            raise RequestRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "draining",
                "this worker is leaving; ask another",
                Retry_After="1",
                Connection="close",
            )

    def finish(self, body: bytes = b"") -> "Future[None]":
        """Answer; the call counts as answered when the last byte of it has left the process."""
        written = super().finish(body)
        if written.done():
            self.state.end()
        else:
            written.add_done_callback(lambda _: self.state.end())
        return written

    def post(self) -> None:
        """Compute one operation, or an array of them in order."""
        asked = self.read(_one_or_many)
        began_at = perf_counter()
        computed: Computed | list[ComputedItem]
        if isinstance(asked, list):
            self._refuse_too_many(len(asked))
            self._refuse_unknown({computation.operation for computation in asked})
            computed = compute_items(asked)
            self.state.computed += len(asked)
        else:
            computed = self._computed(asked)
            self.state.computed += 1
        took_ms = 1000 * (perf_counter() - began_at)
        self.headers["Server-Timing"] = f"compute;dur={took_ms:.3f}"
        self.respond(computed)

    def _refuse_too_many(self, count: int) -> None:
        if count > self.state.batch:
            raise RequestRefused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_large",
                f"{count} operations are more than this worker takes at once: {self.state.batch}",
            )

    def _computed(self, asked: Computation) -> Computed:
        operation, op1, op2 = asked.operation, asked.op1, asked.op2
        self._refuse_unknown({operation})
        if isinstance(op1, Item) or isinstance(op2, Item):
            raise _no_such_item("a single operation")
        return Computed(operation, op1, op2, compute(operation, (op1, op2)))

    def _refuse_unknown(self, operations: set[str]) -> None:
        if not operations <= self.state.operations:
            known = ", ".join(sorted(self.state.operations))
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, "unknown_operation", f"this worker computes {known} only"
            )


def compute_items(asked: list[Computation]) -> list[ComputedItem]:
    """Compute an array in order. Raises `RequestRefused` where one refers to what is no earlier."""
    items: list[ComputedItem] = []
    for computation in asked:
        op1, op2 = computation.op1, computation.op2
        if type(op1) is Item:
            op1 = _result_of(op1, items)
        if type(op2) is Item:
            op2 = _result_of(op2, items)
        items.append(_item(computation.operation, op1, op2))
    return items


def _item(operation: str, op1: Number | Item, op2: Number | Item) -> ComputedItem:
    if type(op1) is Item or type(op2) is Item:
        what = "an operand is an item without a result"
        return ComputedItem(operation, op1, op2, error="not_computed", detail=what)
    try:
        return ComputedItem(operation, op1, op2, compute(operation, (op1, op2)))  # type: ignore[arg-type]  # numbers
    except OperationFailed as failure:
        return ComputedItem(operation, op1, op2, error=failure.code, detail=failure.detail)


def _result_of(reference: Item, items: list[ComputedItem]) -> Number | Item:
    if reference.item >= len(items):
        raise _no_such_item(f"item {len(items)}")
    result = items[reference.item].result
    return reference if isinstance(result, UnsetType) else result


def _no_such_item(who: str) -> RequestRefused:
    return RequestRefused(
        HTTPStatus.BAD_REQUEST, "invalid_request", f"{who} may refer to earlier items only"
    )


class HealthHandler(WorkerHandler):
    """`GET /health`."""

    def get(self) -> None:
        """Tell that this worker is there, and how much it has computed."""
        status = "draining" if self.state.draining else "ok"
        self.respond({"status": status, "computed": self.state.computed})

    head = get


def worker_site(state: WorkerState) -> Site:
    """Return what a worker serves."""
    routes = [Route(r"/compute", ComputeHandler), Route(r"/health", HealthHandler)]
    return site(routes, {"state": state})


def serve(served: Site) -> Server:
    """Return a server for a worker's site."""
    return Server(
        served.serve,
        max_body_bytes=MAX_BODY_BYTES,
        max_connections=MAX_CONNECTIONS,
        idle_s=IDLE_CONNECTION_S,
    )
