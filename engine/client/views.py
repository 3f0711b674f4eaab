"""What people see: pure functions from messages to text, tables and trees.

Whatever came over the wire or out of a file goes through `plain` before a terminal gets it: an
expression is anybody's text, and must not move the cursor. Answers are printed exactly and whole.
"""

import itertools
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from engine.job import Number
from engine.messages import JobListed, JobOperations, JobStatus, OperationShown, WorkerStatus

AROUND = 30  # characters of a refused expression that are shown on each side of the caret
DEEPEST = 20  # levels that are indented; a chain of a thousand would run out of the window

JOB_HEADER = ("job", "state", "answer", "task")
WORKER_HEADER = (
    "worker",
    "state",
    "operations",
    "in flight",
    "done",
    "failed",
    "p50",
    "p95",
    "seen",
    "url",
)
ELASTIC = {"answer", "task"}  # may be cut: the others would say something else then
LEAST_ELASTIC = 10  # characters
# What a narrow terminal does without, first what is missed least.
DROPPED = ("url", "p50", "p95", "operations", "seen", "failed", "done", "in flight")
GAP = 2  # blanks between columns


def plain(text: str) -> str:
    """Return `text` with U+FFFD in the place of each character that does not print."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def shown(number: Number | None) -> str:
    """Return `number` exactly, as Python writes it; nothing for None."""
    return "" if number is None else repr(number)


def cut(text: str, length: int) -> str:
    """Return `text`, or as much of it as fits in `length` characters with an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def caret(task: str, column: int) -> str:
    """Return two lines: the part of `task` around `column` (from 1), and a caret below it."""
    at = min(column, len(task) + 1) - 1
    start, end = max(0, at - AROUND), at + AROUND + 1
    before = ("…" if start else "") + _blanked(task[start:at])
    after = _blanked(task[at:end]) + ("…" if end < len(task) else "")
    return f"  {before}{after}\n  {' ' * cell_len(before)}^"


def _blanked(text: str) -> str:
    # Tabs and line ends would move the caret away from what it points to.
    return plain(text.replace("\t", " ").replace("\n", " "))


def state(job: JobStatus | JobListed) -> str:
    """Return one of the three states that a job can be in, in the words of `/jobs?status=`."""
    if not job.finished:
        return "unfinished"
    return "failed" if job.error else "succeeded"


def failure(job: JobStatus | JobListed) -> str:
    """Return why `job` failed: its code and sentence; nothing if it did not."""
    if not job.error:
        return ""
    return plain(f"{job.error}: {job.detail}" if job.detail else job.error)


def job_row(job: JobListed) -> tuple[str, ...]:
    """Return `job` under `JOB_HEADER`."""
    return (str(job.job_id), state(job), shown(job.answer) or failure(job), plain(job.task))


def worker_row(worker: WorkerStatus) -> tuple[str, ...]:
    """Return `worker` under `WORKER_HEADER`."""
    return (
        plain(worker.name),
        worker.state + (f" ({plain(worker.reason)})" if worker.reason else ""),
        plain(",".join(worker.operations)),
        str(worker.in_flight),
        str(worker.completed),
        str(worker.failed),
        duration(worker.latency_p50_s),
        duration(worker.latency_p95_s),
        "never" if worker.last_seen_s is None else f"{duration(worker.last_seen_s)} ago",
        plain(worker.url),
    )


def duration(seconds: float | None) -> str:
    """Return a time of `seconds` with three figures and a unit that suits it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> Table:
    """Return a table for `width` columns; where they are too few, it does without `DROPPED`."""
    columns = dict(zip(header, zip(*rows, strict=True), strict=False))
    needed = {name: _needed(name, columns.get(name, ())) for name in header}
    for name in DROPPED:
        if sum(needed.values()) + GAP * (len(needed) - 1) > width:
            needed.pop(name, None)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in needed:
        grid.add_column(name, no_wrap=name not in ELASTIC)
    for row in zip(*(columns.get(name, ()) for name in needed), strict=True):
        cells = (
            Text(cut(cell, width), _style(cell), no_wrap=True, overflow="ellipsis") for cell in row
        )
        grid.add_row(*cells)
    return grid


def _needed(name: str, cells: Iterable[str]) -> int:
    longest = max(map(cell_len, (name, *cells)))
    return min(longest, LEAST_ELASTIC) if name in ELASTIC else longest


def _style(cell: str) -> str:
    word = cell.partition(" ")[0]
    if word in {"live", "succeeded"}:
        return "green"
    if word in {"dead", "rejected", "failed"}:
        return "red"
    return "yellow" if word in {"suspect", "candidate", "draining", "unfinished"} else ""


def tree(job: JobOperations) -> list[str]:
    """Return the operations of `job` as a tree, a line each, what is computed last on top.

    Operations whose parent is not shown start a tree of their own. Below `DEEPEST` levels the
    depth is a number instead of an indent.
    """
    present = {operation.index for operation in job.operations}
    children: dict[int | None, list[OperationShown]] = {}
    for operation in sorted(job.operations, key=lambda each: (each.column or 0, each.index)):
        parent = operation.parent if operation.parent in present else None
        children.setdefault(parent, []).append(operation)
    lines = [plain(cut(job.task, 200))]
    # Iterative, as the parser is: an expression may be deeper than the stack.
    stack = [
        (child, 0, "", child is children[None][-1]) for child in reversed(children.get(None, []))
    ]
    while stack:
        operation, depth, indent, last = stack.pop()
        lines.append(_twig(depth, indent, last) + _node(operation))
        below = children.get(operation.index, [])
        inner = indent + ("    " if last else "│   ") if depth < DEEPEST else indent
        stack += [(child, depth + 1, inner, child is below[-1]) for child in reversed(below)]
    return lines


def _twig(depth: int, indent: str, last: bool) -> str:
    if depth >= DEEPEST:
        return f"{indent}({depth}) "
    return indent + ("└── " if last else "├── ")


def _node(operation: OperationShown) -> str:
    operands = ", ".join(shown(op) or "?" for op in (operation.op1, operation.op2))
    result = "..." if operation.result is None else shown(operation.result)
    facts = [f"{plain(operation.operation)}({operands}) = {result}"]
    if operation.column is not None:
        facts.append(f"column {operation.column}")
    if operation.worker:
        facts.append(plain(operation.worker))
    if len(operation.attempts) > 1:
        facts.append(f"{len(operation.attempts)} attempts")
    times = {
        "queued": operation.queued_s,
        "on the way": operation.on_the_way_s,
        "computing": operation.computing_s,
    }
    facts += [f"{name} {duration(spent)}" for name, spent in times.items() if spent is not None]
    return " · ".join(facts)


def ranges(job_ids: Iterable[int]) -> str:
    """Return ascending ids in the form that `wait` takes: `3 7-9`."""
    runs = []
    for _, run in itertools.groupby(enumerate(job_ids), key=lambda pair: pair[1] - pair[0]):
        ids = [job_id for _, job_id in run]
        runs.append(str(ids[0]) if len(ids) == 1 else f"{ids[0]}-{ids[-1]}")
    return " ".join(runs)
