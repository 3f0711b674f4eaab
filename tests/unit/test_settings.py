"""How settings are put together, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SettingsError
from engine.settings import (
    SECTIONS,
    MasterSettings,
    Settings,
    WorkerSettings,
    as_yaml,
    from_assignment,
    from_environment,
    from_yaml,
    settle,
)

CONFIG = Path(__file__).parents[2] / "config"


def a_master(
    text: str = "", environment: dict[str, str] | None = None, *flags: str
) -> MasterSettings:
    """Return master settings made of a file's text, an environment and flags."""
    return settled(MasterSettings, "master", text, environment or {}, *flags)[0]


def a_worker(
    text: str = "", environment: dict[str, str] | None = None, *flags: str
) -> WorkerSettings:
    """Return worker settings made of a file's text, an environment and flags."""
    return settled(WorkerSettings, "worker", text, environment or {}, *flags)[0]


def settled(
    kind: type[Settings], section: str, text: str, environment: dict[str, str], *flags: str
) -> tuple[Settings, dict[str, str]]:
    """Return settings and the source of each."""
    return settle(
        kind,
        [
            *from_yaml(text, "the.yaml", section),
            *from_environment(environment),
            *(from_assignment(flag, "--set") for flag in flags),
        ],
    )


def faults_of(text: str = "", environment: dict[str, str] | None = None, *flags: str) -> list[str]:
    """Return the lines in which a master's settings are refused, without the first one's title."""
    with pytest.raises(SettingsError) as refused:
        a_master(text, environment, *flags)
    title, *faults = str(refused.value).splitlines()
    return [fault.strip() for fault in faults] or [title]


# What counts


def test_without_anything_every_setting_has_its_default() -> None:
    """A program starts without a file, on loopback."""
    settings = a_master()
    assert (settings.host, settings.port, settings.private_port) == ("127.0.0.1", 8080, None)
    assert a_worker().master == "http://127.0.0.1:8080"


def test_a_file_counts_over_a_default() -> None:
    """And leaves the others of its section alone."""
    settings = a_master("master: {workers: {dead_after: 5}}")
    assert (settings.workers.dead_after, settings.workers.max) == (5, 1000)


def test_the_environment_counts_over_a_file() -> None:
    """The same image runs with other values."""
    assert a_master("master: {port: 1}", {"EXECUTOR_PORT": "2"}).port == 2


def test_a_flag_counts_over_the_environment() -> None:
    """What was typed just now is what is meant."""
    assert a_master("master: {port: 1}", {"EXECUTOR_PORT": "2"}, "port=3").port == 3


def test_the_source_of_each_setting_is_known() -> None:
    """Nobody has to guess why a value is what it is."""
    text = "master: {port: 1, drain_s: 2, data: here}"
    _, sources = settled(
        MasterSettings, "master", text, {"EXECUTOR_DRAIN_S": "3", "EXECUTOR_DATA": "x"}, "data=y"
    )
    assert sources["host"] == "default"
    assert sources["port"] == "the.yaml"
    assert sources["drain_s"] == "EXECUTOR_DRAIN_S"
    assert sources["data"] == "--set"


# The environment and --set


def test_two_underscores_stand_for_the_dot() -> None:
    """A name may have single ones."""
    settings = a_master("", {"EXECUTOR_WORKERS__DEAD_AFTER": "7"})
    assert settings.workers.dead_after == 7


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("workers.examine=false", False),
        ("port=0", 0),
        ("limits.running_jobs=1e3", 1000),
        ("drain_s=3", 3.0),
        ("drain_s=.5", 0.5),
        ("private_port=null", None),
        ("private_port=", None),
        ("token=123", "123"),
        ("token=a=b: #c", "a=b: #c"),
        ("data=", ""),
        ("log.level=debug", "debug"),
    ],
)
def test_text_is_read_as_the_type_that_its_setting_has(flag: str, value: object) -> None:
    """As YAML would, except that what is text stays as it was typed."""
    read: Any = a_master("", {}, flag)
    for name in flag.partition("=")[0].split("."):
        read = getattr(read, name)
    assert (read, type(read)) == (value, type(value))


