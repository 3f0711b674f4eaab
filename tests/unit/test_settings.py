"""How settings are put together, and what is said when they cannot be used."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SettingsError
from engine.settings import (
    MasterSettings,
    Section,
    Value,
    WorkerSettings,
    as_yaml,
    from_assignment,
    from_environment,
    from_yaml,
    settle,
)

YAML = "settings.yaml"


def yaml_values(text: str, section: str = "master") -> list[Value]:
    """Return what a file says for a section."""
    return list(from_yaml(text, YAML, section))


def faults_of(*values: Value, kind: type[Section] = MasterSettings) -> list[str]:
    """Return the faults that settling these values tells, one a line."""
    with pytest.raises(SettingsError) as refused:
        settle(kind, values)
    return [line.strip() for line in str(refused.value).splitlines()[1:]]


def environment(variables: Mapping[str, str]) -> list[Value]:
    """Return what the environment says."""
    return list(from_environment(variables))


def test_without_any_value_every_setting_has_its_default() -> None:
    """And says so."""
    settings, sources = settle(MasterSettings, [])
    assert settings == MasterSettings()
    assert set(sources.values()) == {"default"}


def test_of_several_values_for_a_setting_the_last_one_counts() -> None:
    """The sources are handed in in the order of their precedence."""
    values = [
        *yaml_values("master: {port: 1, host: yaml, data: yaml}"),
        *environment({"EXECUTOR_PORT": "2", "EXECUTOR_HOST": "environment"}),
        from_assignment("port=3", "--port"),
    ]
    settings, sources = settle(MasterSettings, values)
    assert (settings.port, settings.host, settings.data) == (3, "environment", "yaml")
    assert sources["port"] == "--port"
    assert sources["host"] == "EXECUTOR_HOST"
    assert sources["data"] == YAML
    assert sources["drain_s"] == "default"


def test_a_nested_setting_is_reached_from_every_source() -> None:
    """By YAML's nesting, by `__` and by a dot."""
    by_yaml = yaml_values("master: {limits: {task_bytes: 7}}")
    by_environment = environment({"EXECUTOR_LIMITS__TASK_BYTES": "7"})
    by_flag = [from_assignment("limits.task_bytes=7", "--set")]
    for values in (by_yaml, by_environment, by_flag):
        settings, _ = settle(MasterSettings, values)
        assert settings.limits.task_bytes == 7
        assert settings.limits.body_bytes == MasterSettings().limits.body_bytes


def test_every_fault_is_told_at_once_with_its_path_and_its_source() -> None:
    """Nobody has to mend them one by one."""
    faults = faults_of(
        *yaml_values("master: {port: many, limits: {task_bytes: -1}}"),
        *environment({"EXECUTOR_DRAIN_S": "0"}),
        from_assignment("workers.examine=maybe", "--set"),
        from_assignment("dispatch.nonsense=1", "--set"),
    )
    assert [fault.partition(":")[0] for fault in faults] == [
        "port (settings.yaml)",
        "limits.task_bytes (settings.yaml)",
        "drain_s (EXECUTOR_DRAIN_S)",
        "workers.examine (--set)",
        "dispatch.nonsense (--set)",
    ]


def test_an_unknown_setting_is_told_the_nearest_one() -> None:
    """A typing error must not become a default."""
    (near,) = faults_of(from_assignment("limits.task_byte=1", "--set"))
    assert near.endswith("did you mean limits.task_bytes?")
    (far,) = faults_of(from_assignment("zzz=1", "--set"))
    assert far.endswith("--print-config lists all")


@pytest.mark.parametrize(
    "text",
    [
        "master: {port: 70000}",
        "master: {port: -1}",
        "master: {port: 1.5}",
        "master: {port: true}",
        "master: {port: null}",
        "master: {port: [1]}",
        "master: {host: 1}",
        "master: {limits: 1}",
        "master: {limits: {task_bytes: 0}}",
        "master: {drain_s: .nan}",
        "master: {drain_s: .inf}",
        "master: {dispatch: {retry_budget: 1.5}}",
        "master: {workers: {examine: 1}}",
        "master: {log: {level: loud}}",
        "master: {token: 17}",
    ],
)
def test_a_value_that_does_not_fit_is_refused(text: str) -> None:
    """By type and by bounds."""
    assert len(faults_of(*yaml_values(text))) == 1


