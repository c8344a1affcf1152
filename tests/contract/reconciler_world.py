"""A whole control plane without its wire: real store, operations and reconciler over the fake runtime.

It lives in virtual time. Gateways are doubles that follow the route book and hold requests open.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import virtual_time
from builders import ACCOUNT, BOX, ROOT, T0, FakeEntropy, a_template
from pierhead.core import routes as core_routes
from pierhead.core.choice import Offer
from pierhead.core.events import Event, Notice
from pierhead.core.ids import Clock
from pierhead.core.launch import EnvironmentPath, Files
from pierhead.core.mounts import Source
from pierhead.core.replicas import Node, ReplicaState, ReplicaStatus
from pierhead.core.resources import GIB
from pierhead.core.routes import GatewayReport
from pierhead.core.services import Hold, Seen, Service, Version
from pierhead.core.sizing import Shape
from pierhead.core.status import Verdict, reached, verdict
from pierhead.core.templates import Environment, Template
from pierhead.engines import offers, registry
from pierhead.engines.programs import NO_PROGRAMS
from pierhead.operations import services
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision, Draft
from pierhead.reconciler.aside import Aside
from pierhead.reconciler.loop import Reconciler, Rhythm
from pierhead.reconciler.preflight import Preflight
from pierhead.reconciler.preparation import Parts, Preparation
from pierhead.reconciler.routes import RouteBook
from pierhead.reconciler.service import ServicePass
from pierhead.runtimes.base import Follower, NobodyFollows
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store import events as event_rows
from pierhead.store import schema
from pierhead.store import services as rows
from pierhead.store.db import Database, sqlite_url

RHYTHM = Rhythm(resync=30.0)
#: The engines as they are, on a machine where nobody installed any but the embedded one.
_HERE = offers(registry("/usr/bin/python3"), NO_PROGRAMS, lambda _program: None)
#: Commands that need weights: so a story can hold a service by them without a model in it.
_OFFERS = {**_HERE, "custom": Offer(replace(_HERE["custom"].capabilities, needs_weights=True))}
_ABLE = {name: offer.capabilities for name, offer in _OFFERS.items()}
GATEWAY = "http://127.0.0.1:1"
_ENTROPY = FakeEntropy()  # of all worlds: ids differ although they share a database
_NODES = (Node("fake", cpu=64, memory=1024 * GIB, memory_free=1024 * GIB),)


class FakeWeights:
    """Answers what a test puts into it: by template name a hold, else files that are there."""

    def __init__(self) -> None:
        self.holds: dict[str, Hold] = {}
        self.asked: list[str] = []

    def ensure(self, template: Template, source: Source | None) -> Files | Hold:
        self.asked.append(template.name)
        return self.holds.get(template.name) or Files("/weights", "/weights/model.gguf", 1)


class FakeShapes:
    """Knows the models that a test puts into it, by template name; an error is raised."""

    def __init__(self) -> None:
        self.models: dict[str, Shape | Exception] = {}
        self.fetched: Shape | None = None  #: what the files turn out to be
        self.files: dict[str, Shape] = {}  #: what certain ones are

    def shape(self, template: Template, source: Source | None) -> Shape | None:
        del source
        found = self.models.get(template.name)
        if isinstance(found, Exception):
            raise found
        return found

    def at(self, path: str) -> Shape | None:
        return self.files.get(path, self.fetched)


class AtOnce(Aside):
    """Does the work where it is asked for: virtual time does not wait for threads of its own."""

    async def do(self, key: str, work: Callable[[], Any], patience: float) -> Any:
        del key, patience
        return work()


class FakeConversions:
    """Every conversion is done, unless a test holds it."""

    def __init__(self) -> None:
        self.hold: Hold | None = None
        self.asked: list[tuple[str, str]] = []

    def ensure(self, files: Files, convert: Literal["f16", "q8_0"]) -> Files | Hold:
        self.asked.append((files.model, convert))
        return self.hold or replace(files, model=f"/cache/{convert}.gguf", bytes=2)


class FakeEnvironments:
    """Every environment is there, unless a test holds it."""

    def __init__(self) -> None:
        self.hold: Hold | None = None
        self.notices: tuple[Notice, ...] = ()
        self.asked: list[Environment] = []
        self.retried = 0
        self.kept: list[frozenset[Environment]] = []
        self.before: list[float] = []

    def ensure(self, environment: Environment) -> EnvironmentPath | Hold:
        self.asked.append(environment)
        return self.hold or EnvironmentPath(f"/environments/{environment.python}", self.notices)

    def retry(self, environment: Environment) -> None:
        del environment
        self.retried += 1

    def prune(self, keep: Collection[Environment], before: float) -> list[Path]:
        self.kept.append(frozenset(keep))
        self.before.append(before)
        return []


class FakeFolders:
    """Every folder is there but those that a test takes away."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.hang: set[str] = set()

    async def missing(self, paths: Iterable[str]) -> tuple[list[str], list[str]]:
        paths = list(paths)
        return [p for p in paths if p in self.gone], [p for p in paths if p in self.hang]


