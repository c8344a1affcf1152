"""The count of a service, handed to a real HorizontalPodAutoscaler and taken back.

The server is 1.20: HorizontalPodAutoscalers are v2beta2 there, found by discovery. Nothing measures its
pods, so its controller moves the count by its limits alone; what it would do by a measurement is done
as it does it, through `/scale`.
"""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cluster_stage import MARK as MARK_FOLDER
from cluster_stage import ClusterStage
from hollow_cluster import HollowCluster
from kube_client import MERGE, until
from stage import document as stage_document

Json = dict[str, Any]
FOLLOWS = {"PIERHEAD_KUBERNETES_AUTOSCALER": "cluster"}
#: Its controller looks every 15 s.
CONTROLLER = 60.0
KIND = "/apis/autoscaling/v2beta2/namespaces/{}/horizontalpodautoscalers"
MARK = "pierhead.dev/scaled-by"
SERVED = "/apis/apiregistration.k8s.io/v1/apiservices"
METRICS: Json = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1beta1.metrics.k8s.io"},
    "spec": {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "service": {"namespace": "default", "name": "metrics-server", "port": 443},
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    },
}


def document(env: dict[str, str]) -> Json:
    """A service's document, with another environment."""
    return stage_document("svc", 1, mark=MARK_FOLDER, env=env)


class Counts:
    """Every number of replicas that the Deployments of a namespace were asked for, in their order."""

    def __init__(self, cluster: HollowCluster, namespace: str) -> None:
        self.seen: list[int] = []
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments?watch=1"
        self._document = yaml.safe_load(cluster.kubeconfig.read_text())
        self._connection = self._connected()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _connected(self) -> http.client.HTTPSConnection:
        url = urlsplit(self._document["clusters"][0]["cluster"]["server"])
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        made = http.client.HTTPSConnection(
            str(url.hostname), url.port, timeout=300, context=context
        )
        token = self._document["users"][0]["user"]["token"]
        made.request("GET", self._path, headers={"Authorization": f"Bearer {token}"})
        return made

    def _watch(self) -> None:
        with suppress(OSError, http.client.HTTPException), self._connection.getresponse() as answer:
            for line in answer:
                number = json.loads(line)["object"]["spec"]["replicas"]
                if self.seen[-1:] != [number]:
                    self.seen.append(number)

    def __enter__(self) -> "Counts":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread.is_alive(), "the watch ended before the test did"
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()


class HandedStage(ClusterStage):
    """As `ClusterStage`, with what its Deployment and its scaler are."""

    def create(self, name: str, replicas: int = 1, **rest: Any) -> None:
        """It asks for CPU: a scaler by its CPU goes by a share of that."""
        body = stage_document(name, replicas, mark=MARK_FOLDER, **rest)
        body["metadata"]["cpu"] = 1
        self.client.call("CreateService", "POST", "/api/v2/services", body=body)

    def count(self) -> int:
        return self.deployment()["spec"]["replicas"]

    def mark(self) -> str:
        return self.deployment()["metadata"]["annotations"].get(MARK, "")

    def scalers(self) -> list[Json]:
        return self.cluster.api("GET", KIND.format(self.namespace))["items"]

    def step(self, replicas: int) -> None:
        """Set the count as a scaler's controller does."""
        name = self.deployment()["metadata"]["name"]
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}/scale"
        self.cluster.api("PATCH", path, {"spec": {"replicas": replicas}}, MERGE)

    def follow(self, name: str, low: int, high: int) -> None:
        """Give the service an auto-scaler by its CPU."""
        body = {
            "min": low,
            "max": high,
            "scaleStrategies": [{"metricName": "cpu", "threshold": 60}],
        }
        path = self.client.path(name, "/autoscaler")
        self.client.call("CreateServiceAutoScaler", "POST", path, body=body)

    def follow_no_more(self, name: str) -> None:
        path = self.client.path(name, "/autoscaler")
        self.client.call("DeleteServiceAutoScaler", "DELETE", path)


@pytest.fixture
def measured(cluster: HollowCluster) -> Iterator[None]:
    """A cluster where somebody is to tell what pods use; that it does not answer is no reason to wait for it."""
    cluster.api("POST", SERVED, METRICS)
    try:
        yield
    finally:  # before a namespace is deleted: its controller asks everybody what is in it
        cluster.api("DELETE", f"{SERVED}/{METRICS['metadata']['name']}")


@pytest.fixture
def stage(
    cluster: HollowCluster, namespace: str, tmp_path: Path, measured: None
) -> Iterator[HandedStage]:
    """A platform whose cluster follows loads; its pods go with the namespace."""
    made = HandedStage(tmp_path / "data", cluster, namespace)
    try:
        made.up(**FOLLOWS)
        yield made
    finally:
        made.end()
        print(made.tail(60))


