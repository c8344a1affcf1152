"""The audit trail on a real database: nothing is lost, nothing can be changed unseen, nobody can fill it."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from builders import ROOT, FakeClock
from pierhead.bootstrap import audit as chain
from pierhead.bootstrap.secret_files import storage_key
from pierhead.bootstrap.watching import HEAD, SPOOL, _Head, audit_key
from pierhead.core.audit import Act, Entry, Mark, Source
from pierhead.core.errors import Unavailable
from pierhead.operations.audit import Audit, Options
from pierhead.settings import Settings
from pierhead.store import audit as rows
from pierhead.store import db as stores
from pierhead.store import schema
from pierhead.store.db import Database

SOURCE = Source("192.0.2.7", "test", "R")


class Away:
    """A database that does not answer while it is told so, or that meets something nobody foresaw."""

    def __init__(self, db: Database) -> None:
        self.db, self.away = db, False
        self.unforeseen: list[Exception] = []

    async def write(self, *args: Any, **kwargs: Any) -> Any:
        if self.unforeseen:
            raise self.unforeseen.pop()
        if self.away:
            raise Unavailable("The database", "it is away")
        return await self.db.write(*args, **kwargs)

    async def read(self, *args: Any, **kwargs: Any) -> Any:
        return await self.db.read(*args, **kwargs)


@dataclass
class World:
    settings: Settings
    clock: FakeClock
    db: Away
    ticks: float = 0.0

    def audit(self, **options: Any) -> Audit:
        folder, key = self.settings.data_dir, audit_key(self.settings.data_dir)
        usual: dict[str, Any] = {"spool": folder / SPOOL, "linger": 0.01}
        return Audit(
            self.db,  # pyright: ignore[reportArgumentType]
            key,
            self.clock,
            Options(**usual | options),
            written=_Head(folder / HEAD, key),
            timer=lambda: self.ticks,
        )

    async def entries(self, **query: Any) -> list[Entry]:
        asked = {"after": 0, "limit": 1000} | query
        return await self.db.db.read(rows.page, rows.AuditQuery(**asked))

    def verify(self) -> chain.Verdict:
        return chain.verify(self.settings)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return ""
    return request.getfixturevalue("postgres_made_url")


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path, database_url=url)
    storage_key(tmp_path)
    schema.migrate(made.database)
    return made


Play = Callable[[Callable[[World], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(settings: Settings) -> Play:
    def run(act: Callable[[World], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            db = Database(settings.database)
            try:
                async with asyncio.timeout(60):
                    await act(World(settings, FakeClock(), Away(db)))
            finally:
                db.close()

        asyncio.run(main())

    return run


def deed(number: int = 0, code: str = "OK", **more: Any) -> Act:
    return Act("eas", "eas:StopService", (f"service/s{number}",), code, **more)


def test_what_was_done_is_written_down_in_order(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        for number in range(1200):
            audit.act(deed(number, detail={"Name": "x", "Password": "hush"}), ROOT, SOURCE)
        await audit.close()
        found = [*await world.entries(), *await world.entries(after=1000)]
        assert [one.number for one in found] == list(range(1, 1201))
        assert [one.resource for one in found] == [f"service/s{n}" for n in range(1200)]
        assert json.loads(found[0].detail) == {"Name": "x", "Password": "***"}
        assert (found[0].actor, found[0].source_ip) == (ROOT.id, "192.0.2.7")
        verdict = world.verify()
        assert (verdict.entries, verdict.last.number, verdict.problem) == (1200, 1200, "")

    play(act)


def test_entries_wait_for_a_database_that_is_away(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        world.db.away = True
        for number in range(10):
            audit.act(deed(number), ROOT, SOURCE)
        with pytest.raises(Unavailable):
            await audit.flush()
        assert await world.entries() == []
        world.db.away = False
        await audit.flush()
        assert len(await world.entries()) == 10
        await audit.close()

    play(act)


def test_law_nothing_unforeseen_ends_the_trail(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        # One for whoever removes old entries, and the rest for the writer.
        world.db.unforeseen = [RuntimeError("of all things") for _ in range(3)]
        audit.act(deed(1), ROOT, SOURCE)
        async with asyncio.timeout(20):
            while not await world.entries():  # noqa: ASYNC110 - the writer goes on by itself
                await asyncio.sleep(0.02)
        assert world.db.unforeseen == []
        await audit.close()

    play(act)


def test_law_what_cannot_be_kept_is_counted_and_told(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit(most=5)
        await audit.start()
        world.db.away = True
        for number in range(12):
            audit.act(deed(number), ROOT, SOURCE)
        world.db.away = False
        await audit.flush()
        found = await world.entries()
        assert [one.action for one in found[5:]] == ["pierhead:LoseAuditEntries"]
        assert json.loads(found[5].detail) == {"lost": 7}
        audit.act(deed(99), ROOT, SOURCE)
        await audit.close()
        assert (await world.entries())[-1].resource == "service/s99"

    play(act)


def test_law_a_hub_that_is_killed_loses_no_entry_and_writes_none_twice(play: Play) -> None:
    async def act(world: World) -> None:
        killed = world.audit(linger=1000)
        await killed.start()
        for number in range(5):
            killed.act(deed(number), ROOT, SOURCE)
            world.clock.advance(1)
        await killed.flush()
        for number in range(5, 9):
            killed.act(deed(number), ROOT, SOURCE)
            world.clock.advance(1)
        for task in killed._tasks:  # nobody says goodbye
            task.cancel()
        with (world.settings.data_dir / SPOOL).open("ab") as spool:
            spool.write(b'["half a li')
        for _ in range(2):  # the second finds that everything is there already
            again = world.audit()
            await again.start()
            await again.flush()
            for task in again._tasks:
                task.cancel()
        found = [one.resource for one in await world.entries()]
        assert found == [f"service/s{number}" for number in range(9)]
        assert world.verify().problem == ""

    play(act)


def test_law_the_same_refusal_is_told_ten_times_a_minute_and_then_counted(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        for _ in range(5000):
            audit.act(deed(code="SignatureDoesNotMatch", denied=True), None, SOURCE)
        audit.act(deed(), ROOT, SOURCE)  # others are told as ever
        await audit.flush()
        assert len(await world.entries()) == 11
        world.ticks += 61
        audit.act(deed(code="SignatureDoesNotMatch", denied=True), None, SOURCE)
        await audit.close()
        found = await world.entries()
        assert len(found) == 13
        counted = [json.loads(one.detail) for one in found if "repeated" in one.detail]
        assert [one["repeated"] for one in counted] == [4990]

    play(act)


def test_law_refusals_of_any_kind_are_bounded(play: Play) -> None:
    """Somebody with many addresses makes many kinds; they too are counted together in the end."""

    async def act(world: World) -> None:
        audit = world.audit(linger=1000)
        await audit.start()
        for number in range(5000):
            source = replace(SOURCE, address=f"2001:db8::{number:x}")
            audit.act(deed(code="SignatureDoesNotMatch", denied=True), None, source)
        assert len(audit._waiting) < 1100 and len(audit._repeated) <= 1025
        await audit.close()

    play(act)


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit SET actor = 'nobody' WHERE number = 4",
        "UPDATE audit SET outcome = 'Failed', detail = '' WHERE number = 9",
        "DELETE FROM audit WHERE number = 5",
        "DELETE FROM audit WHERE number <= 3",
        "DELETE FROM audit WHERE number >= 8",
        "DELETE FROM audit",
        "UPDATE audit SET number = number + 100 WHERE number > 6",
    ],
)
def test_law_who_changes_the_database_is_found_out(
    play: Play, settings: Settings, tamper: str
) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        for number in range(10):
            audit.act(deed(number), ROOT, SOURCE)
        await audit.close()
        assert world.verify().problem == ""

    play(act)
    engine = stores.connect(settings.database, writing=True)
    stores.run(engine, lambda tx: tx.execute(text(tamper)))
    engine.dispose()
    assert chain.verify(settings).problem


def test_law_who_has_the_database_cannot_pass_a_shorter_one_off(
    play: Play, settings: Settings
) -> None:
    """The end is cut off and one new entry is made by a hub that does not know: its mark tells."""

    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        for number in range(10):
            audit.act(deed(number), ROOT, SOURCE)
        await audit.close()
        await world.db.db.write(lambda tx: tx.execute(text("DELETE FROM audit WHERE number > 7")))
        told = chain.by_operator(world.settings, "pierhead:Test", "x")
        for _ in range(3):
            await world.db.db.write(told)

    play(act)
    assert "not the one" in chain.verify(settings).problem


def test_old_entries_are_forgotten_from_the_oldest_on_and_that_is_an_entry(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit(linger=1000)
        await audit.start()
        for number in range(20):
            audit.act(deed(number), ROOT, SOURCE)
            world.clock.advance(1)
        await audit.flush()
        assert await audit.prune(world.clock.now - 8) == 12
        assert await audit.prune(world.clock.now - 8) == 0
        await audit.close()
        found = await world.entries()
        assert [one.number for one in found] == [*range(13, 21), 21]
        assert found[-1].action == "pierhead:PruneAuditEntries"
        assert json.loads(found[-1].detail) == {"entries": 12}
        assert world.verify().problem == ""

    play(act)


def test_all_entries_may_be_old(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit(linger=1000)
        await audit.start()
        audit.act(deed(), ROOT, SOURCE)
        await audit.flush()
        world.clock.advance(100)
        assert await audit.prune(world.clock.now) == 1
        await audit.close()
        assert [one.number for one in await world.entries()] == [2]
        assert world.verify().problem == ""

    play(act)


def test_law_a_forged_mark_of_what_was_forgotten_is_not_believed(
    play: Play, settings: Settings
) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        for number in range(10):
            audit.act(deed(number), ROOT, SOURCE)
        await audit.close()
        third = (await world.entries())[2]
        forged = Mark(3, third.digest).text(b"x" * 32)

        def hide(tx: Any) -> None:
            tx.execute(text("DELETE FROM audit WHERE number <= 3"))
            values = {"key": "audit_anchor", "value": forged}
            tx.execute(text("INSERT INTO facts (key, value) VALUES (:key, :value)"), values)

        await world.db.db.write(hide)

    play(act)
    assert chain.verify(settings).problem


def test_two_hubs_write_one_chain(play: Play, settings: Settings, tmp_path: Path) -> None:
    """Law: nobody's entry is lost, doubled or out of the chain; what a slow server did not take in a hub's
    last seconds, the next hub brings."""

    async def act(world: World) -> None:
        second = Database(settings.database)
        key = audit_key(tmp_path)

        async def begun() -> list[Audit]:
            hubs = [
                Audit(db, key, world.clock, Options(tmp_path / f"spool{n}", linger=0))
                for n, db in enumerate((world.db.db, second))
            ]
            for hub in hubs:
                await hub.start()
            return hubs

        hubs = await begun()
        for number in range(60):
            for n, hub in enumerate(hubs):
                hub.act(deed(number, detail={"Hub": n}), ROOT, SOURCE)
            await asyncio.sleep(0.002)
        for hub in hubs:
            await hub.close()
        for hub in await begun():
            await hub.close()
        second.close()
        found = await world.entries()
        assert len(found) == len({(one.resource, one.detail) for one in found}) == 120
        assert world.verify().problem == ""

    play(act)


def test_entries_are_found_by_what_is_asked(play: Play) -> None:
    async def act(world: World) -> None:
        audit = world.audit()
        await audit.start()
        for number in range(6):
            audit.act(deed(number), ROOT, SOURCE)
            world.clock.advance(10)
        audit.act(
            Act("zstack", "zstack:LogInByAccount", ("A%_/x",), "ID.1000", denied=True), None, SOURCE
        )
        await audit.close()
        start = world.clock.now - 60

        async def numbers(**query: Any) -> list[int]:
            return [one.number for one in await world.entries(**query)]

        assert await numbers(action="EAS:*") == [1, 2, 3, 4, 5, 6]
        assert await numbers(action="eas:StopService", resource="service/s3") == [4]
        assert await numbers(outcome="Denied") == [7]
        assert await numbers(actor="*:root") == await numbers(actor=ROOT.id) == [1, 2, 3, 4, 5, 6]
        assert await numbers(resource="A%_*") == [7] and await numbers(resource="A_%*") == []
        assert await numbers(since=start + 20, until=start + 40) == [3, 4, 5]
        assert await numbers(after=-1, limit=2) == [7, 6]
        assert await numbers(after=-1, before=6, limit=2) == [5, 4]
        assert await numbers(door="zstack") == [7]

    play(act)


def test_an_operator_at_the_machine_leaves_an_entry_with_the_deed(
    play: Play, settings: Settings
) -> None:
    async def act(world: World) -> None:
        told = chain.by_operator(settings, "pierhead:IssueBearerToken", "BearerToken/1", {"a": 1})
        await world.db.db.write(told)
        (one,) = await world.entries()
        assert one.door == "cli" and one.actor.startswith("os:") and one.outcome == "Success"

    play(act)
    assert chain.verify(settings).problem == ""
