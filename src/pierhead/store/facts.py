"""Single facts about the installation, such as its account id, by key."""

from sqlalchemy import Connection, delete, insert, select

from pierhead.store import tables

_F = tables.facts


def get(tx: Connection, key: str) -> str | None:
    """The value, or None."""
    return tx.execute(select(_F.c.value).where(_F.c.key == key)).scalar()


def put(tx: Connection, key: str, value: str) -> None:
    """Set the value."""
    remove(tx, key)
    tx.execute(insert(_F).values(key=key, value=value))


def remove(tx: Connection, key: str) -> None:
    """Forget it; nothing happens when it is not there."""
    tx.execute(delete(_F).where(_F.c.key == key))


def under(tx: Connection, prefix: str) -> dict[str, str]:
    """Every fact whose key begins with `prefix`."""
    found = tx.execute(
        select(_F.c.key, _F.c.value).where(_F.c.key.startswith(prefix, autoescape=True))
    )
    return {row.key: row.value for row in found}
