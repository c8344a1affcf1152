"""The operations that tell of machines: the one pool, its sizes, and the region."""

from collections.abc import Mapping, Sequence
from typing import Any

from pierhead.core.capacity import Pool, held, replicas
from pierhead.core.errors import NotFound
from pierhead.core.quota_sizes import of_node
from pierhead.core.replicas import Node
from pierhead.core.resources import GIB
from pierhead.dialects.eas import listing, resources, sizes
from pierhead.dialects.eas.app import Call, Handler
from pierhead.dialects.eas.present import Listed
from pierhead.dialects.eas.sizes import Size
from pierhead.operations import overview, pools, services
from pierhead.operations.platform import Platform
from pierhead.store.services import ServiceQuery

Answer = dict[str, Any]
#: What the sizes here may be asked for as; asked for as anything else, there are none.
_CHARGES, _KINDS = {"", "PostPaid"}, {"", resources.KIND, "Dedicated", "DedicatedResource"}


class ResourceHandlers:
    """Handlers over one platform. Names of the methods are the operations' names in snake case."""

    def __init__(self, platform: Platform, listed: Listed) -> None:
        self._platform, self._listed = platform, listed

    def table(self) -> Mapping[str, Handler]:
        """Operation -> handler."""
        return {
            "DescribeMachineSpec": self.describe_machine_spec,
            "DescribeRegions": self.describe_regions,
            "ListResources": self.list_resources,
            "DescribeResource": self.describe_resource,
            "ListResourceInstances": self.list_resource_instances,
            "ListResourceInstanceWorker": self.list_resource_instance_worker,
            "ListResourceServices": self.list_resource_services,
        }

    async def describe_machine_spec(self, call: Call) -> Answer:
        """The sizes that fit this host, and for which of them it has room now."""
        wanted = set(call.query.get("InstanceTypes", ()))
        offered = [
            size
            for size in sizes.fitting(self._platform.nodes)
            if (not wanted or size.name in wanted)
            and call.query.get("ChargeType", "") in _CHARGES
            and call.query.get("ResourceType", "") in _KINDS
        ]
        pool = await pools.load(self._platform)
        shown = [sizes.described(size, pool.nodes, free=_has_room(pool, size)) for size in offered]
        return {"InstanceMetas": shown, "Types": sizes.choices(offered)}

    async def describe_regions(self, _call: Call) -> Answer:
        """The one that this platform is."""
        region = self._platform.region
        return {"Regions": [{"RegionId": region, "RegionName": region}]}

    async def list_resources(self, call: Call) -> Answer:
        """The one pool, if it passes the filters."""
        pool = await pools.load(self._platform)
        found = [resources.listed(pool)] if resources.matches(pool, call.query) else []
        return _page(call, "Resources", found)

    async def describe_resource(self, call: Call) -> Answer:
        """What the pool has, and how much of it is in use."""
        return resources.described(await self._pool(call))

    async def list_resource_instances(self, call: Call) -> Answer:
        """The machines of the pool."""
        pool = await self._pool(call)
        return _page(call, "Instances", resources.machines(pool, call.query))

    async def list_resource_instance_worker(self, call: Call) -> Answer:
        """The replicas on a machine, of the services that the caller sees."""
        pool, machine = await self._pool(call), call.path["InstanceName"]
        if machine not in {node.name for node in pool.nodes}:
            raise NotFound("instance", machine)
        seen = await overview.services(self._platform, call.principal)
        shown = [
            resources.worker(service, replica, of_node(service.current.template))
            for service, replica in replicas(seen, machine)
        ]
        return _page(call, "Pods", resources.workers(shown, call.query))

    async def list_resource_services(self, call: Call) -> Answer:
        """All services that the caller sees: every one of them runs in the pool."""
        await self._pool(call)
        number, size = listing.page(call.query)
        query = ServiceQuery(offset=(number - 1) * size, limit=size)
        found, total = await services.page(self._platform, query, actor=call.principal)
        shown = [self._listed.show(service, seen, call.language) for service, seen in found]
        return {"Services": shown, "PageNumber": number, "PageSize": size, "TotalCount": total}

    async def _pool(self, call: Call) -> Pool:
        pool = await pools.load(self._platform)
        asked = call.path["ResourceId"]
        if asked not in {pool.id, pool.region}:
            raise NotFound("resource", asked, f"There is one pool, [{pool.id}].")
        return pool


def _page(call: Call, field: str, found: Sequence[dict[str, Any]]) -> Answer:
    number, size = listing.page(call.query)
    shown = list(found[(number - 1) * size : number * size])
    return {field: shown, "PageNumber": number, "PageSize": size, "TotalCount": len(found)}


def _has_room(pool: Pool, size: Size) -> bool:
    """Has a machine so much that no replica may use?"""
    return any(_fits(pool, node, size) for node in pool.nodes)


def _fits(pool: Pool, node: Node, size: Size) -> bool:
    used = held(pool.found, node.name)
    return (
        size.cpu <= node.cpu - used.cpu
        and size.memory * GIB <= node.memory - used.memory
        and size.gpu <= node.gpus - used.gpus
    )
