"""Roles as stored."""

from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.identities import Role
from pierhead.store import grants
from pierhead.store.identity_tables import attachments as _A
from pierhead.store.identity_tables import roles as _R

_FIELDS = tuple(asdict(Role("", "", "")))


def add(tx: Connection, role: Role) -> None:
    """Store a new role.

    Raises:
        Duplicate: there is one of that name, in whatever case.
    """
    if find(tx, role.name) is not None:
        raise Duplicate("Role", role.name, "exists already")
    try:
        tx.execute(insert(_R).values(**asdict(role), folded=role.name.lower()))
    except IntegrityError as error:  # another hub was first
        raise Duplicate("Role", role.name, "exists already") from error
    grants.changed(tx)


def find(tx: Connection, name: str) -> Role | None:
    """A role by its name, in whatever case."""
    row = tx.execute(select(_R).where(_R.c.folded == name.lower())).mappings().first()
    return None if row is None else _role(row)


def page(tx: Connection, after: str, limit: int) -> list[Role]:
    """Roles by name, from the one that follows `after` ("" = the first)."""
    wanted = select(_R).where(_R.c.folded > after.lower()).order_by(_R.c.folded).limit(limit)
    return [_role(row) for row in tx.execute(wanted).mappings()]


def change(tx: Connection, role: Role) -> None:
    """Write a role's row; id and name stay."""
    values = asdict(role) | {"folded": role.name.lower()}
    tx.execute(update(_R).where(_R.c.id == role.id).values(**values))
    grants.changed(tx)


def remove(tx: Connection, id_: str) -> None:
    """Forget a role and what it was given."""
    tx.execute(delete(_A).where(_A.c.target_kind == "Role", _A.c.target == id_))
    tx.execute(delete(_R).where(_R.c.id == id_))
    grants.changed(tx)


def _role(row: RowMapping) -> Role:
    return Role(**{name: row[name] for name in _FIELDS})
