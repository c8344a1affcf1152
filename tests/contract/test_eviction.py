"""Room in the cache: what goes, in which order, why; and what stays, whatever is asked for."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builders import BOX, FakeClock, a_service, a_version
from pierhead.bootstrap.upkeep import users
from pierhead.core.errors import Unavailable
from pierhead.core.mounts import S3Source
from pierhead.core.services import Service, Wanted
from pierhead.settings import Settings
from pierhead.sources.eviction import Evicted, Eviction, Room
from pierhead.sources.snapshots import Snapshot, Snapshots
from pierhead.store import db, schema, services
from store_world import KIB, Memory, content, never, nobody, options

SIZE = 100 * KIB
HOUR, DAY = 3600.0, 86400.0


@dataclass
class World:
    """A cache on a disk of which the tests say how full it is."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(1e6))
    users: list[str] = field(default_factory=list[str])
    told: list[Evicted] = field(default_factory=list[Evicted])
    away: bool = False
    disk: int = 1 << 40  #: bytes of the disk

    def cache(self) -> Snapshots:
        return Snapshots(self.folder, self.clock, options())

    def eviction(self, limit: int = 0, keep_free: int = 0) -> Eviction:
        room = Room(limit, keep_free, free=lambda _: self.disk - self.taken())
        return Eviction(self.cache(), self.folder, room, self.named, self.clock, self.told.append)

    def named(self) -> Sequence[str]:
        if self.away:
            raise Unavailable("The database", "it does not answer")
        return self.users

    def taken(self) -> int:
        return sum(each.bytes for each in self.cache().all())

    def fetched(self, number: int, user: str = "") -> Snapshot:
        """A snapshot of 100 KiB, a second after the one before."""
        self.clock.advance(1)
        remote = Memory({"a": content(SIZE, number)}, identity=f"origin {number}")
        made = self.cache().fetch(remote, nobody, never)
        return self.cache().use(made, user) if user else made

    def gone(self) -> list[str]:
        return [each.snapshot.id for each in self.told]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "cache")


def test_nothing_goes_while_there_is_room(world: World) -> None:
    world.fetched(1)
    world.eviction(limit=3 * SIZE).make_room(SIZE)
    world.eviction(keep_free=1 << 30).make_room(SIZE)
    assert world.told == []


def test_nothing_is_given_up_for_what_can_never_fit(world: World) -> None:
    world.fetched(1)
    world.eviction(limit=SIZE).make_room(world.disk + 1)
    world.eviction(keep_free=1).make_room(world.disk + 1)
    assert world.told == []


def test_the_longest_unused_goes_until_there_is_room(world: World) -> None:
    made = [world.fetched(number) for number in range(3)]
    world.fetched(0)  # used again
    world.eviction(limit=3 * SIZE).make_room(SIZE)
    assert world.gone() == [made[1].id]
    assert world.told[0].why == (
        "the cache may take 300.0 KiB and takes 300.0 KiB, 100.0 KiB are about to come"
    )
    world.disk = 3 * SIZE
    world.eviction(keep_free=SIZE).make_room(SIZE)
    assert world.gone() == [made[1].id, made[2].id]
    assert "100.0 KiB of the disk are to stay free and 100.0 KiB are, " in world.told[1].why


def test_what_is_used_stays_and_what_nobody_names_any_more_goes(world: World) -> None:
    """Law: a mark counts as long as somebody is behind it."""
    kept, left = world.fetched(1, "s3://b/kept/"), world.fetched(2, "s3://b/left/")
    world.users = ["s3://b/kept/", "s3://b/left/"]
    world.clock.advance(1)
    world.eviction(limit=1).make_room(0)
    assert world.told == []
    world.users = ["s3://b/kept/"]
    world.eviction(limit=1).make_room(0)
    assert world.gone() == [left.id]
    assert [each.id for each in world.cache().all()] == [kept.id]


def test_it_was_in_use_until_it_was_released(world: World) -> None:
    old, newer = world.fetched(1, "s3://b/old/"), world.fetched(2)
    world.clock.advance(DAY)
    world.eviction(limit=SIZE).make_room(0)
    assert world.gone() == [newer.id], "the one that was in use until now is the last to go"
    assert world.cache().find(old.id).used == world.clock.now


