"""A platform with a registry on a real database, for tests of its use cases."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from builders import ACCOUNT, BOX, ROOT, FakeClock, FakeEntropy, a_service
from pierhead.core.events import Event
from pierhead.core.principals import Principal
from pierhead.core.registry import Dataset, Extras, Model, ModelCenter, RegisteredTemplate
from pierhead.core.replicas import Node, ReplicaStatus, RuntimeInfo
from pierhead.core.resources import GIB
from pierhead.core.services import Registration, Seen, Service
from pierhead.core.specs import BUILT_IN
from pierhead.core.workloads import Workload
from pierhead.operations import centers, datasets, first_start, models, templates
from pierhead.operations.first_start import Home
from pierhead.operations.models import Ties
from pierhead.operations.platform import Platform
from pierhead.runtimes.base import LogLine
from pierhead.store import db, schema
from pierhead.store import events as event_rows
from pierhead.store import seen as seen_rows
from pierhead.store import services as service_rows
from pierhead.store.db import Database
from pierhead.store.events import EventQuery

ANNA = Principal(account=ACCOUNT, id="user/anna", kind="user")
BEN = Principal(account=ACCOUNT, id="user/ben", kind="user")
PATIENCE = 20.0
NO_EXTRAS, NO_TIES = Extras(), Ties()
NODE = Node("here", cpu=8, memory=16 * GIB, memory_free=16 * GIB, architecture="X86_64")


class NoRuntime:
    """A runtime that nothing is asked of: the registry starts nothing itself."""

    async def probe(self) -> RuntimeInfo:
        raise AssertionError("not asked for")

    async def adopt(self) -> None:
        raise AssertionError("not asked for")

    async def apply(self, workload: Workload) -> None:
        raise AssertionError("a use case starts nothing itself")

    async def remove(self, service: str, grace: float) -> bool:
        raise AssertionError("a use case ends nothing itself")

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        raise AssertionError("not asked for")

    def changes(self) -> AsyncIterator[str]:
        raise AssertionError("not asked for")

    async def logs(self, service: str, **_how: Any) -> list[LogLine]:
        raise AssertionError("not asked for")

    async def close(self) -> None:
        raise AssertionError("not asked for")


class WatchedDatabase(Database):
    """Tells of every transaction that wrote something."""

    def __init__(self, url: str) -> None:
        super().__init__(url, box=BOX)
        self.written = asyncio.Event()

    async def write(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        """As `Database.write`."""
        result = await super().write(fn, *args, **kwargs)
        self.written.set()
        return result


class World:
    """A platform after its first start; time moves by a second with every object made here."""

    def __init__(self, url: str, folder: Path) -> None:
        schema.migrate(url)
        self.folder = folder
        self.clock = FakeClock()
        self.woken: list[str] = []
        self.surveyed: list[str] = []
        self.db = WatchedDatabase(url)
        self.platform = Platform(
            db=self.db,
            runtime=NoRuntime(),  # pyright: ignore[reportArgumentType]
            templates=BUILT_IN,
            wake=self.woken.append,
            clock=self.clock,
            entropy=FakeEntropy(),
            account=ACCOUNT,
            region="local",
            gateway="http://127.0.0.1:8090",
            box=BOX,
            nodes=(NODE,),
            survey=self.surveyed.append,
            allowed_roots=("/srv/shared",),
        )

    @property
    def home(self) -> Home:
        return Home(str(self.folder / "models"), 8080)

    @property
    def center(self) -> str:
        """Uuid of the default center."""
        return centers.first_id("local")

    async def begin(self) -> None:
        """The first start; what it woke is forgotten."""
        await first_start.ensure(self.platform, self.home)
        self.surveyed.clear()
        self.clock.advance(1)

    async def until(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Ask `look` after everything that is written, until it says yes; it has PATIENCE seconds."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.db.written.clear()
                if await look():
                    return
                await self.db.written.wait()

    async def template(
        self, actor: Principal = ROOT, extras: Extras = NO_EXTRAS, **fields: Any
    ) -> RegisteredTemplate:
        bound = fields.pop("models", ())
        self.clock.advance(1)
        wanted = a_registered(**{"center": self.center, **fields})
        return await templates.add(self.platform, actor, wanted, bound, extras)

    async def model(
        self,
        actor: Principal = ROOT,
        ties: Ties = NO_TIES,
        extras: Extras = NO_EXTRAS,
        **fields: Any,
    ) -> Model:
        self.clock.advance(1)
        defaults: dict[str, Any] = {"name": "weights", "install_path": "w", "center": self.center}
        wanted = Model(**{**_unborn(), **defaults, **fields})
        return await models.add(self.platform, actor, wanted, ties, extras)

    async def dataset(
        self, actor: Principal = ROOT, extras: Extras = NO_EXTRAS, **fields: Any
    ) -> Dataset:
        self.clock.advance(1)
        defaults: dict[str, Any] = {"name": "data", "url": "data", "center": self.center}
        wanted = Dataset(**{**_unborn(), **defaults, **fields})
        return await datasets.add(self.platform, actor, wanted, extras)

    async def add_center(
        self, actor: Principal = ROOT, extras: Extras = NO_EXTRAS, **fields: Any
    ) -> ModelCenter:
        self.clock.advance(1)
        return await centers.add(self.platform, actor, a_center(**fields), extras)

    async def service(self, seen: Seen | None = None, **fields: Any) -> Service:
        """A deployment with this registration, as the reconciler has seen it."""
        made = a_service(**{"registration": Registration(), **fields})
        await self.db.write(service_rows.add, made)
        if seen is not None:
            await self.db.write(seen_rows.save, made.id, seen)
        return made

    async def now(self, service: Service) -> Service:
        """The deployment as it stands."""
        found = await self.db.read(service_rows.load, service.id)
        assert found is not None
        return found[0]

    async def events(self, service: Service) -> list[Event]:
        found, _total = await self.db.read(event_rows.page, EventQuery(service=service.id))
        return found[::-1]


def a_registered(**fields: Any) -> RegisteredTemplate:
    """What a client asks to register."""
    defaults: dict[str, Any] = {
        "name": "chat",
        "yaml": "",
        "request_cpu": 2,
        "request_memory": 1024,
        "center": "",
        "install_path": "chat_1.2.3",
        "start_command": "python3 server.py",
    }
    return RegisteredTemplate(**{**_unborn(), **defaults, **fields})


def a_center(**fields: Any) -> ModelCenter:
    defaults: dict[str, Any] = {
        "uuid": "",
        "name": "store",
        "url": "10.0.0.1:/ai",
        "management_ip": "10.0.0.1",
        "management_port": 7000,
        "created": 0.0,
        "updated": 0.0,
    }
    return ModelCenter(**defaults | fields)


def _unborn() -> dict[str, Any]:
    return {"uuid": "", "owner": "", "created": 0.0, "updated": 0.0}


class Marks:
    """An `Also` that keeps a fact beside what it was called for, to see whether it was committed."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __call__(self, _tx: Connection, uuid: str) -> None:
        self.called.append(uuid)


Play = Callable[[World], Coroutine[Any, Any, None]]


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind; SQLite's is empty."""
    if request.param == "sqlite":
        return db.sqlite_url(tmp_path / "pierhead.db")
    url: str = request.getfixturevalue("postgres_made_url")
    return url


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[[Play], None]]:
    """Runs a scene in a world of its own, on SQLite."""
    yield _player(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path)


@pytest.fixture
def play_on_each(registry_url: str, tmp_path: Path) -> Iterator[Callable[[Play], None]]:
    """Runs a scene in a world of its own, on each kind of database."""
    yield _player(registry_url, tmp_path)


def _player(url: str, folder: Path) -> Callable[[Play], None]:
    def run(scene: Play) -> None:
        world = World(url, folder)

        async def whole() -> None:
            await world.begin()
            await scene(world)

        try:
            asyncio.run(whole())
        finally:
            world.db.close()

    return run
