"""Who has which policy, and what a principal's policies say."""

from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)

from pierhead.core.identities import Attachment, PolicyKind, TargetKind
from pierhead.core.principals import ROLE, Principal
from pierhead.store.identity_tables import attachments as _A
from pierhead.store.identity_tables import groups as _G
from pierhead.store.identity_tables import members as _M
from pierhead.store.identity_tables import policy_versions as _V
from pierhead.store.identity_tables import roles as _R
from pierhead.store.identity_tables import users as _U

_REVISION = "iam_revision"
# As it is: it runs for every call, and SQLAlchemy takes four times as long to build such a statement.
_READ = f"SELECT value FROM facts WHERE key = '{_REVISION}'"  # noqa: S608 - nothing of a client's
# One statement: of two hubs that count at once, neither may overwrite the other's step.
_NEXT = text(
    "INSERT INTO facts (key, value) VALUES (:key, '1') ON CONFLICT (key)"
    " DO UPDATE SET value = CAST(CAST(facts.value AS BIGINT) + 1 AS TEXT)"
)
_OF_KIND: dict[TargetKind, Table] = {"User": _U, "Group": _G, "Role": _R}


@dataclass(frozen=True, slots=True)
class Granted:
    """A policy that a principal has, itself or by a group."""

    workspace: str  #: "" = it counts everywhere
    kind: PolicyKind
    name: str
    document: str  #: "" of a shipped one, and of one that is gone


def revision(tx: Connection) -> int:
    """Grows with every change to users, groups, roles, policies and who has them."""
    return int(tx.exec_driver_sql(_READ).scalar() or 0)


def changed(tx: Connection) -> None:
    """To be called in the transaction of every such change: rules that are held are built anew.

    It locks the number until the transaction ends, so who calls it first keeps other hubs' changes
    out while it looks, decides and writes.
    """
    tx.execute(_NEXT, {"key": _REVISION})


def documents(tx: Connection, principal: Principal) -> list[Granted]:
    """All policies of a user (its groups' included) or of an assumed role."""
    role = principal.id.partition(":")[0]
    if principal.kind == ROLE:
        mine = and_(_A.c.target_kind == "Role", _A.c.target == role)
    else:
        of_user = select(_M.c.group_id).where(_M.c.user_id == principal.id)
        mine = or_(
            and_(_A.c.target_kind == "User", _A.c.target == principal.id),
            and_(_A.c.target_kind == "Group", _A.c.target.in_(of_user)),
        )
    in_force = and_(
        _A.c.policy_kind == "Custom", _V.c.policy == _A.c.policy, _V.c.is_default.is_(True)
    )
    wanted = (
        select(_A.c.workspace, _A.c.policy_kind, _A.c.policy, _V.c.document)
        .select_from(_A.outerjoin(_V, in_force))
        .where(mine)
        .order_by(_A.c.policy, _A.c.workspace)
    )
    return [
        Granted(workspace, kind, name, document or "")
        for workspace, kind, name, document in tx.execute(wanted)
    ]


def attach(tx: Connection, target: str, attachment: Attachment) -> bool:
    """Give the policy to the user, group or role with the id `target`; False if it has it already."""
    row = {
        "target_kind": attachment.target_kind,
        "target": target,
        "policy_kind": attachment.policy_kind,
        "policy": attachment.policy,
        "workspace": attachment.workspace,
    }
    same = and_(*(_A.c[name] == value for name, value in row.items()))
    if tx.execute(select(_A.c.policy).where(same)).first() is not None:
        return False
    tx.execute(insert(_A).values(**row, created=attachment.created))
    changed(tx)
    return True


def detach(tx: Connection, target: str, attachment: Attachment) -> bool:
    """Take it away; False if it had none."""
    same = and_(
        _A.c.target_kind == attachment.target_kind,
        _A.c.target == target,
        _A.c.policy_kind == attachment.policy_kind,
        _A.c.policy == attachment.policy,
        _A.c.workspace == attachment.workspace,
    )
    gone = bool(tx.execute(delete(_A).where(same)).rowcount)
    if gone:
        changed(tx)
    return gone


def of_target(tx: Connection, kind: TargetKind, target: str) -> list[Attachment]:
    """What a user, group or role (by its id) has itself."""
    return _read(tx, and_(_A.c.target_kind == kind, _A.c.target == target))


def number_of(tx: Connection, kind: PolicyKind, policy: str) -> int:
    """How many have a policy."""
    wanted = select(func.count()).select_from(_A)
    return tx.execute(wanted.where(_A.c.policy_kind == kind, _A.c.policy == policy)).scalar_one()


def of_policy(tx: Connection, kind: PolicyKind, policy: str) -> list[Attachment]:
    """Who has a policy."""
    return _read(tx, and_(_A.c.policy_kind == kind, _A.c.policy == policy))


def of_workspace(tx: Connection, workspace: str) -> list[Attachment]:
    """What is bounded to a workspace."""
    return _read(tx, _A.c.workspace == workspace)


def _read(tx: Connection, condition: ColumnElement[bool]) -> list[Attachment]:
    found: list[Attachment] = []
    for kind, names in _OF_KIND.items():
        wanted = (
            select(_A.c.policy, _A.c.policy_kind, names.c.name, _A.c.workspace, _A.c.created)
            .join_from(_A, names, names.c.id == _A.c.target)
            .where(_A.c.target_kind == kind, condition)
            .order_by(_A.c.created, _A.c.policy)
        )
        found += [
            Attachment(policy, policy_kind, name, kind, workspace, created)
            for policy, policy_kind, name, workspace, created in tx.execute(wanted)
        ]
    return found
