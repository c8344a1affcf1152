"""A count that is given to the cluster's own scaler and taken back, against the server double.

What is asked of a Deployment is read from what the server was told: a count that fell for a moment
would be in it, too.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from aiohttp import ClientSession

from kube_double import KubeDouble, Object
from kube_stage import QUICK, on_cluster
from kubernetes_cases import BY_CPU, BY_LOAD
from pierhead.core.errors import Unavailable
from pierhead.core.resources import Resources
from pierhead.core.scalers import AutoScaler, Metric, Strategy
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.api import DEPLOYMENT
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVICE, gone, ready, settle, until, workload

Scene = Callable[[KubeDouble, KubernetesRuntime], Awaitable[None]]
MERGE = "application/merge-patch+json"
KEDA = {"keda": True, "prometheus": "http://prometheus:9090"}


def play(folder: Path, scene: Scene, **cluster: Any) -> None:
    """Run a scene on a fresh server and a runtime whose cluster follows loads."""

    async def run() -> None:
        async with KubeDouble() as server:
            made = on_cluster(server, folder, follows_load=True, **cluster)
            await made.adopt()
            try:
                await scene(server, made)
            finally:
                await made.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def scaled(count: int, scaler: AutoScaler | None = BY_CPU, rollout: str = "1.0") -> Workload:
    asks = Resources(cpu=0.5)
    return replace(workload(count, rollout=rollout, resources=asks), scaler=scaler)


def here(server: KubeDouble) -> Object:
    (found,) = server.all("deployments")
    return found


def kinds(server: KubeDouble) -> list[str]:
    """Which scalers there are."""
    every = server.all("horizontalpodautoscalers") + server.all("scaledobjects")
    return [each["kind"] for each in every]


def counts(server: KubeDouble) -> list[int]:
    """Every number that Deployments were asked for, in their order."""
    found: list[int] = []
    for _, _, key, each in server._events:
        if key[0] == "deployments" and found[-1:] != [each["spec"]["replicas"]]:
            found.append(each["spec"]["replicas"])
    return found


def owners_of_count(server: KubeDouble) -> set[tuple[str, str]]:
    owned = server._owners[here(server)["metadata"]["uid"]]
    return {who for who, paths in owned.items() if ("spec", "replicas") in paths}


async def step(runtime: KubernetesRuntime, server: KubeDouble, number: int) -> None:
    """What a scaler's controller does."""
    name = here(server)["metadata"]["name"]
    path = DEPLOYMENT.path(server.namespace, name, "scale")
    address = f"http://127.0.0.1:{server.port}{path}?fieldManager=kube-controller-manager"
    body, form = json.dumps({"spec": {"replicas": number}}), {"Content-Type": MERGE}
    async with ClientSession() as http, http.patch(address, data=body, headers=form) as answer:
        assert answer.status == 200
    await until(lambda: seen(runtime) == number)


def seen(runtime: KubernetesRuntime) -> int:
    return (runtime._copies.owner(SERVICE) or {"spec": {}})["spec"].get("replicas", -1)


def up(count: int, rollout: str = "1.0") -> Any:
    return ready(count, rollout, pids=False)


def test_a_count_is_given_followed_and_taken_back_and_never_another_one(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(2), up(2))
        assert kinds(server) == ["HorizontalPodAutoscaler"]
        assert runtime.followed(SERVICE, 2) == 2
        await runtime.apply(scaled(2))  # once more, without a number: unless a look before did that
        asked = [method for method, path in server.asked if "/deployments/" in path]
        assert asked == ["PATCH"] * 4, "all of it; its number; the mark; all of it without a number"
        server.requests.clear()
        await runtime.apply(scaled(2))
        assert server.asked == []
        assert "pierhead" not in {who for who, _ in owners_of_count(server)}

        await step(runtime, server, 4)
        assert runtime.followed(SERVICE, 2) == 4
        await runtime.apply(scaled(2))  # by a count that is older than the cluster's
        await settle(runtime, scaled(4), up(4))
        drained = frozenset(each.id for each in runtime.observe())
        await settle(runtime, replace(scaled(4, rollout="2.0"), drained=drained), up(4, "2.0"))
        assert counts(server) == [2, 4]

        drained = frozenset(each.id for each in runtime.observe())
        await settle(runtime, replace(scaled(3, rollout="2.0"), drained=drained), up(3, "2.0"))
        assert runtime.followed(SERVICE, 3) == 3, "its owner's number is set once"
        await runtime.apply(scaled(3, None, "2.0"))
        assert (kinds(server), runtime.followed(SERVICE, 3)) == ([], None)
        await settle(runtime, scaled(5, None, "2.0"), up(5, "2.0"))
        assert counts(server) == [2, 4, 3, 5]
        assert ("kube-controller-manager", "Update") not in owners_of_count(server)

    play(tmp_path, scene)


