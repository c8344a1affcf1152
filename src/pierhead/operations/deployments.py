"""Use cases on deployments of registered templates: deploy, change, restart, remove, resize.

A deployment is a service like any other; `services.py` knows the rest of its life.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core import lifecycle, locks
from pierhead.core import tags as rules
from pierhead.core.errors import Conflict, InUse, Invalid, NotFound, PierheadError, Unsupported
from pierhead.core.names import by_id, slug
from pierhead.core.principals import Principal
from pierhead.core.registry import DeleteMode, Extras, RegisteredTemplate, ResourceType
from pierhead.core.replicas import Node
from pierhead.core.resources import Resources, human_bytes
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.tags import Asked
from pierhead.operations import (
    checks,
    detaching,
    effective,
    references,
    regrouping,
    resolving,
    rights,
    services,
    spreading,
    tag_rows,
)
from pierhead.operations.effective import Snapshot
from pierhead.operations.noted import event
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.operations.regrouping import GroupChanges, tagged
from pierhead.operations.resolving import Plan
from pierhead.operations.services import GROUP, NO_EXTRAS, Decide, Decision, Draft
from pierhead.operations.spreading import Spread
from pierhead.operations.wishes import DeployWish
from pierhead.store import events as event_rows
from pierhead.store import services as service_rows
from pierhead.store import tags as tags_of

__all__ = [
    "DeployWish",
    "GroupChanges",
    "delete",
    "deploy",
    "deploy_distributed",
    "replicas",
    "restart",
    "tagged",
    "update",
]

KIND = ResourceType.GROUP
_KINDS = ("VirtualMachine", "Container")


async def deploy(
    platform: Platform,
    actor: Principal,
    template: str,
    wish: DeployWish,
    extras: Extras = NO_EXTRAS,
    also: Also = nothing,
) -> Service:
    """Make a service from a registered template; its replicas come up afterwards.

    Raises:
        Invalid: a field, a tag or the template's YAML is not legal.
        NotFound: template, zone, model, dataset, dependency or tag pattern is not there.
        Unsupported: the template's type, or the runtime, is not deployed here.
        Conflict: no node has the room for one replica.
        Taken: the wanted uuid is used.
        Forbidden: the template asks for what only the account itself may have.
    """
    asked = rules.asked(extras.system_tags)
    if asked.open:
        rights.demand_admin(actor, f"open an endpoint to everybody ({rules.Kind.AUTH}::none)")
    _check(wish, asked, platform.runtime_name)
    uuid = checks.uuid_for(platform, extras)
    for _ in range(services.ATTEMPTS):
        plan, name, labels = await platform.db.read(
            _planned, platform, actor, template, wish, (uuid, extras)
        )
        facts = replace(plan.facts, service=name, gpus=asked.gpus)
        snapshot = effective.snapshot(plan.registered, wish, facts)
        nodes = () if platform.nodes_come else platform.nodes
        _refuse_too_large(plan.registered.name, snapshot.template.resources, nodes)
        draft = replace(
            _draft(wish, asked, plan, snapshot),
            id=uuid,
            name=name,
            labels=labels,
            extras=extras,
            notices=snapshot.notices,
        )
        try:
            return await services.create(platform, actor, draft, also)
        except Conflict as error:
            # Somebody took the name between the look and the write.
            if type(error) is not Conflict or error.name != name:
                raise
    raise Conflict(KIND, wish.name[:80], "finds no free service name, again and again")


async def deploy_distributed(
    platform: Platform,
    actor: Principal,
    spread: Spread,
    extras: Extras = NO_EXTRAS,
    also: Also = nothing,
) -> Service:
    """Make a service whose replicas are on several nodes each; they come up afterwards.

    Raises:
        NotFound: a template, or what else is named, is not there.
        Missing, Invalid: the parts do not make one replica, or the template is not made for that.
        Unsupported: the runtime has replicas on one node only.
        Unavailable: the runtime cannot be asked what it can do.
        Conflict, Taken, Forbidden: as for `deploy`.
    """
    templates = list(dict.fromkeys(part.template for part in spread.parts))

    def read(tx: Connection) -> dict[str, RegisteredTemplate]:
        return {uuid: references.template(tx, actor, uuid) for uuid in templates}

    found = await platform.db.read(read)
    spreading.demand_one(found, spread.parts)
    wish = spreading.wish(spread)
    info = await platform.runtime.probe()
    if info.one_node:
        raise Unsupported("A replica over several nodes", f"{info.one_node}; deploy it on one node")
    if not platform.nodes_come:
        spreading.demand_gpus(wish, info)
    return await deploy(platform, actor, templates[0], wish, extras, also)


async def update(
    platform: Platform, actor: Principal, uuid: str, changes: GroupChanges, also: Also = nothing
) -> Service:
    """Rename in place; another environment, other parameters or probes are rolled out.

    Raises:
        NotFound: there is no such deployment.
        Invalid: a field is not legal.
        Conflict: it is being deleted.
    """
    checks.texts([("description", changes.description, checks.DESCRIPTION)])
    if changes.name is not None:
        checks.name(changes.name)

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        return regrouping.changed(service, changes, now)

    return await _change(platform, actor, uuid, decide, also)


async def restart(
    platform: Platform, actor: Principal, uuids: Sequence[str], also: Also = nothing
) -> list[tuple[str, PierheadError | None]]:
    """Replace every replica of each, rolling; what became of each, in the order asked."""

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        text = f"Service [{service.name}] is restarting."
        return Decision(lifecycle.restart(service, now), "ServiceRestarted", text)

    outcomes: list[tuple[str, PierheadError | None]] = []
    for uuid in dict.fromkeys(uuids):
        try:
            await _change(platform, actor, uuid, decide, also)
        except PierheadError as error:
            outcomes.append((uuid, error))
        else:
            outcomes.append((uuid, None))
    return outcomes


async def delete(
    platform: Platform, actor: Principal, uuid: str, mode: DeleteMode, also: Also = nothing
) -> Service | None:
    """Remove a deployment from whatever state it is in; None when there is none.

    Raises:
        InUse: Permissive, and others depend on it; the message names them.
        Locked: its owner locked it against being deleted.
    """
    now = platform.clock()

    def write(tx: Connection) -> tuple[Service | None, list[str]]:
        found = service_rows.load(tx, uuid)
        if found is None or not rights.touches_service(actor, found[0]):
            also(tx, uuid)
            return None, []
        changed = lifecycle.delete(found[0], now)
        if changed is not None:
            locks.demand(found[0], changed, KIND)
        freed = _free_dependents(tx, actor, found[0], mode, now)
        if changed is not None:
            service_rows.change(tx, changed)
            text = f"Service [{changed.name}] is being deleted."
            event_rows.append(tx, event(changed, actor, now, "ServiceDeleted", text))
        also(tx, uuid)
        return changed or found[0], freed

    service, freed = await detaching.guarded(platform, uuid, write)
    for one in (*freed, *([service.id] if service else [])):
        platform.wake(one)
    return service


async def replicas(
    platform: Platform, actor: Principal, uuid: str, count: int, also: Also = nothing
) -> Service:
    """Have exactly so many replicas; none stops it, some start it again.

    Raises:
        NotFound: there is no such deployment.
        Invalid: the number is not legal.
        Conflict: it is being deleted.
    """

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        text = f"Service [{service.name}] is to have {count} replicas."
        return Decision(lifecycle.resize(service, count, now), "ServiceScaled", text)

    def tag_too(tx: Connection, service: str) -> None:
        tags_of.set_replicas(tx, service, count)
        also(tx, service)

    return await _change(platform, actor, uuid, decide, tag_too)


async def _change(
    platform: Platform, actor: Principal, uuid: str, decide: Decide, also: Also
) -> Service:
    def checked(service: Service, seen: Seen, now: float) -> Decision:
        if service.id != uuid or not rights.touches_service(actor, service):
            raise NotFound(KIND, uuid)
        return decide(service, seen, now)

    try:
        return await services.change(platform, actor, by_id(uuid), checked, also)
    except NotFound as error:
        raise NotFound(KIND, uuid) if error.kind == "service" else error from error


def _check(wish: DeployWish, asked: Asked, here: str) -> None:
    """Refuse what needs no look at the database to be refused."""
    checks.name(wish.name)
    checks.texts([("description", wish.description, checks.DESCRIPTION)])
    checks.texts([("dockerImage", wish.image, checks.PATH), ("projectUuid", wish.workspace, 255)])
    if wish.kind not in _KINDS:
        raise Invalid("type", f"[{wish.kind[:80]}]", ", ".join(_KINDS))
    checks.between("cpuNum", wish.cpu, 1, checks.INTEGER)
    checks.between("memorySize", wish.memory, 1, checks.LONG)
    checks.between("requestCpuNum", wish.cpu_request, 1, checks.INTEGER)
    checks.between("requestMemorySize", wish.memory_request, 1, checks.LONG)
    regrouping.runtime(asked.runtime, here)


def _planned(
    tx: Connection,
    platform: Platform,
    actor: Principal,
    template: str,
    wish: DeployWish,
    new: tuple[str, Extras],
) -> tuple[Plan, str, dict[str, str]]:
    """What the deployment is made of, a free service name, its labels."""
    uuid, extras = new
    plan = resolving.plan(tx, platform, actor, template, wish)
    labels = dict(map(rules.label, tag_rows.user_texts(tx, extras)))
    return plan, slug(wish.name, uuid, lambda name: service_rows.is_taken(tx, name)), labels


def _refuse_too_large(name: str, resources: Resources, nodes: Sequence[Node]) -> None:
    """Refuse one replica that no node will ever have the room for."""
    if not nodes:
        return
    cpu = resources.cpu if resources.cpu_request is None else resources.cpu_request
    memory = resources.memory if resources.memory_request is None else resources.memory_request
    cores, bytes_ = max(node.cpu for node in nodes), max(node.memory for node in nodes)
    if (cpu or 0) > cores:
        raise Conflict("ModelServiceVO", name, f"needs {cpu:g} cores; the largest node has {cores}")
    if (memory or 0) > bytes_:
        wanted, there = human_bytes(memory or 0), human_bytes(bytes_)
        raise Conflict(
            "ModelServiceVO", name, f"needs {wanted} of memory; the largest node has {there}"
        )


def _draft(wish: DeployWish, asked: Asked, plan: Plan, snapshot: Snapshot) -> Draft:
    return Draft(
        name="",
        origin=GROUP,
        template=snapshot.template,
        replicas=max(1, 1 if asked.replicas is None else asked.replicas),
        submitted=snapshot.layers.document(),
        workspace=wish.workspace,
        stopped=asked.replicas == 0,
        registration=replace(
            plan.registration,
            yaml=snapshot.yaml,
            runtime=asked.runtime or "",
            open=bool(asked.open),
        ),
    )


def _free_dependents(
    tx: Connection, actor: Principal, service: Service, mode: DeleteMode, now: float
) -> list[str]:
    needing = [
        one for one in service_rows.needing(tx, service.id) if one.wanted is not Wanted.DELETED
    ]
    if needing and mode is DeleteMode.PERMISSIVE:
        raise InUse(KIND, service.id, f"is needed by {detaching.told(actor, needing)}")
    return detaching.detach(
        tx,
        needing,
        lambda held: replace(held, needs=tuple(one for one in held.needs if one != service.id)),
        actor,
        now,
    )
