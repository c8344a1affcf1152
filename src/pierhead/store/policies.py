"""Custom policies and their versions as stored. Shipped ones are in `core.system_policies`."""

from sqlalchemy import Connection, RowMapping, Select, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.identities import PolicyRecord, PolicyVersion
from pierhead.store import grants
from pierhead.store.identity_tables import attachments as _A
from pierhead.store.identity_tables import policies as _P
from pierhead.store.identity_tables import policy_versions as _V


def add(tx: Connection, policy: PolicyRecord) -> None:
    """Store a new policy with its document as version v1.

    Raises:
        Duplicate: there is one of that name.
    """
    if find(tx, policy.name) is not None:
        raise Duplicate("Policy", policy.name, "exists already")
    at = policy.created
    row = {"description": policy.description, "next_version": 2, "created": at, "updated": at}
    try:
        tx.execute(insert(_P).values(name=policy.name, **row))
    except IntegrityError as error:  # another hub was first
        raise Duplicate("Policy", policy.name, "exists already") from error
    _insert(tx, policy.name, 1, policy.document, at)
    grants.changed(tx)


def find(tx: Connection, name: str) -> PolicyRecord | None:
    """A policy with its default version's document."""
    row = tx.execute(_records().where(_P.c.name == name)).mappings().first()
    return None if row is None else _record(row)


def page(tx: Connection, after: str, limit: int) -> list[PolicyRecord]:
    """Policies by name, from the one that follows `after` ("" = the first)."""
    wanted = _records().where(_P.c.name > after).order_by(_P.c.name).limit(limit)
    return [_record(row) for row in tx.execute(wanted).mappings()]


def remove(tx: Connection, name: str) -> None:
    """Forget a policy with all versions; who had it must have been asked for before."""
    tx.execute(delete(_V).where(_V.c.policy == name))
    tx.execute(delete(_P).where(_P.c.name == name))
    grants.changed(tx)


def versions(tx: Connection, name: str) -> list[PolicyVersion]:
    """All versions that are kept, oldest first."""
    wanted = select(_V).where(_V.c.policy == name).order_by(_V.c.number)
    return [_version(row) for row in tx.execute(wanted).mappings()]


def add_version(
    tx: Connection, name: str, document: str, at: float, *, default: bool
) -> PolicyVersion:
    """Add a document; numbers are never used twice."""
    number = tx.execute(select(_P.c.next_version).where(_P.c.name == name)).scalar_one()
    tx.execute(update(_P).where(_P.c.name == name).values(next_version=number + 1, updated=at))
    _insert(tx, name, number, document, at, default=False)
    if default:
        set_default(tx, name, number, at)
    return PolicyVersion(f"v{number}", document, at, default)


def set_default(tx: Connection, name: str, number: int, at: float) -> None:
    """Let another version be the one that counts."""
    tx.execute(update(_V).where(_V.c.policy == name).values(is_default=_V.c.number == number))
    tx.execute(update(_P).where(_P.c.name == name).values(updated=at))
    grants.changed(tx)


def remove_version(tx: Connection, name: str, number: int) -> None:
    """Forget one version."""
    tx.execute(delete(_V).where(_V.c.policy == name, _V.c.number == number))
    grants.changed(tx)


def _insert(
    tx: Connection, name: str, number: int, document: str, at: float, *, default: bool = True
) -> None:
    tx.execute(
        insert(_V).values(
            policy=name, number=number, document=document, is_default=default, created=at
        )
    )


def _records() -> Select[tuple[object, ...]]:
    attached = (
        select(func.count())
        .select_from(_A)
        .where(_A.c.policy_kind == "Custom", _A.c.policy == _P.c.name)
        .scalar_subquery()
        .label("attachments")
    )
    default = and_(_V.c.policy == _P.c.name, _V.c.is_default.is_(True))
    return select(_P, _V.c.number, _V.c.document, attached).join_from(_P, _V, default)


def _record(row: RowMapping) -> PolicyRecord:
    return PolicyRecord(
        name=row["name"],
        kind="Custom",
        description=row["description"],
        document=row["document"],
        default_version=f"v{row['number']}",
        attachments=row["attachments"],
        created=row["created"],
        updated=row["updated"],
    )


def _version(row: RowMapping) -> PolicyVersion:
    return PolicyVersion(f"v{row['number']}", row["document"], row["created"], row["is_default"])
