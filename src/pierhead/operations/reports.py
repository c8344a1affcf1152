"""Use cases that only look: events and logs of a service."""

from dataclasses import replace

from pierhead.core.errors import Invalid
from pierhead.core.events import Event
from pierhead.core.principals import Principal
from pierhead.operations import services
from pierhead.operations.platform import Platform
from pierhead.runtimes.base import Attempt, LogLine, LogQuery
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


async def log_page(
    platform: Platform, name: str, query: LogQuery, actor: Principal | None = None
) -> tuple[list[LogLine], int]:
    """Some lines of a service's log, oldest first, and the number of all.

    Raises:
        NotFound: there is no such service, or replica.
        Forbidden: they are not for `actor`.
    """
    service, _seen = await services.find(platform, name, actor)
    return await platform.runtime.log_page(service.id, query)


async def attempts(
    platform: Platform,
    name: str,
    *,
    replica: str = "",
    which: str = "",
    lines: int = 0,
    actor: Principal | None = None,
) -> list[Attempt]:
    """Runs of a service's replicas that are kept, oldest first, each with its last `lines` lines.

    Args:
        platform: the platform.
        name: the service.
        replica: only this one's.
        which: `first` or `last` of each replica, a number, or "" for all.
        lines: how many of each run's lines are wanted.
        actor: who asks; None = the platform itself.

    Raises:
        NotFound: there is no such service.
        Invalid: `which` is none of these.
        Forbidden: they are not for `actor`.
    """
    if which not in {"", "first", "last"} and not (which.isascii() and which.isdigit()):
        raise Invalid("Attempt", f"[{which[:80]}]", "a number, first or last")
    service, _seen = await services.find(platform, name, actor)
    found = await platform.runtime.attempts(service.id, replica=replica, lines=lines)
    if which == "":
        return found
    if which.isdigit():
        return [one for one in found if one.number == int(which)]
    by_replica = {one.replica: one for one in (found if which == "last" else reversed(found))}
    return sorted(by_replica.values(), key=lambda one: one.started)
