"""Machine sizes and the one pool, through the real EAS door: what is told, and that it can be asked for."""

import json
from collections.abc import Callable
from typing import Any

from permission_world import House, Scene, allow, policy

from builders import a_replica
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import GIB
from pierhead.core.services import Seen
from pierhead.dialects.eas import sizes
from pierhead.dialects.eas.sizes import Size
from pierhead.operations import pools, services
from pierhead.store import seen as seen_rows

SERVICES = "/api/v2/services"
SPECS = "/api/v2/public/instance_types"
RESOURCES = "/api/v2/resources"


def document(name: str, cloud: Any = None, **metadata: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"containers": [{"script": "sleep 1", "port": 8000}]}
    made["metadata"] = {"name": name, "instance": 1, **metadata}
    return made | ({"cloud": {"computing": cloud}} if cloud else {})


async def ok(house: House, method: str, target: str, body: Any = None, who: str = "root") -> Any:
    said = await house.eas(who, method, target, body)
    assert said.code == "OK", said.body
    return said.body


def test_sizes_are_powers_of_two_up_to_all_there_is() -> None:
    device = Accelerator("u", "s", "NVIDIA", "H100", 80 * GIB)
    node = Node("n", cpu=6, memory=20 * GIB, memory_free=0, gpus=1, accelerators=(device,))
    offered = sizes.fitting([node])
    assert {size.cpu for size in offered} == {1, 2, 4, 6}
    assert {size.memory for size in offered if size.cpu == 4} == {4, 8, 16, 20}
    assert {size.gpu for size in offered} == {0, 1}
    assert sizes.fitting([]) == []
    for size in offered:
        assert sizes.named(size.name) == size
    shown = sizes.described(Size(2, 4, 1), [node], free=True)
    assert (shown["GPU"], shown["GPUAmount"], shown["GPUMemory"]) == ("H100", 1, 80)
    for name in ("", "ecs.g6", "pierhead.c0.m1", "pierhead.c1.m1.g0", "pierhead.c1.m1x"):
        assert sizes.named(name) is None


