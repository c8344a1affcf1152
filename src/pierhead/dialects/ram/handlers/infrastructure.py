"""What the hub's machine has, keeps and could serve: ours, not the vendor's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pierhead.core.principals import Principal
from pierhead.core.quotas import Amount
from pierhead.dialects.ram import present
from pierhead.dialects.ram.calls import Call, Handler
from pierhead.dialects.ram.present import Json
from pierhead.operations import overview, rights
from pierhead.operations.nodes import Device, Machine, Nodes
from pierhead.operations.platform import Platform
from pierhead.operations.premises import FitAnswer, Kept


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """Shows machines, cache and settings."""

    nodes: Nodes

    def table(self) -> Mapping[str, Handler]:
        """Operation id -> handler."""
        return {
            "ListNodes": self.machines,
            "ListCacheEntries": self.cache,
            "PruneCache": self.prune,
            "ListSettings": self.settings,
            "CheckServiceFit": self.fit,
        }

    @property
    def platform(self) -> Platform:
        """The platform."""
        return self.nodes.platform

    async def machines(self, call: Call) -> Json:
        """Every machine with what it has and who has it."""
        info, disk = await self.nodes.info(), await self.platform.premises.disk()
        found = await self.nodes.machines(call.principal)
        return {
            "Runtime": info.name,
            "Limits": info.limits,
            "Mounts": info.mounts,
            "Warnings": {"Warning": list(info.warnings)},
            "Nodes": {"Node": [_machine(one) for one in found]},
            "Cache": {
                "Folder": disk.folder,
                "DiskTotal": disk.total,
                "DiskFree": disk.free,
                "Limit": disk.limit,
                "KeepFree": disk.keep_free,
            },
        }

    async def cache(self, call: Call) -> Json:
        """What is in the cache; where it came from only of what services need that the caller sees."""
        found = await self.platform.premises.cache()
        named: dict[str, list[str]] = {}
        for service, _seen in await overview.services(self.platform, call.principal):
            named.setdefault(str(service.current.weights), []).append(service.name)
        return _entries(found, named, call.principal)

    async def prune(self, call: Call) -> Json:
        """Remove what nobody uses."""
        limit, dry = call.number("Limit") or 0, call.flag("DryRun")
        return _entries(await self.platform.premises.prune(limit, dry), {}, call.principal)

    async def settings(self, _call: Call) -> Json:
        """Every setting, its secrets masked."""
        rows = [
            {"Name": one.name, "Value": one.value, "Source": one.source, "Meaning": one.meaning}
            for one in self.platform.premises.settings()
        ]
        return {"Settings": {"Setting": rows}}

    async def fit(self, call: Call) -> Json:
        """Would a service be started here?"""
        found = await self.platform.premises.fit(
            call.principal, call.text("ServiceDocument"), call.text("WorkspaceId")
        )
        return {"Fit": _fit(found)}


def _machine(one: Machine) -> Json:
    node = one.node
    return {
        "NodeName": node.name,
        "Architecture": node.architecture,
        "Cpu": node.cpu,
        "Memory": node.memory,
        "MemoryFree": node.memory_free,
        "Reserved": amount(one.reserved),
        "Accelerators": {"Accelerator": [_device(each) for each in one.devices]},
    }


def amount(one: Amount) -> Json:
    """So much of everything; memory in bytes."""
    return {
        "Cpu": round(one.cpu, 3),
        "Memory": one.memory,
        "Gpus": one.gpus,
        "Replicas": one.replicas,
    }


def _device(one: Device) -> Json:
    gpu = one.accelerator
    shown: Json = {
        "AcceleratorId": gpu.id,
        "Vendor": gpu.vendor,
        "Model": gpu.name,
        "Capability": gpu.capability,
        "Memory": gpu.memory,
        "Part": gpu.part,
        "Holders": {
            "Holder": [{"InstanceName": h.replica, "ServiceName": h.service} for h in one.holders]
        },
    }
    if gpu.memory_free is not None:
        shown["MemoryUsed"] = gpu.memory - gpu.memory_free
    return shown


def _entries(found: Sequence[Kept], named: Mapping[str, list[str]], actor: Principal) -> Json:
    """`named`: names of services that `actor` sees, by what they name and it is kept for."""
    everything = rights.sees_all_services(actor)
    return {
        "Bytes": sum(one.bytes for one in found),
        "Entries": {
            "Entry": [_kept(one if everything else _known(one, named), named) for one in found]
        },
    }


def _known(one: Kept, named: Mapping[str, list[str]]) -> Kept:
    """What somebody may know of it who sees these services only: a path can say much."""
    users = tuple(user for user in one.users if user in named)
    return replace(one, name=one.name if users else "", users=users)


def _kept(one: Kept, named: Mapping[str, list[str]]) -> Json:
    services = sorted({name for user in one.users for name in named.get(user, ())})
    return {
        "EntryId": one.id,
        "Source": one.name,
        "Bytes": one.bytes,
        "State": one.state,
        "Done": one.done,
        "Total": one.total,
        "Converted": one.converted,
        "LastUsed": present.moment(one.used or None),
        "KeptFor": list(one.users),
        "Services": services,
    }


def _fit(one: FitAnswer) -> Json:
    shown: Json = {
        "ServiceName": one.service,
        "ServiceSpec": one.template,
        "Replicas": one.replicas,
        "Reason": one.reason,
        "Message": one.message,
        "Engine": one.engine,
        "EngineReason": one.why,
        "Conversion": one.conversion,
        "PrecisionWanted": one.precision_wanted,
        "PrecisionFound": one.precision_found,
        "Guessed": one.guessed,
        "Context": one.context,
        "Slots": one.slots,
        "NodeName": one.node,
        "ReplicasNow": one.replicas_now,
        "LargestContext": one.largest_context,
        "MostSlots": one.most_slots,
    }
    known = {
        "Fits": one.fits,
        "Weights": one.weights,
        "KvCache": one.kv_cache,
        "Compute": one.compute,
        "Overhead": one.overhead,
        "Needed": one.needed,
        "MemoryLimit": one.limit,
        "Total": one.total,
        "Free": one.free,
    }
    return shown | {name: value for name, value in known.items() if value is not None}
