"""Every setting with its default and its reason, and how settings are put together. Pure.

A value comes from the last of: the default here, the file, the environment, the flags. Unknown
names and values that do not fit are refused, all of them at once, each with its path and its
source: a typing error must not become a default. Nothing else in the house has defaults.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
import yaml
from msgspec import Meta

from engine.errors import SettingsError

Count = Annotated[int, Meta(ge=1, le=10**12)]  # a typing error, not a wish, is beyond
Seconds = Annotated[float, Meta(gt=0, le=1e9)]  # 30 years; an infinite wait is a hang
Share = Annotated[float, Meta(ge=0, le=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]  # 0: any that is free
OperationName = Annotated[str, Meta(min_length=1, max_length=100)]
Url = Annotated[str, Meta(pattern=r"^https?://\S+\Z")]
UrlOrNone = Annotated[str, Meta(pattern=r"^(https?://\S+)?\Z")]
A_URL = "a URL, such as http://127.0.0.1:8080"
# It goes into a header: blanks around it are lost there, and a line's end begins another header.
Token = Annotated[str, Meta(pattern=r"^([!-~]([ -~]*[!-~])?)?\Z")]

ENVIRONMENT_PREFIX = "EXECUTOR_"
NOT_SETTINGS = frozenset({"MASTER", "CRASH_AT", "PUBLISH"})  # the client's, the tests', compose's
SECRET = "token"  # noqa: S105  # the name of the setting whose value is never shown


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A group of settings."""


class LimitsSettings(Section, frozen=True, kw_only=True):
    """What the master takes before it says no. Each bound protects its memory."""

    task_bytes: Count = 1024 * 1024
    """A longer task is refused with 413. To plan one that is all `+1` takes 130 bytes a character,
    and 60 are kept while it runs; where there are long numbers, next to nothing."""
    body_bytes: Count = 16 * 1024 * 1024
    """A request of many tasks, at most. A connection may hold as much in memory."""
    tasks_per_submit: Count = 10_000
    """More tasks in one request hold up everybody else's commits."""
    running_jobs: Count = 2_000
    """Jobs in progress at once; the rest waits in the store. Each holds its plan in memory."""
    running_bytes: Count = 8 * 1024 * 1024
    """Text of the large jobs in progress at once (`jobs.large_bytes`): their plans are large."""
    unfinished_jobs: Count = 1_000_000
    """Over it, submissions are answered 503: the disk is not endless."""
    waiting_submissions: Count = 20_000
    """Tasks that wait for their commit; over it 503, before the store falls behind for seconds."""
    event_readers: Count = 64
    """Pages that follow `/events` at once; over it 503. Each is sent some kilobytes a second."""
    connections: Count = 5_000
    """Open connections to one port; over it new ones are closed. Below the process's limit of
    open files, so that workers and the store always get theirs."""


class WorkersSettings(Section, frozen=True, kw_only=True):
    """How workers are found, examined and watched."""

    default_port: Annotated[int, Meta(ge=1, le=65535)] = 8082
    """Where a worker listens that announces no address."""
    max: Count = 1_000
    """Workers in the pool. More would let anybody fill the master's memory with announcements."""
    examine: bool = True
    """Without it a worker that computes wrongly is let in, and its answers with it."""
    announce_s: Seconds = 1.0
    """How often workers announce themselves: how soon a restarted master finds them again."""
    probe_s: Seconds = 1.0
    """Silence after which a worker is probed. With the two below: how soon a death is seen."""
    probe_timeout_s: Seconds = 1.0
    """A worker that is busy may be slow to answer; half of it counts for one that is suspect."""
    suspect_probe_s: Seconds = 0.2
    """Pause between the probes of a suspect."""
    dead_after: Count = 3
    """Probes in a row without an answer. 1 declares dead what dropped one packet."""
    dead_probe_s: Seconds = 2.0
    """Pause between the probes of the dead: how soon one that is silent comes back."""
    probes_per_s: Count = 200
    """Over the whole pool; in a large one each worker is probed, and announces, less often."""
    forget_s: Seconds = 600.0
    """How long a dead worker stays in the list, for people to see it."""
    readmit_min_s: Seconds = 1.0
    """Pause before a worker that died is admitted again; it doubles with each death."""
    readmit_max_s: Seconds = 30.0
    """And the longest such pause: what a worker in a crash loop costs at most."""