def test_a_hub_that_starts_finds_all_of_it_on_the_deployment(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(2), up(2))
        await runtime.apply(scaled(2))
        await step(runtime, server, 3)
        other = on_cluster(server, tmp_path / "other", follows_load=True)
        await other.adopt()
        assert other.followed(SERVICE, 2) == 3, "what was set meanwhile holds"
        server.requests.clear()
        await other.apply(scaled(3))
        assert server.asked == []
        await other.close()
        back = on_cluster(server, tmp_path / "back")  # its setting says `hub` again
        await back.adopt()
        await back.apply(scaled(3))
        assert kinds(server) == [] and back.followed(SERVICE, 3) is None
        await settle(back, scaled(3), up(3))
        assert counts(server) == [2, 3]
        await gone(back)
        await back.close()

    play(tmp_path, scene)


def test_what_is_held_is_handed_over_and_taken_back_as_well(tmp_path: Path) -> None:
    """A service that runs as it should is asked for without its files: nothing of it is rendered."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(2, None), up(2))
        server.requests.clear()
        await runtime.apply(replace(scaled(2), held=True))
        assert [method for method, _ in server.asked] == ["PATCH"] * 3
        assert runtime.followed(SERVICE, 2) == 2
        await runtime.apply(replace(scaled(2, replace(BY_CPU, high=5)), held=True))
        (scaler,) = server.all("horizontalpodautoscalers")
        assert scaler["spec"]["maxReplicas"] == 5
        await runtime.apply(replace(scaled(2, None), held=True))
        assert kinds(server) == [] and counts(server) == [2]

    play(tmp_path, scene)


@pytest.mark.parametrize("failing", range(1, 4))
def test_a_server_that_goes_away_between_two_requests_leaves_the_count(
    tmp_path: Path, failing: int
) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(2, None), up(2))
        for scaler in (BY_CPU, None):
            server.faults.changes_left = failing - 1
            try:
                await runtime.apply(replace(scaled(2, scaler), held=True))
            except Unavailable:
                pass
            else:
                pytest.fail("the server was to go away")
            server.faults.changes_left = None
            other = on_cluster(server, tmp_path / str(scaler is None), follows_load=True)
            await other.adopt()
            drained = frozenset(each.id for each in other.observe())
            rollout = "2.0" if scaler else "3.0"
            wanted = replace(scaled(2, scaler, rollout), drained=drained)
            await settle(other, wanted, up(2, rollout))
            assert kinds(server) == ["HorizontalPodAutoscaler"] * (scaler is not None)
            mark = _mark(other)
            await until(lambda mark=mark: seen(runtime) == 2 and _mark(runtime) == mark)
            await other.close()
        assert counts(server) == [2]

    play(tmp_path, scene)


def _mark(runtime: KubernetesRuntime) -> str | None:
    return names.scaled_by(runtime._copies.owner(SERVICE))


def test_keda_may_take_the_last_replica_and_its_gateway_brings_it_back(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        server.kinds["keda.sh/v1alpha1"] = ("ScaledObject",)
        await settle(runtime, scaled(1, BY_LOAD), up(1))
        assert kinds(server) == ["ScaledObject"]
        await step(runtime, server, 0)
        assert runtime.followed(SERVICE, 1) == 0
        drained = frozenset(each.id for each in runtime.observe())
        await settle(runtime, replace(scaled(0, BY_LOAD), drained=drained), lambda found: not found)
        assert kinds(server) == ["ScaledObject"], "it sleeps, and is not stopped"
        await settle(runtime, scaled(1, BY_LOAD), up(1))  # woken by the hub
        assert runtime.followed(SERVICE, 1) == 1
        await runtime.apply(scaled(1, replace(BY_CPU, low=1)))
        assert kinds(server) == ["HorizontalPodAutoscaler"], "one scaler at a time"
        await runtime.apply(scaled(0, None))
        assert (kinds(server), here(server)["spec"]["replicas"]) == ([], 0)
        assert counts(server) == [1, 0, 1, 0]

    play(tmp_path, scene, **KEDA)


def test_what_the_cluster_cannot_follow_or_will_not_have_stays_ours(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        by_devices = replace(BY_CPU, strategies=(Strategy(Metric.GPU, 50.0),))
        for scaler in (by_devices, replace(BY_CPU, low=0)):
            await settle(runtime, scaled(2, scaler), up(2))
            assert kinds(server) == [] and runtime.followed(SERVICE, 2) is None
            told = runtime.stays(SERVICE, scaler, bounded=False)
            assert "the count stays the platform's" in told
        assert runtime.stays(SERVICE, BY_CPU, bounded=False) == ""
        assert "quota" in runtime.stays(SERVICE, BY_CPU, bounded=True)
        server.faults.refuse["PATCH", "horizontalpodautoscalers"] = 403
        await settle(runtime, scaled(2), up(2))
        assert runtime.followed(SERVICE, 2) is None
        assert "refused as the test wants it" in runtime.stays(SERVICE, BY_CPU, bounded=False)
        server.faults.refuse.clear()
        server.requests.clear()
        await settle(runtime, scaled(3), up(3))
        assert kinds(server) == [], "it is not asked with every step"
        runtime._handover.clock = lambda: time.time() + 61
        await runtime.apply(scaled(3))
        assert kinds(server) == ["HorizontalPodAutoscaler"]
        assert runtime.stays(SERVICE, BY_CPU, bounded=False) == ""
        await runtime.apply(scaled(3, by_devices))  # its owner asks for something else
        assert kinds(server) == [] and counts(server) == [2, 3]

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("asks", "metrics", "why"),
    [
        (Resources(), True, "the service asks for none"),
        (Resources(cpu=1.0, cpu_request=0.0), True, "the service asks for none"),
        (Resources(cpu=1.0), False, "metrics.k8s.io is not there"),
        (Resources(cpu=1.0), True, ""),
    ],
)
def test_a_scaler_that_could_never_move_is_not_made(
    tmp_path: Path, asks: Resources, metrics: bool, why: str
) -> None:
    """A share of the CPU is one of what pods ask for, and of what somebody measures."""
    wanted = replace(workload(2, resources=asks), scaler=BY_CPU)
    mixed = replace(BY_LOAD, low=1)

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, wanted, up(2))
        assert kinds(server) == ([] if why else ["HorizontalPodAutoscaler"])
        assert (runtime.followed(SERVICE, 2) is None) == bool(why)
        told = runtime.stays(SERVICE, BY_CPU, bounded=False)
        assert why in told and bool(told) == bool(why)
        assert bool(runtime.stays(SERVICE, mixed, bounded=False)) == bool(why), "nor by KEDA"

    play(tmp_path, scene, metrics=metrics, **KEDA)


def test_a_service_that_asks_for_no_cpu_any_more_is_taken_back(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(2), up(2))
        assert kinds(server) == ["HorizontalPodAutoscaler"]
        drained = frozenset(each.id for each in runtime.observe())
        bare = replace(workload(2, rollout="2.0"), scaler=BY_CPU, drained=drained)
        await settle(runtime, bare, up(2, "2.0"))
        assert (kinds(server), runtime.followed(SERVICE, 2)) == ([], None)
        assert counts(server) == [2]

    play(tmp_path, scene)


@pytest.mark.parametrize("version", [(1, 29), (1, 30)])
def test_the_engine_alone_is_measured_where_a_server_can(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    """What a mesh puts beside it asks for no CPU, and would keep the scaler from counting."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(2), up(2))
        (scaler,) = server.all("horizontalpodautoscalers")
        (metric,) = scaler["spec"]["metrics"]
        if version < (1, 30):
            assert (metric["type"], metric["resource"]["name"]) == ("Resource", "cpu")
        else:
            assert metric["type"] == "ContainerResource"
            assert metric["containerResource"]["container"] == names.ENGINE_CONTAINER
            known = {key: scaler[key] for key in ("apiVersion", "kind", "metadata", "spec")}
            known["metadata"] = {"name": known["metadata"]["name"]}
            kubernetes_validate.validate(known, "1.37", strict=True)
        await settle(runtime, scaled(1, replace(BY_LOAD, low=1)), up(1))
        (by_load,) = server.all("scaledobjects")
        said = [t["metadata"] for t in by_load["spec"]["triggers"] if t["type"] == "cpu"]
        assert ["containerName" in each for each in said] == [version >= (1, 30)]

    play(tmp_path, scene, version=version, **KEDA)


