"""The safety lock of a service: which changes it keeps the service from. Pure."""

from pierhead.core.errors import Locked
from pierhead.core.services import Lock, Service, Wanted

_OFF = "take the lock off first (UpdateServiceSafetyLock with none)"
_REFUSED = {
    Wanted.STOPPED: "is locked against being stopped and deleted",
    Wanted.DELETED: "is locked against being stopped and deleted",
}


def demand_free(service: Service, kind: str = "service") -> None:
    """Refuse a change of a service that is locked against every change.

    Raises:
        Locked: it is; the message calls it a `kind`.
    """
    if service.registration.lock is Lock.ALL:
        raise Locked(kind, _name(service, kind), f"is locked against every change: {_OFF}")


def demand(before: Service, after: Service, kind: str = "service") -> None:
    """Refuse to make `after` of `before` if its lock is against that; the lock itself may change.

    Raises:
        Locked: it is; the message calls it a `kind`.
    """
    lock = before.registration.lock
    if lock is Lock.NONE or after.registration.lock is not lock:
        return
    demand_free(before, kind)
    refused = _REFUSED.get(after.wanted)
    if refused and after.wanted is not before.wanted:
        raise Locked(kind, _name(before, kind), f"{refused}: {_OFF}")


def _name(service: Service, kind: str) -> str:
    """Services go by their names, whatever else they are called by their ids."""
    return service.name if kind == "service" else service.id
