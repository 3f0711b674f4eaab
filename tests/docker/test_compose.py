"""The images under docker-compose: what holds only where there are containers and networks."""

import errno
from random import Random

import pytest

from tests.docker.compose import Stack, addresses, docker
from tests.docker.faulty_worker import POISON

JOBS = 1000
SERVICES = ("master", "worker")
OPERATIONS = {"sum": "1.5 + 2", "sub": "1.5 - 2", "mul": "1.5 * 2", "div": "1.5 / 2"}


def a_long_task(rng: Random) -> str:
    """Return a task of 199 operations: a thousand of them last longer than a `docker kill`."""
    numbers = iter([rng.choice([rng.randint(1, 99), rng.random()]) for _ in range(200)])
    return "+".join(f"({a}*{b}-{c})/{d}" for a, b, c, d in zip(*[numbers] * 4, strict=True))


def each_has_computed(stack: Stack, count: int) -> bool:
    """Whether there are so many live workers, and each has completed an operation."""
    live = stack.live_workers()
    return len(live) == count and all(worker["completed"] > 0 for worker in live)


def state_of(stack: Stack, container: str) -> str | None:
    """Return what the master thinks of the worker in a container, by the address it has now."""
    urls = [f"http://{address}:8082" for address in addresses(container)]
    states = [it["state"] for it in stack.get("/workers") if it["url"] in urls]
    return states[0] if states else None


def completed(stack: Stack) -> dict[str, int]:
    """Return how many operations were completed by the workers of each."""
    return {"+".join(it["operations"]): it["completed"] for it in stack.live_workers()}


def connected_from(network: str, address: str) -> bool:
    """Whether a container in a network can connect to a worker's port at an address."""
    connect = f"import socket; print(socket.socket().connect_ex(('{address}', 8082)))"
    attempt = f"import socket; socket.setdefaulttimeout(2); {connect}"
    image = ("--entrypoint", "python3", "executor-worker")
    return docker("run", "--rm", "--network", network, *image, "-c", attempt).strip() == "0"


def test_a_task_submitted_on_the_host_is_answered(stack: Stack) -> None:
    """The published port, the master, the internal network and a worker are joined."""
    stack.up(worker=1)
    assert stack.outcome(*stack.submit(["1+(2*3)/4-5"])) == -2.5


def test_each_of_three_workers_computes(stack: Stack) -> None:
    """`--scale worker=3` gives three workers that all work."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))


def test_a_worker_killed_in_the_middle_costs_no_job(stack: Stack) -> None:
    """The jobs that it had a part in are finished by the others, and every answer is right."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))
    tasks = [a_long_task(Random(number)) for number in range(JOBS)]
    job_ids = stack.submit(tasks)
    docker("kill", stack.containers("worker")[0])
    assert stack.get("/jobs?status=unfinished"), "the kill came after the last answer"
    assert stack.is_right(job_ids, tasks)


def test_scaling_to_five_and_back_to_one_goes_on(stack: Stack) -> None:
    """New workers are given work, and those that leave take no job with them."""
    stack.up(worker=5)
    stack.compute_until(lambda: each_has_computed(stack, 5))
    tasks = [a_long_task(Random(number)) for number in range(JOBS)]
    job_ids = stack.submit(tasks)
    stack.up(worker=1)
    assert stack.is_right(job_ids, tasks)
    stack.compute_until(lambda: each_has_computed(stack, 1))


def test_a_job_waits_while_there_is_no_worker(stack: Stack) -> None:
    """It is neither refused nor failed, and goes on with the first worker that comes."""
    stack.up(worker=0)
    [job_id] = stack.submit(["6*7"])
    assert not stack.get(f"/job/{job_id}?wait=1")["finished"]
    stack.up(worker=1)
    assert stack.outcome(job_id) == 42


def test_a_frozen_worker_is_passed_over_and_taken_back(stack: Stack) -> None:
    """A worker that answers nothing dies by its probes, and lives again when they come back."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))
    frozen = stack.containers("worker")[0]
    docker("pause", frozen)
    try:
        stack.compute_until(lambda: state_of(stack, frozen) == "dead")
    finally:
        docker("unpause", frozen)
    stack.compute_until(lambda: state_of(stack, frozen) == "live")


def test_a_worker_cut_off_from_the_network_comes_back_by_itself(stack: Stack) -> None:
    """Whichever address it has afterwards."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))
    lost = stack.containers("worker")[0]
    docker("network", "disconnect", stack.network("workers"), lost)
    stack.compute_until(lambda: len(stack.live_workers()) == 2)
    docker("network", "connect", stack.network("workers"), lost)
    stack.compute_until(lambda: state_of(stack, lost) == "live")


def test_the_record_outlives_the_master(stack: Stack) -> None:
    """A master killed with jobs under way is replaced: every job is there, and ends rightly."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))
    tasks = [a_long_task(Random(number)) for number in range(JOBS)]
    job_ids = stack.submit(tasks)
    docker("kill", *stack.containers("master"))
    stack.compose("rm", "--force", "master")
    stack.up(worker=3)
    assert stack.is_right(job_ids, tasks)


def test_a_rolling_restart_of_all_workers_under_load_fails_no_job(stack: Stack) -> None:
    """Each takes leave, finishes what it has, and comes back, while the others go on."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))
    tasks = [a_long_task(Random(number)) for number in range(JOBS)]
    job_ids: list[int] = []
    for container in stack.containers("worker"):
        job_ids += stack.submit(tasks)
        docker("restart", container)
        assert stack.get("/jobs?status=unfinished"), "the restart came after the last answer"
    assert stack.is_right(job_ids, 3 * tasks)
    stack.compute_until(lambda: each_has_computed(stack, 3))


