"""Two hubs, when the database lost its last moments or its clock was set, and what they ask of each other."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from pierhead.bootstrap import turns
from pierhead.bootstrap.supervisor import CannotStart
from pierhead.bootstrap.turns import Turn, Turns, demand_nobody_active
from pierhead.core.errors import NotFound, Stale, Unavailable
from pierhead.core.lease import LASTS, MARGIN, Lease, Watched, may_take
from pierhead.operations.calling import SERVICE, TOKENS, Calls, Looks
from pierhead.reconciler.leadership import Leadership
from pierhead.settings import Settings
from pierhead.store import facts, leases
from pierhead.store.db import Database
from pierhead.store.lease_tables import leases as table

ONE, TWO = "one 1 same", "two 2 same"


@pytest.fixture
def db(postgres_made_url: str) -> Iterator[Database]:
    made = Database(postgres_made_url, shared=True)
    yield made
    made.close()


class Clock:
    """A clock that goes on when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def calls_of(db: Database) -> Calls:
    numbers = iter(range(1000))
    return Calls(db, lambda: 1.0, lambda count: next(numbers).to_bytes(count, "big"))


async def asked(db: Database, *notes: str) -> None:
    await db.write(leases.call, [(f"{place:032}", each) for place, each in enumerate(notes)], 1.0)


def put_back(tx: Connection, holder: str, token: int, expires: float) -> None:
    """As a fail-over to a server that did not hear of the last moments leaves it."""
    tx.execute(update(table).values(holder=holder, token=token, expires=expires))


def test_of_two_hubs_that_were_given_one_token_one_stays(db: Database) -> None:
    """Law: after a fail-over that lost the last moments no more than one hub changes anything."""

    async def scenario() -> None:
        lost: list[str] = []
        assert await db.write(leases.take, "before", None, LASTS) == 1
        await db.write(leases.release, "before", 1)
        one = Leadership(db, ONE, lambda: lost.append("one"))
        await one.win()
        await db.write(put_back, "before", 1, 0.0)
        two = Leadership(db, TWO, lambda: lost.append("two"))
        await two.win()
        assert one.token == two.token == 2
        with pytest.raises(Stale):
            await db.guarded(one.guard).write(facts.put, "who", "one")
        await asyncio.wait_for(one.keep(), 20)
        assert lost == ["one"]
        await one.release()
        assert not await db.write(leases.renew, ONE, 2, LASTS)
        await db.write(leases.release, ONE, 2)
        assert await db.write(leases.renew, TWO, 2, LASTS)
        await db.guarded(two.guard).write(facts.put, "who", "two")
        assert await db.read(facts.get, "who") == "two"

    asyncio.run(scenario())


def test_a_lease_that_nobody_renewed_for_longer_than_it_lasts_is_free() -> None:
    far = Lease("one", 1, 5000.0)
    watched = Watched().seen(far, 10.0).seen(far, 12.0)
    assert watched.since == 10.0
    assert not watched.let_run_out(10.0 + LASTS + MARGIN - 0.01)
    assert watched.let_run_out(10.0 + LASTS + MARGIN)
    renewed = watched.seen(Lease("one", 1, 5001.0), 13.0)
    assert not renewed.let_run_out(10.0 + LASTS + MARGIN)
    assert not Watched().let_run_out(1000.0), "what nobody ever had is taken as such"


def test_a_dead_hubs_lease_is_taken_also_after_the_databases_clock_was_set_back(
    db: Database,
) -> None:
    async def scenario() -> None:
        assert await db.write(leases.take, "one", None, LASTS + 3600) == 1  # an hour back, then
        clock = Clock()
        two = Leadership(db, TWO, lambda: None, clock)
        winning = asyncio.create_task(two.win())
        await asyncio.wait({winning}, timeout=1.0)
        clock.now += LASTS  # not yet: one that lives may have renewed it just before it was seen
        await asyncio.wait({winning}, timeout=1.0)
        assert not winning.done()
        clock.now += MARGIN
        await asyncio.wait_for(winning, 20)
        found, now = await db.read(leases.look)
        assert found is not None
        assert (found.holder, found.token) == (TWO, 2)
        assert 0 < found.expires - now <= LASTS

    asyncio.run(scenario())