def test_without_a_database_marks_count(world: World) -> None:
    world.away = True
    kept, free = world.fetched(1, "s3://b/who-knows/"), world.fetched(2)
    world.clock.advance(1)
    world.eviction(limit=1).make_room(0)
    assert world.gone() == [free.id]
    assert world.cache().find(kept.id).users


def test_a_disk_that_fails_is_one_sentence_and_ends_no_task_of_the_hub(world: World) -> None:
    made = world.fetched(1, "s3://b/gone/")
    lock = made.folder.with_name(f"{made.folder.name}.lock")
    lock.unlink()
    lock.mkdir()
    eviction = world.eviction(limit=1)
    with pytest.raises(Unavailable, match="Is a directory"):
        eviction.make_room(0)
    world.clock.advance(HOUR + 1)
    with pytest.raises(Unavailable, match="Is a directory"):
        eviction.tidy()
    assert world.gone() == []


def test_a_user_that_comes_while_users_are_read_stays(world: World) -> None:
    made = world.fetched(1, "s3://b/back/")

    class Late(World):
        def named(self) -> Sequence[str]:
            self.clock.advance(1)
            self.cache().use(made, "s3://b/back/")  # created after the database was read
            return []

    late = Late(world.folder, world.clock)
    late.eviction(limit=1).make_room(0)
    assert late.told == []
    assert world.cache().find(made.id).users == ("s3://b/back/",)


def test_one_that_is_being_fetched_stays_and_a_fetch_that_died_goes_a_day_later(
    world: World,
) -> None:
    gate, begun = threading.Event(), threading.Event()

    def held(*_: object) -> Iterator[bytes] | None:
        begun.set()
        assert gate.wait(20)
        return None

    remote = Memory({"a": content(SIZE)}, held)
    fetch = threading.Thread(target=lambda: world.cache().fetch(remote, nobody, never))
    eviction = world.eviction(limit=1)
    fetch.start()
    assert begun.wait(20)
    world.clock.advance(2 * DAY)
    eviction.tidy()
    assert world.told == []
    gate.set()
    fetch.join(20)
    (made,) = world.cache().all()
    (made.folder / "READY").unlink()  # as if it had died
    eviction.tidy()
    assert world.told == [], "once an hour"
    world.clock.advance(HOUR)
    eviction.tidy()
    assert world.gone() == [made.id]
    assert world.told[0].why == "its fetch did not end within a day"


def test_a_fetch_makes_room_for_itself(world: World) -> None:
    old = world.fetched(1)
    world.clock.advance(1)
    eviction = world.eviction(limit=SIZE + 10)
    cache = Snapshots(world.folder, world.clock, options(), make_room=eviction.make_room)
    made = cache.fetch(Memory({"a": content(SIZE, 2)}), nobody, never)
    assert world.gone() == [old.id]
    assert [each.id for each in cache.all()] == [made.id]


# ---- who uses what -------------------------------------------------------------------------------


SOURCE, OTHER = S3Source("models", "llama/"), S3Source("models", "qwen/")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda service: service, {str(SOURCE)}),
        (lambda service: replace(service, wanted=Wanted.STOPPED), {str(SOURCE)}),
        (lambda service: replace(service, current=a_version(source=OTHER)), {str(OTHER)}),
        (lambda _: None, set[str]()),
    ],
    ids=["runs", "is stopped", "has another source", "is deleted"],
)
def test_a_snapshot_is_kept_as_long_as_a_service_names_its_source(
    tmp_path: Path, change, named: set[str]
) -> None:
    settings = Settings.load({"data_dir": tmp_path}, {})
    schema.migrate(settings.database)
    engine = db.connect(settings.database, writing=True, box=BOX)
    found: Service | None = change(a_service(current=a_version(source=SOURCE)))
    if found is not None:
        db.run(engine, services.add, found)
    wanted = db.run(engine, services.versions)
    engine.dispose()
    cache = Snapshots(tmp_path / "remote", FakeClock(1.0), options())
    assert {user for user in users(settings, cache, wanted) if "s3" in user} == named


def test_tidying_is_no_concern_of_the_loop(world: World) -> None:
    """It blocks, so it must work from a thread that has no loop of its own."""
    world.fetched(1)
    world.clock.advance(HOUR)
    eviction = world.eviction(limit=1)
    world.clock.advance(HOUR)
    asyncio.run(asyncio.to_thread(eviction.tidy))
    assert len(world.told) == 1
