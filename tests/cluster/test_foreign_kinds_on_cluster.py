"""Kinds that a cluster has by others: their definitions are here, as far as we write them; nobody acts on them.

So what is shown is that a real server takes and keeps what we write, and that discovery finds the kinds.
What KEDA's operator would do to a count is done in its place, through `/scale`.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster_stage import ClusterStage
from hollow_cluster import HollowCluster
from kube_client import MERGE, KubeRefusedError, until
from lws_stand_in import MARK, Sets, StandIn, several
from test_manifests_on_cluster import HERE, PATHS, Server, lost, on, written

from kubernetes_cases import BY_CPU
from pierhead.core.replicas import ReplicaStatus
from pierhead.core.resources import Resources
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
from pierhead.runtimes.kubernetes.probe import discover
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVICE, ready, removed, settle, workload

Json = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANY: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "format": "int32"}
EITHER: Json = {"x-kubernetes-int-or-string": True}
PATHS |= {"LeaderWorkerSet": "leaderworkersets", "ScaledObject": "scaledobjects"}


def shape(required: tuple[str, ...] = (), **properties: Json) -> Json:
    """An object that has these fields; a server drops all others."""
    return {"type": "object", "properties": properties, "required": list(required)}


def choice(*values: str) -> Json:
    return {**TEXT, "enum": list(values)}


GROUPS = shape(
    ("leaderWorkerTemplate",),
    replicas={**WHOLE, "default": 1},
    startupPolicy=choice("LeaderCreated", "LeaderReady"),
    rolloutStrategy=shape(
        type=choice("RollingUpdate"),
        rollingUpdateConfiguration=shape(maxSurge=EITHER, maxUnavailable=EITHER),
    ),
    leaderWorkerTemplate=shape(
        ("workerTemplate",),
        size=WHOLE,
        restartPolicy=choice("RecreateGroupOnPodRestart", "None"),
        leaderTemplate=ANY,
        workerTemplate=ANY,
    ),
)
SCALED = shape(
    ("scaleTargetRef", "triggers"),
    scaleTargetRef=shape(("name",), apiVersion=TEXT, kind=TEXT, name=TEXT),
    minReplicaCount=WHOLE,
    maxReplicaCount=WHOLE,
    pollingInterval=WHOLE,
    cooldownPeriod=WHOLE,
    advanced=shape(horizontalPodAutoscalerConfig=shape(behavior=ANY)),
    triggers={
        "type": "array",
        "items": shape(
            ("type", "metadata"),
            type=TEXT,
            metricType=choice("AverageValue", "Value", "Utilization"),
            metadata={"type": "object", "additionalProperties": TEXT},
        ),
    },
)


#: Where a scaler finds the count of groups, and which pods to measure.
SCALE: Json = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.hpaPodSelector",
}


def definition(group: str, version: str, kind: str, spec: Json, **subresources: Json) -> Json:
    """What makes a server know a kind."""
    schema = shape(spec=spec, status=ANY)
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}, **subresources},
    }
    plural = PATHS[kind]
    called = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # Of groups like these the server wants to know who approved them.
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {"group": group, "scope": "Namespaced", "names": called, "versions": [served]},
    }


@pytest.fixture(scope="module")
def kinds(cluster: HollowCluster) -> Iterator[None]:
    """A cluster that knows both kinds, until this file is done."""
    made = (
        definition("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", GROUPS, scale=SCALE),
        definition("keda.sh", "v1alpha1", "ScaledObject", SCALED),
    )
    paths = [f"{DEFINITIONS}/{each['metadata']['name']}" for each in made]
    for each in made:
        cluster.api("POST", DEFINITIONS, each)
    until(lambda: all(_established(cluster, path) for path in paths), "they are established")
    yield
    for path in paths:
        cluster.api("DELETE", path)


def _established(cluster: HollowCluster, path: str) -> bool:
    conditions = cluster.api("GET", path).get("status", {}).get("conditions", ())
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


@pytest.mark.usefixtures("kinds")
def test_they_are_found_by_discovery(cluster: HollowCluster) -> None:
    async def look() -> Cluster:
        api = LightkubeApi(configured(str(cluster.kubeconfig)), time.time)
        try:
            found = await discover(api)
            return Cluster().discovered(found.version, found.kinds)
        finally:
            await api.close()

    def both() -> bool:
        here = asyncio.run(look())
        assert (here.hpa, here.pdb) == ("autoscaling/v2beta2", "policy/v1beta1")
        return here.lws and here.keda

    until(both, "discovery names both kinds")


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize(
    ("name", "kind"), [("several-nodes", "LeaderWorkerSet"), ("by-load", "ScaledObject")]
)
def test_what_we_write_of_them_is_taken_kept_and_removed(
    cluster: HollowCluster, namespace: str, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HERE, "keda", value=True)
    server = Server(cluster, namespace)
    made = on(server, name).made()
    (own,) = [each for each in made if each["kind"] == kind]
    first = [server.apply(each) for each in made]
    pairs = zip(first, made, strict=True)
    assert [path for kept, sent in pairs for path in lost(kept, sent, sent["kind"])] == []
    again = [server.apply(each) for each in made]
    assert [written(each) for each in again] == [written(each) for each in first]
    assert names.applied(server.get(own)) == names.applied(own)
    server.forget(own)
    with pytest.raises(KubeRefusedError, match="404"):
        server.get(own)


async def asked(runtime: KubernetesRuntime, wanted: Workload, done: Callable[[], bool]) -> None:
    """Ask for it again and again, as the reconciler does, until that is so."""
    await runtime.apply(wanted)
    while not done():
        await asyncio.sleep(0.05)
        await runtime.apply(wanted)


def grouped(replicas: int, rollout: str = "1.0") -> Workload:
    """Replicas on three nodes each."""
    asks, env = Resources(cpu=0.5), {"HF_TOKEN": "hf_of_this_test"}
    return workload(replicas, rollout=rollout, engine="vllm", nodes=3, env=env, resources=asks)


@pytest.mark.usefixtures("kinds")
def test_the_runtime_makes_a_set_once_and_removes_it(
    cluster: HollowCluster, namespace: str, tmp_path: Path
) -> None:
    """Law: what is as it should be is not sent again, by no hub."""
    sets = Sets(cluster, namespace)

    async def play() -> None:
        runtime = await sets.adopted(tmp_path)
        assert (await runtime.probe()).one_node == ""
        await runtime.apply(grouped(2))
        made = sets.one()
        assert made["spec"]["leaderWorkerTemplate"]["size"] == 3
        assert sets.belonging() == [made["metadata"]["uid"]] * 2
        other = await sets.adopted(tmp_path / "other")
        for each in (runtime, other):
            await each.apply(grouped(2))
        assert sets.one()["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        await other.close()
        # Its next version is for pods on one node: until that one has its own, it lets go of a count alone.
        alone = replace(grouped(0, "2.0"), template=replace(grouped(0).template, nodes=1))
        await runtime.apply(alone)
        assert sets.one()["spec"]["replicas"] == 0
        await asked(runtime, replace(alone, leaving=True), lambda: not sets.all())
        give_up = time.monotonic() + 20
        while not await runtime.remove(SERVICE, 1.0):
            assert time.monotonic() < give_up
            await asyncio.sleep(0.05)
        await runtime.close()

    asyncio.run(asyncio.wait_for(play(), 60))


@pytest.mark.usefixtures("kinds")
def test_the_count_of_a_set_is_handed_over_and_taken_back(
    cluster: HollowCluster, namespace: str, tmp_path: Path
) -> None:
    """Law: it falls at no time to its default, which is 1."""
    sets = Sets(cluster, namespace)

    async def play() -> None:
        runtime = await sets.adopted(tmp_path)
        await runtime.apply(grouped(2))
        sets.touch()
        await asked(runtime, grouped(4), lambda: sets.one()["spec"]["replicas"] == 4)
        scaled = replace(grouped(4), scaler=BY_CPU)
        await asked(runtime, scaled, lambda: bool(sets.marked()))
        sets.scale(5)
        await asked(runtime, scaled, lambda: runtime.followed(SERVICE, 4) == 5)
        rolled = replace(grouped(5, "1.1"), scaler=BY_CPU)
        await asked(runtime, rolled, lambda: sets.rollout() == "1.1")
        assert sets.one()["spec"]["replicas"] == 5
        await asked(runtime, grouped(5, "1.1"), lambda: not sets.marked())
        assert sets.counts == {2, 4, 5}
        await runtime.close()

    asyncio.run(asyncio.wait_for(play(), 60))


@pytest.mark.usefixtures("kinds")
def test_groups_are_placed_scheduled_replaced_and_collected_by_real_servers(
    cluster: HollowCluster, namespace: str, tmp_path: Path
) -> None:
    """Law: members are on other nodes than their leader, and nothing of a group outlives its service."""
    sets = Sets(cluster, namespace)
    wanted = several(tmp_path, 2)

    async def play() -> None:
        runtime = await sets.adopted(tmp_path / "runs")
        acting = asyncio.create_task(StandIn(sets).run())
        (first,) = await settle(runtime, wanted, ready(1, pids=False), 60)
        assert len(set(first.places)) == 2 and "" not in first.places
        (member,) = cluster.api.pods(namespace, f"{names.WORKER_INDEX}=1")
        path = f"/api/v1/namespaces/{namespace}/pods/{member['metadata']['name']}"
        cluster.api("DELETE", f"{path}?gracePeriodSeconds=0")

        def another(found: list[ReplicaStatus]) -> bool:
            return ready(1, pids=False)(found) and found[0].id != first.id

        await settle(runtime, wanted, another, 60)
        await removed(runtime, wanted, 60)
        assert not cluster.api.pods(namespace) and not sets.all()
        # A third node is not there: the scheduler says so, and the replica tells it.
        wide = several(tmp_path, 3)

        def told(found: list[ReplicaStatus]) -> bool:
            return any(each.reason == "PodUnschedulable" for each in found)

        (found,) = await settle(runtime, wide, told, 60)
        assert found.message.startswith("A member (node "), found.message
        assert "2 must not have it beside others" in found.message
        await removed(runtime, wide, 60)
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        await runtime.close()

    asyncio.run(asyncio.wait_for(play(), 240))


@pytest.fixture
def stage(
    cluster: HollowCluster, namespace: str, tmp_path: Path, kinds: None
) -> Iterator[ClusterStage]:
    """A platform whose cluster follows loads, with KEDA's kind and an address for its questions."""
    made = ClusterStage(tmp_path / "data", cluster, namespace)
    follows = {
        "PIERHEAD_KUBERNETES_AUTOSCALER": "cluster",
        "PIERHEAD_KUBERNETES_PROMETHEUS": "http://prometheus.invalid:9090",
    }
    try:
        made.up(**follows)
        yield made
    finally:
        made.end()
        print(made.tail(60))


