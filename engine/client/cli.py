"""The commands, and what each prints.

A command takes its arguments (arguments.py), says what to do with the master (flow.py, bulk.py)
and prints what came of it (views.py). How it runs and which exit code it ends with is in
session.py. What only few commands need and takes long to import is imported where it is used.
"""

import itertools
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import BinaryIO, NoReturn, TypeVar

import click
import msgspec
from click.shell_completion import get_completion_class
from msgspec import UNSET, UnsetType
from rich.console import RenderableType

import engine
from engine.client import views
from engine.client.arguments import JobIds, OneJob, Seconds, SubmitCommand, common
from engine.client.bulk import Bulk, Ended, Lines
from engine.client.errors import ApiError
from engine.client.flow import Errand
from engine.client.glance import Glance
from engine.client.session import (
    ANSWERED,
    FAILED,
    REFUSED,
    UNKNOWN_JOB,
    Program,
    Stop,
    Wishes,
    resumption,
    run,
)
from engine.job import Number
from engine.messages import JobStatus, TaskRefused, encode

Explained = TypeVar("Explained")
Item = TypeVar("Item")


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@common()
@click.version_option(engine.__version__, message="%(version)s")
def main() -> None:
    """Submit arithmetic expressions to a master, and look after its jobs and workers.

    Data goes to stdout, all else to stderr. Exit codes: 0 answer, 1 the job failed, 2 usage or a
    refused expression, 3 master out of reach, 4 unknown job, 5 --timeout passed, 6 stdout
    cannot be written, 130 Ctrl-C, 141 stdout was closed by who read it.
    """


for_wishes = click.make_pass_decorator(Wishes, ensure=True)
poll_interval = click.option(
    "--poll-interval",
    "poll_interval_s",
    metavar="S",
    type=Seconds(),
    default=5.0,
    show_default=True,
    help="Ask for the job every S seconds.",
)
one_job = click.argument("job_id", metavar="ID", type=OneJob())


@main.command(cls=SubmitCommand, short_help="Compute EXPRESSION, or each line of a file.")
@click.argument("expression", required=False)
@click.option("--file", "file", type=click.File("rb"), help="Submit each line of a file.")
@click.option("--wait", "on_master", is_flag=True, help="Wait on the master instead of polling.")
@poll_interval
@common()
@for_wishes
def submit(
    wishes: Wishes,
    expression: str | None,
    file: BinaryIO | None,
    on_master: bool,
    poll_interval_s: float,
) -> None:
    """Compute EXPRESSION and print only its answer; `-` takes one from each line of stdin.

    Many answers come in the order of their lines: one without an answer leaves a blank line, and
    the reason on stderr.
    """
    if (expression is None) == (file is None):
        raise click.UsageError('give one expression, like "1+2*3", or - or --file FILE')
    if expression == "-" and sys.stdin is None:
        raise click.UsageError("stdin is closed; let it be a file or a pipe, or give --file FILE")
    if expression == "-":
        _submit_lines(wishes, Lines(sys.stdin.buffer, "stdin"), poll_interval_s)
    if file is not None:
        _submit_lines(wishes, Lines(file, file.name), poll_interval_s)
    _submit_one(wishes, str(expression), on_master, poll_interval_s)


def _submit_one(wishes: Wishes, task: str, on_master: bool, poll_interval_s: float) -> NoReturn:
    if not _is_text(task):
        raise click.UsageError("the expression is not UTF-8: use only characters of ASCII")

    async def work(errand: Errand) -> int:
        try:
            status = await errand.answer(task)
        except ApiError as error:
            if wishes.as_json and error.status in {400, 413}:
                refused = TaskRefused(error.code, error.detail, error.column or 0)
                click.echo(encode(_refused(refused)))
            if error.column is None:
                raise
            raise Stop(wishes, REFUSED, error.detail, views.caret(task, error.column)) from error
        code = _print_job(wishes, status)
        errand.given([status.job_id])
        return code

    def resume(errand: Errand) -> list[str]:
        told = resumption(wishes, errand)
        if errand.unsure:
            told.append(f"it may have been submitted; to see:  {wishes.again('jobs')}")
        return told

    run(wishes, work, poll_interval_s=poll_interval_s, on_master=on_master, resume=resume)


