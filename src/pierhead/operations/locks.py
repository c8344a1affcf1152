"""The use case on the safety lock of a service.

What a scaler decides, what wakes a service, and what is taken out of it because something else was
removed is nobody's change of the service: no lock is against it.
"""

from dataclasses import replace

from pierhead.core import lifecycle
from pierhead.core.principals import Principal
from pierhead.core.services import Lock, Seen, Service
from pierhead.operations import services
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision


async def put(platform: Platform, actor: Principal, name: str, lock: Lock) -> Service:
    """Lock a service, lock it otherwise, or take the lock off.

    Raises:
        NotFound: there is no such service.
        Conflict: it is being deleted, or was changed by others again and again.
        Forbidden: the actor may not do it.
    """

    def decide(service: Service, _seen: Seen, now: float) -> Decision:
        held = service.registration
        if held.lock is lock:
            return Decision(None)
        changed = lifecycle.touch(replace(service, registration=replace(held, lock=lock)), now)
        text = f"The safety lock of service [{service.name}] changed from {held.lock} to {lock}."
        return Decision(changed, "SafetyLockChanged", text)

    return await services.change(platform, actor, name, decide)
