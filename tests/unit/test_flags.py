"""The flags of master.py and worker.py: precedence, and what is said about mistakes."""

from pathlib import Path

import pytest

from engine.flags import master_settings, worker_settings

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give a test a file of settings."""
    file = tmp_path / "settings.yaml"
    file.write_text("master: {port: 1, host: file, data: file}\nworker: {port: 2}\n")
    return file


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str, **variables: str) -> str:
    """Return what is said on stderr by a master that leaves with the code for usage."""
    with pytest.raises(SystemExit) as left:
        master_settings(arguments, variables)
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


def test_a_flag_counts_before_the_environment_before_the_file_before_the_default(
    config: Path,
) -> None:
    """Whatever is nearer to the person counts."""
    variables = {"EXECUTOR_PORT": "3", "EXECUTOR_HOST": "environment"}
    settings = master_settings(["--config", str(config), "--port", "4"], variables)
    assert (settings.port, settings.host, settings.data) == (4, "environment", "file")
    assert settings.drain_s == 5.0


def test_set_reaches_every_setting_and_the_last_one_counts() -> None:
    """It may be given again and again, and counts before a flag of its own."""
    arguments = [
        "--set",
        "jobs.keep=500",
        "--port",
        "1",
        "--set",
        "port=2",
        "--set",
        "jobs.keep=600",
    ]
    settings = master_settings(arguments, {})
    assert (settings.jobs.keep, settings.port) == (600, 2)


def test_all_flags_of_a_master_are_settings() -> None:
    """Each is a short way to give one."""
    arguments = ["--host", "h", "--port", "1", "--private-port", "2", "--data", ""]
    settings = master_settings(arguments, {})
    assert (settings.host, settings.port, settings.private_port, settings.data) == ("h", 1, 2, "")


def test_all_flags_of_a_worker_are_settings() -> None:
    """Each is a short way to give one."""
    arguments = ["--master", "http://m", "--host", "h", "--port", "0", "--name", "n"]
    settings = worker_settings([*arguments, "--operations", "sum,mul"], {})
    assert (settings.master, settings.host, settings.port) == ("http://m", "h", 0)
    assert (settings.name, settings.operations) == ("n", ["sum", "mul"])


def test_the_masters_url_in_the_environment_is_a_workers_setting_and_no_masters() -> None:
    """The same variable serves clients."""
    variables = {"EXECUTOR_MASTER": "http://m:1"}
    assert worker_settings([], variables).master == "http://m:1"
    assert worker_settings(["--master", "http://n:1"], variables).master == "http://n:1"
    master_settings([], variables)


def test_all_faults_of_all_sources_are_told_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With the file's name, the variable and the flag."""
    file = tmp_path / "wrong.yaml"
    file.write_text("master: {prot: 1}")
    said = refusal(capsys, "--config", str(file), "--port", "x", EXECUTOR_DRAIN_S="-1")
    assert f"prot ({file}): there is no such setting; did you mean port?" in said
    assert "port (--port)" in said
    assert "drain_s (EXECUTOR_DRAIN_S)" in said


def test_a_file_that_is_not_there_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    """With its name."""
    assert "no-such.yaml cannot be read" in refusal(capsys, "--config", "no-such.yaml")


def test_a_file_that_is_no_text_is_said_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With its name."""
    file = tmp_path / "binary.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "binary.yaml cannot be read" in refusal(capsys, "--config", str(file))


@pytest.mark.parametrize("arguments", [["--prot", "1"], ["--por", "1"], ["x"], ["--port"]])
def test_a_mistyped_flag_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """No abbreviation is guessed."""
    assert "usage: master.py" in refusal(capsys, *arguments)


@pytest.mark.parametrize("arguments", [["--set", "port"], ["--set", "=1"], ["--set", "a.b.c=1"]])
def test_a_set_that_sets_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """It says what is wrong with it."""
    assert "--set" in refusal(capsys, *arguments)


def test_print_config_tells_each_source_and_hides_the_token(
    capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    """On stdout, and then the program leaves with success."""
    arguments = ["--config", str(config), "--port", "4", "--print-config"]
    with pytest.raises(SystemExit) as left:
        master_settings(arguments, {"EXECUTOR_TOKEN": "hunter2"})
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  port: 4  # --port" in lines
    assert f"  host: file  # {config}" in lines
    assert "  token: (set)  # EXECUTOR_TOKEN" in lines
    assert "  drain_s: 5.0  # default" in lines


@pytest.mark.parametrize("name", sorted(file.name for file in CONFIG.glob("*.yaml")))
def test_every_file_that_we_ship_can_be_used(name: str) -> None:
    """By both programs: each ignores the other one's section."""
    assert name in {"local.yaml", "master.yaml", "worker.yaml"}
    master_settings(["--config", str(CONFIG / name)], {})
    worker_settings(["--config", str(CONFIG / name)], {})


def test_the_images_master_and_worker_find_each_other() -> None:
    """What one listens on is what the other one calls."""
    master = master_settings(["--config", str(CONFIG / "master.yaml")], {})
    worker = worker_settings(["--config", str(CONFIG / "worker.yaml")], {})
    assert worker.master == f"http://master:{master.private_port}"
    assert worker.port == master.workers.default_port
