"""The official SDK against a platform whose replicas are real containers: a model, fetched, served and asked."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import PythonSdk
from kubelet_cluster import KubeletCluster, settings
from lifecycle import Service
from running_platform import Platform, running

from demo_weights import demo_model


@pytest.fixture
def eas(cluster: KubeletCluster, namespace: str, tmp_path: Path) -> Iterator[Platform]:
    """`pierhead up` on the cluster; each pod fetches into a volume of its own."""
    told = settings(cluster, namespace)
    # Every node has the file that the package index would have to be asked for, at a path that is not root's
    # alone in the container either.
    weights = tmp_path / "weights" / "model.gguf"
    weights.parent.mkdir()
    shutil.copyfile(demo_model(), weights)
    told["PIERHEAD_DEMO_WEIGHTS"] = str(weights)
    told["PIERHEAD_KUBERNETES_HOST_FOLDERS"] = str(weights.parent)
    with running(tmp_path / "data", **told) as made:
        yield made


def test_a_real_model_lives_its_life_in_containers(
    eas: Platform, cluster: KubeletCluster, namespace: str
) -> None:
    sdk = PythonSdk(eas)
    service = Service(sdk, "life")
    body = {
        "ServiceName": service.name,
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceSpec": "smollm2_135m_q4",
        "Replicas": 1,
    }
    sdk("CreateAppService", body=body)
    service.until("Running", 240)
    (pod,) = cluster.api.pods(namespace)
    (fetched,) = pod["status"]["initContainerStatuses"]
    assert fetched["state"]["terminated"]["exitCode"] == 0
    (engine,) = pod["status"]["containerStatuses"]
    assert engine["image"] == "localhost/pierhead:test"
    assert engine["restartCount"] == 0
    service.answers_paris()

    service.change("UpdateService", "Scaling", body={"metadata": {"instance": 2}})
    service.until("Running", 240)
    homes = {each["spec"]["nodeName"] for each in cluster.api.pods(namespace)}
    assert len(homes) == 2
    service.answers_paris()

    service.change("StopService", "Stopping", "Stopped")
    service.until("Stopped", 120)
    assert cluster.api.pods(namespace) == []
    service.change("StartService", "Starting", "Creating", "Waiting", "Running")
    service.until("Running", 240)
    service.answers_paris()
    sdk("DeleteService", service.name)
    service.gone(120)
    left = cluster.api("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    assert left == []
