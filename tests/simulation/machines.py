"""The processes of a simulated world: one master that is killed and started again, many workers.

Both are made of the product's own objects: `Master` with everything in it, and the `Announcer` of
a worker. Only what lies outside a process is scripted: network, disk, clock and signals.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from engine.errors import ExecutorError
from engine.master.announcements import locate
from engine.master.assembly import Master
from engine.messages import Announcement, AnnouncementTaken, Reader, encode
from engine.settings import MasterSettings
from engine.worker.announcer import Announcer, Response
from tests.simulation.disk import Disk, SimulatedStore
from tests.simulation.network import Call, Network, ScriptedTransport, ScriptedWorker
from tests.simulation.nonsense import Nonsense

EPOCH = 1_700_000_000.0
ANNOUNCE_TIMEOUT_S = 2.0
DRAIN_S = 5.0

Answer = TypeVar("Answer")

_announcement: Reader[Announcement] = Reader(Announcement)


class Gone(Exception):
    """Raised when the master cannot be reached, or was killed before it answered."""


class SimulatedClock:
    """The loop's time; the wall clock can be set wrong."""

    def __init__(self) -> None:
        self.wall_offset_s = 0.0

    def now(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return the time of day, as far as this machine knows it."""
        return EPOCH + self.now() + self.wall_offset_s

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


class MasterMachine:
    """The machine that a master runs on: its disk and its clock outlive it."""

    def __init__(
        self,
        settings: MasterSettings,
        network: Network,
        disk: Disk,
        random: Random,
        on_sent: Callable[[Call], None] = lambda _call: None,
        on_over: Callable[[Call], None] = lambda _call: None,
    ) -> None:
        self.settings = settings
        self.network = network
        self.disk = disk
        self.clock = SimulatedClock()
        self.life = 0  # which master this is, counted from 1
        self.master: Master | None = None
        self.store: SimulatedStore | None = None
        self._random = random
        self._on_sent = on_sent
        self._on_over = on_over
        self._transport: ScriptedTransport | None = None
        self._requests: dict[asyncio.Task[Any], asyncio.Future[Any]] = {}

    @property
    def up(self) -> bool:
        """Whether a master runs and answers."""
        return self.master is not None

    async def start(self) -> None:
        """Start a master on the disk as it is."""
        assert self.master is None
        self.life += 1
        self.store = SimulatedStore(self.disk, Random(self._random.random()))
        self._transport = ScriptedTransport(self.network, self._on_sent, self._on_over)
        self.master = Master(
            self.settings,
            self._transport,
            self.store,
            self.clock,
            Random(self._random.random()),
        )
        await self.master.start()

    async def kill(self) -> None:
        """Kill it as a power cut does: what was not synced is gone, and nobody is told anything.

        What is left of the objects is cut off from everything before it is taken apart.
        """
        assert self.master is not None
        assert self.store is not None
        assert self._transport is not None
        master, self.master = self.master, None
        self.store.cut_power()
        self._transport.cut()
        self._hang_up()
        await master.stop()

    async def stop(self) -> None:
        """Stop it as SIGTERM does."""
        master = self.master
        if master is not None:
            await master.stop()
            self.master = None
            self._hang_up()

    def _hang_up(self) -> None:
        requests, self._requests = self._requests, {}
        for task, answer in requests.items():
            task.cancel()
            if not answer.done():
                answer.set_exception(Gone("the master is gone"))

    async def ask(self, request: Callable[[Master], Awaitable[Answer]]) -> Answer:
        """Carry a request out in the master's process; `Gone` when nobody answers any more.

        A caller that gives up leaves the request behind, as a closed connection does.
        """
        await asyncio.sleep(self.network.travel_s())
        if self.master is None:
            raise Gone("nobody listens")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(request(self.master))
        self._requests[task] = answer
        task.add_done_callback(lambda task: self._replied(task, answer))
        return await answer

    def _replied(self, task: "asyncio.Task[Any]", answer: "asyncio.Future[Any]") -> None:
        self._requests.pop(task, None)
        if task.cancelled() or answer.done():
            if not task.cancelled():
                task.exception()  # nobody is there to hear it
            return
        asyncio.get_running_loop().call_later(self.network.travel_s(), _deliver, task, answer)

    # The private API, as the handlers serve it

    async def serve(self, peer: str, method: str, path: str, body: bytes | None) -> Response:
        """Answer a worker."""
        return await self.ask(lambda master: _serve(master, peer, method, path, body))


def _deliver(task: "asyncio.Task[Any]", answer: "asyncio.Future[Any]") -> None:
    error = task.exception()
    if answer.done():
        return
    if error is None:
        answer.set_result(task.result())
    else:
        answer.set_exception(error)


async def _serve(master: Master, peer: str, method: str, path: str, body: bytes | None) -> Response:
    try:
        if method == "DELETE":
            parts = urlsplit(path)
            port = int(parse_qs(parts.query)["port"][0])
            name = parts.path.removeprefix("/worker/")
            await master.leave(Announcement(name, port=port), peer)
            return Response(200, b"[]")
        message = _announcement(body or b"")
        url = await locate(message, peer, master.settings.workers.default_port)
        worker = master.announce(message, url)
    except ExecutorError as error:
        return Response(503, error.detail.encode())
    taken = AnnouncementTaken(worker.name, worker.state, master.pool.announce_s)
    return Response(200, encode(taken))


ALL_FOUR = ("sum", "sub", "mul", "div")


class WorkerMachine:
    """The machine that a worker runs on, with a supervisor that starts it again."""

    def __init__(
        self,
        name: str,
        address: str,
        network: Network,
        home: MasterMachine,
        random: Random,
        *,
        batch: int = 512,
        chains: bool = True,
        operations: Sequence[str] = ALL_FOUR,
    ) -> None:
        self.name = name
        self.address = address
        self.well_since = 0.0
        self._port = 8082
        self._network = network
        self._home = home
        self._random = random
        self._batch = batch
        self._chains = chains
        self._operations = list(operations)
        self._announcing: asyncio.Task[None] | None = None
        self._is_retired = False
        self._awake = asyncio.Event()
        self._awake.set()
        self.server = self._new_server()

    def _new_server(self) -> ScriptedWorker:
        server = ScriptedWorker(f"http://{self.address}:{self._port}", self._random, self._batch)
        self._network.connect(server)
        return server

    @property
    def url(self) -> str:
        """Where it is called."""
        return self.server.url

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with it or its network."""
        server = self.server
        return (
            server.up
            and not (server.hung or server.deaf or server.mute or server.draining)
            and server.nonsense is None
            and server.slowness == 1.0
        )

    def mark(self) -> None:
        """Remember that something changed: from now on it is well, or not."""
        self.well_since = asyncio.get_running_loop().time()

    # Signals

    def start(self) -> None:
        """Start the worker's process: it listens, and announces itself."""
        if self.server.up or self._is_retired:
            return
        self.server.start()
        self.mark()
        self._awake.set()
        announcer = self._announcer()
        self._announcing = asyncio.ensure_future(announcer.run())

    def crash(self, killer: str = "the script") -> None:
        """Kill the process."""
        self.mark()
        self.server.crash(killer)
        self._stop_announcing()

    def move(self) -> None:
        """Come back at another port: what was at the old one is gone for good."""
        self.crash()
        self._port += 1
        before, self.server = self.server, self._new_server()
        for what in ("operation_s", "kills", "on_killed", "arithmetic"):
            setattr(self.server, what, getattr(before, what))
        self.start()

    def hang(self) -> None:
        """SIGSTOP."""
        self.mark()
        self.server.hang()
        if self.server.hung:
            self._awake.clear()

    def resume(self) -> None:
        """SIGCONT."""
        self.mark()
        self._awake.set()
        self.server.resume()

    async def drain(self) -> None:
        """SIGTERM: take leave, finish what is in hand, exit."""
        leaving = self._announcing
        if leaving is None:
            return
        self.mark()
        server = self.server
        leaving.cancel()
        await self._announcer().leave()
        if self._announcing is leaving:
            server.draining = True
            for _ in range(int(DRAIN_S / 0.01)):
                if not server.busy:
                    break
                await asyncio.sleep(0.01)
        if self._announcing is leaving:  # it was not killed meanwhile
            self.crash()

    def cut_off(self, *, deaf: bool, mute: bool) -> None:
        """Cut the network in one direction or both."""
        self.mark()
        self.server.deaf, self.server.mute = deaf, mute

    def misbehave(self, nonsense: Nonsense | None) -> None:
        """Answer nonsense from now on, or sense again."""
        self.mark()
        self.server.nonsense = nonsense

    def slow_down(self, times: float) -> None:
        """Take so many times as long for everything."""
        self.mark()
        self.server.slowness = times

    def heal(self) -> None:
        """Undo whatever is wrong."""
        self.server.nonsense = None
        self.server.slowness = 1.0
        self.server.heal_network()
        if self.server.hung:
            self.resume()
        self.start()
        self.mark()

    async def shut_down(self) -> None:
        """Stop the process without a word, and wait until nothing of it is left."""
        self._is_retired = True  # whatever its supervisor has in mind
        announcing = self._announcing
        self.crash()
        if announcing is not None:
            await asyncio.gather(announcing, return_exceptions=True)

    # Announcing

    def announce_twice(self) -> Awaitable[Response]:
        """Announce out of turn, with the same words."""
        return self._request("POST", "/worker", encode(self._announcement()))

    def _announcement(self) -> Announcement:
        told = Announcement(
            self.name, operations=self._operations, batch=self._batch, chains=self._chains
        )
        told.port = self._port
        return told

    def _announcer(self) -> Announcer:
        return Announcer(
            self._announcement(), self._request, self._home.clock, Random(self._random.random())
        )

    def _stop_announcing(self) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
            self._announcing = None

    async def _request(self, method: str, path: str, body: bytes | None) -> Response:
        await self._awake.wait()
        server = self.server
        try:
            async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
                if server.mute:
                    await asyncio.Event().wait()
                response = await self._home.serve(self.address, method, path, body)
                if server.deaf:
                    await asyncio.Event().wait()
                return response
        except Gone as error:
            raise OSError(str(error)) from None
