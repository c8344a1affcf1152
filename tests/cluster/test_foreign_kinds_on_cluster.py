"""Kinds that a cluster has by others: their definitions are here, as far as we write them; nobody acts on them.

So what is shown is that a real server takes and keeps what we write, and that discovery finds the kinds.
What KEDA's operator would do to a count is done in its place, through `/scale`.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_stage import ClusterStage
from hollow_cluster import HollowCluster
from kube_client import MERGE, KubeRefusedError, until
from test_manifests_on_cluster import HERE, PATHS, Server, lost, on, written

from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
from pierhead.runtimes.kubernetes.probe import discover

Json = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANY: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "format": "int32"}
EITHER: Json = {"x-kubernetes-int-or-string": True}
MARK = "pierhead.dev/scaled-by"
PATHS |= {"LeaderWorkerSet": "leaderworkersets", "ScaledObject": "scaledobjects"}


def shape(required: tuple[str, ...] = (), **properties: Json) -> Json:
    """An object that has these fields; a server drops all others."""
    return {"type": "object", "properties": properties, "required": list(required)}


def choice(*values: str) -> Json:
    return {**TEXT, "enum": list(values)}


GROUPS = shape(
    ("leaderWorkerTemplate",),
    replicas=WHOLE,
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


def definition(group: str, version: str, kind: str, spec: Json) -> Json:
    """What makes a server know a kind."""
    schema = shape(spec=spec, status=ANY)
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
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
        definition("leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", GROUPS),
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
