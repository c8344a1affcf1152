"""What we render is what a real API server takes, keeps, and does not change when it is sent again."""

from dataclasses import replace
from typing import Any, cast

import pytest
from hollow_cluster import HollowCluster
from kube_client import APPLY

from kubernetes_cases import CASES, Case
from pierhead.runtimes.kubernetes import names

Json = dict[str, Any]
#: Kinds of others that this server has no definition of.
FOREIGN = {"several-nodes", "several-nodes-in-turn"}
PATHS = {
    "v1": "/api/v1",
    "Secret": "secrets",
    "Service": "services",
    "PersistentVolume": "persistentvolumes",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Deployment": "deployments",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
}
#: Of a server this old, and on no node: these engines are nobody's to start.
HERE: Json = {
    "version": (1, 20),
    "hpa": "autoscaling/v2beta2",
    "pdb": "policy/v1beta1",
    "keda": False,
    "node_selector": {"nowhere": "true"},
}


class Server:
    """A namespace of the cluster, as the runtime writes to it."""

    def __init__(self, cluster: HollowCluster, namespace: str) -> None:
        self.api, self.namespace = cluster.api, namespace

    def apply(self, manifest: Json) -> Json:
        return self.api("PATCH", f"{self._path(manifest)}?fieldManager=pierhead", manifest, APPLY)

    def get(self, manifest: Json) -> Json:
        return self.api("GET", self._path(manifest))

    def forget(self, manifest: Json) -> None:
        self.api("DELETE", self._path(manifest))

    def _path(self, manifest: Json) -> str:
        api, kind, meta = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        within = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
        return f"{PATHS.get(api, f'/apis/{api}')}{within}/{PATHS[kind]}/{meta['name']}"


@pytest.fixture
def server(cluster: HollowCluster, namespace: str) -> Server:
    return Server(cluster, namespace)


def on(server: Server, name: str) -> Case:
    """A case in the server's namespace, with an id of its own: volumes belong to the whole cluster."""
    case = CASES[name]
    workload = replace(case.workload, service=server.namespace.encode().hex()[-32:])
    return Case(workload, replace(case.cluster, namespace=server.namespace, **HERE), case.extras)


def lost(kept: Any, sent: Any, at: str) -> list[str]:
    """Where something was sent that is not kept as it was."""
    pairs: list[tuple[Any, Any, str]]
    if isinstance(sent, dict) and isinstance(kept, dict):
        here, there = cast(Json, sent), cast(Json, kept)
        pairs = [(there.get(key), here[key], f"{at}.{key}") for key in here]
    elif isinstance(sent, list) and isinstance(kept, list):
        each = zip(cast("list[Any]", kept), cast("list[Any]", sent), strict=True)
        pairs = [(*pair, f"{at}[{number}]") for number, pair in enumerate(each)]
    else:
        return [] if kept == sent else [f"{at}: {sent!r} became {kept!r}"]
    return [path for pair in pairs for path in lost(*pair)]


@pytest.mark.parametrize("name", sorted(CASES.keys() - FOREIGN))
def test_every_object_is_taken_kept_and_not_touched_again(server: Server, name: str) -> None:
    made = on(server, name).made()
    first = [server.apply(manifest) for manifest in made]
    # Nothing of it is dropped, defaulted away or written in another form.
    pairs = zip(first, made, strict=True)
    assert [path for kept, sent in pairs for path in lost(kept, sent, sent["kind"])] == []
    again = [server.apply(manifest) for manifest in made]
    # What others write meanwhile (a status, a bound claim) is theirs; of ours nothing is new.
    assert [written(each) for each in again] == [written(each) for each in first]
    for manifest in made:
        assert names.applied(server.get(manifest)) == names.applied(manifest)
        if "namespace" not in manifest["metadata"]:
            server.forget(manifest)


def written(kept: Json) -> list[Json]:
    """What we own of an object, and when we last changed it."""
    return [each for each in kept["metadata"]["managedFields"] if each["manager"] == names.MANAGER]


def test_a_count_that_a_scaler_owns_is_left_alone(server: Server) -> None:
    """Handed over: the scaler becomes an owner of the count before we let go of it."""
    case = on(server, "custom")
    own = replace(case, extras=replace(case.extras, scaler=None))
    deployment = own.made()[-1]
    assert server.apply(deployment)["spec"]["replicas"] == 2
    meta = {"name": deployment["metadata"]["name"], "namespace": server.namespace}
    taken = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"replicas": 4},
    }
    path = f"/apis/apps/v1/namespaces/{server.namespace}/deployments/{meta['name']}"
    server.api("PATCH", f"{path}?fieldManager=scaler&force=true", taken, APPLY)
    assert server.apply(case.made()[-1])["spec"]["replicas"] == 4
