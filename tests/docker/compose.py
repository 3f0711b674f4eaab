"""A stack: one master and its workers under docker-compose, as a user would start them.

Everything goes the user's way: the `docker-compose` and `docker` commands, and the public API on
its published port. Waiting is done by computing: the master answers a job when it is finished, and
whatever else must come about is looked at between two rounds of jobs, whose answers are checked.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

from deploy.ports import held_port
from tests.expressions import exact, oracle, random_expression

ROOT = Path(__file__).parents[2]
Json = Any  # a test knows which shape it asks for
COMPOSE = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
LOOK_EVERY_S = 0.1  # at a master that does not answer yet: a busy look would slow it down
TASKS_PER_ROUND = 30  # enough operations at once that a worker left out of them is idle


class Stack:
    """A compose project with a name, a published port and a volume of its own."""

    def __init__(self, *overrides: str) -> None:
        self.project = f"executor-test-{uuid4().hex[:8]}"
        self._held = ExitStack()
        self.address = f"127.0.0.1:{self._held.enter_context(held_port())}"
        files = ["docker-compose.yml", *overrides]
        self._compose = [*COMPOSE, *(f"--file={file}" for file in files)]
        self._random = Random(self.project)  # the name is in every report: enough to repeat a run

    def __repr__(self) -> str:
        return f"<Stack {self.project} at {self.address}>"

    def compose(self, *arguments: str) -> str:
        """Run Compose on this project and return what it prints."""
        environment = os.environ | {"PUBLISH": self.address}
        return _output(*self._compose, "-p", self.project, *arguments, environment=environment)

    def up(self, **scale: int) -> None:
        """Start what is not running, with so many containers of each service named."""
        scales = [f"--scale={service}={count}" for service, count in scale.items()]
        self.compose("up", "--detach", "--build", *scales)

    def down(self) -> None:
        """Remove containers, networks and the record."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=0")
        self._held.close()

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers."""
        return self.compose("ps", "--quiet", service).split()

    def network(self, name: str) -> str:
        """Return what the engine calls one of the two networks, `public` or `workers`."""
        return f"{self.project}_{name}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Json]:
        """Send a request to the public port; return the status and the JSON that came back."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"http://{self.address}{path}", data, method=method)
        try:
            with urlopen(request) as response:  # noqa: S310  # always http
                return response.status, json.load(response)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)

    def get(self, path: str) -> Json:
        """Return the JSON that is at `path`."""
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def submit(self, tasks: Sequence[str]) -> list[int]:
        """Submit tasks in one request and return their job ids, in order."""
        status, answer = self.ask("POST", "/submit", {"tasks": tasks})
        assert status == 200, answer
        return [job["job_id"] for job in answer["jobs"]]

    def outcome(self, job_id: int) -> Json:
        """Return a job's answer, or its error code, as soon as it has finished."""
        while True:
            job = self.get(f"/job/{job_id}?wait=60")
            if job["finished"]:
                return job.get("error", job["answer"])

    def is_right(self, job_ids: Iterable[int], tasks: Iterable[str]) -> bool:
        """Wait for jobs and return whether each has the answer that Python gives to its task."""
        outcomes = [exact(self.outcome(job_id)) for job_id in job_ids]
        expected: list[Json] = [oracle(task) for task in tasks]
        return outcomes == [exact(it) for it in expected]

    def compute_until(self, condition: Callable[[], bool]) -> None:
        """Compute round after round of random tasks, all rightly, until the condition holds."""
        while True:
            tasks = [random_expression(self._random) for _ in range(TASKS_PER_ROUND)]
            assert self.is_right(self.submit(tasks), tasks)
            if condition():
                return

    def until_ready(self) -> None:
        """Wait until the master, which was restarted, takes tasks."""
        while True:
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return
            except (OSError, HTTPException):
                pass  # nobody listens yet, or only the engine's proxy does
            time.sleep(LOOK_EVERY_S)

    def states(self) -> list[str]:
        """Return what the master thinks of each worker."""
        return [worker["state"] for worker in self.get("/workers")]

    def live_workers(self) -> list[Json]:
        """Return what the master says of each worker that is live."""
        return [worker for worker in self.get("/workers") if worker["state"] == "live"]

    def logs(self) -> str:
        """Return the last lines that each container wrote."""
        return self.compose("logs", "--no-color", "--tail=100")


def docker(*arguments: str) -> str:
    """Run the docker command and return what it prints."""
    return _output("docker", *arguments)


def addresses(container: str) -> list[str]:
    """Return the IP addresses of a container, one for each of its networks."""
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    return docker("inspect", "--format", shape, container).split()


def _output(*command: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,  # the assertion below shows what the command had to say
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
