"""What each request does to a service's wanted state. Pure: (service, request, now) -> service.

Each function gives the changed service, one revision on, or None when nothing has to change.
"""

from dataclasses import replace

from pierhead.core import spans
from pierhead.core.errors import Conflict, Invalid
from pierhead.core.services import Change, Service, Version, Wanted

MAX_REPLICAS = 1000


def replica_count(count: int, field: str = "Replicas") -> int:
    """`count`, if it is a legal number of replicas.

    Raises:
        Invalid: it is below 1 or above 1000; the message names `field`.
    """
    if not 1 <= count <= MAX_REPLICAS:
        raise Invalid(field, str(count), f"a whole number from 1 to {MAX_REPLICAS}")
    return count


def start(service: Service, now: float, *, failed: bool = False) -> Service | None:
    """Want it running; a failed one gets new replicas, which owe nothing to its crashes and back-off.

    Raises:
        Conflict: it is being deleted.
    """
    _alive(service)
    if service.wanted is Wanted.RUNNING and not failed:
        return None
    epoch = service.epoch + 1 if failed else service.epoch
    # What a scaler had put to sleep when it was stopped is to run: its owner says so.
    count = max(1, service.replicas)
    started = replace(
        service, wanted=Wanted.RUNNING, change=Change.START, epoch=epoch, replicas=count
    )
    return _next(started, now)


def stop(service: Service, now: float) -> Service | None:
    """Want no replica; name, token, configuration and endpoint stay.

    Raises:
        Conflict: it is being deleted.
    """
    _alive(service)
    if service.wanted is Wanted.STOPPED:
        return None
    return _next(replace(service, wanted=Wanted.STOPPED, change=Change.STOP), now)


def restart(service: Service, now: float) -> Service:
    """Want every replica replaced, rolling.

    Raises:
        Conflict: it is being deleted, or stopped.
    """
    _alive(service)
    if service.wanted is Wanted.STOPPED:
        raise Conflict("service", service.name, "is stopped: start it instead")
    return _next(replace(service, epoch=service.epoch + 1, change=Change.RESTART), now)


def scale(service: Service, replicas: int, now: float) -> Service | None:
    """Want another number of replicas; of a stopped service it is the number after its start.

    Raises:
        Conflict: it is being deleted.
        Invalid: the number is not legal.
    """
    _alive(service)
    if replica_count(replicas) == service.replicas:
        return None
    return _next(replace(service, replicas=replicas, change=Change.SCALE), now)


def resize(service: Service, replicas: int, now: float) -> Service | None:
    """Want exactly so many replicas: none stops it, some start it again.

    Raises:
        Conflict: it is being deleted.
        Invalid: the number is not legal.
    """
    if replicas == 0:
        return stop(service, now)
    sized = scale(service, replicas, now) or service
    changed = start(sized, now) or sized
    return None if changed is service else replace(changed, revision=service.revision + 1)


def adjust(service: Service, replicas: int, now: float) -> Service | None:
    """Want the number that a scaler came to, none included; one that is not to run stays as it is.

    Raises:
        Invalid: the number is not legal.
    """
    if service.wanted is not Wanted.RUNNING or replicas == service.replicas:
        return None
    count = replica_count(replicas) if replicas else 0
    return _next(replace(service, replicas=count, change=Change.SCALE), now)


def upgrade(
    service: Service, version: Version, now: float, *, replicas: int | None = None
) -> Service:
    """Want other content: a new version, reached by a rolling update. `version.number` is set here.

    Raises:
        Conflict: it is being deleted, or its replicas would be on another number of nodes.
        Invalid: the number of replicas is not legal, or a replica cannot be on so many nodes.
    """
    _alive(service)
    nodes = service.current.template.nodes
    if version.template.nodes != nodes:
        why = f"has replicas of {nodes} node(s) each, and keeps that: deploy another one beside it"
        raise Conflict("service", service.name, why)
    spans.demand(version.template)
    number = service.latest + 1
    count = service.replicas if replicas is None else replica_count(replicas)
    upgraded = replace(
        service,
        current=replace(version, number=number),
        latest=number,
        change=Change.UPDATE,
        replicas=count,
    )
    return _next(upgraded, now)


def bring_back(service: Service, version: Version, now: float) -> Service:
    """Want the content of another one of its versions again, reached by a rolling update.

    The version keeps its number, so that replicas of it that still run are replicas of what is wanted.

    Raises:
        Conflict: it is being deleted.
        Invalid: it is the current one.
    """
    _alive(service)
    if version.number == service.current.number:
        raise Invalid("Version", f"[{version.number}] is the current one", "another version")
    return _next(replace(service, current=version, change=Change.UPDATE), now)


def touch(service: Service, now: float) -> Service:
    """Take over a change that asks nothing of the replicas, such as another workspace.

    Raises:
        Conflict: it is being deleted.
    """
    _alive(service)
    return _next(replace(service, change=Change.UPDATE), now)


def delete(service: Service, now: float) -> Service | None:
    """Want it gone; legal in every state."""
    if service.wanted is Wanted.DELETED:
        return None
    return _next(replace(service, wanted=Wanted.DELETED, change=Change.DELETE), now)


def _next(service: Service, now: float) -> Service:
    return replace(service, revision=service.revision + 1, updated=now)


def _alive(service: Service) -> None:
    if service.wanted is Wanted.DELETED:
        raise Conflict("service", service.name, "is being deleted")