def test_a_hub_that_lives_keeps_its_lease_when_the_databases_clock_is_set_back(
    db: Database,
) -> None:
    async def scenario() -> None:
        one = Leadership(db, ONE, lambda: None)
        await one.win()
        clock = Clock()
        two = Leadership(db, TWO, lambda: None, clock)
        winning = asyncio.create_task(two.win())
        for _ in range(4):
            # The clock was set back each time since the last renewal: the lease seems to last.
            assert await db.write(leases.renew, ONE, 1, LASTS + 3600)
            await asyncio.wait({winning}, timeout=1.0)
            clock.now += LASTS
            await asyncio.wait({winning}, timeout=0.0)
        assert not winning.done()
        winning.cancel()
        await asyncio.gather(winning, return_exceptions=True)
        found, now = await db.read(leases.look)
        assert not may_take(found, now)

    asyncio.run(scenario())


def test_a_dead_hubs_lease_holds_up_no_restore_after_the_clock_was_set_back(
    db: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=db.url)
    assert asyncio.run(db.write(leases.take, ONE, None, LASTS + 3600)) == 1
    demand_nobody_active(settings)
    renewing, over = threading.Event(), threading.Event()

    def renew() -> None:
        while not over.wait(0.2):
            asyncio.run(db.write(leases.renew, ONE, 1, LASTS + 3600))
            renewing.set()

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        assert renewing.wait(20)
        with pytest.raises(CannotStart, match="active on the database"):
            demand_nobody_active(settings)
    finally:
        over.set()
        thread.join()


def test_a_change_may_take_until_the_margin_begins(db: Database) -> None:
    async def scenario() -> None:
        clock = Clock()
        one = Leadership(db, ONE, lambda: None, clock)
        await one.win()
        assert one.demand() == pytest.approx(LASTS - MARGIN)
        clock.now += 1.5
        assert one.demand() == pytest.approx(LASTS - MARGIN - 1.5)
        clock.now += LASTS - MARGIN - 1.5
        with pytest.raises(Unavailable):
            one.demand()

    asyncio.run(scenario())


# ---- what hubs ask of each other ----------------------------------------------------------------


def test_a_hub_that_lost_its_turn_leaves_the_notes_to_the_next_one(db: Database) -> None:
    async def scenario() -> None:
        one = Leadership(db, ONE, lambda: None)
        await one.win()
        await db.write(put_back, ONE, 1, 0.0)
        await Leadership(db, TWO, lambda: None).win()
        await asked(db, f"{SERVICE} a")
        heard: list[str] = []

        async def look(service: str) -> None:
            heard.append(service)

        own = db.guarded(one.guard)
        await asyncio.wait_for(calls_of(db).answer(own, {SERVICE: look}), 20)
        assert not heard
        assert await db.read(leases.called)

    asyncio.run(scenario())


def test_an_odd_note_costs_itself_alone(db: Database) -> None:
    async def scenario() -> None:
        heard: list[str] = []
        away, told = [True], asyncio.Event()

        async def look(service: str) -> None:
            if service == "gone":
                raise NotFound("service", service)
            if service == "later" and away:
                away.clear()
                raise Unavailable("The database", "the test says so")
            heard.append(service)
            if len(heard) == 3:
                told.set()

        async def broken(_service: str) -> None:
            raise RuntimeError("a bug")

        looks: Looks = {SERVICE: look, TOKENS: broken}
        odd = (f"{SERVICE} gone", f"{TOKENS} a", "weather today", "")
        await asked(db, *odd, f"{SERVICE} a", f"{SERVICE} b", f"{SERVICE} later")
        calls = calls_of(db)
        tasks = [
            asyncio.create_task(calls.answer(db, looks)),
            asyncio.create_task(calls.always()),
        ]
        await asyncio.wait_for(told.wait(), 20)
        assert heard == ["a", "b", "later"]
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not await db.read(leases.called)

    asyncio.run(scenario())


def test_a_hub_that_can_answer_no_more_ends(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        ended = asyncio.Event()
        monkeypatch.setattr(turns, "_end", ended.set)

        async def broken(*_: object) -> None:
            raise RuntimeError("a bug in the answers")

        async def nothing() -> None:
            pass

        monkeypatch.setattr(Calls, "answer", broken)
        whose = Turns(Leadership(db, ONE, lambda: None), calls_of(db))
        async with whose.taking(Turn(nothing, nothing, {})):
            await asyncio.wait_for(ended.wait(), 20)
        assert whose.problem == "a bug in the answers"
        with pytest.raises(Unavailable, match="a bug in the answers"):
            whose.demand_kept()

    asyncio.run(scenario())
