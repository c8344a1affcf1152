"""The lease that tells which of several hubs is the active one, and the bars before one that lost it."""

import asyncio
from collections.abc import Awaitable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pierhead.bootstrap import secret_files
from pierhead.bootstrap.supervisor import CannotStart
from pierhead.bootstrap.turns import demand_nobody_active
from pierhead.core.errors import Refused, Stale, Unavailable
from pierhead.core.lease import LASTS, MARGIN, Held, Lease, Role, may_take
from pierhead.operations.calling import SERVICE, Calls
from pierhead.reconciler.leadership import Leadership
from pierhead.settings import BadSetting, Settings
from pierhead.store import facts, leases
from pierhead.store.db import Database, run


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


def expired(tx: Connection) -> None:
    """As if nothing was heard of the holder for the whole lease."""
    leases.release(tx, "one 1 same", 1)


async def won(db: Database, clock: Clock) -> tuple[Leadership, list[str]]:
    lost: list[str] = []
    one = Leadership(db, "one 1 same", lambda: lost.append("one"), clock)
    await one.win()
    return one, lost


def test_a_lease_is_free_when_it_has_run_out_and_for_its_holder_sooner() -> None:
    assert may_take(None, 0.0)
    assert not may_take(Lease("one", 1, 10.0), 9.9)
    assert may_take(Lease("one", 1, 10.0), 10.0)
    held = Held(1, 10.0)
    assert held.may_act(10.0 - MARGIN - 0.1)
    assert not held.may_act(10.0 - MARGIN)
    assert held.lasts(9.9)
    assert not held.lasts(10.0)


def test_one_at_a_time_has_it_and_each_holder_gets_the_next_token(db: Database) -> None:
    async def scenario() -> None:
        assert await db.write(leases.take, "one", None, LASTS) == 1
        assert await db.write(leases.take, "two", None, LASTS) is None
        found, now = await db.read(leases.look)
        assert found is not None
        assert found.holder == "one"
        assert 0 < found.expires - now <= LASTS
        assert await db.write(leases.renew, "one", 1, LASTS)
        # It was renewed since it was seen.
        assert await db.write(leases.take, "two", found, LASTS) is None
        await db.write(leases.release, "one", 1)
        found, now = await db.read(leases.look)
        assert may_take(found, now)
        assert await db.write(leases.take, "two", found, LASTS) == 2
        assert not await db.write(leases.renew, "one", 1, LASTS)

    asyncio.run(scenario())


def test_one_that_was_stopped_past_its_lease_finds_every_bar_down(db: Database) -> None:
    """Law: after a takeover nothing of the former hub reaches the database or the cluster."""

    async def scenario() -> None:
        clock = Clock()
        one, lost = await won(db, clock)
        own = db.guarded(one.guard)
        one.demand()
        await own.write(facts.put, "who", "one")
        clock.now += LASTS - MARGIN + 0.1  # nobody took it yet, but it may be taken soon
        with pytest.raises(Unavailable, match="lease"):
            one.demand()
        assert one.role is Role.ACTIVE
        clock.now += MARGIN
        assert one.role is Role.STANDBY
        await db.write(expired)
        two = Leadership(db, "two 2 same", lambda: None, Clock())
        await two.win()
        two.demand()
        clock.now -= LASTS  # even one whose clock stood still is refused by the database
        with pytest.raises(Stale):
            await own.write(facts.put, "who", "one again")
        assert await db.read(facts.get, "who") == "one"
        await asyncio.sleep(0)
        assert lost == ["one"]
        with pytest.raises(Unavailable):
            one.demand()
        await db.guarded(two.guard).write(facts.put, "who", "two")

    asyncio.run(scenario())


def test_nobody_takes_it_amid_a_transaction_of_the_holder(
    db: Database, postgres_made_url: str
) -> None:
    async def scenario() -> None:
        one, _lost = await won(db, Clock())
        await db.write(expired)
        found, _now = await db.read(leases.look)
        other = Database(postgres_made_url)
        order: list[str] = []

        def write(tx: Connection) -> None:
            taking.append(asyncio.run_coroutine_threadsafe(take(), loop))
            tx.exec_driver_sql("SELECT pg_sleep(0.3)").close()
            order.append("written")

        async def take() -> None:
            assert await other.write(leases.take, "two", found, LASTS) == 2
            order.append("taken")

        loop = asyncio.get_running_loop()
        taking: list[Future[None]] = []
        await db.guarded(one.guard).write(write)
        await asyncio.wrap_future(taking[0])
        other.close()
        assert order == ["written", "taken"]

    asyncio.run(scenario())


