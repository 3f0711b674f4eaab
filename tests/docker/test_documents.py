"""What the pages say to type where there are containers works, and prints what they show."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.documents import Command
from tests.reader import a_reader, pages_with, read


def is_for_containers(command: Command) -> bool:
    """Return whether a block that begins with a command is read by this test."""
    return command.program == "docker-compose"


@pytest.mark.parametrize("page", pages_with("docker-compose"))
def test_what_a_page_says_of_containers_works(page: str, tmp_path: Path) -> None:
    """Typed by a reader into a fresh clone; a project of its own, removed whatever happens."""
    folder = tmp_path / f"executor-test-{uuid4().hex[:8]}"  # the project is named after it
    with a_reader(folder) as reader:
        try:
            read(reader, page, is_for_containers)
        finally:
            reader.do(Command("docker-compose down --volumes --remove-orphans --timeout=0", ()))
