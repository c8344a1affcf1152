"""The operations on what a service is marked with: labels, and its safety lock."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.services import Lock, Service
from pierhead.dialects.eas import present
from pierhead.dialects.eas.app import Call, Handler
from pierhead.operations import labels, locks
from pierhead.operations.platform import Platform

Answer = dict[str, Any]


class LabelHandlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "UpdateServiceLabel": self.update_service_label,
            "DeleteServiceLabel": self.delete_service_label,
            "UpdateServiceSafetyLock": self.update_service_safety_lock,
        }

    async def update_service_label(self, call: Call) -> Answer:
        """Add labels, or overwrite those of the same keys."""
        wanted: Mapping[str, str] = call.body["Labels"]
        changed = await labels.put(self._platform, call.principal, _name(call), wanted)
        return self._message(changed, "has these labels")

    async def delete_service_label(self, call: Call) -> Answer:
        """Remove labels by their keys, whichever of the two parameters names them."""
        keys = [*call.query.get("Keys", ()), *call.query.get("LabelKeys", ())]
        changed = await labels.remove(self._platform, call.principal, _name(call), keys)
        return self._message(changed, "is without these labels")

    async def update_service_safety_lock(self, call: Call) -> Answer:
        """Keep a service from being stopped and deleted, or from every change; or take that off."""
        lock = Lock(call.body["Lock"])
        changed = await locks.put(self._platform, call.principal, _name(call), lock)
        return self._message(changed, f"has the safety lock {lock}")

    def _message(self, service: Service, became: str) -> Answer:
        return {"Message": f"Service [{service.name}] in region [{self._platform.region}] {became}"}


def _name(call: Call) -> str:
    return present.core_id(call.path["ServiceName"])
