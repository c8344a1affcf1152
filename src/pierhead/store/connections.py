"""Storage connections as stored; their secrets lie beside them, sealed by whoever puts them there."""

from dataclasses import asdict, fields

from sqlalchemy import Connection as Transaction
from sqlalchemy import delete, insert, select

from pierhead.core.connections import Connection
from pierhead.core.errors import Duplicate
from pierhead.store import tables

_C = tables.connections
_FIELDS = tuple(each.name for each in fields(Connection))
_ALL = select(*(_C.c[name] for name in _FIELDS)).order_by(_C.c.created, _C.c.name)


def add(tx: Transaction, connection: Connection, sealed: bytes) -> None:
    """Store a new connection with its sealed secret.

    Raises:
        Duplicate: there is one of that name.
    """
    if load(tx, connection.name) is not None:
        raise Duplicate("storage connection", connection.name, "exists already")
    tx.execute(insert(_C).values(**asdict(connection), sealed=sealed))


def remove(tx: Transaction, name: str) -> bool:
    """Forget a connection and its secret; False when there was none."""
    return bool(tx.execute(delete(_C).where(_C.c.name == name)).rowcount)


def load(tx: Transaction, name: str) -> Connection | None:
    """A connection by its name."""
    row = tx.execute(_ALL.where(_C.c.name == name)).first()
    return None if row is None else Connection(*row)


def everything(tx: Transaction) -> tuple[Connection, ...]:
    """All connections, oldest first."""
    return tuple(Connection(*row) for row in tx.execute(_ALL))


def sealed(tx: Transaction, name: str) -> bytes | None:
    """A connection's secret as it was put there; None when there is no such connection."""
    return tx.execute(select(_C.c.sealed).where(_C.c.name == name)).scalar()
