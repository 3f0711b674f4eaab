"""The stacks that the container tests share: each is started once, and removed whatever happens."""

from collections.abc import Generator, Iterator

import pytest

from tests.docker.compose import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Give a stack of one master; a test that wants workers scales them."""
    yield from _running(Stack())


@pytest.fixture(scope="module")
def dedicated() -> Iterator[Stack]:
    """Give a stack in which each worker takes one operation."""
    yield from _running(Stack("deploy/dedicated.yml"))


@pytest.fixture(scope="module")
def faulty() -> Iterator[Stack]:
    """Give a stack whose master verifies everything, with workers that lie or die."""
    yield from _running(Stack("tests/docker/faulty.yml"))


def _running(stack: Stack) -> Iterator[Stack]:
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the containers wrote when a test has failed: they are gone when somebody looks."""
    report = yield
    if report.failed:
        stacks = [it for it in item.funcargs.values() if isinstance(it, Stack)]
        report.sections += [(f"containers of {stack}", stack.logs()) for stack in stacks]
    return report