def test_a_list_is_separated_by_commas() -> None:
    """A shell needs no brackets."""
    assert a_worker("", {"EXECUTOR_OPERATIONS": "sum, mul"}).operations == ["sum", "mul"]


@pytest.mark.parametrize("name", ["EXECUTOR_MASTER", "EXECUTOR_CRASH_AT"])
def test_variables_that_mean_others_are_left_alone(name: str) -> None:
    """A client's and a test's may be set where a master is started."""
    assert a_master("", {name: "http://elsewhere", "PATH": "/bin"}) == MasterSettings()


def test_an_assignment_without_a_value_is_refused() -> None:
    """It says how one looks."""
    with pytest.raises(SettingsError, match=r"--set port: say key\.path=value"):
        from_assignment("port", "--set")


# Files


def test_a_program_reads_its_own_section_only() -> None:
    """One file may serve both; the other section is not judged."""
    text = "master: {port: 1}\nworker: {port: 2, nonsense: 3}"
    assert a_master(text).port == 1


@pytest.mark.parametrize("text", ["", "# nothing", "worker: {}", "master:", "master: {workers: }"])
def test_a_section_may_be_empty_or_missing(text: str) -> None:
    """One whose settings are all in comments is no fault."""
    assert a_master(text) == MasterSettings()


def test_an_anchor_may_be_merged() -> None:
    """What is written beside it counts."""
    text = "worker: &w {port: 1, drain_s: 2}\nmaster: {<<: *w, port: 3}"
    settings = a_master(text)
    assert (settings.port, settings.drain_s) == (3, 2.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("other: 1", "the top level has the sections master and worker only"),
        ("- 1", "the top level has the sections master and worker only"),
        ("master: 5", "master is a section"),
        ("master: []", "master is a section"),
        ("master: {port: 1, port: 2}", "port is given twice"),
        ("master: {limits: {task_bytes: 1, task_bytes: 1}}", "task_bytes is given twice"),
        ("master: {? [a] : 1, ? [a] : 2}", "unhashable"),
        ("a: b: c", "is no YAML"),
        ("\x00", "is no YAML"),
        ("master: !!python/object/apply:os.getpid []", "is no YAML"),
        ("master: &m {workers: *m}", "nested without end"),
        ("[" * 5000, "nested without end"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(text: str, says: str) -> None:
    """With what is wrong, and never with a traceback."""
    with pytest.raises(SettingsError) as refused:
        a_master(text)
    assert "the.yaml" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize("file", sorted(CONFIG.glob("*.yaml")), ids=lambda file: file.name)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_file_that_we_ship_can_be_used(file: Path, section: str) -> None:
    """By both programs."""
    settle(SECTIONS[section], from_yaml(file.read_text(), file.name, section))


def test_both_programs_of_the_local_file_meet() -> None:
    """Its worker announces itself where its master listens."""
    text = (CONFIG / "local.yaml").read_text()
    master = a_master(text)
    assert a_worker(text).master == f"http://{master.host}:{master.port}"


# What is refused


def test_all_faults_are_told_at_once_each_with_its_path_and_source() -> None:
    """Nobody starts a program four times to find four of them."""
    faults = faults_of(
        "master: {port: true, workers: {dead_afte: 2}}",
        {"EXECUTOR_JOBS__KEEP": "none"},
        "drain_s=0",
    )
    assert faults == [
        "port (the.yaml): Expected `int`, got `bool`",
        "workers.dead_afte (the.yaml): there is no such setting; did you mean workers.dead_after?",
        "jobs.keep (EXECUTOR_JOBS__KEEP): Expected `int`, got `str`",
        "drain_s (--set): Expected `float` > 0.0",
    ]


def test_an_unknown_name_that_is_like_no_other_says_where_all_are() -> None:
    """A guess would mislead."""
    (fault,) = faults_of("master: {zzz: 1}")
    assert fault == "zzz (the.yaml): there is no such setting; --print-config lists all"


def test_an_unknown_variable_is_refused_by_its_name() -> None:
    """A typing error must not become a default."""
    (fault,) = faults_of("", {"EXECUTOR_PROT": "1"})
    assert fault == "prot (EXECUTOR_PROT): there is no such setting; did you mean port?"


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("port=-1", ">= 0"),
        ("port=65536", "<= 65535"),
        ("workers.default_port=0", ">= 1"),
        ("port=1.5", "got `float`"),
        ("port=x", "got `str`"),
        ("port=", "got `null`"),
        ("port=[", "flow node"),
        ("workers.max=0", ">= 1"),
        ("limits.task_bytes=99999999999999", "<= 1000000000000"),
        ("drain_s=.inf", "<= 1000000000.0"),
        ("drain_s=1e400", "<= 1000000000.0"),
        ("drain_s=.nan", "> 0.0"),
        ("jobs.keep_s=.inf", "<= 1000000000.0"),
        ("dispatch.retry_budget=1.1", "<= 1.0"),
        ("dispatch.retry_budget=.nan", ">= 0.0"),
        ("log.level=loud", "'loud'"),
        ("workers=5", "is a section"),
    ],
)
def test_a_value_out_of_bounds_or_of_another_type_is_refused(flag: str, says: str) -> None:
    """Bounds are part of the type."""
    (fault, *_) = faults_of("", {}, flag)
    assert fault.startswith(f"{flag.partition('=')[0]} (--set): ")
    assert says in " ".join(faults_of("", {}, flag))


