"""Zones, GPUs and the platform itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from pierhead.core.errors import Unavailable
from pierhead.core.ids import fixed_id
from pierhead.core.query import rows_of
from pierhead.core.registry import Zone
from pierhead.dialects.zstack.calls import Call, Handler
from pierhead.dialects.zstack.handlers import lists
from pierhead.dialects.zstack.handlers.lists import Answer
from pierhead.dialects.zstack.kinds import kinds
from pierhead.dialects.zstack.present import infrastructure as present
from pierhead.operations import overview, zones
from pierhead.operations.platform import Platform


class Infrastructure:
    """Handlers of what is there without anybody's registering it."""

    def __init__(self, platform: Platform, version: str) -> None:
        self._platform, self._version = platform, version
        self._node = fixed_id("hub", f"{platform.account}:{platform.region}")

    def table(self) -> Mapping[str, Handler]:
        """API name -> handler."""
        return {
            "QueryZone": self.query_zones,
            "CreateZone": self.create_zone,
            "QueryPciDeviceSpec": self.query_gpu_specs,
            "QueryGpuDevice": self.query_gpus,
            "IsReadyToGo": self.ready,
            "GetVersion": self.version,
            "GetResourceNames": self.names,
            "GetMaaSUsage": self.usage,
        }

    async def query_zones(self, call: Call) -> Answer:
        """All zones."""
        query = lists.question(call)
        found = await zones.page(self._platform, call.principal, query)
        return lists.answer(query, found, map(present.zone, found.rows))

    async def create_zone(self, call: Call) -> Answer:
        """A label for placement."""
        params = call.params
        wanted = Zone(
            uuid="",
            name=params["name"],
            created=0.0,
            updated=0.0,
            description=params.get("description"),
            default=bool(params.get("isDefault")),
        )
        made = await zones.add(self._platform, call.principal, wanted, call.extras, call.also)
        return {"inventory": present.zone(made)}

    async def query_gpu_specs(self, call: Call) -> Answer:
        """The kinds of GPU that the nodes have."""
        specs = {
            gpu.spec: present.gpu_spec(gpu)
            for node in self._platform.nodes
            for gpu in node.accelerators
        }
        return _listed(call, specs.values())

    async def query_gpus(self, call: Call) -> Answer:
        """The GPUs of the nodes."""
        taken = {id for replica in self._platform.runtime.observe() for id in replica.devices}
        devices = [
            present.gpu_device(gpu, node, taken=gpu.id in taken)
            for node in self._platform.nodes
            for gpu in node.accelerators
        ]
        return _listed(call, devices)

    async def ready(self, call: Call) -> Answer:
        """This node's uuid, when its database answers.

        Raises:
            Unavailable: it does not, or another node is asked for.
        """
        asked = call.params.get("managementNodeId", self._node)
        if asked != self._node:
            raise Unavailable(f"The management node [{asked[:80]}]", "there is no such node")
        await overview.names(self._platform, call.principal, [])
        return {"managementNodeId": self._node}

    async def version(self, _call: Call) -> Answer:
        """The version of this wire that is spoken."""
        return {"version": self._version}

    async def names(self, call: Call) -> Answer:
        """What uuids are called."""
        found = await overview.names(self._platform, call.principal, call.params["uuids"])
        return {"inventories": [present.resource(*one) for one in found]}

    async def usage(self, call: Call) -> Answer:
        """Counts of objects. Requests and tokens are the gateways' to tell, so they are not here."""
        found = await overview.counts(self._platform, call.principal)
        return {"usages": [present.usage(name, value) for name, value in found.items()]}


def _listed(call: Call, rows: Iterable[Mapping[str, Any]]) -> Answer:
    query = lists.question(call)
    found = rows_of(list(rows), query, kinds(call.api.inventory))
    return lists.answer(query, found, found.rows)
