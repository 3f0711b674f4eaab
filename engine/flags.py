"""The flags of master.py and worker.py: each is a short way to give one setting."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.errors import SettingsError
from engine.settings import (
    MasterSettings,
    Settings,
    Value,
    WorkerSettings,
    as_yaml,
    from_assignment,
    from_environment,
    from_yaml,
    settle,
)

EXIT_USAGE = 2

MASTER_FLAGS = {
    "host": "address to listen on",
    "port": "public port; 0 takes any that is free",
    "private-port": "port for workers alone",
    "data": "directory of the record; '' keeps jobs in memory",
}
WORKER_FLAGS = {
    "master": "URL of the master",
    "host": "address to listen on",
    "port": "port to listen on; 0 takes any that is free",
    "name": "name to announce",
    "operations": "what to compute, separated by commas: sum,mul",
}


def master_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> MasterSettings:
    """Return what flags, environment and file make for a master; leaves on `--print-config`."""
    return _settings(MasterSettings, "master", MASTER_FLAGS, arguments, environment)


def worker_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> WorkerSettings:
    """Return what flags, environment and file make for a worker; leaves on `--print-config`."""
    return _settings(WorkerSettings, "worker", WORKER_FLAGS, arguments, environment)


def _settings(
    kind: type[Settings],
    section: str,
    flags: Mapping[str, str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> Settings:
    parser = argparse.ArgumentParser(prog=f"{section}.py", allow_abbrev=False)
    parser.add_argument("--config", metavar="FILE", help="YAML file with the settings")
    for flag, meaning in flags.items():
        parser.add_argument(f"--{flag}", metavar=flag.upper(), help=meaning)
    parser.add_argument(
        "--set", metavar="KEY.PATH=VALUE", action="append", default=[], help="any other setting"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the settings and where they come from"
    )
    given = parser.parse_args(arguments)
    try:
        values = [*_from_file(given.config, section), *_environment(section, environment)]
        values += _from_flags(given, flags)
        settings, sources = settle(kind, values)
    except SettingsError as error:
        parser.exit(EXIT_USAGE, f"{section}.py: {error}\n")
    if given.print_config:
        sys.stdout.write(as_yaml(settings, sources))
        parser.exit(0)
    return settings


def _from_file(name: str | None, section: str) -> list[Value]:
    if name is None:
        return []
    try:
        return list(from_yaml(Path(name).read_text(encoding="utf-8"), name, section))
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{name} cannot be read: {error}") from None


def _environment(section: str, environment: Mapping[str, str]) -> Iterator[Value]:
    yield from from_environment(environment)
    if section == "worker" and "EXECUTOR_MASTER" in environment:
        yield Value(("master",), environment["EXECUTOR_MASTER"], "EXECUTOR_MASTER")


def _from_flags(given: argparse.Namespace, flags: Mapping[str, str]) -> Iterator[Value]:
    for flag in flags:
        key = flag.replace("-", "_")
        text = getattr(given, key)
        if text is not None:
            yield from_assignment(f"{key}={text}", f"--{flag}")
    for assignment in given.set:
        yield from_assignment(assignment, "--set")
