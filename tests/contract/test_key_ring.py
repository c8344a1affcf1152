"""The key ring: one look at the database per second and key, and none too few."""

import asyncio
from dataclasses import replace
from pathlib import Path

from builders import BOX, T0, FakeClock, FakeEntropy
from made_database import made_sqlite
from pierhead.core.principals import AccessKey, Principal
from pierhead.core.specs import BUILT_IN
from pierhead.operations import key_ring
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.platform import Platform
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store import keys
from pierhead.store.db import Database

OWNER = Principal("1000000000000001", "1000000000000001")
KEY = AccessKey("AK1", "secret", OWNER, created=T0)


class Scene:
    """A ring over a fresh database that counts its reads."""

    def __init__(self, tmp_path: Path) -> None:
        url = made_sqlite(tmp_path / "pierhead.db")
        self.reads = 0
        self.db = Database(url, timed=self._count, box=BOX)
        self.clock = FakeClock()
        platform = Platform(
            db=self.db,
            runtime=FakeRuntime(self.clock),
            templates=BUILT_IN,
            wake=lambda _service: None,
            clock=self.clock,
            entropy=FakeEntropy(),
            account=OWNER.account,
            region="local",
            gateway="http://127.0.0.1:8090",
            box=BOX,
        )
        self.ring = KeyRing(platform)

    def _count(self, kind: str, _seconds: float) -> None:
        self.reads += kind == "read"


def test_a_key_is_read_once_a_second_and_a_revoked_one_opens_no_longer(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def play() -> None:
        await scene.db.write(keys.put, BOX, KEY)
        assert [await scene.ring.find("AK1") for _ in range(3)] == [KEY] * 3
        assert scene.reads == 1
        await scene.db.write(keys.put, BOX, replace(KEY, active=False))
        scene.clock.advance(key_ring.REMEMBERED)
        assert await scene.ring.find("AK1") == replace(KEY, active=False)
        scene.clock.advance(-60)  # a clock that was put back makes no key last longer
        await scene.ring.find("AK1")
        assert scene.reads == 3

    try:
        asyncio.run(play())
    finally:
        scene.db.close()


def test_a_key_works_as_soon_as_it_is_issued(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def play() -> None:
        assert await scene.ring.find("AK1") is None
        await scene.db.write(keys.put, BOX, KEY)
        assert await scene.ring.find("AK1") == KEY

    try:
        asyncio.run(play())
    finally:
        scene.db.close()


def test_the_ring_does_not_grow_without_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    async def play() -> None:
        for number in range(key_ring.MOST + 1):
            await scene.db.write(keys.put, BOX, replace(KEY, id=f"AK{number}"))
            assert await scene.ring.find(f"AK{number}") is not None
        before = scene.reads
        await scene.ring.find("AK0")  # the first one had to go
        assert scene.reads == before + 1

    try:
        asyncio.run(play())
    finally:
        scene.db.close()
