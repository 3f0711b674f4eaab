"""Let schemathesis call a live master as its own description says: `python -m tests.openapi`.

It sends what the description allows and what it forbids, and follows the links from answer to
answer; a finding is whatever the master answers otherwise than it says. Arguments go to
schemathesis.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local import LocalCluster

SETTINGS = Path(__file__).with_name("schemathesis.toml")
BOUNDS = ("--max-examples", "100", "--seed", "47")  # for each call: a minute in all


def main(schemathesis: str, *arguments: str) -> int:
    """Start a master with a worker, let it be called, stop both; return the exit code."""
    with TemporaryDirectory() as folder, LocalCluster(1, ["--data", f"{folder}/data"]) as cluster:
        description = f"{cluster.url}/openapi.json"
        program = (str(Path(schemathesis).absolute()), "--config-file", str(SETTINGS))
        return subprocess.run(
            [*program, "run", description, *BOUNDS, *arguments],
            cwd=folder,  # it leaves files where it runs
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
