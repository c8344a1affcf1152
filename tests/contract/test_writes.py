"""While a database takes no writes: who waits, who is refused at once, and what is remembered."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog.testing

from builders import T0, FakeClock
from pierhead.bootstrap.database import tending
from pierhead.operations.nonces import Nonces
from pierhead.store import db, facts, keys, schema
from pierhead.store.db import Database
from pierhead.store.writes import TRY_SECONDS, Away, Log, Writes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    schema.migrate(db.sqlite_url(tmp_path / "pierhead.db"))
    return tmp_path / "pierhead.db"


@pytest.fixture
def store(file: Path) -> Iterator[Database]:
    made = Database(db.sqlite_url(file))
    yield made
    made.close()


def test_one_try_a_second_and_the_others_are_refused_at_once() -> None:
    clock = FakeClock()
    writes = Writes(timer=clock)
    writes.check()
    assert writes.refusal is None
    assert writes.patience is None
    assert writes.failed(Away("it is locked")).why == "it is locked"
    for _ in range(3):
        with pytest.raises(Away, match="it is locked; it only reads since 0 s"):
            writes.check()
    clock.advance(TRY_SECONDS)
    writes.check()  # this one may try, and waits for a moment only
    assert writes.patience is not None
    with pytest.raises(Away):
        writes.check()
    writes.failed(Away("it is full"))
    refusal = writes.refusal
    assert refusal is not None
    assert (refusal.why, refusal.seconds) == ("it is full", TRY_SECONDS)
    assert writes.refused == 6
    writes.passed()
    writes.check()
    assert writes.refusal is None


def test_a_full_disk_names_the_file_and_the_room(tmp_path: Path) -> None:
    writes = Writes(tmp_path / "pierhead.db")
    why = writes.failed(Away("database or disk is full")).why
    assert str(tmp_path / "pierhead.db") in why
    assert " free, 8.0 MiB needed" in why


def test_many_writers_of_a_locked_database_are_told_in_the_time_of_one(
    store: Database, file: Path
) -> None:
    async def storm() -> list[object]:
        writes = [store.write(facts.put, str(number), "1") for number in range(50)]
        return await asyncio.gather(*writes, return_exceptions=True)

    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        outcomes = asyncio.run(storm())
        assert time.monotonic() - began < 2 * db.BUSY_SECONDS
        assert all(isinstance(one, Away) for one in outcomes)
        assert asyncio.run(store.read(facts.get, "1")) is None
    _until_it_writes(store)
    assert all(one is None for one in asyncio.run(storm()))


def _until_it_writes(store: Database) -> None:
    deadline = time.monotonic() + 30
    while store.writes.refusal is not None:
        try:
            asyncio.run(store.tend())
        except Away:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a poll: a try is due once a second


def test_nonces_are_remembered_while_nothing_can_be_written(store: Database, file: Path) -> None:
    """Law: a signed request is served once, also while the database only reads, and after that."""
    nonces = Nonces(store, FakeClock())

    async def use(*many: str) -> list[bool]:
        return list(await asyncio.gather(*(nonces.use("AK", one, T0 + 60) for one in many)))

    assert asyncio.run(use("before")) == [True]
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert asyncio.run(use("a", "b", "before")) == [True, True, False]
        assert asyncio.run(use("a")) == [False]
        assert sorted(asyncio.run(use("c", "c"))) == [False, True]
    _until_it_writes(store)
    assert asyncio.run(use("a", "d")) == [False, True]
    for nonce in ("before", "a", "b", "c", "d"):
        assert asyncio.run(store.read(keys.nonce_used, "AK", nonce)), nonce
    assert asyncio.run(Nonces(store, FakeClock()).use("AK", "b", T0 + 60)) is False


@pytest.mark.parametrize("ends", [("-wal",), ("-wal", "-shm")])
def test_what_was_answered_is_in_the_database_though_its_log_was_deleted(
    store: Database, file: Path, ends: tuple[str, ...]
) -> None:
    asyncio.run(store.write(facts.put, "first", "1"))
    for end in ends:
        file.with_name(file.name + end).unlink()
    asyncio.run(store.write(facts.put, "second", "1"))
    # Somebody who never saw the deleted log: what a killed process would leave.
    engine = db.connect(db.sqlite_url(file), writing=True)
    try:
        for fact in ("first", "second"):
            assert db.run(engine, facts.get, fact) == "1"
        db.run(engine, facts.put, "third", "1")
    finally:
        engine.dispose()
    assert asyncio.run(store.read(facts.get, "third")) == "1"
    assert store.writes.refusal is None


def test_a_log_is_lost_until_it_was_written_back(store: Database, file: Path) -> None:
    """Law: a reader in the way at the first try does not leave later commits in a file without a name."""
    asyncio.run(store.write(facts.put, "first", "1"))
    engine, log = db.connect(db.sqlite_url(file), writing=True), Log(file)
    try:
        assert not log.lost()
        with closing(sqlite3.connect(file, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM facts").fetchall()
            db.run(engine, facts.put, "second", "1")
            with closing(engine.raw_connection()) as raw:
                raw.execute("PRAGMA busy_timeout=10").close()
            file.with_name(f"{file.name}-wal").unlink()
            file.with_name(f"{file.name}-wal").touch()
            for _ in range(3):
                assert log.lost()
                with pytest.raises(Away, match="cannot be written back yet"):
                    log.write_back(engine)
        assert log.lost()
        log.write_back(engine)
        assert not log.lost()
    finally:
        engine.dispose()


def test_a_disk_that_does_not_tell_its_room_is_told_all_the_same(tmp_path: Path) -> None:
    """Law: the refusal is the database's own word, whatever asking for more of it meets."""
    writes = Writes(tmp_path / "gone" / "pierhead.db")
    why = writes.failed(Away("database or disk is full")).why
    assert why.startswith("database or disk is full (")
    assert "8.0 MiB needed" in why
    assert writes.refusal is not None


def test_a_hub_whose_database_nobody_tends_ends(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what goes wrong there is not lost with its task."""
    ended = asyncio.Event()

    async def begin() -> None:
        return

    async def broken() -> None:
        raise RuntimeError("nobody thought of this")

    async def hub() -> None:
        async with tending(store, begin, ended.set):
            await asyncio.wait_for(ended.wait(), 10)

    monkeypatch.setattr(store, "tend", broken)
    with structlog.testing.capture_logs() as told:
        asyncio.run(hub())
    assert [str(one["exc_info"]) for one in told] == ["nobody thought of this"]


def test_a_hub_that_ends_in_order_is_not_told_so(store: Database) -> None:
    ended = list[int]()

    async def begin() -> None:
        return

    async def hub() -> None:
        async with tending(store, begin, lambda: ended.append(1)):
            pass

    asyncio.run(hub())
    assert ended == []
