"""The official SDK against a platform on a cluster: a real model, fetched in the pod, served and asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import PythonSdk
from cluster_stage import settings
from hollow_cluster import HollowCluster
from lifecycle import Service
from running_platform import Platform, running

from demo_weights import demo_model


@pytest.fixture
def platform(cluster: HollowCluster, namespace: str, tmp_path: Path) -> Iterator[Platform]:
    """`pierhead up` on the cluster; nodes keep what they fetched in a folder of this test."""
    told = settings(cluster, namespace, tmp_path / "cache")
    # Every node has the file that the package index would have to be asked for.
    told["PIERHEAD_DEMO_WEIGHTS"] = str(demo_model())
    with running(tmp_path / "data", **told) as made:
        yield made


def test_a_real_model_lives_its_life_in_pods(
    platform: Platform, cluster: HollowCluster, namespace: str
) -> None:
    sdk = PythonSdk(platform)
    service = Service(sdk, "life")
    body = {
        "ServiceName": service.name,
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceSpec": "smollm2_135m_q4",
        "Replicas": 1,
    }
    sdk("CreateAppService", body=body)
    service.until("Running", 180)
    (pod,) = cluster.api.pods(namespace)
    (fetched,) = pod["status"]["initContainerStatuses"]
    assert fetched["state"]["terminated"]["exitCode"] == 0
    service.answers_paris()
    (instance,) = service.instances()
    assert instance["Status"] == "Running"

    service.change("UpdateService", "Scaling", body={"metadata": {"instance": 2}})
    service.until("Running", 120)
    assert len(service.instances()) == 2
    service.answers_paris()

    service.change("StopService", "Stopping", "Stopped")
    service.until("Stopped")
    assert cluster.api.pods(namespace) == []
    service.change("StartService", "Starting", "Creating", "Waiting", "Running")
    service.until("Running", 120)
    service.answers_paris()
    service.delete()
    left = cluster.api("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    assert left == []