def test_a_number_where_text_belongs_is_refused_with_the_remedy() -> None:
    """A token of digits: YAML would have dropped its leading zeros."""
    (fault,) = faults_of("master: {token: 0123}")
    assert fault == "token (the.yaml): Expected `str`, got `int`; put it in quotes"


def test_a_number_in_quotes_is_text() -> None:
    """And no port."""
    (fault,) = faults_of('master: {port: "80"}')
    assert fault == "port (the.yaml): Expected `int`, got `str`"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://", "http://a b"])
def test_a_worker_needs_the_url_of_its_master(url: str) -> None:
    """It would try for ever to announce itself to what is none."""
    with pytest.raises(SettingsError, match=r"master \(--set\): Expected a URL, such as http://"):
        a_worker("", {}, f"master={url}")


# What is shown


def test_what_is_shown_says_where_each_value_comes_from() -> None:
    """One line a setting."""
    shown = as_yaml(*settled(MasterSettings, "master", "", {"EXECUTOR_LOG__LEVEL": "debug"}))
    assert "  port: 8080  # default\n" in shown
    assert "  log:\n    level: debug  # EXECUTOR_LOG__LEVEL\n" in shown


def test_a_token_is_never_shown() -> None:
    """Only that there is one."""
    shown = as_yaml(*settled(WorkerSettings, "worker", "", {}, "token=secret"))
    assert "secret" not in shown
    assert "token: (set)  # --set" in shown


@given(
    name=st.text(st.characters(codec="utf-8"), max_size=200),
    operations=st.lists(st.text(min_size=1, max_size=100), min_size=1, max_size=30),
    drain_s=st.floats(min_value=1e-300, max_value=1e9),
)
def test_what_is_shown_can_be_read_again(name: str, operations: list[str], drain_s: float) -> None:
    """Whatever the values, `--print-config` makes a file that gives the same settings."""
    settings = WorkerSettings(name=name, operations=operations, drain_s=drain_s)
    sources = settle(WorkerSettings, [])[1]
    again, _ = settle(WorkerSettings, from_yaml(as_yaml(settings, sources), "the.yaml", "worker"))
    assert again == settings


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_shown(section: str) -> None:
    """The defaults are the documentation."""
    kind = SECTIONS[section]
    settings, sources = settle(kind, [])
    shown = yaml.safe_load(as_yaml(settings, sources))[section]

    def paths(tree: dict[str, Any]) -> set[str]:
        nested = {key: value for key, value in tree.items() if isinstance(value, dict)}
        inner = {f"{key}.{path}" for key, value in nested.items() for path in paths(value)}
        return inner | set(tree) - set(nested)

    assert paths(shown) == set(sources)
