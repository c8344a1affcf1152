"""Quotas, and what counts against them: ours, not the vendor's."""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import quotas
from pierhead.operations.platform import Platform
from pierhead.operations.quotas import QuotaChange


@dataclass(frozen=True, slots=True)
class Quotas:
    """What the API does to quotas."""

    platform: Platform

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "CreateQuota": self.create,
            "GetQuota": self.get,
            "UpdateQuota": self.update,
            "DeleteQuota": self.delete,
            "ListQuotas": self.listed,
        }

    async def create(self, call: Call) -> Json:
        """A new quota."""
        id_, bounds = call.text("QuotaId"), _bounds(call)
        made = await quotas.create_quota(self.platform, call.principal, id_, bounds)
        return {"Quota": present.quota(made)}

    async def get(self, call: Call) -> Json:
        """One quota."""
        found = await quotas.get_quota(self.platform, call.principal, call.text("QuotaId"))
        return {"Quota": present.quota(found)}

    async def update(self, call: Call) -> Json:
        """Other bounds."""
        id_, bounds = call.text("QuotaId"), _bounds(call)
        changed = await quotas.update_quota(self.platform, call.principal, id_, bounds)
        return {"Quota": present.quota(changed)}

    async def delete(self, call: Call) -> Json:
        """One quota less."""
        id_, force = call.text("QuotaId"), call.flag("Force")
        await quotas.delete_quota(self.platform, call.principal, id_, force=force)
        return {}

    async def listed(self, call: Call) -> Json:
        """A page of quotas."""
        marker, most = call.text("Marker"), call.number("MaxItems") or 100
        found, rest = await quotas.list_quotas(self.platform, call.principal, marker, most)
        return present.page("Quotas", "Quota", [present.quota(one) for one in found], rest)


def _bounds(call: Call) -> QuotaChange:
    return QuotaChange(
        cpu=call.bound("Cpu"),
        memory=call.bound("Memory"),
        gpus=call.bound("Gpus"),
        replicas=call.bound("Replicas"),
    )