def test_a_count_that_keda_has_goes_to_none_and_comes_back(stage: ClusterStage) -> None:
    """Law: with KEDA a service sleeps and wakes by others' hands, and is taken back as it is."""
    path = f"/apis/keda.sh/v1alpha1/namespaces/{stage.namespace}/scaledobjects"

    def scalers() -> list[Json]:
        return stage.cluster.api("GET", path)["items"]

    def sets(replicas: int) -> None:
        name = stage.deployment()["metadata"]["name"]
        scale = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/{name}/scale"
        stage.cluster.api("PATCH", scale, {"spec": {"replicas": replicas}}, MERGE)

    stage.create("svc", 1)
    stage.running("svc")
    body = {"min": 0, "max": 4, "scaleStrategies": [{"metricName": "qps", "threshold": 5}]}
    client = stage.client
    where = client.path("svc", "/autoscaler")
    client.call("CreateServiceAutoScaler", "POST", where, body=body)
    until(lambda: MARK in stage.deployment()["metadata"]["annotations"], stage.deployment)
    (scaler,) = scalers()
    assert (scaler["spec"]["minReplicaCount"], scaler["spec"]["maxReplicaCount"]) == (0, 4)
    assert 'service="svc"' in scaler["spec"]["triggers"][0]["metadata"]["query"]
    sets(0)
    stage.running("svc", 0)
    assert stage.deployment()["spec"]["replicas"] == 0 and len(scalers()) == 1
    sets(2)
    stage.running("svc", 2)
    client.call("DeleteServiceAutoScaler", "DELETE", where)
    until(lambda: not stage.deployment()["metadata"]["annotations"][MARK], stage.deployment)
    assert scalers() == [] and stage.deployment()["spec"]["replicas"] == 2
    stage.running("svc", 2)
