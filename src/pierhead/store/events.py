"""The log of what happened. Rows are appended and, after their time, pruned; never changed."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Select, delete, func, insert, select

from pierhead.core.events import Event
from pierhead.store import tables

_E = tables.events
_ADD = insert(_E)
_COLUMNS = tuple(column.name for column in _E.columns if column.name != "id")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events, newest first."""

    service: str = ""  #: service id; "" = of all services
    type: Literal["", "Normal", "Warning"] = ""
    replica: str = ""
    since: float = 0.0
    until: float = float("inf")
    offset: int = 0
    limit: int = 100


def append(tx: Connection, *events: Event) -> None:
    """Write events down; their `id` is given by the database."""
    if events:
        rows = [{name: getattr(event, name) for name in _COLUMNS} for event in events]
        tx.execute(_ADD, rows)


def page(tx: Connection, query: EventQuery) -> tuple[list[Event], int]:
    """One page of events, newest first, and how many there are in all."""
    total = tx.execute(_where(select(func.count()).select_from(_E), query)).scalar_one()
    rows = _where(select(_E), query).order_by(_E.c.at.desc(), _E.c.id.desc())
    found = tx.execute(rows.offset(query.offset).limit(query.limit)).mappings()
    return [Event(**row) for row in found], total


def prune(tx: Connection, before: float) -> int:
    """Forget events older than `before`; how many."""
    return tx.execute(delete(_E).where(_E.c.at < before)).rowcount


def _where(statement: Select[Any], query: EventQuery) -> Select[Any]:
    for column, value in {
        "service": query.service,
        "type": query.type,
        "replica": query.replica,
    }.items():
        if value:
            statement = statement.where(_E.c[column] == value)
    if query.since > 0:
        statement = statement.where(_E.c.at >= query.since)
    return statement if query.until == float("inf") else statement.where(_E.c.at <= query.until)