@pytest.mark.parametrize(
    "token", ["secret\n", " secret", "secret ", "a\r\nX: b", "gehe\u00efm", "\x00"]
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    """A file's line break, most likely: it would begin a header of its own."""
    with pytest.raises(SettingsError, match="printable ASCII") as raised:
        settle(MasterSettings, [Value(("token",), token, "test")])
    assert token not in str(raised.value)


def test_a_number_where_text_belongs_is_refused_with_the_remedy() -> None:
    """A token of digits: YAML would have dropped its leading zeros."""
    (fault,) = faults_of(*yaml_values("master: {token: 0123}"))
    assert fault == "token (settings.yaml): Expected `str`, got `int`; put it in quotes"


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://", "http://a b"])
def test_a_worker_needs_the_url_of_its_master(url: str) -> None:
    """It would try for ever to announce itself to what is none."""
    (fault,) = faults_of(from_assignment(f"master={url}", "--master"), kind=WorkerSettings)
    assert fault == "master (--master): Expected a URL, such as http://127.0.0.1:8080"


@pytest.mark.parametrize("text", ["1e3", "1000.0", "1_000", "0x3e8"])
def test_a_whole_number_may_be_written_as_one_likes(text: str) -> None:
    """A count of 1e3 is a thousand."""
    assert settle(MasterSettings, [from_assignment(f"jobs.keep={text}", "f")])[0].jobs.keep == 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("false", False), ("yes", True), ("off", False)],
)
def test_text_becomes_a_truth_value_as_in_yaml(text: str, expected: bool) -> None:
    """From the environment and from flags."""
    settings, _ = settle(MasterSettings, [from_assignment(f"workers.examine={text}", "--set")])
    assert settings.workers.examine is expected


@pytest.mark.parametrize("text", ["1e3", "1000", "1000.0"])
def test_text_becomes_a_number(text: str) -> None:
    """YAML 1.1 takes 1e3 for text."""
    values = [from_assignment(f"jobs.keep_s={text}", "--set")]
    assert settle(MasterSettings, values)[0].jobs.keep_s == 1000.0


@pytest.mark.parametrize("text", ["123", "true", "null", "a: b", "1e3", ""])
def test_text_for_a_text_setting_stays_as_it_is(text: str) -> None:
    """A token of digits is no number."""
    settings, _ = settle(MasterSettings, [from_assignment(f"token={text}", "--set")])
    assert settings.token == text


def test_a_value_may_hold_an_equals_sign() -> None:
    """The first one ends the name."""
    settings, _ = settle(MasterSettings, [from_assignment("token=a=b==", "--set")])
    assert settings.token == "a=b=="  # noqa: S105  # a test's


def test_null_takes_an_optional_value_back() -> None:
    """A later source can undo an earlier one."""
    values = [*yaml_values("master: {private_port: 1}"), from_assignment("private_port=null", "f")]
    assert settle(MasterSettings, values)[0].private_port is None


def test_an_assignment_without_an_equals_sign_is_refused() -> None:
    """It says what it should be."""
    with pytest.raises(SettingsError, match=r"say key\.path=value"):
        from_assignment("port", "--set")


def test_operations_are_separated_by_commas_or_a_list() -> None:
    """Blanks around them do not count."""
    by_flag = settle(WorkerSettings, [from_assignment("operations=sum, mul", "--operations")])[0]
    by_yaml = settle(WorkerSettings, yaml_values("worker: {operations: [sum, mul]}", "worker"))[0]
    assert by_flag.operations == by_yaml.operations == ["sum", "mul"]


@pytest.mark.parametrize("text", ["", "sum,,mul", ","])
def test_operations_without_a_name_are_refused(text: str) -> None:
    """A worker that takes nothing is none."""
    assert faults_of(from_assignment(f"operations={text}", "f"), kind=WorkerSettings)


@pytest.mark.parametrize("source", ["master: {workers: 5}", "master: {workers: [1]}"])
def test_a_section_is_no_setting(source: str) -> None:
    """And is not taken for a mistyped one."""
    (fault,) = faults_of(*yaml_values(source))
    assert fault == "workers (settings.yaml): is a section; set what is in it"


def test_a_section_may_be_empty() -> None:
    """All that is in it may be in comments."""
    assert settle(MasterSettings, yaml_values("master:\n  limits:\n"))[0] == MasterSettings()


def test_sections_may_be_merged() -> None:
    """By YAML's own way; what is written beside it counts."""
    text = "worker: &w {port: 1, drain_s: 2}\nmaster: {<<: *w, port: 3}"
    settings, _ = settle(MasterSettings, yaml_values(text))
    assert (settings.port, settings.drain_s) == (3, 2.0)


def test_a_program_reads_its_own_section_of_a_file() -> None:
    """One file may serve both."""
    text = "master: {port: 1}\nworker: {port: 2}"
    assert settle(MasterSettings, yaml_values(text, "master"))[0].port == 1
    assert settle(WorkerSettings, yaml_values(text, "worker"))[0].port == 2


