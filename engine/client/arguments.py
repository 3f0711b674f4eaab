"""What may be typed, and how it is read: addresses, jobs, expressions, the options of all commands.

Whatever cannot be used is told before the master is asked anything, with an example of what can.
"""

import itertools
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from engine.client import views
from engine.client.session import DEFAULT_MASTER, Wishes

ENVIRONMENT = "EXECUTOR_MASTER"
LONGEST_ID = 19  # digits of the largest id that a record can hold

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class MasterUrl(click.ParamType[str]):
    """The address of a master; `host:port` will do."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the URL, or fail with what a good one looks like."""
        url = value if "://" in value else f"http://{value}"
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not url.isascii() or not url.isprintable() or " " in url:
            self.fail(f"{value!r} is no address of a master; give http://host:port", param, ctx)
        return url.rstrip("/")


class JobIds(click.ParamType[range]):
    """One job by its number, or several as `12-900`."""

    name = "id"

    def convert(
        self, value: str | range, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        """Return the ids as a range."""
        if isinstance(value, range):
            return value
        first, dash, last = value.partition("-")
        if value.isascii() and first.isdigit() and (last.isdigit() or not dash):
            ids = range(int(first), int(last or first) + 1)
            if not ids:
                self.fail(f"{value!r} has no jobs; write {last}-{first}", param, ctx)
            return ids
        return self.fail(
            f"{value!r} is no job; give a number like 47, or several like 12-900", param, ctx
        )


class OneJob(click.ParamType[int]):
    """One job by its number."""

    name = "id"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the id, which need not be one that a job has."""
        if isinstance(value, int):
            return value
        if value.isascii() and value.isdigit() and len(value) <= LONGEST_ID:
            return int(value)
        return self.fail(f"{views.cut(value, 80)!r} is no job; give a number like 47", param, ctx)


class Seconds(click.FloatRange):
    """A time above 0; click's own range lets in what is no number."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no time; give seconds, like 5 or 0.5", param, ctx)
        return seconds


class SubmitCommand(click.Command):
    """A command whose argument may begin with a minus."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Tell expressions from options: click takes everything with a minus for the latter."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        valued = {name for each in options if not each.is_flag for name in each.opts}
        return super().parse_args(ctx, _expressions_last(args, valued))


def _expressions_last(args: Sequence[str], valued: set[str]) -> list[str]:
    # Options are named by letters; after its signs, an expression goes on with a digit, a point or
    # a bracket. What is an option's value stays behind its option.
    before: list[str] = []
    expressions: list[str] = []
    for previous, arg in itertools.pairwise(["", *args]):
        if arg == "--":
            at = len(before) + len(expressions)
            return [*before, "--", *expressions, *args[at + 1 :]]
        begins = arg.lstrip("-+ \t\n")[:1]
        is_signed = arg.startswith("-") and begins in {*"0123456789.("} and previous not in valued
        (expressions if is_signed else before).append(arg)
    return [*before, "--", *expressions] if expressions else before


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    # The same options may stand before and behind the command's name: the latter are read later.
    wishes = ctx.ensure_object(Wishes)
    wishes.program = ctx.find_root().info_name or wishes.program
    if value is not None and value is not False:
        setattr(wishes, str(param.name), value)


def _keep_master(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    # The environment's is looked at last, and only by a command that speaks to a master: a bad one
    # is in the way of no other.
    before = ctx.parent and ctx.parent.get_parameter_source(str(param.name))
    given = value is not None or before is ParameterSource.COMMANDLINE
    named = os.environ.get(ENVIRONMENT)
    if named and not given and not isinstance(ctx.command, click.Group):
        try:
            value = MasterUrl().convert(named, None, ctx)
        except click.BadParameter as error:
            raise click.UsageError(f"{ENVIRONMENT}: {error.message}", ctx) from error
    _keep(ctx, param, value)


def common() -> Callable[[Decorated], Decorated]:
    """Add the options that every command takes; they end up in its `Wishes`."""
    option = partial(click.option, expose_value=False, callback=_keep)
    options = [
        option(
            "--master",
            type=MasterUrl(),
            callback=_keep_master,
            help=f"The master's address; {ENVIRONMENT}, or {DEFAULT_MASTER}, if not given.",
        ),
        option(
            "--timeout",
            "timeout_s",
            metavar="S",
            type=Seconds(),
            help="Give up after S seconds, with exit code 5.",
        ),
        option("--json", "as_json", is_flag=True, help="Print JSON, a line for each item."),
        option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
        option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            help="By default, on a terminal unless NO_COLOR is set.",
        ),
    ]

    def add(command: Decorated) -> Decorated:
        for each in reversed(options):
            command = each(command)
        return command

    return add
