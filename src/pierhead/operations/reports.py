"""Use cases that only look: events and logs of a service."""

from dataclasses import replace

from pierhead.core.events import Event
from pierhead.core.principals import Principal
from pierhead.operations import services
from pierhead.operations.platform import Platform
from pierhead.runtimes.base import LogLine
from pierhead.store import events as rows


async def events(
    platform: Platform, name: str, query: rows.EventQuery, actor: Principal | None = None
) -> tuple[list[Event], int]:
    """One page of a service's events, newest first, and the number of all.

    Raises:
        NotFound: there is no such service.
        Forbidden: they are not for `actor`.
    """
    service, _seen = await services.find(platform, name, actor)
    return await platform.db.read(rows.page, replace(query, service=service.id))


async def logs(
    platform: Platform,
    name: str,
    *,
    replica: str = "",
    previous: bool = False,
    actor: Principal | None = None,
) -> list[LogLine]:
    """What a service's replicas wrote, oldest first; of one replica if it is named.

    Raises:
        NotFound: there is no such service.
        Forbidden: they are not for `actor`.
    """
    service, _seen = await services.find(platform, name, actor)
    return await platform.runtime.logs(service.id, replica=replica, previous=previous)
