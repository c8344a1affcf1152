"""Use cases on services: create, change, start, stop, delete, find."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core import lifecycle, locks
from pierhead.core import tags as rules
from pierhead.core.errors import Conflict, Forbidden, Invalid, NotFound, Stale, Taken
from pierhead.core.events import PLATFORM, Notice
from pierhead.core.ids import access_token, object_id
from pierhead.core.mounts import Source
from pierhead.core.names import ID_DIGITS, id_of, service_name
from pierhead.core.principals import Principal
from pierhead.core.registry import Extras, ResourceType
from pierhead.core.services import (
    Change,
    Intake,
    Registration,
    Relaying,
    Seen,
    Service,
    Version,
    Wanted,
)
from pierhead.core.status import Status, verdict
from pierhead.core.templates import Rolling, Template
from pierhead.core.twins import CHANGE
from pierhead.failpoint import passing
from pierhead.operations import connections, joining, owners, references, rights, tag_rows
from pierhead.operations.noted import event, warnings
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import events as event_rows
from pierhead.store import services as rows
from pierhead.store import tags as tags_of

#: How often a change is decided anew when somebody else changed the service in between.
ATTEMPTS = 20
_TEXT_LIMIT = 255
_UNREGISTERED, _USUAL = Registration(), Relaying()
_USUAL_INTAKE = Intake()
NO_EXTRAS = Extras()
_JOINED = "to join a group, one must be allowed to change the services in it"
#: Service.origin of deployments that are told in the registry's words.
GROUP = "zstack.group"


@dataclass(frozen=True, slots=True)
class Draft:
    """A service to be made, in the domain's words."""

    name: str
    origin: str
    template: Template
    replicas: int
    submitted: Mapping[str, Any]
    source: Source | None = None
    rolling: Rolling = Rolling()
    request_timeout: float | None = None
    relaying: Relaying = _USUAL
    intake: Intake = _USUAL_INTAKE
    workspace: str = ""
    quota: str = ""
    group: str = ""
    token: str = ""  #: "" = a new one
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    notices: tuple[Notice, ...] = ()
    id: str = ""  #: wanted id; "" = a new one
    stopped: bool = False  #: it is wanted, but not running yet
    registration: Registration = _UNREGISTERED
    #: Tags that it comes with; without any, its labels are its user tags.
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Decision:
    """What a change comes to: the service as wanted next (None = as it is) and what to write down."""

    service: Service | None
    reason: str = ""
    message: str = ""
    notices: tuple[Notice, ...] = ()


Decide = Callable[[Service, Seen, float], Decision]


async def create(
    platform: Platform, actor: Principal, draft: Draft, also: Also = nothing
) -> Service:
    """Make a service; its replicas come up afterwards.

    Raises:
        Invalid: name, count, a text or a tag is not legal.
        Conflict: the name is taken.
        Taken: the wanted id is used.
        NotFound: a tag pattern is not there, what it is made from was removed meanwhile, or its
            workspace or quota must be there and is not.
        Forbidden: no policy lets the actor make it so, in this workspace, group or quota.
    """
    _check(draft)
    now = platform.clock()

    def write(tx: Connection) -> Service:
        references.demand_kept(tx, draft.registration)
        service = _with_free_id(tx, platform, _new(platform, actor, draft, now), draft)
        rights.demand_made(actor, service)
        _demand_members(tx, actor, service)
        service = joining.joined(tx, actor, service, own_token=bool(draft.token))
        odd = owners.settle(tx, platform, actor, None, service)
        connections.demand(tx, actor, None, service)
        rows.add(tx, service)
        _write_tags(tx, platform, service, draft, now)
        message = f"Service [{service.name}] was created: {service.replicas} x {service.current.template.name}."
        noted = event(service, actor, now, "ServiceCreated", message)
        event_rows.append(tx, noted, *warnings(service, actor, now, (*draft.notices, *odd)))
        also(tx, service.id)
        return service

    await passing("service.create.before_write")
    service = await platform.db.write(write)
    await passing("service.create.after_write")
    platform.wake(service.id)
    return service


async def find(
    platform: Platform, name: str, actor: Principal | None = None
) -> tuple[Service, Seen]:
    """A service by name, `<group>.<name>`, id, or what `names.by_id` gives for one.

    For `actor`'s call what was looked at to let it in is not read again.

    Raises:
        NotFound: there is none.
        Forbidden: what `actor` is about to do may not be done to it.
    """
    looked = actor.permit.looked if actor is not None and actor.permit is not None else None
    if looked is not None and looked[0] == name:
        return looked[1]
    found = await platform.db.read(rows.find, name)
    if found is None:
        raise NotFound("service", id_of(name) or name)
    if actor is not None:
        rights.demand_service(actor, found[0])
    return found