def test_a_restart_of_the_master_under_load_loses_no_job(stack: Stack) -> None:
    """Those that had not ended resume, and the workers come back without help."""
    stack.up(worker=3)
    stack.compute_until(lambda: each_has_computed(stack, 3))
    tasks = [a_long_task(Random(number)) for number in range(JOBS)]
    job_ids = stack.submit(tasks)
    assert stack.get("/jobs?status=unfinished"), "the restart comes after the last answer"
    stack.compose("restart", "master")
    stack.until_ready()
    assert stack.is_right(job_ids, tasks)
    stack.compute_until(lambda: each_has_computed(stack, 3))


def test_a_worker_that_lies_after_its_examination_is_rejected_and_no_answer_is_wrong(
    faulty: Stack,
) -> None:
    """With everything verified the liar, outvoted by two, has no part in any answer."""
    faulty.up(worker=2, liar=1, fragile=0)
    faulty.compute_until(lambda: "rejected" in faulty.states())
    faulty.compute_until(lambda: each_has_computed(faulty, 2))
    [reason] = [it["reason"] for it in faulty.get("/workers") if it["state"] == "rejected"]
    assert ", should be " in reason


def test_a_poison_operation_fails_its_own_job_and_no_other(faulty: Stack) -> None:
    """It kills three workers, which their supervisor starts again."""
    faulty.up(worker=0, liar=0, fragile=3)
    faulty.compute_until(lambda: each_has_computed(faulty, 3))
    tasks = [a_long_task(Random(number)) for number in range(100)]
    job_ids = faulty.submit(tasks)
    [poison] = faulty.submit([f"({POISON}*3)+1"])
    assert faulty.outcome(poison) == "poison_operation"
    assert faulty.is_right(job_ids, tasks)
    faulty.compute_until(lambda: each_has_computed(faulty, 3))


def test_a_master_that_is_stopped_drains_and_exits_with_zero(stack: Stack) -> None:
    """Its volume is all that a new start needs."""
    stack.up(worker=1)
    [master] = stack.containers("master")
    [job_id] = stack.submit(["2*21"])
    stack.compose("stop", "master")
    assert docker("inspect", "--format", "{{.State.ExitCode}}", master).strip() == "0"
    stack.up(worker=1)
    assert stack.outcome(job_id) == 42


def test_workers_cannot_be_reached_from_the_public_network(stack: Stack) -> None:
    """Of the containers, only those of the internal network can call one."""
    stack.up(worker=1)
    [address] = addresses(*stack.containers("worker"))
    inside, outside = (connected_from(stack.network(it), address) for it in ("workers", "public"))
    assert (inside, outside) == (True, False)


def test_the_workers_network_is_internal(stack: Stack) -> None:
    """The engine lets nothing of it out: a worker talks to its master and to nobody else."""
    internal = docker("network", "inspect", "--format", "{{.Internal}}", stack.network("workers"))
    assert internal.strip() == "true"


def test_workers_publish_no_port(stack: Stack) -> None:
    """The host offers the public API alone."""
    stack.up(worker=1)
    published = {service: docker("port", *stack.containers(service)) for service in SERVICES}
    assert published == {"master": f"8080/tcp -> {stack.address}\n", "worker": ""}


def test_the_private_api_is_not_on_the_public_port(stack: Stack) -> None:
    """Nobody announces a worker from the host."""
    status, problem = stack.ask("POST", "/worker", {"worker_name": "stranger"})
    assert (status, problem["error"]) == (404, "not_found")


@pytest.mark.parametrize("service", SERVICES)
def test_containers_do_not_run_as_root(stack: Stack, service: str) -> None:
    """The user is a number, so that an orchestrator can check it."""
    stack.up(worker=1)
    assert docker("exec", *stack.containers(service), "id", "-u").strip() == "10001"


@pytest.mark.parametrize("service", SERVICES)
def test_containers_are_read_only_even_for_root(stack: Stack, service: str) -> None:
    """Nothing can be written but the record and /tmp."""
    stack.up(worker=1)
    write = "try: open('/app/x', 'w')\nexcept OSError as error: print(error.errno)"
    command = ("exec", "--user", "0", *stack.containers(service), "python3", "-c", write)
    assert docker(*command).strip() == str(errno.EROFS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_dedicated_worker_gets_its_operation_and_no_other_does(
    dedicated: Stack, operation: str
) -> None:
    """`deploy/dedicated.yml` has a service for each operation, and the master heeds it."""
    dedicated.compute_until(lambda: each_has_computed(dedicated, 4))
    before = completed(dedicated)
    assert dedicated.is_right(dedicated.submit([OPERATIONS[operation]]), [OPERATIONS[operation]])
    grown = {name for name, count in completed(dedicated).items() if count > before[name]}
    assert grown == {operation}