class DispatchSettings(Section, frozen=True, kw_only=True):
    """How operations are handed to workers, and tried again."""

    call_timeout_s: Seconds = 2.0
    """How long a hung worker can hold an operation. Must exceed what a call may rightly take."""
    connect_timeout_s: Seconds = 1.0
    """A connection is made in a millisecond or, to a host that is gone, never."""
    calls_per_worker: Count = 2
    """Two keep the wire busy while a worker computes; more only make its queue longer."""
    batch: Count = 512
    """Operations in one call at most. More save nothing: the call is 1 % of such a batch."""
    fuse_from: Annotated[int, Meta(ge=0)] = 8
    """Operations that wait for each call that the workers can hold, from which on whatever waits
    only for what is aboard a call travels with it: then nothing is quicker by being spread wider.
    With fewer, a job is spread operation by operation. 0: never."""
    target_call_s: Seconds = 0.05
    """A worker gets no more at once than it is expected to compute in this time: what a job of
    one operation may have to wait for."""
    attempts: Count = 10
    """After so many failures of one operation its job fails. No connection is no failure of it."""
    backoff_min_s: Seconds = 0.05
    """Ceiling of the pause before the third attempt (the second is at once); it doubles."""
    backoff_max_s: Seconds = 2.0
    """And its largest value."""
    retry_budget: Share = 0.2
    """Share of the operations in flight that may be retries: a storm of them would be the second
    failure."""
    retry_min: Count = 10
    """And how many may be in any case."""
    poison_deaths: Count = 3
    """Workers that may die with an operation aboard before its job fails for it: different ones,
    or, where there are fewer, the same ones again."""
    verify: Share = 0.0
    """Share of the operations that are asked of a second worker too, and of others while those
    differ. 1.0 believes nobody alone, at twice the work; a small share finds who lies, after
    some lies. 0 takes the examination for enough. Above 0 nothing is fused: each operation is
    judged by itself."""
    hedge_share: Share = 0.05
    """Operations that may be asked for a second time elsewhere when they are late, as a share of
    all, while workers idle. 0 never does; more buys little: the rest is late for other reasons."""


class JobsSettings(Section, frozen=True, kw_only=True):
    """What becomes of jobs."""

    deadline_s: Seconds | None = None
    """Seconds after submission at which an unfinished job fails. None: it waits for workers."""
    keep: Annotated[int, Meta(ge=100, le=10**12)] = 100_000
    """Finished jobs whose record is kept; older ones are forgotten. `/jobs` promises 100."""
    keep_s: Seconds | None = None
    """Seconds for which the record of a finished job is kept. None: as long as there is room."""
    balance_from: Annotated[int, Meta(ge=0)] = 16
    """Operations of a job from which on its runs of integer additions and of multiplications
    become trees: log n rounds, not n. To look for them costs a microsecond an operation, more
    than a shorter job saves. 0: never."""
    chain_from: Annotated[int, Meta(ge=0)] = 32
    """Operations, each waiting for the one before only, from which on such a run travels to one
    worker in one call, however little waits. 0: never."""
    trace_operations: Annotated[int, Meta(ge=0)] = 200_000
    """Operations of finished jobs whose history is kept in memory, some 70 bytes each."""
    large_bytes: Count = 4 * 1024
    """Longer tasks are planned piece by piece, between other work, and count as large."""


class LogSettings(Section, frozen=True, kw_only=True):
    """What is logged, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error."""
    format: Literal["text", "json"] = "text"
    """text for people, json for machines."""


