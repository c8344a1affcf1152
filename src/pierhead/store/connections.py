"""Storage connections as stored; their secrets lie beside them, sealed by whoever puts them there."""

import json
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, delete, insert, select

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
    bound = json.dumps(connection.workspaces)
    values = {**asdict(connection), "workspaces": bound, "sealed": sealed}
    tx.execute(insert(_C).values(**values))


def remove(tx: Transaction, name: str) -> bool:
    """Forget a connection and its secret; False when there was none."""
    return bool(tx.execute(delete(_C).where(_C.c.name == name)).rowcount)


def load(tx: Transaction, name: str) -> Connection | None:
    """A connection by its name."""
    row = tx.execute(_ALL.where(_C.c.name == name)).first()
    return None if row is None else _connection(row)


def everything(tx: Transaction) -> tuple[Connection, ...]:
    """All connections, oldest first."""
    return tuple(_connection(row) for row in tx.execute(_ALL))


def of_workspace(tx: Transaction, workspace: str) -> tuple[str, ...]:
    """Names of the connections that are bound to a workspace, among others perhaps."""
    return tuple(each.name for each in everything(tx) if workspace in each.workspaces)


def sealed(tx: Transaction, name: str) -> bytes | None:
    """A connection's secret as it was put there; None when there is no such connection."""
    return tx.execute(select(_C.c.sealed).where(_C.c.name == name)).scalar()


def _connection(row: Row[Any]) -> Connection:
    values = dict(zip(_FIELDS, row, strict=True))
    values["workspaces"] = tuple(json.loads(values["workspaces"]))
    return Connection(**values)
