"""What a person types is understood, or refused with an example of what would be."""

from typing import TypeVar

import click
import pytest
from click.testing import CliRunner, Result

from engine.client.arguments import JobIds, MasterUrl, OneJob, SubmitCommand, common
from engine.client.session import Wishes

Value = TypeVar("Value")


@click.command(cls=SubmitCommand)
@click.argument("expression")
@click.option("--wait", is_flag=True)
@common()
@click.make_pass_decorator(Wishes, ensure=True)
def told(wishes: Wishes, expression: str, wait: bool) -> None:
    """Print what was understood."""
    click.echo(repr((expression, wait, wishes.timeout_s, wishes.quiet)))


def typed(*args: str) -> Result:
    """Return what comes of a command line."""
    return CliRunner().invoke(told, args)


def read(kind: click.ParamType[Value], text: str) -> Value:
    """Return what an argument stands for."""
    return kind.convert(text, None, None)


@pytest.mark.parametrize(
    "expression", ["-1+2", "-(1)", "--1", "-.5", "- 1", "-+-2*3", "-1e-5", "+1", "-\t(1)"]
)
@pytest.mark.parametrize(
    ("options", "understood"),
    [
        ([], (False, None, False)),
        (["--wait"], (True, None, False)),
        (["--timeout", "60"], (False, 60.0, False)),
        (["-q"], (False, None, True)),
    ],
)
def test_what_begins_with_a_minus_is_an_expression_or_an_option(
    expression: str, options: list[str], understood: tuple[object, ...]
) -> None:
    """The one before and behind the other, and behind --."""
    for args in ([expression, *options], [*options, expression], [*options, "--", expression]):
        assert typed(*args).stdout == f"{(expression, *understood)!r}\n"


@pytest.mark.parametrize("option", ["--wiat", "-w", "--timout=1", "-x+1"])
def test_a_mistyped_option_is_reported_as_one(option: str) -> None:
    """And not taken for an expression."""
    result = typed("1+1", option)
    assert result.exit_code == 2
    assert "No such option" in result.stderr


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("https://example.com/", "https://example.com"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_host_and_a_port_will_do_for_an_address(text: str, url: str) -> None:
    """The rest of a URL is put around it."""
    assert read(MasterUrl(), text) == url


@pytest.mark.parametrize(
    "text", ["ftp://x", "http://:80", "http://x:999999", "http://x:0", "a b", "http://[", "ä"]
)
def test_what_is_no_address_is_refused_with_what_one_looks_like(text: str) -> None:
    """Before anybody is called."""
    with pytest.raises(click.BadParameter, match="give http://host:port"):
        read(MasterUrl(), text)


def test_jobs_are_a_number_or_a_range() -> None:
    """Both ends of a range are in it."""
    assert (read(JobIds(), "47"), read(JobIds(), "12-14")) == (range(47, 48), range(12, 15))


def test_jobs_from_the_last_to_the_first_are_refused() -> None:
    """They would be none, and a script would take silence for success."""
    with pytest.raises(click.BadParameter, match="'9-5' has no jobs; write 5-9"):
        read(JobIds(), "9-5")
    assert read(JobIds(), "5-5") == range(5, 6)


@pytest.mark.parametrize("text", ["abc", "-1", "1-2", "", "1.5", "\u0661", "1" * 5_000])
def test_what_is_not_one_job_is_refused_with_how_a_job_is_named(text: str) -> None:
    """In the same words, and not at length."""
    assert read(OneJob(), "47") == 47
    with pytest.raises(click.BadParameter, match="is no job; give a number like 47") as raised:
        read(OneJob(), text)
    assert len(raised.value.message) < 150


@pytest.mark.parametrize("text", ["x", "1-", "1-x", "", "1.5", "\u0661"])
def test_what_is_no_job_is_refused_with_how_jobs_are_named(text: str) -> None:
    """By numbers only."""
    with pytest.raises(click.BadParameter, match="give a number like 47"):
        read(JobIds(), text)
