"""Single facts about the installation, such as its account id, by key."""

from sqlalchemy import Connection, delete, insert, select

from pierhead.store import tables

_F = tables.facts


def get(tx: Connection, key: str) -> str | None:
    """The value, or None."""
    return tx.execute(select(_F.c.value).where(_F.c.key == key)).scalar()


def put(tx: Connection, key: str, value: str) -> None:
    """Set the value."""
    tx.execute(delete(_F).where(_F.c.key == key))
    tx.execute(insert(_F).values(key=key, value=value))
