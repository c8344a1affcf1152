"""What hangs on an object that shall go: which deployments hold it, and how they let go of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection

from pierhead.core import lifecycle
from pierhead.core.errors import Conflict, InUse, Stale
from pierhead.core.principals import Principal
from pierhead.core.registry import ResourceType
from pierhead.core.services import UNSEEN, Registration, Service, Wanted
from pierhead.core.status import Status, verdict
from pierhead.operations import rights
from pierhead.operations.platform import Platform
from pierhead.operations.services import ATTEMPTS, event
from pierhead.store import events as event_rows
from pierhead.store import services as service_rows

T = TypeVar("T")
#: How many dependents a refusal names.
_NAMED = 10


async def guarded(platform: Platform, what: str, write: Callable[[Connection], T]) -> T:
    """`write` in a transaction, from the start again when a service was changed under it.

    Raises:
        Conflict: that happened time and again.
    """
    for _ in range(ATTEMPTS):
        try:
            return await platform.db.write(write)
        except Stale:
            continue
    raise Conflict("object", what, "was changed by others at the same time, again and again")


def refuse_while_used(
    tx: Connection, actor: Principal, thing: rights.Owned, services: Iterable[Service], now: float
) -> None:
    """Refuse to remove what a deployment needs that is neither stopped nor going.

    Raises:
        InUse: there is one; the message names those that `actor` sees.
    """
    using = [service for service in services if not _at_rest(tx, service, now)]
    if using:
        raise InUse(rights.kind_of(thing), thing.uuid, f"is used by {told(actor, using)}")


def told(actor: Principal, services: Sequence[Service]) -> str:
    """`2 ModelServiceInstanceGroupVO: a [1f...] and 1 more`: no names of what `actor` may not see."""
    kind = ResourceType.GROUP
    shown = [service for service in services if rights.sees_service(actor, service)]
    return named(kind, map(_title, shown), len(services))


def detach(
    tx: Connection,
    services: Iterable[Service],
    let_go: Callable[[Registration], Registration],
    actor: Principal,
    now: float,
) -> list[str]:
    """Take a reference out of deployments, which run on as they are; the ids of those changed.

    Raises:
        Stale: one was changed under us.
    """
    changed: list[str] = []
    for service in services:
        after = replace(service, registration=let_go(service.registration))
        if after == service:
            continue
        touched = (
            replace(after, revision=after.revision + 1)  # a deleted one takes no other change
            if service.wanted is Wanted.DELETED
            else lifecycle.touch(after, now)
        )
        service_rows.change(tx, touched)
        text = f"What service [{service.name}] was made from was removed; no replica is touched."
        event_rows.append(tx, event(service, actor, now, "ServiceDetached", text))
        changed.append(service.id)
    return changed


def named(kind: ResourceType, things: Iterable[tuple[str, str]], of: int = 0) -> str:
    """`2 ModelVO: a [1f...], b [2e...]` of (name, uuid) pairs; `of` so many, if these are not all."""
    everything: Sequence[tuple[str, str]] = list(things)
    total, shown = max(of, len(everything)), everything[:_NAMED]
    names = ", ".join(f"{name} [{uuid}]" for name, uuid in shown)
    if not shown:
        return f"{total} {kind}"
    more = f" and {total - len(shown)} more" if total > len(shown) else ""
    return f"{total} {kind}: {names}{more}"


def _at_rest(tx: Connection, service: Service, now: float) -> bool:
    if service.wanted is not Wanted.STOPPED:
        return service.wanted is Wanted.DELETED
    found = service_rows.load(tx, service.id)
    _service, seen = found or (service, UNSEEN)
    return verdict(service, seen, now).status is Status.STOPPED


def _title(service: Service) -> tuple[str, str]:
    return service.registration.title or service.name, service.id