def _is_text(argument: str) -> bool:
    # What is no UTF-8 on the command line reaches Python as lone surrogates.
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _submit_lines(wishes: Wishes, lines: Lines, poll_interval_s: float) -> NoReturn:
    bulks: list[Bulk] = []

    async def work(errand: Errand) -> int:
        bulk = Bulk(errand, lines)
        bulks.append(bulk)
        code = ANSWERED
        with _progress(wishes, lines.size) as advance:
            # Closed here and not by the loop's end: a closed pipe ends it in the middle.
            async with aclosing(bulk.outcomes()) as blocks:
                async for block in blocks:
                    code = max(code, _print_lines(wishes, block))
                    errand.given(end.job_id for _, end in block if isinstance(end, JobStatus))
                    advance(block[-1].line.end)
        return code

    def resume(errand: Errand) -> list[str]:
        told = resumption(wishes, errand)
        if bulks and not bulks[0].exhausted:
            told += _left(wishes, bulks[0], errand.unsure)
        return told

    run(wishes, work, poll_interval_s=poll_interval_s, resume=resume)


def _left(wishes: Wishes, bulk: Bulk, unsure: bool) -> list[str]:
    first, last = bulk.submitted + 1, bulk.sent
    if not unsure or last < first:
        return [f"lines from {first} on were not submitted"]
    some = f"line {first}" if first == last else f"lines {first}-{last}"
    return [
        f"{some} may have been submitted; to see:  {wishes.again('jobs')}",
        f"lines from {last + 1} on were not submitted",
    ]


@contextmanager
def _progress(wishes: Wishes, size: int | None) -> Iterator[Callable[[int], None]]:
    # Where the answers themselves run over the terminal, a bar would be in their way.
    err = wishes.err
    if wishes.quiet or not err.file.isatty() or wishes.out.file.isatty():
        yield lambda _done: None
        return
    from rich.progress import (  # noqa: PLC0415  # see the module
        BarColumn,
        Progress,
        TaskProgressColumn,
        TimeElapsedColumn,
    )

    columns = (BarColumn(), TaskProgressColumn(show_speed=True), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=size)
        yield lambda done: bar.update(task, completed=done)


def _print_job(wishes: Wishes, status: JobStatus, *, one_of_many: bool = False) -> int:
    """Print the answer, or why there is none; return the exit code for it.

    Where it is `one_of_many`, an empty line keeps the place of an answer that there is not.
    """
    if wishes.as_json:
        click.echo(encode(status))
    elif one_of_many or not status.error:
        click.echo(views.shown(status.answer))
    if status.error:
        wishes.complain(f"job {status.job_id} failed: {views.failure(status)}")
    return FAILED if status.error else ANSWERED


class ItemEnded(msgspec.Struct):
    """What `--json` prints for an item that may have no job: its job, or why it has none."""

    line: int | UnsetType = UNSET  # of a file
    job_id: int | UnsetType = UNSET
    finished: bool | UnsetType = UNSET
    answer: Number | None = None
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    column: int | UnsetType = UNSET


def _refused(task: TaskRefused, line: int | UnsetType = UNSET) -> ItemEnded:
    return ItemEnded(line, error=task.error, detail=task.detail, column=task.column or UNSET)


def _line_ended(number: int, outcome: JobStatus | TaskRefused) -> ItemEnded:
    if isinstance(outcome, TaskRefused):
        return _refused(outcome, number)
    return ItemEnded(number, outcome.job_id, True, outcome.answer, outcome.error, outcome.detail)


def _print_lines(wishes: Wishes, block: Sequence[Ended]) -> int:
    # One write for the whole block: a system call for each of a million answers takes seconds.
    if wishes.as_json:
        told = [encode(_line_ended(line.number, end)).decode() for line, end in block if end]
    else:
        told = [views.shown(end.answer) if isinstance(end, JobStatus) else "" for _, end in block]
    if told:
        click.echo("\n".join(told))
    return max(_complain_of(wishes, ended) for ended in block)


