"""Workspaces as stored."""

from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.workspaces import Workspace
from pierhead.store.quota_tables import workspaces as _W

_FIELDS = tuple(asdict(Workspace("")))
_ENTER = text(
    "INSERT INTO workspaces (id, name, quota, created, updated)"
    " VALUES (:id, :name, :quota, :created, :updated) ON CONFLICT (id) DO NOTHING"
)


def load(tx: Connection, id_: str) -> Workspace | None:
    """A workspace by its id."""
    row = tx.execute(select(_W).where(_W.c.id == id_)).mappings().first()
    return None if row is None else _workspace(row)


def everything(tx: Connection) -> list[Workspace]:
    """All workspaces by their ids."""
    return [_workspace(row) for row in tx.execute(select(_W).order_by(_W.c.id)).mappings()]


def using_quota(tx: Connection, quota: str) -> list[Workspace]:
    """The workspaces whose services count against a quota."""
    wanted = select(_W).where(_W.c.quota == quota).order_by(_W.c.id)
    return [_workspace(row) for row in tx.execute(wanted).mappings()]


def add(tx: Connection, workspace: Workspace) -> None:
    """Store a new workspace.

    Raises:
        Duplicate: there is one of that id.
    """
    if load(tx, workspace.id) is not None:
        raise Duplicate("Workspace", workspace.id, "exists already")
    try:
        tx.execute(insert(_W).values(**asdict(workspace)))
    except IntegrityError as error:  # another hub was first
        raise Duplicate("Workspace", workspace.id, "exists already") from error


def enter(tx: Connection, workspace: Workspace) -> None:
    """Store a workspace unless there is one of that id, which may have come this moment."""
    tx.execute(_ENTER, asdict(workspace))


def change(tx: Connection, workspace: Workspace) -> None:
    """Write a workspace's row; its id stays."""
    tx.execute(update(_W).where(_W.c.id == workspace.id).values(**asdict(workspace)))


def remove(tx: Connection, id_: str) -> None:
    """Forget a workspace; what names it goes on to name it."""
    tx.execute(delete(_W).where(_W.c.id == id_))


def _workspace(row: RowMapping) -> Workspace:
    return Workspace(**{name: row[name] for name in _FIELDS})
