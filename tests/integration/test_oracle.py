"""Random expressions through real HTTP and three real workers: every outcome is Python's."""

from random import Random

import pytest

from deploy.local import LocalCluster
from tests.expressions import exact, oracle, random_expression
from tests.integration.serving import Caller

pytestmark = pytest.mark.gen_test

EXPRESSIONS = 1000
BULK = 250


async def test_a_thousand_random_expressions_end_as_python_says() -> None:
    """In value and type, or in the code of the error that left-to-right evaluation meets first."""
    rng = Random(20_240_229)
    tasks = [random_expression(rng) for _ in range(EXPRESSIONS)]
    with LocalCluster(3, ["--data", ""]) as cluster:
        master = Caller(cluster.url)
        for first in range(0, EXPRESSIONS, BULK):
            bulk = {"tasks": tasks[first : first + BULK]}
            jobs = (await master.post("/submit", bulk)).json["jobs"]
            assert [job["job_id"] for job in jobs] == list(range(first + 1, first + BULK + 1))
        expected = [oracle(task) for task in tasks]
        for job_id, right in enumerate(expected, 1):
            status = (await master.get(f"/job/{job_id}?wait=60")).json
            assert status["finished"]
            if isinstance(right, str):
                assert status["error"] == right, status
            else:
                assert exact(status["answer"]) == exact(right), status
        assert {state["state"] for state in (await master.get("/workers")).json} == {"live"}
        master.close()
    assert sum(isinstance(right, str) for right in expected) > 20, "failures belong to it"