async def page(
    platform: Platform,
    query: rows.ServiceQuery,
    status: str = "",
    actor: Principal | None = None,
) -> tuple[list[tuple[Service, Seen]], int]:
    """One page of the services that `actor` sees (None = all) and the number of all of these.

    A status is computed, and so is who may see what: both are filtered here.
    """
    if not status and (actor is None or rights.sees_all_services(actor)):
        return await platform.db.read(rows.page, query)
    whole = replace(query, offset=0, limit=None)
    if actor is None:
        matching, _ = await platform.db.read(rows.page, whole)
    else:
        matching = await platform.db.read(rights.seen_services, actor, whole)
    now = platform.clock()
    if status:
        matching = [pair for pair in matching if verdict(*pair, now).status == status]
    end = None if query.limit is None else query.offset + query.limit
    return matching[query.offset : end], len(matching)


async def change(
    platform: Platform, actor: Principal, name: str, decide: Decide, also: Also = nothing
) -> Service:
    """Decide on the newest state and write it guarded; decided anew if somebody was faster.

    Raises:
        NotFound: there is no such service, or its workspace or quota must be there and is not.
        Conflict: its state forbids the change, or it was changed under us time and again.
        Locked: its owner locked it against the change.
        Forbidden: it may not be done to the service as it is now, or as it would be afterwards.
    """
    for attempt in range(ATTEMPTS):
        service, seen = await find(platform, name, _anew(actor) if attempt else actor)
        decision = decide(service, seen, platform.clock())
        if decision.service is None:
            if also is not nothing:
                await platform.db.write(also, service.id)
                platform.wake(service.id)
            return service
        if actor.id != PLATFORM:
            locks.demand(service, decision.service)
        await _demand_after(platform, actor, service, decision.service)
        await passing("service.change.before_write")
        try:
            await platform.db.write(_store, platform, actor, (service, decision), also)
        except Stale:
            continue
        await passing("service.change.after_write")
        platform.wake(service.id)
        return decision.service
    raise Conflict("service", name, "was changed by others at the same time, again and again")


async def start(platform: Platform, actor: Principal, name: str) -> Service:
    """Start it; a running one stays as it is, a failed one is tried again."""

    def decide(service: Service, seen: Seen, now: float) -> Decision:
        failed = verdict(service, seen, now).status is Status.FAILED
        return Decision(
            lifecycle.start(service, now, failed=failed),
            "ServiceStarted",
            f"Service [{service.name}] is starting.",
        )

    return await change(platform, actor, name, decide)


async def stop(platform: Platform, actor: Principal, name: str) -> Service:
    """Stop it: replicas end their requests and go."""

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        return Decision(
            lifecycle.stop(service, now), "ServiceStopped", f"Service [{service.name}] is stopping."
        )

    return await change(platform, actor, name, decide)


async def restart(platform: Platform, actor: Principal, name: str) -> Service:
    """Replace every replica, rolling, without a gap."""

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        return Decision(
            lifecycle.restart(service, now),
            "ServiceRestarted",
            f"Service [{service.name}] is restarting.",
        )

    return await change(platform, actor, name, decide)


async def delete(platform: Platform, actor: Principal, name: str) -> Service:
    """Remove it, from whatever state it is in."""

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        return Decision(
            lifecycle.delete(service, now),
            "ServiceDeleted",
            f"Service [{service.name}] is being deleted.",
        )

    return await change(platform, actor, name, decide)


def scaled(
    service: Service, replicas: int, now: float, notices: tuple[Notice, ...] = ()
) -> Decision:
    """The decision to have another number of replicas."""
    message = f"Service [{service.name}] is scaling from {service.replicas} to {replicas} replicas."
    return Decision(lifecycle.scale(service, replicas, now), "ServiceScaled", message, notices)


def upgraded(
    service: Service,
    version: Version,
    now: float,
    replicas: int | None,
    notices: tuple[Notice, ...],
) -> Decision:
    """The decision to have other content, and perhaps another number of replicas."""
    changed = lifecycle.upgrade(service, version, now, replicas=replicas)
    message = f"Service [{service.name}] is updating to version {changed.latest}."
    return Decision(changed, "ServiceUpdated", message, notices)


def touched(before: Service, after: Service, now: float, notices: tuple[Notice, ...]) -> Decision:
    """The decision to keep `after`, which differs from `before` in nothing that a replica knows."""
    if after == before:
        return Decision(None)
    changed = lifecycle.touch(after, now)
    return Decision(
        changed,
        "ServiceUpdated",
        f"Service [{after.name}] was updated; no replica is touched.",
        notices,
    )


def _anew(actor: Principal) -> Principal:
    """The actor, who has seen nothing yet."""
    permit = actor.permit
    return actor if permit is None else replace(actor, permit=replace(permit, looked=None))


