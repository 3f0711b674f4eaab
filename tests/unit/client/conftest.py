"""What the client's tests share."""

from collections.abc import Iterator

import pytest

from tests.scripted_master import ScriptedMaster, scripted_master


@pytest.fixture
def master() -> Iterator[ScriptedMaster]:
    """Give a test a master that says what the test scripts."""
    with scripted_master() as serving:
        yield serving
