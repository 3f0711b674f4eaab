"""The flags of both programs, and what they print before they leave."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.flags import master_settings, worker_settings


def test_each_flag_of_a_master_gives_one_setting() -> None:
    """Also by the path that a dash stands in."""
    settings = master_settings(
        ["--host", "::1", "--port", "0", "--private-port", "7", "--data", ""], {}
    )
    assert (settings.host, settings.port, settings.private_port) == ("::1", 0, 7)
    assert settings.data == ""


def test_each_flag_of_a_worker_gives_one_setting() -> None:
    """Operations are separated by commas."""
    settings = worker_settings(
        ["--master", "http://m", "--port", "9", "--name", "w", "--operations", "sum,mul"], {}
    )
    assert (settings.master, settings.port, settings.name) == ("http://m", 9, "w")
    assert settings.operations == ["sum", "mul"]


def test_any_other_setting_is_given_by_its_path() -> None:
    """As often as one likes."""
    settings = master_settings(["--set", "workers.max=3", "--set", "jobs.keep=4"], {})
    assert (settings.workers.max, settings.jobs.keep) == (3, 4)


def test_a_flag_counts_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """Each source has a value for what the next one has."""
    file = tmp_path / "the.yaml"
    file.write_text("master: {host: file, port: 1, drain_s: 1}")
    settings = master_settings(
        ["--config", str(file), "--port", "3"], {"EXECUTOR_PORT": "2", "EXECUTOR_DRAIN_S": "2"}
    )
    assert (settings.host, settings.drain_s, settings.port) == ("file", 2.0, 3)


def test_a_worker_finds_its_master_in_the_environment() -> None:
    """Where the client finds it, too; a flag counts over it."""
    environment = {"EXECUTOR_MASTER": "http://a"}
    assert worker_settings([], environment).master == "http://a"
    assert worker_settings(["--master", "http://b"], environment).master == "http://b"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "x"], "port (--port): Expected `int`"),
        (["--set", "port"], "--set port: say key.path=value"),
        (["--set", "prt=1"], "did you mean port?"),
        (["--config", "/nowhere/at/all.yaml"], "/nowhere/at/all.yaml cannot be read"),
        (["--config", "."], ". cannot be read"),
        (["--prot", "1"], "--prot"),
        (["--por", "1"], "--por"),
        (["stray"], "stray"),
    ],
)
@pytest.mark.parametrize("read", [master_settings, worker_settings])
def test_what_cannot_be_used_is_a_sentence_and_exit_2(
    read: Callable[[Sequence[str], dict[str, str]], Any],
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On stderr; an abbreviated flag is none, so that a new one never changes its meaning."""
    with pytest.raises(SystemExit) as left:
        read(arguments, {})
    printed = capsys.readouterr()
    assert (left.value.code, printed.out) == (2, "")
    assert says in printed.err


def test_a_file_that_is_no_utf8_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like one that is not there."""
    file = tmp_path / "the.yaml"
    file.write_bytes(b"master: {data: \xff}")
    with pytest.raises(SystemExit):
        master_settings(["--config", str(file)], {})
    assert f"{file} cannot be read" in capsys.readouterr().err


def test_print_config_prints_the_settings_and_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, as YAML that can be used as a file; the token is not shown."""
    with pytest.raises(SystemExit) as left:
        worker_settings(["--print-config", "--name", "w"], {"EXECUTOR_TOKEN": "secret"})
    printed = capsys.readouterr().out
    assert left.value.code == 0
    assert "name: w  # --name" in printed
    assert "secret" not in printed
    assert yaml.safe_load(printed)["worker"]["port"] == 8082
