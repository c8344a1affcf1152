"""A platform whose replicas are pods of the test cluster: `pierhead up --runtime kubernetes`."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hollow_cluster import HollowCluster
from kube_client import is_ready
from stage import Stage, document

Json = dict[str, Any]
#: Of the processes in pods; the data folder would let `Stage` take them for its own.
MARK = Path("hollow")


def settings(cluster: HollowCluster, namespace: str, cache: Path) -> dict[str, str]:
    """What a hub must be told about the test cluster, as its environment; makes the nodes' cache."""
    cache.mkdir(parents=True, exist_ok=True)
    return {
        "PIERHEAD_RUNTIME": "kubernetes",
        "PIERHEAD_KUBERNETES_KUBECONFIG": str(cluster.kubeconfig),
        "PIERHEAD_KUBERNETES_NAMESPACE": namespace,
        "PIERHEAD_KUBERNETES_IMAGE": "pierhead:test",
        "PIERHEAD_KUBERNETES_PYTHON": sys.executable,
        "PIERHEAD_KUBERNETES_CACHE_PATH": str(cache),
    }


class ClusterStage(Stage):
    """As `Stage`; what is a process there is a pod here."""

    def __init__(self, folder: Path, cluster: HollowCluster, namespace: str) -> None:
        super().__init__(folder)
        self.cluster, self.namespace = cluster, namespace
        self._environment = settings(cluster, namespace, folder.with_name("cache"))

    def up(self, *flags: str, **env: str) -> "subprocess.Popen[bytes]":
        return super().up(*flags, **self._environment, **env)

    def create(self, name: str, replicas: int = 1, **rest: Any) -> None:
        body = document(name, replicas, mark=MARK, **rest)
        self.client.call("CreateService", "POST", "/api/v2/services", body=body)

    def change(self, name: str, replicas: int, env: Mapping[str, str], grace: float) -> None:
        """Give its replicas another environment."""
        self.update(name, document(name, replicas, mark=MARK, grace=grace, env=env))

    def pods(self, ready: bool = False) -> dict[str, Json]:
        """Pods of the namespace by uid: all, or those that serve."""
        found = self.cluster.api.pods(self.namespace)
        return {each["metadata"]["uid"]: each for each in found if not ready or is_ready(each)}

    def deployment(self) -> Json:
        """The one Deployment of the namespace."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        (found,) = self.cluster.api("GET", path)["items"]
        return found