class MasterSettings(Section, frozen=True, kw_only=True):
    """The settings of a master."""

    host: str = "127.0.0.1"
    """Where it listens. Loopback, until somebody decides who may submit."""
    port: Port = 8080
    """The public port."""
    private_port: Port | None = None
    """A port for workers alone; then they are not on the public one."""
    data: str = "data"
    """Directory of the record; '' keeps jobs in memory and loses them with the process."""
    token: Token = ""
    """A secret shared with the workers; '' asks for none."""
    drain_s: Seconds = 5.0
    """How long calls in flight may take when the master is told to stop."""
    limits: LimitsSettings = LimitsSettings()
    workers: WorkersSettings = WorkersSettings()
    dispatch: DispatchSettings = DispatchSettings()
    jobs: JobsSettings = JobsSettings()
    log: LogSettings = LogSettings()


class WorkerSettings(Section, frozen=True, kw_only=True):
    """The settings of a worker."""

    name: str = ""
    """'' makes one of the host's name and the port."""
    host: str = "127.0.0.1"
    """Where it listens."""
    port: Port = 8082
    """0 takes any that is free, and announces it."""
    master: Url = "http://127.0.0.1:8080"
    """Where it announces itself."""
    url: UrlOrNone = ""
    """The address to announce; '' lets the master take the one that it sees."""
    operations: Annotated[list[OperationName], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["sum", "sub", "mul", "div"]
    )
    """What it computes. Fewer dedicate it."""
    batch: Count = 512
    """Operations that it takes in one call."""
    token: Token = ""
    """The secret shared with the master."""
    announce_timeout_s: Seconds = 2.0
    """A master that does not answer within it is tried again."""
    drain_s: Seconds = 5.0
    """How long calls in hand may take when the worker is told to stop."""
    log: LogSettings = LogSettings()


SECTIONS: dict[str, type[Section]] = {"master": MasterSettings, "worker": WorkerSettings}

Settings = TypeVar("Settings", bound=Section)


class Value(NamedTuple):
    """A value somebody gave for the setting at a path, and where: to be told when it is wrong."""

    path: tuple[str, ...]
    value: object
    source: str

    @property
    def name(self) -> str:
        """The path as people write it."""
        return ".".join(self.path)


def from_yaml(text: str, source: str, section: str) -> Iterator[Value]:
    """Yield the settings of `section` in a YAML file, which may have sections of others too."""
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # it is a SafeLoader
        yield from _flat(_section_of(document, source, section), (), source)
    except yaml.YAMLError as error:
        raise SettingsError(f"{source} is no YAML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{source} is nested without end; write it flat") from None


def _section_of(document: object, source: str, section: str) -> dict[Any, Any]:
    if document is None:
        return {}
    if not isinstance(document, dict) or not set(document) <= set(SECTIONS):
        raise SettingsError(f"{source}: the top level has the sections master and worker only")
    settings = document.get(section)
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise SettingsError(f"{source}: {section} is a section; write its settings as key: value")
    return settings


def _flat(tree: object, path: tuple[str, ...], source: str) -> Iterator[Value]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, (*path, str(key)), source)
    else:
        yield Value(path, tree, source)


def from_environment(environment: Mapping[str, str]) -> Iterator[Value]:
    """Yield what `EXECUTOR_LIMITS__TASK_BYTES=...` and its like say; `__` stands for the dot."""
    for variable, text in sorted(environment.items()):
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if name != variable and name not in NOT_SETTINGS:
            yield Value(tuple(name.lower().split("__")), _Text(text), variable)


def from_assignment(text: str, source: str) -> Value:
    """Return what a flag like `--set key.path=value` says."""
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"{source} {text}: say key.path=value")
    return Value(tuple(name.strip().split(".")), _Text(value), source)


