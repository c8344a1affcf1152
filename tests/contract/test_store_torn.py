"""A connection whose log is taken away in the very moment in which it is made: another one does what was asked."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from made_database import made_sqlite
from pierhead.core.errors import Unavailable
from pierhead.store import facts
from pierhead.store.db import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(made_sqlite(tmp_path / "pierhead.db"))
    yield made
    made.close()


class Torn:
    """Fails like SQLite does, so many times."""

    def __init__(self, times: int, why: str = "disk I/O error") -> None:
        self.left, self.why, self.calls = times, why, 0

    def __call__(self, _tx: Connection) -> None:
        self.calls += 1
        if self.calls <= self.left:
            raise OperationalError("COMMIT", {}, sqlite3.OperationalError(self.why))


def test_a_look_is_taken_again_over_a_new_connection(database: Database) -> None:
    torn = Torn(1)

    def look(tx: Connection) -> str | None:
        torn(tx)
        return facts.get(tx, "x")

    assert asyncio.run(database.read(look)) is None
    assert torn.calls == 2


def test_a_change_that_was_not_committed_is_made_again_once(database: Database) -> None:
    torn = Torn(1)

    def change(tx: Connection) -> None:
        facts.put(tx, f"x{torn.calls}", "1")
        torn(tx)

    asyncio.run(database.write(change))
    assert asyncio.run(database.read(facts.under, "x")) == {"x1": "1"}


@pytest.mark.parametrize(("torn", "calls"), [(Torn(9), 2), (Torn(9, "disk is full"), 1)])
def test_a_disk_that_is_broken_is_told(database: Database, torn: Torn, calls: int) -> None:
    with pytest.raises(Unavailable, match=torn.why):
        asyncio.run(database.write(torn))
    assert torn.calls == calls


@contextmanager
def commits(torn: Torn) -> Iterator[None]:
    event.listen(Engine, "commit", torn)
    try:
        yield
    finally:
        event.remove(Engine, "commit", torn)


def test_a_change_whose_commit_failed_is_not_made_twice(database: Database) -> None:
    """It may be in the database."""
    made: list[int] = []

    def change(_tx: Connection) -> None:
        made.append(1)

    with commits(Torn(1)), pytest.raises(Unavailable, match="disk I/O error"):
        asyncio.run(database.write(change))
    assert made == [1]
