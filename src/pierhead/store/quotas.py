"""Quotas as stored."""

from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.quotas import Quota
from pierhead.store.quota_tables import quotas as _Q

_FIELDS = tuple(asdict(Quota("")))


def load(tx: Connection, id_: str) -> Quota | None:
    """A quota by its id."""
    row = tx.execute(select(_Q).where(_Q.c.id == id_)).mappings().first()
    return None if row is None else _quota(row)


def everything(tx: Connection) -> list[Quota]:
    """All quotas by their ids."""
    return [_quota(row) for row in tx.execute(select(_Q).order_by(_Q.c.id)).mappings()]


def add(tx: Connection, quota: Quota) -> None:
    """Store a new quota.

    Raises:
        Duplicate: there is one of that id.
    """
    if load(tx, quota.id) is not None:
        raise Duplicate("Quota", quota.id, "exists already")
    try:
        tx.execute(insert(_Q).values(**asdict(quota)))
    except IntegrityError as error:  # another hub was first
        raise Duplicate("Quota", quota.id, "exists already") from error


def change(tx: Connection, quota: Quota) -> None:
    """Write a quota's row; its id stays."""
    tx.execute(update(_Q).where(_Q.c.id == quota.id).values(**asdict(quota)))


def remove(tx: Connection, id_: str) -> None:
    """Forget a quota; what names it is bound by nothing."""
    tx.execute(delete(_Q).where(_Q.c.id == id_))


def _quota(row: RowMapping) -> Quota:
    return Quota(**{name: row[name] for name in _FIELDS})