class _Text(str):
    """A value that came as text, of whatever type the setting has."""

    __slots__ = ()


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key that is given twice, and reads 1e3 as the number it is."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(twice)} is given twice; keep one", node.start_mark
            )
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Writes what `_StrictLoader` reads: text that looks like 1e3 has to have quotes."""


for _side in (_StrictLoader, _Dumper):
    _side.add_implicit_resolver(  # YAML 1.2 does; to 1.1, a float needs a point and a sign
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+\Z"),
        list("-+.0123456789"),
    )


def settle(kind: type[Settings], values: Iterable[Value]) -> tuple[Settings, dict[str, str]]:
    """Return the settings that `values` make, later ones counting, and each one's source.

    Raises `SettingsError` that lists every fault.
    """
    known = dict(_leaves(kind, ()))
    faults: list[str] = []
    given: dict[tuple[str, ...], object] = {}
    sources = {".".join(path): "default" for path in known}
    sections = {path[:depth] for path in known for depth in range(1, len(path))}
    for value in values:
        leaf = known.get(value.path)
        if leaf is not None:
            try:
                given[value.path] = _converted(value.value, leaf)
                sources[value.name] = value.source
            except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
                faults.append(_unfit(value, leaf, error))
        elif value.path not in sections:
            faults.append(_unknown(value, known))
        elif value.value is not None:  # a section may be empty, all in comments
            faults.append(f"{value.name} ({value.source}): is a section; set what is in it")
    if faults:
        raise SettingsError("these settings cannot be used:\n  " + "\n  ".join(faults))
    return _built(kind, given, ()), sources


def _leaves(kind: type[Section], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name in kind.__struct_fields__:
            if isinstance(hint, type) and issubclass(hint, Section):
                yield from _leaves(hint, (*path, name))
            else:
                yield (*path, name), hint


def _converted(value: object, hint: Any) -> object:  # noqa: ANN401  # a type, with its bounds
    if isinstance(value, _Text):
        if _plain(hint) is str:
            value = str(value)
        elif get_origin(_plain(hint)) is list:
            value = [item.strip() for item in value.split(",")]
        else:
            value = yaml.load(value, Loader=_StrictLoader)  # noqa: S506  # it is a SafeLoader
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1e3 is a number of things too, and an integer is a float to msgspec
    return msgspec.convert(value, hint)


def _plain(hint: Any) -> Any:  # noqa: ANN401  # a type
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _unfit(value: Value, hint: Any, error: Exception) -> str:  # noqa: ANN401  # a type
    says = str(error)
    if _plain(hint) is str and isinstance(value.value, int | float):
        says += "; put it in quotes"
    elif "matching regex" in says:  # the other patterns are those of URLs
        is_token = hint is Token
        says = f"Expected {'printable ASCII, no blanks at its ends' if is_token else A_URL}"
    return f"{value.name} ({value.source}): {says}"


def _unknown(value: Value, known: Iterable[tuple[str, ...]]) -> str:
    near = difflib.get_close_matches(value.name, [".".join(path) for path in known], 1)
    hint = f"; did you mean {near[0]}?" if near else "; --print-config lists all"
    return f"{value.name} ({value.source}): there is no such setting{hint}"


def _built(
    kind: type[Settings], given: dict[tuple[str, ...], object], path: tuple[str, ...]
) -> Settings:
    fields: dict[str, object] = {}
    for name, hint in get_type_hints(kind).items():
        if isinstance(hint, type) and issubclass(hint, Section):
            fields[name] = _built(hint, given, (*path, name))
        elif (*path, name) in given:
            fields[name] = given[*path, name]
    return kind(**fields)


def as_yaml(settings: Section, sources: Mapping[str, str]) -> str:
    """Return settings as YAML, each with its source in a comment; secrets are not shown."""
    section = next(name for name, kind in SECTIONS.items() if isinstance(settings, kind))
    lines = [f"{section}:"]
    _write(settings, sources, (), lines)
    return "\n".join(lines) + "\n"


def _write(
    section: Section, sources: Mapping[str, str], path: tuple[str, ...], lines: list[str]
) -> None:
    indent = "  " * (len(path) + 1)
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, Section):
            lines.append(f"{indent}{name}:")
            _write(value, sources, (*path, name), lines)
        else:
            shown = "(set)" if name == SECRET and value else value
            text = yaml.dump(shown, Dumper=_Dumper, default_flow_style=True, width=inf)
            text = text.removesuffix("...\n").strip()
            lines.append(f"{indent}{name}: {text}  # {sources['.'.join((*path, name))]}")