def test_the_sizes_that_fit_are_listed(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        specs = await ok(house, "GET", SPECS)
        listed = {one["InstanceType"]: one for one in specs["InstanceMetas"]}
        assert {"CPU": 8, "Memory": [8, 16]} in specs["Types"]
        small = listed["pierhead.c2.m4"]
        assert (small["CPU"], small["Memory"], small["GPU"], small["GPUAmount"]) == (2, 4, "", 0)
        assert {one["StockStatus"] for one in listed.values()} == {"WithStock"}
        some = await ok(house, "GET", f"{SPECS}?InstanceTypes=pierhead.c2.m4,never")
        assert [one["InstanceType"] for one in some["InstanceMetas"]] == ["pierhead.c2.m4"]
        for none in ("?ChargeType=PrePaid", "?ResourceType=Lingjun", "?InstanceTypes=never"):
            assert (await ok(house, "GET", SPECS + none))["InstanceMetas"] == []

    play(scene)


def test_a_size_that_is_listed_can_be_asked_for(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await ok(house, "POST", SERVICES, document("foo", {"instance_type": "pierhead.c2.m4"}))
        shown = await ok(house, "GET", f"{SERVICES}/local/foo")
        assert (shown["Cpu"], shown["Memory"], shown["Gpu"]) == (2, 4096, 0)
        types = {"instances": [{"type": "pierhead.c1.m1.g1"}, {"type": "pierhead.c2.m4"}]}
        await ok(house, "POST", SERVICES, document("bar", types, memory=512))
        shown = await ok(house, "GET", f"{SERVICES}/local/bar")
        assert (shown["Cpu"], shown["Memory"], shown["Gpu"]) == (1, 512, 1)
        told = await ok(house, "GET", f"{SERVICES}/local/bar/events")
        odd = [one["Message"] for one in told["Events"] if "no effect" in one["Message"]]
        assert len(odd) == 1
        assert "cloud.computing.instances[1].type" in odd[0]
        bad = document("baz", {"instance_type": "ecs.g6.large"})
        said = await house.eas("root", "POST", SERVICES, bad)
        assert said.code == "InvalidParameter"
        assert "DescribeMachineSpec" in said.body["Message"]

        # What runs leaves less room.
        foo, _ = await services.find(house.platform, "foo")
        replicas = tuple(a_replica(id=f"r{n}", service=foo.id, node="here") for n in range(3))
        await house.platform.db.write(seen_rows.save, foo.id, Seen(revision=1, replicas=replicas))
        specs = await ok(house, "GET", SPECS)
        stock = {one["InstanceType"]: one["StockStatus"] for one in specs["InstanceMetas"]}
        assert (stock["pierhead.c2.m4"], stock["pierhead.c4.m4"]) == ("WithStock", "NoStock")

    play(scene)


async def furnish(house: House) -> str:
    """Services foo, which asked for the pool and has a replica there, and bar; gives the pool's id."""
    pool = pools.id_of(house.platform)
    await ok(house, "POST", SERVICES, document("foo", resource=pool, cpu=2, memory=1024))
    await ok(house, "POST", SERVICES, document("bar"))
    foo, _ = await services.find(house.platform, "foo")
    replica = a_replica(id="foo-1", service=foo.id, node="here", rollout=foo.rollout)
    await house.platform.db.write(seen_rows.save, foo.id, Seen(revision=1, replicas=(replica,)))
    return pool


def test_the_pool_tells_what_it_has_and_holds(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        pool = await furnish(house)
        (listed,) = (await ok(house, "GET", RESOURCES))["Resources"]
        assert (listed["ResourceId"], listed["ResourceType"]) == (pool, "SelfManaged")
        assert (listed["CpuCount"], listed["InstanceCount"], listed["ExtraData"]) == (8, 1, {})
        for query, count in (
            (f"ResourceId={pool}", 1),
            ("ResourceId=eas-r-none", 0),
            ("ResourceName=local&Order=Asc&Sort=CpuUsed", 1),
            ("ResourceType=Dedicated", 0),
            ("PageNumber=2", 0),
        ):
            found = await ok(house, "GET", f"{RESOURCES}?{query}")
            assert len(found["Resources"]) == count, query
        one = await ok(house, "GET", f"{RESOURCES}/local/{pool}")
        assert (one["CpuCount"], one["CpuUsed"], one["MemoryUsed"]) == (8, 2, 1024)
        assert (one["Memory"], one["GpuUsed"], one["ExtraData"]) == (16 * 1024, 0, "")

    play(scene)


def test_the_machines_of_the_pool_and_the_replicas_on_them(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        pool = await furnish(house)
        (machine,) = (await ok(house, "GET", f"{RESOURCES}/local/{pool}/instances"))["Instances"]
        assert (machine["InstanceName"], machine["InstanceUsedMemory"]) == ("here", "1024")
        assert machine["InstanceStatus"] == "Ready"
        for query in ("Filter=there", "InstanceStatus=Stopped", "ChargeType=PrePaid", "Zone=z"):
            found = await ok(house, "GET", f"{RESOURCES}/local/{pool}/instances?{query}")
            assert found["Instances"] == [], query
        workers = f"{RESOURCES}/local/{pool}/instance/here/workers"
        (worker,) = (await ok(house, "GET", workers))["Pods"]
        assert (worker["Name"], worker["ServiceName"], worker["Ready"]) == ("foo-1", "foo", True)
        assert (worker["CpuLimit"], worker["MemoryRquest"]) == (2, 1024)
        for query in ("Ready=false", "WorkerName=x", "Status=Failed", "ServiceName=bar"):
            assert (await ok(house, "GET", f"{workers}?{query}"))["Pods"] == []

    play(scene)


def test_instances_by_pool_and_quota_and_no_members(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        pool = await furnish(house)
        instances = f"{SERVICES}/local/foo/instances"
        for query, count in (
            (f"Resource={pool}", 1),
            ("Resource=local&ListReplica=true", 1),
            ("Resource=eas-r-none", 0),
            ("QuotaId=none", 0),
            ("QuotaId=&Resource=&MemberType=&ListReplica=false", 1),
        ):
            found = await ok(house, "GET", f"{instances}?{query}")
            assert len(found["Instances"]) == found["TotalCount"] == count, query
        change = {"metadata": {"instance": 2}}
        for method, target, body in (
            ("GET", f"{instances}?MemberType=worker", None),
            ("PUT", f"{SERVICES}/local/foo?MemberToUpdate=worker", change),
        ):
            said = await house.eas("root", method, target, body)
            assert said.code == "UnsupportedOperation", said.body
            assert "Member" in said.body["Message"]
        assert (await ok(house, "GET", f"{SERVICES}/local/foo"))["TotalInstance"] == 1

    play(scene)


def test_which_services_asked_for_the_pool_can_be_told(play: Callable[[Scene], None]) -> None:
    """All of them run there."""

    async def scene(house: House) -> None:
        pool = await furnish(house)
        shown = await ok(house, "GET", f"{SERVICES}/local/foo")
        assert (shown["Resource"], shown["ResourceAlias"]) == (pool, "local")
        assert json.loads(shown["ServiceConfig"])["metadata"]["resource"] == pool
        for query, names in (
            (f"ResourceId={pool}", ["foo"]),
            ("ResourceName=local", ["foo"]),
            ("ResourceAliasName=local", ["foo"]),
            ("ResourceId=eas-r-none", []),
        ):
            found = await ok(house, "GET", f"{SERVICES}?{query}")
            assert [each["ServiceName"] for each in found["Services"]] == names, query
        found = await ok(house, "GET", f"{RESOURCES}/local/{pool}/services")
        assert found["TotalCount"] == 2
        assert (await ok(house, "GET", "/api/v2/regions"))["Regions"][0]["RegionId"] == "local"

    play(scene)


def test_who_may_see_the_pool_sees_their_own_services_there(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        pool = pools.id_of(house.platform)
        for name in ("foo", "bar"):
            await ok(house, "POST", SERVICES, document(name))
            made, _ = await services.find(house.platform, name)
            seen = Seen(revision=1, replicas=(a_replica(id=name, service=made.id, node="here"),))
            await house.platform.db.write(seen_rows.save, made.id, seen)
        mine = allow("eas:DescribeService", "eas:ListServices", on="acs:eas:*:*:service/foo")
        looks = allow("eas:ListResource*", "eas:DescribeResource")
        await house.user("anna", policy(mine, looks))
        await house.user("ben", policy(allow("eas:ListResources")))
        workers = f"{RESOURCES}/local/{pool}/instance/here/workers"
        seen = (await ok(house, "GET", workers, who="anna"))["Pods"]
        assert [each["ServiceName"] for each in seen] == ["foo"]
        listed = await ok(house, "GET", f"{RESOURCES}/local/{pool}/services", who="anna")
        assert [each["ServiceName"] for each in listed["Services"]] == ["foo"]
        for target in (f"{RESOURCES}/local/{pool}", workers, SPECS):
            assert not (await house.eas("ben", "GET", target)).allowed
        for target, code in (
            (f"{RESOURCES}/local/eas-r-none", "InvalidResource.NotFound"),
            (f"{RESOURCES}/elsewhere/{pool}", "InvalidResource.NotFound"),
            (f"{RESOURCES}/local/{pool}/instance/there/workers", "InvalidInstance.NotFound"),
        ):
            said = await house.eas("anna", "GET", target)
            assert (said.status, said.code) == (404, code)

    play(scene)
