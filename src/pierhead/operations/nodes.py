"""The machines that replicas run on: what they have, what is free, what is spoken for and by whom."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pierhead.core.principals import Principal
from pierhead.core.quota_sizes import of_node
from pierhead.core.quotas import NOTHING, Amount
from pierhead.core.replicas import Accelerator, Node, ReplicaStatus, RuntimeInfo
from pierhead.core.services import Service
from pierhead.operations import rights
from pierhead.operations.platform import Platform
from pierhead.store import services as rows

#: Seconds that what a runtime told counts: it asks a driver, in a process of its own.
_FRESH = 5.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A replica that has an accelerator, or a part of one."""

    replica: str  #: "" = of a service that may not be seen
    service: str  #: its name; "" = as above


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator, and who has it."""

    accelerator: Accelerator
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine now."""

    node: Node
    reserved: Amount  #: what the replicas that are there count for in quotas
    devices: tuple[Device, ...]


@dataclass(slots=True)
class Nodes:
    """Looks at machines, and remembers it for a moment."""

    platform: Platform
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looked: tuple[float, RuntimeInfo] | None = None

    async def info(self) -> RuntimeInfo:
        """What the runtime tells of itself and its nodes, at most `_FRESH` seconds ago."""
        async with self._turn:
            now = self.platform.clock()
            if self._looked is None or not 0 <= now - self._looked[0] < _FRESH:
                self._looked = now, await self.platform.runtime.probe()
            return self._looked[1]

    async def machines(self, actor: Principal) -> tuple[Machine, ...]:
        """Every machine; services that `actor` does not see have no names.

        Raises:
            Unavailable: the database does not answer.
        """
        info = await self.info()
        known = await self.platform.db.read(rows.everything)
        present = self.platform.runtime.observe()
        by_id = {service.id: service for service, _ in known}
        return tuple(_machine(node, present, by_id, actor) for node in info.nodes)


def _machine(
    node: Node,
    replicas: Iterable[ReplicaStatus],
    services: Mapping[str, Service],
    actor: Principal,
) -> Machine:
    here = [one for one in replicas if not one.node or node.name in one.places]
    holders: dict[str, list[Holder]] = {}
    for one in here:
        service = services.get(one.service)
        seen = service is not None and rights.sees_service(actor, service)
        holder = Holder(one.id, service.name) if seen and service is not None else Holder("", "")
        for device in one.devices:
            holders.setdefault(device, []).append(holder)
    return Machine(
        node,
        _reserved((services[one.service], one) for one in here if one.service in services),
        tuple(Device(one, tuple(holders.get(one.id, ()))) for one in node.accelerators),
    )


def _reserved(replicas: Iterable[tuple[Service, ReplicaStatus]]) -> Amount:
    """What replicas count for together; those on their way out count as long as they are there."""
    total = NOTHING
    for service, _replica in replicas:
        total += of_node(service.current.template)
    return total
