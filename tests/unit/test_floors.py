"""The house keeps its shape: a module imports only from the floors below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Floors from the bottom up, as docs/architecture.md draws them. A name stands for the module, or
# for every module of the package.
FLOORS: list[tuple[str, ...]] = [
    (
        "engine.errors",
        "engine.job",
        "engine.clock",
        "engine.crashpoints",
        "engine.latency",
        "engine.wakefulness",
        "engine.allowance",
        "engine.waits",
        "engine.standing",
        "engine.settings",
        "engine.arithmetic",
        "engine.address",
        "engine.tracecontext",
        "engine.expression",
    ),
    (
        "engine.messages",
        "engine.flags",
        "engine.logs",
        "engine.fusion",
        "engine.plan",
        "engine.admission",
        "engine.fairqueue",
        "engine.hedging",
        "engine.pool",
        "engine.retry",
        "engine.exchange",
        "engine.examination",
        "engine.verification",
        "engine.again",
        "engine.tally",
        "engine.trace",
        "engine.why",
    ),
    (
        "engine.outbound",
        "engine.transport",
        "engine.store",
        "engine.responder",
        "engine.site",
        "engine.web",
        "engine.requestparser",
        "engine.inbound",
        "engine.server",
        "engine.turns",
        "engine.headstart",
        "engine.collector",
    ),
    (
        "engine.calls",
        "engine.dispatcher",
        "engine.health",
        "engine.outcomes",
        "engine.retention",
        "engine.roof",
    ),
    ("engine.pipeline", "engine.planner"),
    ("engine.core",),
    ("engine.master", "engine.worker", "engine.client"),
    ("master", "worker", "client"),
]

# On one floor a module may use another one if this says so: from left to right.
NEIGHBOURS = {
    ("engine.job", "engine.errors"),
    ("engine.arithmetic", "engine.errors"),
    ("engine.arithmetic", "engine.job"),
    ("engine.expression", "engine.errors"),
    ("engine.expression", "engine.job"),
    ("engine.expression", "engine.arithmetic"),
    ("engine.crashpoints", "engine.errors"),
    ("engine.settings", "engine.errors"),
    ("engine.logs", "engine.messages"),
    ("engine.address", "engine.errors"),
    ("engine.plan", "engine.fusion"),
    ("engine.fusion", "engine.messages"),
    ("engine.exchange", "engine.fusion"),
    ("engine.trace", "engine.fusion"),
    ("engine.transport", "engine.outbound"),
    ("engine.site", "engine.responder"),
    ("engine.web", "engine.site"),
    ("engine.inbound", "engine.web"),
    ("engine.requestparser", "engine.responder"),
    ("engine.requestparser", "engine.web"),
    ("engine.inbound", "engine.responder"),
    ("engine.inbound", "engine.requestparser"),
    ("engine.server", "engine.inbound"),
    ("engine.headstart", "engine.store"),
    ("engine.dispatcher", "engine.calls"),
    ("engine.standing", "engine.latency"),
    ("engine.admission", "engine.plan"),
    ("engine.exchange", "engine.messages"),
    ("engine.examination", "engine.exchange"),
    ("engine.verification", "engine.exchange"),
    ("engine.tally", "engine.exchange"),
    ("engine.trace", "engine.exchange"),
    ("engine.why", "engine.messages"),
    ("engine.why", "engine.trace"),
    ("engine.trace", "engine.messages"),
    ("engine.trace", "engine.plan"),
}


def home(module: str) -> tuple[int, str]:
    """Return the floor of a module and the name that it has there."""
    for floor, names in enumerate(FLOORS):
        for name in names:
            if module == name or module.startswith(f"{name}."):
                return floor, name
    raise LookupError(f"{module} has no floor: give it one here and in docs/architecture.md")


def ours() -> list[Path]:
    """Return every module of the product."""
    roofs = [path for path in ROOT.glob("*.py") if path.stem in ("master", "worker", "client")]
    inside = (ROOT / "engine").rglob("*.py")
    return roofs + sorted(path for path in inside if path.name != "__init__.py")


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """Return the modules of ours that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {
                name
                for name in inner
                if (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
            }
            found |= modules or {node.module}
    return {
        name for name in found if name.split(".")[0] in ("engine", "master", "worker", "client")
    }


@pytest.mark.parametrize("path", ours(), ids=name_of)
def test_a_module_imports_only_from_the_floors_below_it(path: Path) -> None:
    """Neighbours on a floor know each other only where the table says so."""
    floor, name = home(name_of(path))
    for imported in imports(path):
        if imported == "engine":
            continue
        other_floor, other = home(imported)
        assert other == name or other_floor < floor or (name, other) in NEIGHBOURS, (
            f"{name} (floor {floor}) must not import {imported} (floor {other_floor})"
        )


# What waits, or lies outside of the process; and who may use it though it is on the lowest floors.
FOREIGN = {
    *(
        "tornado",
        "pycurl",
        "httptools",
        "sqlite3",
        "click",
        "rich",
        "asyncio",
        "selectors",
        "threading",
        "queue",
    ),
    *(
        "socket",
        "ssl",
        "http",
        "subprocess",
        "signal",
        "os",
        "pathlib",
        "tempfile",
        "shutil",
        "time",
    ),
}
EXCEPTIONS = {
    "engine.clock": {"asyncio", "time"},  # the loop's own
    "engine.flags": {"pathlib"},  # reads the settings' file
    "engine.crashpoints": {"os", "signal"},  # kills this process, where a test wants it
    "engine.exchange": {"http"},  # the names of its statuses
    "engine.logs": {"time"},  # how a time is written
}


def roots(path: Path) -> set[str]:
    """Return the first parts of all names that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def test_the_floors_that_decide_need_no_loop_no_socket_and_no_file() -> None:
    """All of it can be tried with a table of numbers."""
    for path in ours():
        floor, _ = home(name_of(path))
        if floor <= 1:
            used = roots(path) & FOREIGN
            assert used == EXCEPTIONS.get(name_of(path), set()), name_of(path)


def test_what_ships_knows_nothing_of_its_tests_and_its_measurements() -> None:
    """Nor of how it is tried out by hand."""
    for path in ours():
        assert not roots(path) & {"tests", "bench", "deploy", "pytest"}, name_of(path)