METRICS, SCALED_OBJECTS = "metrics.k8s.io/v1beta1", "keda.sh/v1alpha1"
MIXED = replace(BY_LOAD, low=1)


async def looked(server: KubeDouble, runtime: KubernetesRuntime) -> list[str]:
    """Have a runtime look at its cluster anew; what it asked for."""
    await asyncio.sleep(0.25)
    server.requests.clear()
    await runtime.apply(scaled(2, MIXED))
    asked = [path for _, path in server.requests if path.startswith("/apis")]
    return [path for path in asked if "/namespaces" not in path]


def looking(server: KubeDouble, folder: Path, *, found: bool) -> KubernetesRuntime:
    """A runtime that looks often at what its cluster has; `found`: it knew of all of it when it began."""
    cluster: dict[str, Any] = {"prometheus": KEDA["prometheus"], "metrics": found, "keda": found}
    pace = replace(QUICK, whole_list=0.2)
    return on_cluster(server, folder / "looks", pace=pace, follows_load=True, **cluster)


def test_what_is_installed_later_is_found_without_a_start_of_the_hub(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, _runtime: KubernetesRuntime) -> None:
        runtime = looking(server, tmp_path, found=False)
        await runtime.adopt()
        await settle(runtime, scaled(2, MIXED), up(2))
        assert kinds(server) == [] and runtime.stays(SERVICE, MIXED, bounded=False)
        assert (await looked(server, runtime))[0] == "/apis"
        server.kinds[SCALED_OBJECTS] = ("ScaledObject", "TriggerAuthentication")
        assert await looked(server, runtime) == ["/apis", f"/apis/{SCALED_OBJECTS}"]
        assert kinds(server) == [], "nobody measures its CPU"
        server.kinds[METRICS] = ("PodMetrics",)
        added = [f"/apis/{each}" for each in (SCALED_OBJECTS, METRICS)]
        assert await looked(server, runtime) == ["/apis", *added]
        assert kinds(server) == ["ScaledObject"] and counts(server) == [2]
        assert runtime.stays(SERVICE, MIXED, bounded=False) == ""
        await gone(runtime)
        assert kinds(server) == []
        await runtime.close()

    play(tmp_path, scene)


