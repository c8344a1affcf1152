"""At the start: what runs here that the database does not know, because it is older than that.

A power cut may take the database's last moments, and a restored backup is older by design. Replicas of
a service that it does not know are stopped, by the resync that follows; a version that it does not know
gives its number to no other, or replicas of the lost one would pass for the new one's.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from pierhead.core.events import PLATFORM, Event
from pierhead.core.ids import Clock
from pierhead.core.replicas import ReplicaStatus
from pierhead.core.services import Service
from pierhead.runtimes.base import Runtime
from pierhead.store import events
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.store.writes import Away

log: structlog.stdlib.BoundLogger = structlog.get_logger("reconciler")

#: Reasons of events that tell of it.
UNKNOWN = ("UnknownService", "UnknownVersion")
#: Seconds between two tries to write it down.
AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Stock:
    """What is found that the database does not know."""

    events: tuple[Event, ...]
    lost: Mapping[str, int]  #: service id -> the newest version that runs of it


async def take_stock(db: Database, runtime: Runtime, clock: Clock) -> Stock:
    """What is found; the log is told at once, the database by `write_down`.

    Raises:
        Unavailable: the database does not answer.
    """
    known = {service.id: service for service, _seen in await db.read(rows.everything)}
    here: dict[str, list[ReplicaStatus]] = defaultdict(list)
    for replica in runtime.observe():
        here[replica.service].append(replica)
    found = [
        event
        for id_, replicas in sorted(here.items())
        if (event := _told(id_, known.get(id_), replicas, clock())) is not None
    ]
    lost = {
        id_: number
        for id_, replicas in here.items()
        if id_ in known and (number := _newest(replicas)) > known[id_].latest
    }
    for event in found:
        log.warning("the database is older than what runs here", found=event.message)
    return Stock(tuple(found), lost)


async def write_down(db: Database, stock: Stock) -> str:
    """Have events tell it, and keep lost versions' numbers out of use; why that cannot be done now, or ""."""
    try:
        if stock.events:
            await db.write(_note, stock)
    except Away as error:
        return str(error)
    return ""


async def written_down(db: Database, stock: Stock, why: str) -> None:
    """Return when it is, which could not be done because of `why`.

    Until then a new version might get the number of a lost one: so it is tried every second.
    """
    log.warning("what was found cannot be written down now; it is tried again", error=why)
    while why:
        await asyncio.sleep(AGAIN)
        why = await write_down(db, stock)


def _newest(replicas: list[ReplicaStatus]) -> int:
    return max(int(replica.rollout.partition(".")[0]) for replica in replicas)


def _told(
    id_: str, service: Service | None, replicas: list[ReplicaStatus], now: float
) -> Event | None:
    names = ", ".join(sorted(replica.id for replica in replicas))
    if service is None:
        reason, name = UNKNOWN[0], replicas[0].id.rpartition("-")[0]
        message = f"The database knows no service of these replicas, so they are stopped: {names}."
    elif _newest(replicas) > service.latest:
        reason, name = UNKNOWN[1], service.name
        message = (
            f"Replicas run version {_newest(replicas)}, and the database knows {service.latest} only:"
            f" they make way for version {service.current.number}."
        )
    else:
        return None
    return Event(now, id_, name, "Warning", reason, message, PLATFORM)


def _note(tx: Connection, stock: Stock) -> None:
    for service, number in stock.lost.items():
        rows.skip_versions(tx, service, number)
    events.append(tx, *stock.events)
