"""Use cases on groups: services that share one endpoint, and how its traffic is shared out.

A group is made by its first member and gone with the last one; what it is, its members say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core import lifecycle, locks
from pierhead.core.errors import Conflict, Forbidden, NotFound, Stale
from pierhead.core.principals import Principal
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.shares import BY_REPLICAS, Mode, Share, check_weight, in_mode, mode_of
from pierhead.core.twins import CHANGE
from pierhead.operations import joining, rights, services
from pierhead.operations.noted import event
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision
from pierhead.store import events as event_rows
from pierhead.store import services as rows

_SHARED = (
    "a group's traffic is that of all its services: one must be allowed to change each of them"
)


@dataclass(frozen=True, slots=True)
class Group:
    """The services of one group that its reader sees, oldest first; there is at least one."""

    name: str
    members: tuple[Service, ...]
    mode: Mode  #: of all its members, seen or not

    @property
    def created(self) -> float:
        """When its first member was made, epoch seconds."""
        return min(one.created for one in self.members)

    @property
    def updated(self) -> float:
        """When one of its members was last changed, epoch seconds."""
        return max(one.updated for one in self.members)


@dataclass(frozen=True, slots=True)
class Wish:
    """Another share for a service; None = as it is."""

    weight: int | None = None
    standalone: bool | None = None


async def release(platform: Platform, actor: Principal, name: str, wish: Wish) -> Service:
    """Give a service another share of its group's traffic; no replica is touched.

    Raises:
        NotFound: there is no such service.
        Forbidden: it is not the actor's to release.
        Invalid: the weight is not legal.
        Conflict: it is in no group, or is being deleted.
    """
    if wish.weight is not None:
        check_weight(wish.weight)

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        before = service.registration.share
        share = Share(
            before.weight if wish.weight is None else wish.weight,
            before.standalone if wish.standalone is None else wish.standalone,
        )
        if not service.group:
            raise Conflict("service", service.name, "is in no group; metadata.group puts it in one")
        if share == before:
            return Decision(None)
        return Decision(_with(service, share, now), "ServiceReleased", _told(service, share))

    return await services.change(platform, actor, name, decide)


async def everything(platform: Platform, actor: Principal, workspace: str = "") -> list[Group]:
    """All groups with a service that the actor sees, in one workspace or ("") in any; oldest first."""

    def read(tx: Connection) -> list[Group]:
        query = rows.ServiceQuery(
            member=True, workspace=workspace, sort="created", descending=False
        )
        found: dict[str, list[Service]] = {}
        for service, _seen in rights.seen_services(tx, actor, query):
            if service.wanted is not Wanted.DELETED:
                found.setdefault(service.group, []).append(service)
        return [_group(name, seen, joining.members(tx, name)) for name, seen in found.items()]

    return await platform.db.read(read)


async def find(platform: Platform, actor: Principal, name: str) -> Group:
    """One group.

    Raises:
        NotFound: there is none, or the actor sees no service in it.
    """
    return await platform.db.read(_seen, actor, name)


async def set_mode(platform: Platform, actor: Principal, name: str, mode: Mode) -> None:
    """Share out by replicas, or by weights that begin with what the replicas say.

    Raises:
        NotFound: there is no such group, or the actor sees no service in it.
        Forbidden: one of its services is not the actor's to change.
        Conflict: it was changed by others at the same time, again and again.
        Locked: one of its services is locked against every change.
    """
    for _ in range(services.ATTEMPTS):
        try:
            changed = await platform.db.write(_set_mode, platform, actor, name, mode)
        except Stale:
            continue
        for service in changed:
            platform.wake(service.id)
        return
    raise Conflict("group", name, "was changed by others at the same time, again and again")


def _set_mode(
    tx: Connection, platform: Platform, actor: Principal, name: str, mode: Mode
) -> list[Service]:
    _seen(tx, actor, name)
    members, now = joining.members(tx, name), platform.clock()
    permit = None if actor.admin else actor.permit
    if permit is not None and not all(map(permit.changes, members)):
        raise Forbidden(CHANGE[0], permit.realm.names(f"{name}.*")[0], because=_SHARED)
    if mode_of(one.registration.share for one in members) is mode:
        return []
    changed: list[Service] = []
    for one in members:
        share = in_mode(one.registration.share, mode, one.replicas)
        if share == one.registration.share:
            continue
        after = _with(one, share, now)
        locks.demand(one, after)
        rows.change(tx, after)
        event_rows.append(tx, event(one, actor, now, "ServiceReleased", _told(one, share)))
        changed.append(after)
    return changed


def _seen(tx: Connection, actor: Principal, name: str) -> Group:
    members = joining.members(tx, name)
    seen = [one for one in members if rights.sees_service(actor, one)]
    if not seen:
        raise NotFound("group", name)
    return _group(name, seen, members)


def _group(name: str, seen: Sequence[Service], members: Sequence[Service]) -> Group:
    return Group(name, tuple(seen), mode_of(one.registration.share for one in members))


def _with(service: Service, share: Share, now: float) -> Service:
    registration = replace(service.registration, share=share)
    return lifecycle.touch(replace(service, registration=registration), now)


def _told(service: Service, share: Share) -> str:
    weight = "by its replicas" if share.weight == BY_REPLICAS else f"with weight {share.weight}"
    takes = "takes no part" if share.standalone else f"takes part {weight}"
    return f"Service [{service.name}] {takes} in the traffic of group [{service.group}]."
