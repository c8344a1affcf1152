"""Who has which policy: attached to users, groups and roles, everywhere or in one workspace."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.errors import Duplicate, NotFound
from pierhead.core.identities import (
    Attached,
    Attachment,
    Group,
    PolicyKind,
    Role,
    TargetKind,
    User,
)
from pierhead.core.principals import Principal
from pierhead.operations.iam import common
from pierhead.operations.iam.users import check_text
from pierhead.operations.owners import STRICT
from pierhead.operations.platform import Platform
from pierhead.store import grants as rows
from pierhead.store import workspaces

_WORKSPACE = 255  #: characters


@dataclass(frozen=True, slots=True)
class Entities:
    """Who has a policy, by kind; one that has it in several workspaces comes as often."""

    users: tuple[tuple[User, Attachment], ...] = ()
    groups: tuple[tuple[Group, Attachment], ...] = ()
    roles: tuple[tuple[Role, Attachment], ...] = ()


async def attach(platform: Platform, actor: Principal, attachment: Attachment) -> Attachment:
    """Give a policy to a user, group or role; it counts from the next call on.

    Raises:
        NotFound: there is no such policy, user, group or role, or its workspace must be there and
            is not.
        Duplicate: it has it already, in this workspace.
        Unavailable: the database does not answer.
    """
    check_text("workspace_id", attachment.workspace, _WORKSPACE)
    made = replace(attachment, created=platform.clock())
    return await common.write(platform, _attach, made, strict=platform.strict_ids)


async def detach(platform: Platform, actor: Principal, attachment: Attachment) -> None:
    """Take a policy away; `created` is not looked at.

    Raises:
        NotFound: there is no such policy, user, group or role, or it has not got it.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _detach, attachment)


async def list_policies_for(
    platform: Platform, actor: Principal, target_kind: TargetKind, target: str
) -> list[Attached]:
    """What a user, group or role (by name) has itself, oldest first; a user's groups are not asked.

    Raises:
        NotFound: there is no such user, group or role.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(_of_target, target_kind, target)


async def list_entities_for_policy(
    platform: Platform, actor: Principal, kind: PolicyKind, name: str
) -> Entities:
    """Who has a policy.

    Raises:
        NotFound: there is no such policy.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(_entities, kind, name)


def _attach(tx: Connection, wanted: Attachment, *, strict: bool) -> Attachment:
    target, made = _spelled(tx, wanted)
    if strict and made.workspace and workspaces.load(tx, made.workspace) is None:
        raise NotFound("Workspace", made.workspace, STRICT)
    if not rows.attach(tx, target, made):
        problem = f"has the policy {made.policy} already"
        raise Duplicate(f"{made.target_kind}.Policy", made.target, problem)
    return made


def _detach(tx: Connection, wanted: Attachment) -> None:
    target, gone = _spelled(tx, wanted)
    if not rows.detach(tx, target, gone):
        hint = f"The {gone.target_kind} {gone.target} has not got it"
        raise NotFound(f"{gone.target_kind}.Policy", gone.policy, hint)


def _spelled(tx: Connection, wanted: Attachment) -> tuple[str, Attachment]:
    """The target's id, and the attachment with the target's name as it is spelled."""
    common.policy(tx, wanted.policy_kind, wanted.policy)
    by_kind = {"User": common.user, "Group": common.group, "Role": common.role}
    target = by_kind[wanted.target_kind](tx, wanted.target)
    return target.id, replace(wanted, target=target.name)


def _of_target(tx: Connection, kind: TargetKind, name: str) -> list[Attached]:
    found = rows.of_target(tx, kind, common.target(tx, kind, name))
    return [Attached(one, common.policy(tx, one.policy_kind, one.policy)) for one in found]


def _entities(tx: Connection, kind: PolicyKind, name: str) -> Entities:
    common.policy(tx, kind, name)
    found = rows.of_policy(tx, kind, name)
    of = {target: [one for one in found if one.target_kind == target] for target in _KINDS}
    return Entities(
        users=tuple((common.user(tx, one.target), one) for one in of["User"]),
        groups=tuple((common.group(tx, one.target), one) for one in of["Group"]),
        roles=tuple((common.role(tx, one.target), one) for one in of["Role"]),
    )


_KINDS: tuple[TargetKind, ...] = ("User", "Group", "Role")
