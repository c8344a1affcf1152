"""Services written down for elsewhere: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.dialects.ram import asking
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import exporting
from pierhead.operations.platform import Platform
from pierhead.operations.premises import ExportWish

#: What a service can be written down as.
KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Exporting:
    """Shows manifests; secrets are an operation of their own, which takes a right of its own."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {"ExportService": self.plain, "ExportServiceSecrets": self.whole}

    async def plain(self, call: Call) -> Json:
        """Manifests with something in the place of secrets."""
        return await self._shown(call, secrets=False)

    async def whole(self, call: Call) -> Json:
        """Manifests that can be applied as they are."""
        return await self._shown(call, secrets=True)

    async def _shown(self, call: Call, *, secrets: bool) -> Json:
        wish = ExportWish(call.text("Namespace"), call.text("Image"), secrets)
        name = asking.service_name(call.text("ServiceName"))
        found = await exporting.export(self.platform, call.principal, name, wish)
        return {
            "ExportFormat": KUBERNETES,
            "Content": found.text,
            "Warnings": {"Warning": [*found.warnings]},
        }
