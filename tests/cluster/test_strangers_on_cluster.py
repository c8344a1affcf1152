"""Two platforms that know the same service, in one namespace of a real server; and who owns a count there."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hollow_cluster import HollowCluster

from pierhead.core.ids import engine_key
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
from pierhead.runtimes.kubernetes.probe import discover
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from pierhead.runtimes.kubernetes.strangers import Foreign
from replica_servers import SERVER, SERVICE, gone, launch, ready, settle, workload

Json = dict[str, Any]
#: Each pod has an address of its own.
CODE = SERVER.replace('"127.0.0.1"', 'os.environ["POD_IP"]')
FIRST, SECOND = "1000000000000001", "1000000000000002"
WANTED = workload(1, code=CODE)
Adopted = Callable[[str], Awaitable[KubernetesRuntime]]


def play(
    cluster: HollowCluster,
    namespace: str,
    folder: Path,
    scene: Callable[[Adopted], Awaitable[None]],
) -> None:
    """Run a scene that is given platforms, by their names."""

    async def run() -> None:
        made: list[KubernetesRuntime] = []

        async def adopted(platform: str) -> KubernetesRuntime:
            api = LightkubeApi(configured(str(cluster.kubeconfig)), time.time)
            found = await discover(api)
            here = Cluster(namespace=namespace, platform=platform)
            here = here.discovered(found.version, found.kinds)
            key_of, kept = partial(engine_key, b"of this test"), folder / platform
            runtime = KubernetesRuntime(api, here, launch, time.time, Random(7), key_of, kept)
            made.append(runtime)
            await runtime.adopt()
            return runtime

        try:
            await scene(adopted)
        finally:
            for runtime in made:
                await runtime.close()

    asyncio.run(asyncio.wait_for(run(), 120))


def objects(cluster: HollowCluster, namespace: str) -> dict[str, str]:
    """uid -> version, of what platforms make; of a Deployment what is wanted of it."""
    found: dict[str, str] = {}
    for root, plural in (("/apis/apps/v1", "deployments"), ("/api/v1", "services")):
        for each in cluster.api("GET", f"{root}/namespaces/{namespace}/{plural}")["items"]:
            meta = each["metadata"]
            wanted = meta.get("generation", meta["resourceVersion"])
            found[meta["uid"]] = f"{wanted} {meta['labels']} {meta['annotations']}"
    return found


def deployment(cluster: HollowCluster, namespace: str) -> Json:
    (found,) = cluster.api("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    return found


def owners_of_count(found: Json) -> list[tuple[str, str]]:
    return [
        (entry["manager"], entry["operation"])
        for entry in found["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]


def test_law_a_real_servers_objects_of_another_platform_are_left_alone(
    cluster: HollowCluster, namespace: str, tmp_path: Path
) -> None:
    async def scene(adopted: Adopted) -> None:
        first = await adopted(FIRST)
        await settle(first, WANTED, ready(1, pids=False), 60)
        before = objects(cluster, namespace)
        second = await adopted(SECOND)
        with pytest.raises(Foreign, match=FIRST):
            await second.apply(WANTED)
        assert await second.remove(SERVICE, 0.0)
        assert objects(cluster, namespace) == before
        assert ready(1, pids=False)(first.observe(SERVICE))
        await gone(first, seconds=60)
        await settle(second, WANTED, ready(1, pids=False), 60)
        await gone(second, seconds=60)

    play(cluster, namespace, tmp_path, scene)


def test_a_count_is_owned_once_whatever_was_stopped_and_started(
    cluster: HollowCluster, namespace: str, tmp_path: Path
) -> None:
    """Else a start is refused first, by what our own stop had said."""

    async def scene(adopted: Adopted) -> None:
        runtime = await adopted(FIRST)
        for _ in range(2):
            await settle(runtime, WANTED, ready(1, pids=False), 60)
            assert owners_of_count(deployment(cluster, namespace)) == [("pierhead", "Apply")]
            drained = frozenset(each.id for each in runtime.observe(SERVICE))
            stopped = replace(WANTED, replicas=0, drained=drained)
            await settle(runtime, stopped, lambda found: not found, 60)
            found = deployment(cluster, namespace)
            assert found["spec"]["replicas"] == 0
            assert owners_of_count(found) == [("pierhead", "Apply")]
        await gone(runtime, seconds=60)

    play(cluster, namespace, tmp_path, scene)