def _complain_of(wishes: Wishes, ended: Ended) -> int:
    (number, task, _), outcome = ended
    if isinstance(outcome, TaskRefused):
        pointer = [views.caret(task, outcome.column)] if outcome.column else []
        wishes.complain(f"line {number}: {outcome.detail}", *pointer)
        return REFUSED
    if outcome is not None and outcome.error:
        wishes.complain(f"line {number}: job {outcome.job_id} failed: {views.failure(outcome)}")
        return FAILED
    return ANSWERED


@main.command()
@one_job
@common()
@for_wishes
def status(wishes: Wishes, job_id: int) -> None:
    """Show how job ID is, without waiting for it."""

    async def work(errand: Errand) -> int:
        job = await errand.persist(lambda: errand.master.job(job_id))
        _print_state(wishes, job)
        return ANSWERED

    run(wishes, work)


def _print_state(wishes: Wishes, job: JobStatus) -> None:
    if wishes.as_json:
        click.echo(encode(job))
        return
    said = views.shown(job.answer) or views.failure(job)
    click.echo(f"{job.job_id}\t{views.state(job)}" + (f"\t{said}" if said else ""))


@main.command(short_help="Wait for jobs, and print their answers.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True, type=JobIds())
@poll_interval
@common()
@for_wishes
def wait(wishes: Wishes, job_ids: tuple[range, ...], poll_interval_s: float) -> None:
    """Wait for jobs (`47`, `12-900`) on the master, and print their answers in this order.

    One without an answer leaves a blank line, and the reason on stderr. Several end at the first
    id that no job has.
    """

    async def work(errand: Errand) -> int:
        return max([await _print_ended(wishes, errand, ids) for ids in job_ids])

    run(wishes, work, poll_interval_s=poll_interval_s, on_master=True)


async def _print_ended(wishes: Wishes, errand: Errand, ids: range) -> int:
    code = ANSWERED
    following = ids.start
    try:
        if ids.stop - ids.start == 1:
            code = _print_job(wishes, await errand.ending(ids.start), one_of_many=True)
            errand.given(ids)
            return code
        async for block in errand.endings(ids):
            code = max([code, *(_print_job(wishes, job, one_of_many=True) for job in block)])
            errand.given(job.job_id for job in block)
            following = block[-1].job_id + 1
    except ApiError as error:
        if not error.is_unknown_job:
            raise
        unknown = ItemEnded(job_id=following, error=error.code, detail=error.detail)
        click.echo(encode(unknown) if wishes.as_json else "")
        wishes.complain(error.detail)
        return UNKNOWN_JOB
    return code


@main.command(short_help="List jobs, newest first.")
@click.option("--limit", metavar="N", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--before", metavar="ID", type=OneJob(), help="Only jobs before ID.")
@click.option("--status", type=click.Choice(["unfinished", "succeeded", "failed"]))
@common()
@for_wishes
def jobs(wishes: Wishes, limit: int, before: int | None, status: str | None) -> None:
    """List jobs, newest first; what is no terminal gets fields separated by tabs."""

    async def work(errand: Errand) -> int:
        listed = await errand.persist(
            lambda: errand.master.jobs(limit=limit, before=before, status=status)
        )
        _print_rows(wishes, views.JOB_HEADER, views.job_row, listed)
        if len(listed) == limit and listed[-1].job_id > 1:
            wishes.say(f"for older ones:  {wishes.again(f'jobs --before {listed[-1].job_id}')}")
        return ANSWERED

    run(wishes, work)


def _print_rows(
    wishes: Wishes,
    header: Sequence[str],
    row: Callable[[Item], tuple[str, ...]],
    items: Sequence[Item],
) -> None:
    if wishes.as_json:
        told = [encode(item).decode() for item in items]
    elif wishes.out.file.isatty():
        wishes.out.print(views.table(header, map(row, items), wishes.out.width))
        return
    else:
        told = ["\t".join(row(item)) for item in items]
    if told:
        click.echo("\n".join(told))


@main.command(short_help="Cancel job ID, unless it has finished.")
@one_job
@common()
@for_wishes
def cancel(wishes: Wishes, job_id: int) -> None:
    """Cancel job ID; one that has finished stays as it is, with exit code 1."""

    async def work(errand: Errand) -> int:
        job = await errand.persist(lambda: errand.master.cancel(job_id))
        _print_state(wishes, job)
        if job.error == "cancelled":
            return ANSWERED
        wishes.complain(f"job {job_id} had finished already and stays as it is")
        return FAILED

    run(wishes, work)


@main.command(short_help="Show the operations of job ID as a tree.")
@one_job
@common()
@for_wishes
def tree(wishes: Wishes, job_id: int) -> None:
    """Show job ID as a tree: value, worker and times at each operation."""

    async def work(errand: Errand) -> int:
        job = await _explained(wishes, errand, lambda: errand.master.operations(job_id))
        if wishes.as_json:
            click.echo(encode(job))
            return ANSWERED
        click.echo("\n".join(views.tree(job)))
        if job.shown < job.total:
            wishes.say(f"{job.shown} of {job.total} operations are shown")
        return ANSWERED

    run(wishes, work)


@main.command()
@one_job
@common()
@for_wishes
def why(wishes: Wishes, job_id: int) -> None:
    """Tell in sentences why job ID is not finished."""

    async def work(errand: Errand) -> int:
        told = await _explained(wishes, errand, lambda: errand.master.why(job_id))
        if wishes.as_json:
            click.echo(encode(told))
        else:
            click.echo("\n".join(views.plain(sentence) for sentence in told.sentences))
        return ANSWERED

    run(wishes, work)


async def _explained(
    wishes: Wishes, errand: Errand, ask: Callable[[], Awaitable[Explained]]
) -> Explained:
    try:
        return await errand.persist(ask)
    except ApiError as error:
        if error.status != 404 or error.is_unknown_job:
            raise
        raise Stop(
            wishes,
            REFUSED,
            f"the master at {wishes.master} cannot tell that: it is older than this client."
            " Update it, or use `status`",
        ) from error


@main.command(short_help="List the workers of the pool.")
@common()
@for_wishes
def workers(wishes: Wishes) -> None:
    """List the workers of the pool; what is no terminal gets fields separated by tabs."""

    async def work(errand: Errand) -> int:
        pool = await errand.persist(errand.master.workers)
        _print_rows(wishes, views.WORKER_HEADER, views.worker_row, pool)
        return ANSWERED

    run(wishes, work)


@main.command()
@click.option(
    "--interval",
    "interval_s",
    metavar="S",
    type=Seconds(),
    default=1.0,
    show_default=True,
    help="Look every S seconds.",
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="Look N times, then end.")
@common()
@for_wishes
def top(wishes: Wishes, interval_s: float, count: int | None) -> None:
    """Show the pool and the queue live, until Ctrl-C."""

    async def work(errand: Errand) -> int:
        looks = range(count) if count else itertools.count()
        before: Glance | None = None
        with _screen(wishes) as show:
            for look in looks:
                if look:
                    await errand.clock.sleep(interval_s)
                glance = await Glance.at(errand)
                drawn = glance.drawn(before, wishes.out.width)
                show(encode(glance).decode() if wishes.as_json else drawn)
                before = glance
        return ANSWERED

    run(wishes, work)


@contextmanager
def _screen(wishes: Wishes) -> Iterator[Callable[[RenderableType], None]]:
    # A terminal shows one look in the place of the other, anything else gets them one by one.
    if wishes.as_json or not wishes.out.file.isatty():
        yield lambda look: wishes.out.print(look, soft_wrap=True)
        return
    from rich.live import Live  # noqa: PLC0415  # see the module

    with Live(console=wishes.out, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda look: live.update(look, refresh=True)


@main.command(short_help="Print a completion script for SHELL; source it.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and values; source it.

    It is for ./client.py, or for client.py in the PATH: shells cannot complete `python client.py`.
    """
    program = ctx.find_root().info_name or "client.py"
    variable = f"_{program}_COMPLETE".replace("-", "_").replace(".", "_").upper()
    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"{shell} is not supported; use bash, zsh or fish")
    click.echo(complete(main, {}, program, variable).source())
