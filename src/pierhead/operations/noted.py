"""Events that use cases write down: what was asked for, by whom, and what of it has no effect."""

from dataclasses import replace

from pierhead.core.events import Event, Notice
from pierhead.core.principals import Principal
from pierhead.core.services import Service

#: A request may hold any number of odd parameters; so many of them get an event each, the rest one.
NOTICES = 50
_NOTICE_LENGTH = 1000


def event(service: Service, actor: Principal, now: float, reason: str, message: str) -> Event:
    """An ordinary event about a service, by its actor."""
    return Event(
        at=now,
        service=service.id,
        name=service.name,
        type="Normal",
        reason=reason,
        message=message,
        actor=actor.id,
    )


def warnings(
    service: Service, actor: Principal, now: float, notices: tuple[Notice, ...]
) -> list[Event]:
    """An event for each notice, as far as there are not too many."""
    told = notices[:NOTICES]
    if len(notices) > NOTICES:
        more = f"There are {len(notices) - NOTICES} further remarks on this request."
        told = (*told, Notice("FurtherRemarks", more))
    return [
        replace(
            event(service, actor, now, notice.reason, notice.message[:_NOTICE_LENGTH]),
            type="Warning",
        )
        for notice in told
    ]
