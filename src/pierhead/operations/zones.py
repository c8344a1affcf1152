"""Use cases on zones: labels for placement, one of which is the default."""

from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core.errors import NotFound, Unavailable, Unsupported
from pierhead.core.ids import fixed_id
from pierhead.core.principals import Principal
from pierhead.core.query import Found, Query
from pierhead.core.registry import Extras, Zone
from pierhead.operations import checks
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import zones as rows

KIND = "ZoneVO"


async def add(
    platform: Platform, _actor: Principal, zone: Zone, extras: Extras, also: Also = nothing
) -> Zone:
    """Register a zone; one that is to be the default takes that mark from the old one.

    Raises:
        Invalid: a field is not legal.
        Taken: the wanted uuid is used.
        Unsupported: it is to carry tags.
    """
    if extras.tag_patterns or extras.system_tags or extras.user_tags:
        raise Unsupported("A tag on a zone", "tags hang on centers, models, services and datasets")
    checks.name(zone.name)
    checks.texts([("description", zone.description, checks.DESCRIPTION)])
    now = platform.clock()
    made = replace(zone, uuid=checks.uuid_for(platform, extras), created=now, updated=now)

    def write(tx: Connection) -> Zone:
        if made.default:
            for old in everything(tx):
                if old.default:
                    rows.change(tx, replace(old, default=False, updated=now))
        rows.add(tx, made)
        also(tx, made.uuid)
        return made

    return await platform.db.write(write)


async def page(platform: Platform, _actor: Principal, query: Query) -> Found[Zone]:
    """Zones; everybody sees them all."""
    return await platform.db.read(rows.page, query)


def everything(tx: Connection) -> tuple[Zone, ...]:
    """Every zone."""
    return rows.page(tx, checks.ALL).rows


def existing(tx: Connection, uuid: str) -> Zone:
    """The zone.

    Raises:
        NotFound: there is none.
    """
    found = rows.load(tx, uuid)
    if found is None:
        raise NotFound(KIND, uuid)
    return found


def first_id(region: str) -> str:
    """The uuid of the zone that the first start makes."""
    return fixed_id("zone", region)


def or_default(tx: Connection, region: str, uuid: str | None) -> str:
    """The uuid of the named zone, else of the default one.

    Raises:
        NotFound: the named one is not there.
        Unavailable: none is named, and the first start has not made the default one.
    """
    if uuid:
        return existing(tx, uuid).uuid
    first = rows.load(tx, first_id(region))
    if first is not None and first.default:
        return first.uuid
    for zone in everything(tx):
        if zone.default:
            return zone.uuid
    raise Unavailable("The default zone", "it is made when the platform starts")
