"""How a command runs and how it ends: the streams it prints on, its time-out, its exit code.

Data goes to stdout, everything else to stderr. Whatever ends a command early becomes a `Stop`,
with a sentence and, where jobs go on without us, how to come back to them. What reads translates
its errors, so any other `OSError` is one of printing.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any, NoReturn

import click
from rich.console import Console
from rich.text import Text

from engine.client import views
from engine.client.api import MasterClient
from engine.client.errors import ApiError, ClientError, InputError, MasterUnreachable
from engine.client.flow import Errand
from engine.clock import LoopClock

DEFAULT_MASTER = "http://127.0.0.1:8080"

ANSWERED = 0
FAILED = 1  # a job has no answer
REFUSED = 2  # usage, or what the master refuses to take: an expression that is none
OUT_OF_REACH = 3
UNKNOWN_JOB = 4
TIMED_OUT = 5
UNWRITABLE = 6  # the disk behind stdout is full, or there is no stdout
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
PIPE_CLOSED = 141  # 128 + SIGPIPE: `submit --file F | head` has had enough

LAST_WORDS_S = 1.0  # for a master that is alive; who set a time-out waits no longer for another
UNBOUNDED = 10_000  # columns; a task may be longer, and each line of its table would be
ELSEWHERE = "make room, or send stdout to a file elsewhere"


@dataclass
class Wishes:
    """The options that every command takes, and the streams as they ask for them."""

    program: str = "client.py"
    master: str = DEFAULT_MASTER
    timeout_s: float | None = None
    as_json: bool = False
    quiet: bool = False
    color: str = "auto"

    @cached_property
    def out(self) -> Console:
        """The console on stdout, for tables; answers are not styled."""
        return self._console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """The console on stderr, for everything that is no data."""
        return self._console(stderr=True)

    def _console(self, *, stderr: bool) -> Console:
        # With "auto", rich looks at the stream, at NO_COLOR and at TERM. To be coloured is not to
        # be a terminal: what is none is as wide as what is written.
        stream = sys.stderr if stderr else sys.stdout
        return _Console(
            stderr=stderr,
            width=None if stream is not None and stream.isatty() else UNBOUNDED,
            force_terminal=True if self.color == "always" else None,
            no_color=False if self.color == "always" else None,
            color_system=None if self.color == "never" else "auto",  # no bold letters, either
            highlight=False,
            markup=False,
            emoji=False,
        )

    def say(self, sentence: str) -> None:
        """Tell on stderr what is going on, unless asked to be quiet."""
        if not self.quiet:
            self.err.print(Text(views.plain(sentence), style="dim"), soft_wrap=True)

    def complain(self, sentence: str, *lines: str) -> None:
        """Tell on stderr what went wrong, and below it `lines` as they are."""
        text = Text.assemble(("error: ", "bold red"), views.plain(sentence))
        self.err.print(text, *lines, sep="\n", soft_wrap=True)

    def again(self, command: str) -> str:
        """Return how to call this program for `command` with the same master."""
        master = "" if self.master == DEFAULT_MASTER else f"--master {self.master} "
        return f"{self.program} {master}{command}"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `Program`, which knows the exit code; rich would end the program itself."""
        raise  # noqa: PLE0704  # rich calls this where it has caught the BrokenPipeError


class Stop(click.ClickException):
    """Raised to end the program with `exit_code` and a sentence on stderr."""

    def __init__(self, wishes: Wishes, exit_code: int, sentence: str, *lines: str) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance
        self._wishes = wishes
        self._lines = lines

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002  # click's signature
        """Print the sentence, and how to go on."""
        self._wishes.complain(self.message, *self._lines)


class Program(click.Group):
    """The commands; what click itself prints for them may fail, too, and has the same codes."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  # click's signature
    ) -> click.Context:
        """Read what stands before the command's name; that may ask for help."""
        with _printing():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        """Run the command."""
        with _printing():
            return super().invoke(ctx)


@contextmanager
def _printing() -> Iterator[None]:
    if sys.stdout is None:
        raise Stop(Wishes(), UNWRITABLE, f"cannot write the answers: stdout is closed; {ELSEWHERE}")
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise click.exceptions.Exit(PIPE_CLOSED) from None
    except OSError as error:
        raise _unwritable(Wishes(), error) from error


def _unwritable(wishes: Wishes, error: OSError, *lines: str) -> Stop:
    why = error.strerror or str(error)
    return Stop(wishes, UNWRITABLE, f"cannot write the answers: {why}; {ELSEWHERE}", *lines)


def run(
    wishes: Wishes,
    work: Callable[[Errand], Awaitable[int]],
    *,
    poll_interval_s: float = 5.0,
    on_master: bool = False,
    resume: Callable[[Errand], list[str]] | None = None,
) -> NoReturn:
    """Run `work` and exit with the code that it returns, or that the error of its end stands for.

    `resume` gives the lines that tell an interrupted person how to go on; by default, how to wait
    for the jobs that are under way.
    """

    async def attempt() -> int:
        with MasterClient(wishes.master) as master:
            errand = Errand(
                master,
                LoopClock(),
                wishes.say,
                poll_interval_s=poll_interval_s,
                on_master=on_master,
            )

            def lines() -> list[str]:
                return resume(errand) if resume else resumption(wishes, errand)

            try:
                async with asyncio.timeout(wishes.timeout_s):
                    return await work(errand)
            except TimeoutError:
                told = f"not finished within {wishes.timeout_s:g} s"
                reasons = map(views.plain, await _last_words(errand))
                raise Stop(wishes, TIMED_OUT, told, *reasons, *lines()) from None
            except asyncio.CancelledError:
                raise Stop(wishes, INTERRUPTED, "interrupted", *lines()) from None
            except ClientError as error:
                raise _stop(wishes, error, *lines()) from error
            except BrokenPipeError:
                raise
            except OSError as error:
                raise _unwritable(wishes, error, *lines()) from error

    try:
        code = asyncio.run(attempt())
        sys.stdout.flush()  # here, and not where the interpreter ends and complains
    except KeyboardInterrupt:
        raise Stop(wishes, INTERRUPTED, "interrupted") from None
    raise click.exceptions.Exit(code)


async def _last_words(errand: Errand) -> list[str]:
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            return await errand.reasons()
    return []


def resumption(wishes: Wishes, errand: Errand) -> list[str]:
    """Return the line that tells how to come to the answers that `errand` has not given."""
    if not errand.pending:
        return []
    ids = views.ranges(errand.pending)
    what = "the answer" if len(errand.pending) == 1 else "the answers"
    return [f"nothing is lost; for {what}:  {wishes.again('wait ' + ids)}"]


def _stop(wishes: Wishes, error: ClientError, *lines: str) -> Stop:
    if isinstance(error, MasterUnreachable):
        hint = (
            "start one and its workers with `make run` (or `python master.py` and"
            " `python worker.py`), or name another one with --master URL"
        )
        return Stop(wishes, OUT_OF_REACH, f"{error.detail}; {hint}", *lines)
    if isinstance(error, InputError):
        return Stop(wishes, REFUSED, error.detail, *lines)
    if not isinstance(error, ApiError):
        return Stop(wishes, OUT_OF_REACH, error.detail, *lines)
    if error.is_unknown_job:
        return Stop(wishes, UNKNOWN_JOB, error.detail)
    code = OUT_OF_REACH if error.is_bare or error.status >= 500 else REFUSED
    return Stop(wishes, code, f"{error.detail} ({error.code})", *lines)