def test_the_cluster_counts_and_nobody_sets_its_count_back(stage: HandedStage) -> None:
    """Law: handed over, moved by others, updated: a Deployment is asked for no count but theirs."""
    stage.create("svc", 2)
    stage.running("svc", 2)
    before = stage.pods()
    with Counts(stage.cluster, stage.namespace) as counts:
        stage.follow("svc", 2, 5)
        until(stage.mark, stage.deployment)
        assert [each["spec"]["minReplicas"] for each in stage.scalers()] == [2]
        assert stage.count() == 2

        # The real controller does what it can without figures: it keeps the limits.
        stage.follow("svc", 3, 5)
        until(lambda: stage.count() == 3, stage.scalers, CONTROLLER)
        stage.running("svc", 3)
        assert before.keys() <= stage.pods().keys()
        stage.step(4)
        stage.running("svc", 4)
        assert stage.describe("svc")["TotalInstance"] == 4

        # All of it is sent anew, without a number.
        stage.update("svc", {"containers": document(env={"VERSION": "2"})["containers"]})
        until(lambda: not before.keys() & stage.pods().keys(), stage.pods)
        stage.running("svc", 4)
        assert "f:replicas" not in _owned(stage.deployment(), "pierhead")
        assert counts.seen == [2, 3, 4]


def test_a_hub_that_was_killed_knows_who_counts_and_gives_back_what_is_there(
    stage: HandedStage,
) -> None:
    """Law: a new hub follows what was set meanwhile; what its owner sets is set once; taken back, it stays."""
    stage.create("svc", 2)
    stage.running("svc", 2)
    stage.follow("svc", 2, 5)
    until(stage.mark, stage.deployment)
    with Counts(stage.cluster, stage.namespace) as counts:
        stage.end()
        stage.step(3)
        stage.up(**FOLLOWS)
        stage.running("svc", 3)
        stage.scale("svc", 5)
        stage.running("svc", 5)
        assert stage.mark()
        stage.follow_no_more("svc")
        until(lambda: not stage.mark(), stage.deployment)
        assert stage.scalers() == [] and stage.count() == 5
        stage.update("svc", {"containers": document(env={"VERSION": "3"})["containers"]})
        stage.scale("svc", 2)
        stage.running("svc", 2, 60)
        assert counts.seen == [2, 3, 5, 2]


def test_what_is_stopped_is_not_started_by_its_scaler(stage: HandedStage) -> None:
    """Law: a stopped service has no scaler in the cluster; started, it is handed over again."""
    stage.create("svc", 1)
    stage.running("svc", 1)
    stage.follow("svc", 1, 3)
    until(stage.mark, stage.deployment)
    stage.step(2)
    stage.running("svc", 2)
    stage.stop("svc")
    stage.stopped("svc")
    assert stage.scalers() == [] and stage.count() == 0
    stage.start_service("svc")
    stage.running("svc", 2)
    until(stage.mark, stage.deployment)
    assert len(stage.scalers()) == 1 and stage.count() == 2
    stage.delete("svc")
    stage.gone("svc")
    assert stage.scalers() == []


def test_a_hub_that_no_longer_hands_over_takes_it_back_from_whoever_set_it(
    stage: HandedStage,
) -> None:
    """Law: with the setting taken back the count is ours as it is, whatever manager owns it by then."""
    stage.create("svc", 2)
    stage.running("svc", 2)
    before = stage.pods()
    stage.follow("svc", 1, 4)
    until(stage.mark, stage.deployment)
    # As servers from 1.22 on note it of a scaler: the number is another manager's.
    name = stage.deployment()["metadata"]["name"]
    path = f"/apis/apps/v1/namespaces/{stage.namespace}/deployments/{name}"
    other = f"{path}?fieldManager=kube-controller-manager"
    stage.cluster.api("PATCH", other, {"spec": {"replicas": 3}}, MERGE)
    stage.running("svc", 3)
    assert "f:replicas" in _owned(stage.deployment(), "kube-controller-manager")
    stage.end()
    stage.up()
    until(lambda: not stage.mark(), stage.deployment)
    stage.running("svc", 3)
    assert stage.scalers() == [] and stage.count() == 3
    stage.follow_no_more("svc")  # else the hub's own goes on with it
    stage.change("svc", 2, {"VERSION": "2"}, 10.0)
    until(lambda: not before.keys() & stage.pods().keys(), stage.pods)
    stage.running("svc", 2, 60)
    assert stage.count() == 2
    assert "f:replicas" in _owned(stage.deployment(), "pierhead")


def _owned(deployment: Json, manager: str) -> Json:
    """What of a Deployment's `spec` a manager owns by what it applied or changed."""
    return {
        name: each
        for entry in deployment["metadata"]["managedFields"]
        if entry["manager"] == manager
        for name, each in entry["fieldsV1"].get("f:spec", {}).items()
    }