async def _demand_after(
    platform: Platform, actor: Principal, before: Service, after: Service
) -> None:
    """Refuse a change after which the actor would not have been allowed it, or that joins strangers.

    Raises:
        Forbidden: no policy allows it, or one denies it.
    """
    if _places(before) == _places(after):
        return
    rights.demand_service(actor, after)
    if after.group != before.group:
        await platform.db.read(_demand_members, actor, after)


def _places(service: Service) -> tuple[object, ...]:
    """All by which policies tell services apart."""
    title = service.registration.title
    return service.workspace, service.group, dict(service.labels), title


def _demand_members(tx: Connection, actor: Principal, service: Service) -> None:
    """Services of a group share traffic: who joins it must be allowed to change all that are in it.

    Raises:
        Forbidden: one of them is not the actor's to change.
    """
    if not service.group or actor.permit is None or actor.admin:
        return
    members, _ = rows.page(tx, rows.ServiceQuery(group=service.group))
    if not all(actor.permit.changes(one) for one, _seen in members if one.id != service.id):
        raise Forbidden(
            CHANGE[0], actor.permit.realm.names(f"{service.group}.*")[0], because=_JOINED
        )


def _store(
    tx: Connection,
    platform: Platform,
    actor: Principal,
    change: tuple[Service, Decision],
    also: Also,
) -> None:
    before, decision = change
    service, now = decision.service, platform.clock()
    if service is None:
        return
    if service.group != before.group:
        service = joining.joined(tx, actor, service, own_token=True)
    odd = owners.settle(tx, platform, actor, before, service)
    connections.demand(tx, actor, before, service)
    rows.change(tx, service, actor.id)
    if service.wanted is Wanted.RUNNING:
        tags_of.set_replicas(tx, service.id, service.replicas)
    noted = event(service, actor, now, decision.reason, decision.message)
    event_rows.append(tx, noted, *warnings(service, actor, now, (*decision.notices, *odd)))
    also(tx, service.id)


def _with_free_id(tx: Connection, platform: Platform, service: Service, draft: Draft) -> Service:
    """The service with an id that differs from all others in its first digits already.

    Raises:
        Taken: it is to have an id that does not.
    """
    while rows.beginning(tx, service.id[:ID_DIGITS]) is not None:
        if draft.id:
            problem = f"is used, or begins with the same {ID_DIGITS} digits as another one"
            raise Taken(ResourceType.GROUP, draft.id, problem)
        service = replace(service, id=object_id(platform.entropy))
    return service


def _write_tags(
    tx: Connection, platform: Platform, service: Service, draft: Draft, now: float
) -> None:
    """The tags that a service comes with, and the one that tells its name."""
    extras = draft.extras
    if extras == NO_EXTRAS:
        extras = Extras(user_tags=tuple(rules.texts(draft.labels)))
    tag_rows.attach_new(tx, platform, ResourceType.GROUP, service.id, extras)
    tags_of.add(tx, tag_rows.inherent(platform.entropy, service.id, service.name, now))


def _new(platform: Platform, actor: Principal, draft: Draft, now: float) -> Service:
    version = Version(
        number=1,
        template=draft.template,
        source=draft.source,
        rolling=draft.rolling,
        request_timeout=draft.request_timeout,
        relaying=draft.relaying,
        intake=draft.intake,
        submitted=draft.submitted,
    )
    return Service(
        id=draft.id or object_id(platform.entropy),
        name=draft.name,
        account=platform.account,
        caller=actor.id,
        origin=draft.origin,
        wanted=Wanted.STOPPED if draft.stopped else Wanted.RUNNING,
        change=Change.CREATE,
        replicas=draft.replicas,
        current=version,
        latest=1,
        epoch=0,
        revision=1,
        token=draft.token or access_token(platform.entropy),
        created=now,
        updated=now,
        workspace=draft.workspace,
        quota=draft.quota,
        group=draft.group,
        labels=dict(draft.labels),
        registration=draft.registration,
    )


def _check(draft: Draft) -> None:
    service_name(draft.name)
    lifecycle.replica_count(draft.replicas)
    if draft.group:
        service_name(draft.group, "metadata.group")
    for field_name, value in {
        "WorkspaceId": draft.workspace,
        "QuotaId": draft.quota,
        "token": draft.token,
    }.items():
        check_length(field_name, value)
    for key, value in draft.labels.items():
        check_length("Labels", key)
        check_length("Labels", value)


def check_length(field_name: str, value: str) -> None:
    """Refuse a text that no column holds.

    Raises:
        Invalid: it is longer than 255 characters.
    """
    if len(value) > _TEXT_LIMIT:
        raise Invalid(field_name, f"{len(value)} characters", f"at most {_TEXT_LIMIT} characters")