class Bus:
    """Carries internal notifications; this one loses none."""

    def deliver(self, receiver: Callable[[Any], None], what: Any) -> None:
        receiver(what)


class ChaosBus(Bus):
    """Drops, doubles, delays and reorders them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def deliver(self, receiver: Callable[[Any], None], what: Any) -> None:
        for _ in range(self._rng.choice([0, 0, 1, 1, 2, 3])):
            after = self._rng.choice([0.0, 0.0, 0.02, 0.7, 4.0, 20.0])
            asyncio.get_running_loop().call_later(after, receiver, what)


class BusRuntime(FakeRuntime):
    """A fake runtime whose hints travel by the bus."""

    bus = Bus()

    def changes(self) -> AsyncIterator[str]:
        return self._carried(super().changes())

    async def _carried(self, hints: AsyncIterator[str]) -> AsyncIterator[str]:
        arrived: asyncio.Queue[str] = asyncio.Queue()

        async def carry() -> None:
            async for service in hints:
                self.bus.deliver(arrived.put_nowait, service)

        carrier = asyncio.create_task(carry())
        try:
            while True:
                yield await arrived.get()
        finally:
            carrier.cancel()


class GatewayDouble:
    """Follows the table, reports every second and at each change, counts the requests it holds."""

    def __init__(self, world: "World", name: str) -> None:
        self._world, self._name = world, name
        self.revision = 0
        self.targets: dict[str, list[str]] = {}
        self.busy: Counter[str] = Counter()
        self.ejected: dict[str, str] = {}  #: replica -> its word for why
        self.mute = False

    async def run(self) -> None:
        while True:
            found = await self._world.routes.newer(self.revision, 1.0)
            if found is not None:
                table = core_routes.load(found)
                self.revision = table.revision
                self.targets = {
                    name: [target.replica for target in route.targets]
                    for name, route in table.routes.items()
                }
            self.report()

    def begin(self, replica: str) -> None:
        """A request goes to the replica."""
        self.busy[replica] += 1

    def end(self, replica: str) -> None:
        """Its last byte was sent."""
        self.busy[replica] -= 1
        self.report()

    def report(self) -> None:
        if self.mute:
            return
        out = self.ejected
        told = GatewayReport(self._name, self.revision, dict(+self.busy), tuple(out), why=dict(out))
        self._world.bus.deliver(self._world.reconciler.heard, told)


class World:
    """The parts, put together inside a running virtual loop."""

    def __init__(
        self,
        db: Database,
        bus: Bus | None = None,
        runtime: BusRuntime | None = None,
        follower: Follower | None = None,
    ) -> None:
        self.db, self.bus = db, bus or Bus()
        self.runtime = runtime or BusRuntime(virtual_time.wall)
        self.runtime.bus = self.bus
        self.weights = FakeWeights()
        self.shapes = FakeShapes()
        self.environments = FakeEnvironments()
        self.folders = FakeFolders()
        self.conversions = FakeConversions()
        self.offers = dict(_OFFERS)
        self.wishes: dict[str, str] = {}
        self.parts = Parts(
            db=db,
            runtime=self.runtime,
            weights=self.weights,
            environments=self.environments,
            folders=self.folders,
            clock=virtual_time.wall,
            nodes=_NODES,
            offers=self.offers,
            wishes=self.wishes,
            conversions=self.conversions,
            gateway=GATEWAY,
            preflight=Preflight(self.shapes, virtual_time.wall, AtOnce()),
        )
        self.routes = RouteBook(virtual_time.wall, str, _ABLE, timer=virtual_time.wall)
        self.one_pass = ServicePass(
            db=db,
            runtime=self.runtime,
            preparation=Preparation(self.parts),
            routes=self.routes,
            clock=virtual_time.wall,
            follower=follower or NobodyFollows(),
        )
        self.reconciler = Reconciler(self.one_pass, RHYTHM)
        self.platform = Platform(
            db=db,
            runtime=self.runtime,
            templates={},
            wake=lambda service: self.bus.deliver(self.reconciler.wake, service),
            clock=self._wall(),
            entropy=_ENTROPY,
            account=ACCOUNT,
            region="local",
            gateway=GATEWAY,
            box=BOX,
        )
        self.gateways = [GatewayDouble(self, "gw-1")]

    def _wall(self) -> Clock:
        """The virtual wall clock, also for those who ask inside a transaction's thread."""
        loop = asyncio.get_running_loop()
        return lambda: T0 + loop.time()

    # ---- requests -------------------------------------------------------------------------

    async def create(self, name: str, /, replicas: int = 1, **template: Any) -> Service:
        made = a_template(**{"stop_grace": 5.0} | template)
        return await services.create(self.platform, ROOT, Draft(name, "test", made, replicas, {}))

    def offer(self, engine: str) -> None:
        """The operator installs an engine."""
        self.offers[engine] = replace(self.offers[engine], missing="")

    async def scale(self, name: str, replicas: int) -> Service:
        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            return services.scaled(service, replicas, now)

        return await services.change(self.platform, ROOT, name, decide)

    async def update(self, name: str, /, **template: Any) -> Service:
        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            made = replace(service.current.template, **template)
            return services.upgraded(service, Version(0, made, None), now, None, ())

        return await services.change(self.platform, ROOT, name, decide)

    async def start(self, name: str) -> Service:
        return await services.start(self.platform, ROOT, name)

    async def stop(self, name: str) -> Service:
        return await services.stop(self.platform, ROOT, name)

    async def restart(self, name: str) -> Service:
        return await services.restart(self.platform, ROOT, name)

    async def delete(self, name: str) -> Service:
        return await services.delete(self.platform, ROOT, name)

    # ---- looks ----------------------------------------------------------------------------

    async def look(self, name: str) -> tuple[Service, Seen]:
        return await services.find(self.platform, name)

    async def verdict(self, name: str) -> Verdict:
        return verdict(*await self.look(name), virtual_time.wall())

    async def exists(self, name: str) -> bool:
        return await self.db.read(rows.find, name) is not None

    async def events(self, service: str) -> list[Event]:
        """What happened, oldest first."""
        query = event_rows.EventQuery(service=service, limit=1000)
        found, _ = await self.db.read(event_rows.page, query)
        return list(reversed(found))

    async def reasons(self, service: str) -> list[str]:
        """What happened, oldest first, by one word each."""
        return [event.reason for event in await self.events(service)]

    def ready(self, service: Service) -> list[ReplicaStatus]:
        return [
            replica
            for replica in self.runtime.observe(service.id)
            if replica.state is ReplicaState.READY
        ]

    def routed(self, name: str) -> list[str] | None:
        """Targets as the hub publishes them; None without a route."""
        route = self.routes.table.routes.get(name)
        return None if route is None else [target.replica for target in route.targets]

    async def settled(self, name: str, within: float = 60.0) -> Service:
        """Wait until everything is as wanted; fails after so many (virtual) seconds."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within
        while True:
            service, seen = await self.look(name)
            if seen.settled >= service.revision and reached(service, seen):
                return service
            assert loop.time() < give_up, f"not settled: {service} {seen}"
            await asyncio.sleep(0.1)

    async def gone(self, name: str, within: float = 60.0) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within
        while await self.exists(name):
            assert loop.time() < give_up, f"not gone: {await self.look(name)}"
            await asyncio.sleep(0.1)


@asynccontextmanager
async def world(
    db: Database,
    bus: Bus | None = None,
    runtime: BusRuntime | None = None,
    follower: Follower | None = None,
) -> AsyncIterator[World]:
    """A world that runs, and is empty again afterwards."""
    made = World(db, bus, runtime, follower)
    await made.reconciler.start()
    following = [asyncio.create_task(gateway.run()) for gateway in made.gateways]
    try:
        yield made
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        await made.reconciler.close()
        await made.runtime.close()
        for service in await db.read(rows.everything):
            await db.write(rows.remove, service[0].id, service[0].revision)


Story = Callable[[World], Awaitable[None]]


def tell(db: Database, story: Story) -> None:
    """Play a story in a world of its own, in virtual time."""

    async def whole() -> None:
        async with world(db) as its:
            await story(its)

    virtual_time.run(whole())


def fresh_database(folder: Path) -> Iterator[Database]:
    """A migrated SQLite database in `folder`, closed at the end."""
    url = sqlite_url(folder / "pierhead.db")
    schema.migrate(url)
    made = Database(url, box=BOX)
    yield made
    made.close()
