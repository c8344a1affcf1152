"""Takes up the counts of services whose load something else follows: the platform's count is then a copy.

Everything that judges by a count (status, quotas, what the APIs tell) goes on judging by the service's.
"""

from sqlalchemy import Connection

from pierhead.core import lifecycle, scaling_texts
from pierhead.core.events import PLATFORM, Event
from pierhead.core.lifecycle import MAX_REPLICAS
from pierhead.core.scalers import Deeds
from pierhead.core.services import Service, Wanted
from pierhead.runtimes.base import Follower
from pierhead.store import events, scalers, tags
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.store.scalers import LoadScaler


async def followed(
    db: Database, service: Service, auto: LoadScaler | None, follower: Follower, now: float
) -> Service:
    """The service with the number that it has by now, written down with the event that tells of it.

    Raises:
        Stale: it was changed meanwhile; look anew.
        Unavailable: the database does not answer.
    """
    found = follower.followed(service.id, service.replicas)
    if found is None or service.wanted is not Wanted.RUNNING:
        return service
    changed = lifecycle.adjust(service, min(found, MAX_REPLICAS), now)
    if changed is None:
        return service
    reason, message = scaling_texts.by_cluster(
        service.replicas, changed.replicas, auto.scaler if auto else None
    )
    event = Event(now, service.id, service.name, "Normal", reason, message, PLATFORM)
    await db.write(_write, changed, auto, event)
    return changed


def _write(tx: Connection, service: Service, auto: LoadScaler | None, event: Event) -> None:
    rows.change(tx, service, PLATFORM)
    tags.set_replicas(tx, service.id, service.replicas)
    events.append(tx, event)
    if auto is not None:
        deeds = Deeds(auto.deeds.changes, event.message, event.at, auto.deeds.rise)
        scalers.remember_deeds(tx, auto, deeds)