def test_a_hub_that_stops_amid_a_transaction_holds_nobody_up(db: Database) -> None:
    (limit,) = run(
        db._writer,  # pyright: ignore[reportPrivateUsage] - what a stopped process leaves
        lambda tx: tx.exec_driver_sql("SHOW idle_in_transaction_session_timeout").one(),
    )
    assert limit == "2500ms"


def test_a_lost_lease_is_found_by_the_next_renewal(db: Database) -> None:
    async def scenario() -> None:
        one, lost = await won(db, Clock())
        await db.write(expired)
        await Leadership(db, "two 2 same", lambda: None).win()
        await asyncio.wait_for(one.keep(), 20)
        assert lost == ["one"]
        assert one.lost
        await one.release()
        found, now = await db.read(leases.look)
        assert found is not None
        assert not may_take(found, now), "the end of the former one takes nothing from the next"

    asyncio.run(scenario())


def test_a_hub_with_other_secrets_is_not_let_in(db: Database, tmp_path: Path) -> None:
    async def scenario() -> None:
        await won(db, Clock())
        marks = [secret_files.mark(tmp_path / name, "a key") for name in ("a", "b", "a")]
        assert marks[0] == marks[2] != marks[1]
        await Leadership(db, "two 2 same", lambda: None).fits()
        with pytest.raises(Refused, match="other secrets"):
            await Leadership(db, "two 2 another", lambda: None).fits()
        await db.write(expired)
        await Leadership(db, "two 2 another", lambda: None).fits()

    asyncio.run(scenario())


def test_what_one_that_stands_by_changes_is_heard_of_once(db: Database) -> None:
    async def scenario() -> None:
        numbers = iter(range(1000))
        calls = Calls(db, lambda: 1.0, lambda count: next(numbers).to_bytes(count, "big"))
        for service in ("a", "b", "a"):
            calls.call(SERVICE, service)
        heard: list[str] = []
        both = asyncio.Event()

        async def look(service: str) -> None:
            heard.append(service)
            if len(heard) == 2:
                both.set()

        work: list[Awaitable[None]] = [calls.always(), calls.answer(db, {SERVICE: look})]
        tasks = [asyncio.ensure_future(each) for each in work]
        await asyncio.wait_for(both.wait(), 20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert heard == ["a", "b"]
        assert not await db.read(leases.called)

    asyncio.run(scenario())


def test_secrets_are_copied_once_and_never_replaced(tmp_path: Path) -> None:
    given, own = tmp_path / "given", tmp_path / "own"
    given.mkdir()
    (given / "internal.key").write_bytes(b"one")
    (given / "storage.key").write_bytes(b"two")

    def take() -> None:
        secret_files.take_over(given, own, secret_files.GATEWAYS)

    take()
    take()
    assert (own / "run" / "internal.key").read_bytes() == b"one"
    assert (own / "run" / "internal.key").stat().st_mode & 0o777 == 0o600
    assert not (own / "run" / "storage.key").exists(), "a gateway needs none of it"
    (given / "internal.key").write_bytes(b"other")
    with pytest.raises(Refused, match="keeps its secrets"):
        take()


def test_a_gateway_may_be_told_of_several_hubs(tmp_path: Path) -> None:
    urls = "http://a.example:8080/, http://b.example:8080"
    found = Settings.load({"data_dir": tmp_path, "hub_url": urls}, {})
    assert found.hub_endpoints == ("http://a.example:8080", "http://b.example:8080")
    assert found.hub_endpoint == "http://a.example:8080"
    for wrong in ("http://a.example,https://b.example", "http://a.example,", "http://a.example,b"):
        with pytest.raises(BadSetting, match="hub_url"):
            Settings.load({"data_dir": tmp_path, "hub_url": wrong}, {})


def test_nothing_is_restored_under_an_active_hub(db: Database, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=db.url)
    demand_nobody_active(settings)
    asyncio.run(db.write(leases.take, "one", None, LASTS))
    with pytest.raises(CannotStart, match=r"active on the database \(one\)"):
        demand_nobody_active(settings)
