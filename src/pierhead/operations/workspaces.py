"""Workspaces: what groups services, and what policies may be bounded to."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.errors import NotFound
from pierhead.core.identities import check_name
from pierhead.core.permits import refusal
from pierhead.core.principals import Principal
from pierhead.core.services import Wanted
from pierhead.core.workspaces import Workspace
from pierhead.operations.iam import common
from pierhead.operations.iam.users import check_text, refuse_in_use
from pierhead.operations.platform import Platform
from pierhead.operations.quotas import counted, names, wake
from pierhead.store import connections, grants
from pierhead.store import quotas as quota_rows
from pierhead.store import services as service_rows
from pierhead.store import workspaces as rows
from pierhead.store.services import ServiceQuery

GET, LIST = "pierhead:GetWorkspace", "pierhead:ListWorkspaces"
_LIMITS = "pierhead:UpdateQuota"
_NAME = 255  #: characters


@dataclass(frozen=True, slots=True)
class WorkspaceChange:
    """What is to be different; None = it stays."""

    name: str | None = None
    quota: str | None = None  #: "" = none any more


@dataclass(frozen=True, slots=True)
class Room:
    """A workspace, and what is in it."""

    workspace: Workspace
    services: int


async def create_workspace(platform: Platform, actor: Principal, wish: Workspace) -> Room:
    """Make a workspace. Services may name it already: it takes them in.

    Raises:
        Invalid: id or name is not legal.
        NotFound: there is no such quota.
        Duplicate: there is one of that id.
        Forbidden: a workspace with a quota needs the right to change that quota.
        Unavailable: the database does not answer.
    """
    now = platform.clock()
    made = replace(wish, id=check_name("Workspace", wish.id), created=now, updated=now)
    check_text("name", made.name, _NAME)

    def write(tx: Connection) -> tuple[Room, set[str]]:
        _demand_limits(tx, actor, "", made.quota)
        rows.add(tx, made)
        return _room(tx, made), _concerned(tx, made, "")

    return await _written(platform, write)


async def get_workspace(platform: Platform, actor: Principal, id_: str) -> Room:
    """A workspace.

    Raises:
        NotFound: there is none.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(lambda tx: _room(tx, _known(tx, id_)))


async def list_workspaces(
    platform: Platform, actor: Principal, marker: str = "", max_items: int = common.USUAL_ITEMS
) -> tuple[list[Room], str]:
    """The workspaces that the actor sees by their ids, and the marker of the next page.

    Raises:
        Invalid: `max_items` is not 1 to 1000.
        Unavailable: the database does not answer.
    """
    common.check_page(max_items)

    def read(tx: Connection) -> tuple[list[Room], str]:
        left = [one for one in rows.everything(tx) if one.id > marker and sees(actor, one.id)]
        found, rest = common.cut(left, max_items, lambda one: one.id)
        return [_room(tx, one) for one in found], rest

    return await platform.db.read(read)


async def update_workspace(
    platform: Platform, actor: Principal, id_: str, change: WorkspaceChange
) -> Room:
    """Call a workspace otherwise, or have its services count against another quota.

    Raises:
        Invalid: the name is not legal.
        NotFound: there is no such workspace or quota.
        Forbidden: another quota needs the right to change both, that it leaves and that it gets.
        Unavailable: the database does not answer.
    """
    check_text("name", change.name or "", _NAME)

    def write(tx: Connection) -> tuple[Room, set[str]]:
        old = _known(tx, id_)
        new = replace(
            old,
            name=old.name if change.name is None else change.name,
            quota=old.quota if change.quota is None else change.quota,
            updated=platform.clock(),
        )
        _demand_limits(tx, actor, old.quota, new.quota)
        rows.change(tx, new)
        concerned = _concerned(tx, new, old.quota) if new.quota != old.quota else set[str]()
        return _room(tx, new), concerned

    return await _written(platform, write)


async def delete_workspace(platform: Platform, actor: Principal, id_: str) -> None:
    """Delete a workspace.

    Raises:
        NotFound: there is none.
        InUse: services are in it, or policies or storage connections are bounded to it; the message
            names some.
        Unavailable: the database does not answer.
    """

    def write(tx: Connection) -> None:
        _known(tx, id_)
        found, _ = service_rows.page(tx, ServiceQuery(workspace=id_))
        inside = [service for service, _ in found if service.wanted is not Wanted.DELETED]
        bounded = [one.policy for one in grants.of_workspace(tx, id_)]
        having = {
            "Service": names(actor, inside),
            "Policy": bounded,
            "Connection": list(connections.of_workspace(tx, id_)),
        }
        refuse_in_use("Workspace", id_, having)
        rows.remove(tx, id_)

    await common.write(platform, write)  # nobody is given a policy in it meanwhile
    wake(platform, ())  # what is made under its id later has no quota any more


def sees(actor: Principal, workspace: str) -> bool:
    """May `actor` see it in a list? By a right to list it, or to look at it, everywhere or in it."""
    permit = actor.permit
    if actor.admin or permit is None:
        return actor.admin
    noun = ("pierhead", f"workspace/{workspace}")
    decision = permit.asked((LIST,), noun, workspace)
    return decision.allowed if decision.explicit else permit.asked((GET,), noun, workspace).allowed


async def _written(
    platform: Platform, write: Callable[[Connection], tuple[Room, set[str]]]
) -> Room:
    """What `write` gives, once the services that it names are looked at."""
    room, concerned = await platform.db.write(write)
    wake(platform, concerned)
    return room


def _demand_limits(tx: Connection, actor: Principal, old: str, new: str) -> None:
    """Who is bounded by a quota must not get rid of it: it needs a right outside of the workspace."""
    if old == new:
        return
    permit = actor.permit
    if permit is not None and not actor.admin:
        for quota in filter(None, (old, new)):
            noun = ("pierhead", f"quota/{quota}")
            decision = permit.asked((_LIMITS,), noun)
            if not decision.allowed:
                raise refusal(_LIMITS, permit.realm.arn(noun), decision)
    if new and quota_rows.load(tx, new) is None:
        raise NotFound("Quota", new)


def _concerned(tx: Connection, workspace: Workspace, old: str) -> set[str]:
    """Services that have another room after a workspace changed its quota: its own, and neighbours."""
    found = {service.id for service in counted(tx, "", [workspace])}
    for quota in filter(None, (old, workspace.quota)):
        found |= {service.id for service in counted(tx, quota, rows.using_quota(tx, quota))}
    return found


def _room(tx: Connection, workspace: Workspace) -> Room:
    _, number = service_rows.page(tx, ServiceQuery(workspace=workspace.id, limit=0))
    return Room(workspace, number)


def _known(tx: Connection, id_: str) -> Workspace:
    found = rows.load(tx, id_)
    if found is None:
        raise NotFound("Workspace", id_)
    return found
