"""Two platforms in one namespace that know the same service: each leaves alone what the other has."""

import asyncio
import copy
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kube_double import KubeDouble
from kube_stage import on_cluster
from kubernetes_cases import CASES, ask
from pierhead.core.errors import Refused
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.probe import rights
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from pierhead.runtimes.kubernetes.strangers import Foreign
from replica_servers import SERVICE, gone, ready, settle, until, workload

Scene = Callable[[KubeDouble, KubernetesRuntime, KubernetesRuntime], Awaitable[None]]
FIRST, SECOND = "1000000000000001", "1000000000000002"
_OBJECTS = re.compile(
    r"/apis?/(?:[^/]+/)?v[^/]+(?:/namespaces/[^/]+)?/(?P<resource>[^/]+)(?P<name>/[^/]+)?"
)
KEYED = workload(2, env={"HF_TOKEN": "hf_of_this_test"})


def play(folder: Path, scene: Scene, *, begin: int = 1, **cluster: Any) -> None:
    """Run a scene with two platforms, of which so many see the cluster before it begins."""

    async def run() -> None:
        async with KubeDouble() as server:
            pair = [
                on_cluster(server, folder / name, platform=name, **cluster)
                for name in (FIRST, SECOND)
            ]
            for made in pair[:begin]:
                await made.adopt()
            try:
                await scene(server, *pair)
            finally:
                for made in pair:
                    await made.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def up(count: int) -> Any:
    return ready(count, pids=False)


def stored(server: KubeDouble) -> dict[Any, str]:
    """What is there, at which version; what nodes report of pods is nobody's doing."""
    kinds = ("deployments", "services", "secrets", "poddisruptionbudgets")
    every = {key: found["metadata"] for key, found in server.objects.items() if key[0] in kinds}
    pods = {key: found["metadata"]["uid"] for key, found in server.objects.items()}
    found = {key: meta["resourceVersion"] for key, meta in every.items()}
    return found | {key: uid for key, uid in pods.items() if key[0] == "pods"}


def test_law_what_another_platform_has_is_neither_changed_nor_deleted(tmp_path: Path) -> None:
    """A backup of the database that was restored beside the first one, with credentials of its own."""

    async def scene(
        server: KubeDouble, first: KubernetesRuntime, second: KubernetesRuntime
    ) -> None:
        await settle(first, KEYED, up(2))
        before = stored(server)
        await second.adopt()
        server.requests.clear()
        for _ in range(3):
            with pytest.raises(Foreign, match=rf"\[{FIRST}\].*kubernetes\.namespace"):
                await second.apply(KEYED)
        assert {method for method, _ in server.asked} == {"GET"}
        assert second.observe(SERVICE) == []
        assert await second.remove(SERVICE, 0.0), "of its own there is nothing"
        assert stored(server) == before
        assert up(2)(first.observe(SERVICE))
        await gone(first)
        await settle(second, KEYED, up(2))
        assert {pod["metadata"]["labels"][names.PLATFORM] for pod in server.all("pods")} == {SECOND}

    play(tmp_path, scene)


def test_the_first_one_does_not_take_back_what_it_had_stopped(tmp_path: Path) -> None:
    """It sees that it is not alone any more with its next whole list."""

    async def scene(
        server: KubeDouble, first: KubernetesRuntime, second: KubernetesRuntime
    ) -> None:
        await second.adopt()
        await settle(second, KEYED, up(2))
        before = stored(server)
        delivery = first._delivery
        assert not delivery._strangers._there, "they came after it had looked"
        delivery._there._looked -= delivery._pace.whole_list
        with pytest.raises(Foreign, match=SECOND):
            await first.apply(KEYED)
        assert stored(server) == before

    play(tmp_path, scene)


@pytest.mark.parametrize("alone", [True, False])
def test_who_is_alone_pays_nothing_for_it(tmp_path: Path, alone: bool) -> None:
    async def scene(
        server: KubeDouble, first: KubernetesRuntime, second: KubernetesRuntime
    ) -> None:
        if not alone:
            await second.adopt()
            await settle(second, replace(workload(1), service="6f" * 16), up(1))
        await first.adopt()
        server.requests.clear()
        await settle(first, KEYED, up(2))
        looks = [path for method, path in server.asked if method == "GET"]
        assert len(looks) == int(not alone), looks
        server.requests.clear()
        await first.apply(KEYED)
        assert server.asked == []

    play(tmp_path, scene, begin=0)


def test_objects_of_nobody_are_taken_up(tmp_path: Path) -> None:
    """As an export has them, which somebody applied by hand."""

    async def scene(
        server: KubeDouble, first: KubernetesRuntime, second: KubernetesRuntime
    ) -> None:
        await settle(second, workload(1), up(1))
        for key, found in list(server.objects.items()):
            plain = copy.deepcopy(found)
            if plain["metadata"].get("labels", {}).pop(names.PLATFORM, ""):
                server.put(key, plain)
        await until(lambda: second.observe(SERVICE) == [])
        await settle(first, workload(1), up(1))

    play(tmp_path, scene, begin=2)


def asked_of(server: KubeDouble) -> set[tuple[str, str]]:
    """(verb, resource) of all that was asked of a server but for what it is."""
    found: set[tuple[str, str]] = set()
    for method, path in server.requests:
        place = _OBJECTS.fullmatch(path)
        if place and place["resource"] != "selfsubjectaccessreviews":
            read = "get" if place["name"] else "list"
            verb = {"PATCH": "patch", "DELETE": "delete"}.get(method, read)
            found.add((verb, place["resource"]))
    return found


def permitted(runtime: KubernetesRuntime) -> set[tuple[str, str]]:
    """The same of what `pierhead doctor` and `deploy/kubernetes` ask for."""
    return {(each.access.verb, each.access.resource) for each in rights(runtime.cluster)}


def test_volumes_of_the_whole_cluster_are_looked_at_as_well(tmp_path: Path) -> None:
    """The first platform has them from another namespace: its Services are not seen."""
    nas = CASES["nas"]

    async def scene(
        server: KubeDouble, first: KubernetesRuntime, second: KubernetesRuntime
    ) -> None:
        for made in (first, second):
            made._launch = ask
        elsewhere = on_cluster(
            server, tmp_path / "other", platform=FIRST, weights="csi", namespace="other"
        )
        elsewhere._launch = ask
        await elsewhere.adopt()
        await elsewhere.apply(nas.workload)
        (volume,) = server.all("persistentvolumes")
        version = volume["metadata"]["resourceVersion"]
        await second.adopt()
        with pytest.raises(Refused, match="PersistentVolume"):
            await second.apply(nas.workload)
        assert ("get", "persistentvolumes") in asked_of(server)
        # What no setting asks for is listed as well, where it may be.
        needed = {each for each in asked_of(server) if each[0] != "list"}
        assert needed <= permitted(second), "a cluster gives us no rights but these"
        (volume,) = server.all("persistentvolumes")
        assert volume["metadata"]["resourceVersion"] == version
        assert not [key for key in server.objects if key[1] == server.namespace]
        await elsewhere.close()

    play(tmp_path, scene, weights="csi")
