"""The workers of docs/workers.md, run as a reader would save them, at a master on a real port."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from deploy.ports import held_port
from tests.documents import example
from tests.expressions import exact, oracle, random_expression
from tests.integration.serving import Caller, ServedMaster, a_master
from tests.reader import EXAMPLES, EXAMPLES_PAGE

SEED = 47
TASKS = 500
HARD_TASKS = (
    "9007199254740993/3",
    "(9007199254740993*3)/7",
    f"{2**54 + 1}/{2**53 + 1}",
    f"{2**2000 + 1}/{2**1990 + 3}",
    f"{2**1074 - 1}/{2**2148}",
    f"{3**400}/{7**300}",
    f"-{10**400}/{10**399}",
    "0/-5",
    "-0.0*3",
    "6/3",
    f"{2**53 + 1}+0.5",
    f"{10**300}*1e9",
    f"{10**400}*1.5",
    f"1.5/{10**400}",
    f"{10**4200}*{10**200}",
    "5e-324/2",
    "1e308*10",
    "1/(2-2)",
)


@asynccontextmanager
async def running_example(
    language: str, interpreter: Sequence[str], folder: Path
) -> AsyncIterator[tuple[ServedMaster, Caller]]:
    """Run the example as a process, and give its master, whose only worker it is, and itself."""
    program = folder / EXAMPLES[language]
    program.write_text(example(EXAMPLES_PAGE, language))
    with held_port() as port:
        async with a_master() as master:
            process = await asyncio.create_subprocess_exec(
                *interpreter, str(program), f"127.0.0.1:{master.port}", str(port)
            )
            worker = Caller(f"http://127.0.0.1:{port}")
            try:
                yield master, worker
            finally:
                worker.close()
                process.kill()
                await process.wait()


async def assert_computes_as_python_does(master: ServedMaster) -> None:
    """Compute tasks from a seed, and some that are hard to get right, and compare with `eval`."""
    rng = Random(SEED)
    tasks = [*HARD_TASKS, *(random_expression(rng) for _ in range(TASKS))]
    jobs = (await master.post("/submit", {"tasks": tasks})).json["jobs"]
    for task, job in zip(tasks, jobs, strict=True):
        told = (await master.get(f"/job/{job['job_id']}?wait=60")).json
        assert exact(told.get("error", told["answer"])) == exact(oracle(task)), task
    (worker,) = (await master.get("/workers")).json
    assert worker["state"] == "live"
    assert worker["completed"] > TASKS
