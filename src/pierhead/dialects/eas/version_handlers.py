"""The operations on a service's versions: its history, and the way to another version."""

from collections.abc import Mapping
from typing import Any

from pierhead.core.services import Seen, Service
from pierhead.dialects.eas import former, listing, present, revise
from pierhead.dialects.eas.app import Call, Handler
from pierhead.operations import scalers, services, versions
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision

Answer = dict[str, Any]


class VersionHandlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "ListServiceVersions": self.list_service_versions,
            "UpdateServiceVersion": self.update_service_version,
        }

    async def list_service_versions(self, call: Call) -> Answer:
        """What it was in each version that is kept, newest first."""
        number, size = listing.page(call.query)
        name = present.core_id(call.path["ServiceName"])
        offset = (number - 1) * size
        found = await versions.page(self._platform, call.principal, name, offset, size)
        return {
            "Versions": [former.shown(found, kept) for kept in found.versions],
            "PageNumber": number,
            "PageSize": size,
            "TotalCount": found.total,
        }

    async def update_service_version(self, call: Call) -> Answer:
        """Roll to another version, back or forward; replicas of it that still run stay."""
        name = present.core_id(call.path["ServiceName"])
        before, _seen = await services.find(self._platform, name, call.principal)
        kept = await versions.find(self._platform, before, call.body["Version"])
        was = former.as_it_was(before, kept)
        scaling = revise.scaling(before, revise.config(was), merge=False)
        also = await scalers.beside(self._platform, scaling.autoscaler, told=scaling.told)

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            return former.brought_back(service, kept, now)

        changed = await versions.bring_back(self._platform, call.principal, name, decide, also)
        region = self._platform.region
        text = f"Service [{changed.name}] in region [{region}] is changing to version "
        return {"Message": f"{text}{changed.current.number}"}