def test_what_is_seen_in_the_middle_of_its_installation_is_looked_at_again(tmp_path: Path) -> None:
    """Its kinds come one by one under one version, and go so; each look costs one request for them."""

    async def scene(server: KubeDouble, _runtime: KubernetesRuntime) -> None:
        server.kinds[METRICS] = ("PodMetrics",)
        runtime = looking(server, tmp_path, found=False)
        await runtime.adopt()
        await settle(runtime, scaled(2, MIXED), up(2))
        first = ["/apis", *(f"/apis/{each}" for each in server.kinds)]
        assert await looked(server, runtime) == first
        for there in (("ScaledJob",), ("ScaledJob", "ScaledObject"), ("ScaledJob",)):
            server.kinds[SCALED_OBJECTS] = there
            assert await looked(server, runtime) == ["/apis", f"/apis/{SCALED_OBJECTS}"]
            assert runtime.cluster.keda == ("ScaledObject" in there)
        assert kinds(server) == [] and counts(server) == [2]
        await runtime.close()

    play(tmp_path, scene)


def test_what_is_away_for_a_while_is_not_gone(tmp_path: Path) -> None:
    """Law: no scaler is made and deleted by turns."""

    async def scene(server: KubeDouble, _runtime: KubernetesRuntime) -> None:
        server.kinds |= {METRICS: ("PodMetrics",), SCALED_OBJECTS: ("ScaledObject",)}
        runtime = looking(server, tmp_path, found=True)
        await runtime.adopt()
        await settle(runtime, scaled(2, MIXED), up(2))
        (made,) = server.all("scaledobjects")
        for away in ({METRICS, SCALED_OBJECTS}, set[str](), {METRICS}):
            server.away = away
            assert (await looked(server, runtime))[0] == "/apis"
            (still,) = server.all("scaledobjects")
            assert still["metadata"]["uid"] == made["metadata"]["uid"]
        server.away = set()
        del server.kinds[METRICS]
        await looked(server, runtime)
        assert kinds(server) == [] and counts(server) == [2]
        assert "metrics" in runtime.stays(SERVICE, MIXED, bounded=False)
        await runtime.close()

    play(tmp_path, scene)


@pytest.mark.parametrize("known", [True, False])
def test_of_a_group_that_is_away_what_was_known_holds(known: bool) -> None:
    cluster = Cluster(keda=known, lws=known, hpa="autoscaling/v2beta2", pdb="")
    away = dict.fromkeys(("keda.sh/v1alpha1", "leaderworkerset.x-k8s.io/v1"), frozenset[str]())
    both = {
        "autoscaling/v2": frozenset({"HorizontalPodAutoscaler"}),
        "policy/v1": frozenset({"PodDisruptionBudget"}),
    }
    found = cluster.renewed({**away, **both})
    assert (found.keda, found.lws, found.metrics) == (known, known, False)
    assert (found.hpa, found.pdb) == ("autoscaling/v2beta2", "policy/v1"), "one version at a time"
    assert not cluster.renewed(both).keda


def test_a_deployment_that_somebody_deleted_comes_back_with_its_count(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, scaled(3), up(3))
        await runtime._api.delete(DEPLOYMENT, here(server)["metadata"]["name"], server.namespace)
        await until(lambda: runtime._copies.owner(SERVICE) is None)
        await settle(runtime, scaled(3), up(3))
        assert counts(server) == [3] and kinds(server) == ["HorizontalPodAutoscaler"]
        assert runtime.followed(SERVICE, 3) == 3
        await gone(runtime)
        assert server.all("horizontalpodautoscalers") == []

    play(tmp_path, scene)