@pytest.mark.parametrize("text", ["", "# nothing", "master:", "master: {}", "worker: {port: 1}"])
def test_a_file_may_say_nothing(text: str) -> None:
    """That is no fault."""
    assert yaml_values(text) == []


@pytest.mark.parametrize("text", ["port: 1", "[1]", "1", "masters: {port: 1}", "1: 2"])
def test_a_file_with_anything_but_sections_is_refused(text: str) -> None:
    """It says which there are."""
    with pytest.raises(SettingsError, match="the sections master and worker only"):
        yaml_values(text)


@pytest.mark.parametrize("text", ["master: [1]", "master: 1", "master: text"])
def test_a_section_that_is_no_mapping_is_refused(text: str) -> None:
    """It holds settings by their names."""
    with pytest.raises(SettingsError):
        settle(MasterSettings, yaml_values(text))


@pytest.mark.parametrize(
    "text",
    [
        "master: {",
        "master: {port: 1",
        "\t",
        "master: *x",
        "{a: b: c}",
        "? [1]\n: 2\n}",
        "\0",
        "{[1]: 1, [1]: 2}",
        "master: &m {workers: *m}",
        "[" * 5_000,
    ],
)
def test_a_file_that_cannot_be_read_is_refused(text: str) -> None:
    """With the file's name: neither depth nor a loop is a traceback."""
    with pytest.raises(SettingsError, match=YAML):
        yaml_values(text)


@pytest.mark.parametrize(
    "text",
    [
        "master: {port: 1, port: 2}",
        "master: {port: 1}\nmaster: {host: x}",
        "master: {limits: {task_bytes: 1, task_bytes: 1}}",
    ],
)
def test_a_key_that_is_given_twice_is_refused(text: str) -> None:
    """YAML itself would let the last one count without a word."""
    with pytest.raises(SettingsError, match="given twice"):
        yaml_values(text)


@pytest.mark.parametrize("text", ["master: !!python/object/apply:os.getcwd []", "master: !x 1"])
def test_a_file_makes_no_objects(text: str) -> None:
    """Settings are data."""
    with pytest.raises(SettingsError):
        yaml_values(text)


def test_variables_of_others_are_no_settings() -> None:
    """Neither those of other programs, nor the client's, the tests' and compose's."""
    others = {"PATH": "x", "MASTER": "x", "EXECUTOR_MASTER": "x", "EXECUTOR_CRASH_AT": "x"}
    assert environment(others | {"EXECUTOR_PUBLISH": "x"}) == []


def test_what_is_printed_tells_every_source_and_hides_the_token() -> None:
    """And it can be read back as a file."""
    values = [from_assignment("token=hunter2", "--set"), *environment({"EXECUTOR_PORT": "7"})]
    settings, sources = settle(MasterSettings, values)
    text = as_yaml(settings, sources)
    assert "hunter2" not in text
    assert "  port: 7  # EXECUTOR_PORT" in text.splitlines()
    assert "  token: (set)  # --set" in text.splitlines()
    assert all("#" in line or line.endswith(":") for line in text.splitlines())
    again, _ = settle(MasterSettings, yaml_values(text))
    assert msgspec.structs.replace(again, token="hunter2") == settings  # noqa: S106  # a test's


@pytest.mark.parametrize("kind", [MasterSettings, WorkerSettings])
def test_the_defaults_can_be_read_back(kind: type[Section]) -> None:
    """Whatever is printed is a file that says the same."""
    settings, sources = settle(kind, [])
    section = "master" if kind is MasterSettings else "worker"
    assert settle(kind, yaml_values(as_yaml(settings, sources), section))[0] == settings


@given(
    name=st.text(st.characters(codec="utf-8"), max_size=200),
    operations=st.lists(st.text(min_size=1, max_size=100), min_size=1, max_size=30),
    drain_s=st.floats(min_value=1e-300, max_value=1e9),
)
def test_whatever_the_values_what_is_printed_can_be_read_back(
    name: str, operations: list[str], drain_s: float
) -> None:
    """Quotes, control characters, text that looks like a number and tiny numbers included."""
    settings = WorkerSettings(name=name, operations=operations, drain_s=drain_s)
    text = as_yaml(settings, settle(WorkerSettings, [])[1])
    assert settle(WorkerSettings, yaml_values(text, "worker"))[0] == settings


def test_a_long_setting_is_printed_on_one_line() -> None:
    """Its source stands behind it, not in the middle."""
    operations = [f"operation_{number}" for number in range(30)]
    settings = WorkerSettings(name="long name " * 30, operations=operations)
    _, sources = settle(WorkerSettings, [])
    lines = as_yaml(settings, sources).splitlines()
    assert len(lines) == len(sources) + len(("worker:", "log:"))
