"""Counts and names of everything at once, as far as somebody may see it."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from pierhead.core.principals import Principal
from pierhead.core.query import Query
from pierhead.core.registry import ResourceType
from pierhead.core.services import Seen, Service
from pierhead.operations import rights
from pierhead.operations.platform import Platform
from pierhead.store import centers, datasets, models, templates, zones
from pierhead.store import services as service_rows
from pierhead.store.asking import Scope

_COUNT = Query(count=True)
#: (uuid, name, type)
Named = tuple[str, str, str]


async def counts(platform: Platform, actor: Principal) -> dict[str, int]:
    """How many objects of each kind there are for `actor`."""

    def scope(kind: ResourceType) -> Scope:
        return rights.scope(actor, kind)

    def read(tx: Connection) -> dict[str, int]:
        services = _services(tx, actor)
        return {
            "modelCenters": centers.page(tx, _COUNT, scope(ResourceType.CENTER)).total or 0,
            "models": models.page(tx, _COUNT, scope(ResourceType.MODEL)).total or 0,
            "modelServices": templates.page(tx, _COUNT, scope(ResourceType.TEMPLATE)).total or 0,
            "modelServiceInstanceGroups": len(services),
            "modelServiceInstances": sum(len(seen.replicas) for _, seen in services),
            "datasets": datasets.page(tx, _COUNT, scope(ResourceType.DATASET)).total or 0,
        }

    return await platform.db.read(read)


async def names(platform: Platform, actor: Principal, uuids: Sequence[str]) -> list[Named]:
    """What these uuids are called, in the order asked; those `actor` does not see are left out."""

    def read(tx: Connection) -> list[Named]:
        found = {uuid: (name, kind) for uuid, name, kind in _named(tx, actor, uuids)}
        return [(uuid, *found[uuid]) for uuid in dict.fromkeys(uuids) if uuid in found]

    return await platform.db.read(read)


async def services(platform: Platform, actor: Principal) -> list[tuple[Service, Seen]]:
    """Every deployment that `actor` sees, through whichever door it came."""
    return await platform.db.read(_services, actor)


async def service(
    platform: Platform, actor: Principal, uuid: str, *, done: bool = False
) -> tuple[Service, Seen] | None:
    """The deployment with this uuid, if there is one that `actor` sees.

    `done`: they have just made or changed it, so it is theirs to see.
    """
    found = await platform.db.read(service_rows.load, uuid)
    return found if found and (done or rights.sees_service(actor, found[0])) else None


def _services(tx: Connection, actor: Principal) -> list[tuple[Service, Seen]]:
    if rights.sees_all_services(actor):
        return service_rows.everything(tx)
    return rights.seen_services(tx, actor, service_rows.ServiceQuery())


def _named(tx: Connection, actor: Principal, uuids: Iterable[str]) -> Iterable[Named]:
    wanted = list(uuids)
    owned = (*models.many(tx, wanted), *templates.many(tx, wanted), *datasets.many(tx, wanted))
    for thing in owned:
        if rights.sees(actor, thing):
            yield thing.uuid, thing.name, rights.kind_of(thing)
    for center in centers.many(tx, wanted):
        yield center.uuid, center.name, ResourceType.CENTER
    for zone in zones.many(tx, wanted):
        yield zone.uuid, zone.name, "ZoneVO"
    for uuid in wanted:
        pair = service_rows.load(tx, uuid)
        if pair is not None and rights.sees_service(actor, pair[0]):
            yield uuid, pair[0].registration.title or pair[0].name, ResourceType.GROUP
