"""Two real kubelets with containerd, driven by the developers' own tool, and a platform on them."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import kubelets_cgroups as cgroups
import kubelets_network as network
from cluster_stage import ClusterStage
from hollow_cluster import HollowCluster
from kube_client import until
from kubelets_images import PIERHEAD, PYTHON
from stage import document

from kubelets import lacking

TOOL = Path(__file__).parents[2] / "scripts" / "cluster"
#: Where replica_program.py lies in the image.
PROGRAM = "/opt/tests/replica_program.py"
SYSTEM_PYTHON = "/usr/bin/python3"
COMMAND = [SYSTEM_PYTHON, "-I", "-S", PROGRAM, "kubelets"]
#: Seconds until two nodes have taken the images of the size that ours has.
_UP_SECONDS = 580.0
Json = dict[str, Any]


def why_not() -> str:
    """Why this machine cannot run the tests; "" = it can."""
    why = lacking()
    return why and f"{why}; tests on real kubelets are left out"


class KubeletCluster(HollowCluster):
    """As the other cluster; `folder` is the control plane's part of it."""

    def up(self) -> None:
        """Start what does not run."""
        source = Path(__file__).parents[1] / "fault" / "replica_program.py"
        done = subprocess.run(
            self._command(f"--file={source}={PROGRAM}"), timeout=_UP_SECONDS, check=False
        )
        assert done.returncode == 0, "the cluster does not start"

    def back(self) -> float:
        """Start what does not run; the moment at which the API server answered (monotonic seconds)."""
        with subprocess.Popen(self._command(), stdout=subprocess.DEVNULL) as tool:
            until(self._answers, "the API server answers", 180)
            moment = time.monotonic()
            assert tool.wait(180) == 0
        return moment

    def _command(self, *more: str) -> list[str]:
        return [
            sys.executable,
            str(TOOL),
            "kubelets",
            "up",
            f"--folder={self.folder.parent}",
            *more,
        ]

    def cut(self, node: str) -> None:
        """Pull a node's cable."""
        network.cut(_number(node))

    def mend(self, node: str) -> None:
        network.mend(_number(node))

    def forget(self, namespace: str) -> None:
        """Delete a namespace with all that is in it, and wait for its pods: the next test has the nodes."""
        super().forget(namespace)
        until(lambda: not self.api.pods(namespace), f"{namespace} is empty", 120)

    def nothing_left(self) -> None:
        """No namespace of a network, no control group and no mount of it is left."""
        names = [network.SWITCH, network.HEAD, *map(network.name_of, network.NODES)]
        left = [name for name in names if Path("/run/netns", name).exists()]
        left += [str(each) for name in names for each in cgroups.ROOT.glob(f"*/{name}*")]
        mounts = Path("/proc/mounts").read_text().splitlines()
        left += [line for line in mounts if str(self.folder.parent) in line]
        assert not left, left
        assert not self.folder.parent.exists()


def _number(node: str) -> int:
    return {network.name_of(each): each for each in network.NODES}[node]


def settings(cluster: KubeletCluster, namespace: str) -> dict[str, str]:
    """What a hub must be told: nothing but where the cluster is, and the image that its nodes have."""
    return {
        "PIERHEAD_RUNTIME": "kubernetes",
        "PIERHEAD_KUBERNETES_KUBECONFIG": str(cluster.kubeconfig),
        "PIERHEAD_KUBERNETES_NAMESPACE": namespace,
        "PIERHEAD_KUBERNETES_IMAGE": PIERHEAD,
        "PIERHEAD_KUBERNETES_PYTHON": PYTHON,
        "PIERHEAD_KUBERNETES_IMAGE_PULL_POLICY": "IfNotPresent",
    }


class KubeletStage(ClusterStage):
    """As `ClusterStage`; a replica is a real container."""

    def __init__(self, folder: Path, cluster: KubeletCluster, namespace: str) -> None:
        super().__init__(folder, cluster, namespace)
        self.kubelets = cluster
        self._environment = settings(cluster, namespace)

    def create(self, name: str, replicas: int = 1, **rest: Any) -> None:
        self.ask(service(name, replicas, **rest))

    def ask(self, body: Json) -> None:
        """Ask for a service as its document says."""
        self.client.call("CreateService", "POST", "/api/v2/services", body=body)

    def services(self) -> list[str]:
        """Names of all services."""
        found = self.client.call("ListServices", "GET", "/api/v2/services")
        return [each["ServiceName"] for each in found["Services"]]

    def again(self, name: str, replicas: int, **rest: Any) -> None:
        """Change a service to what `create` would make with these."""
        self.update(name, service(name, replicas, **rest))


def service(
    name: str,
    replicas: int = 1,
    *,
    image: str = "",
    memory: int | None = None,
    cpu: int | None = None,
    **rest: Any,
) -> Json:
    """A service of replica_program.py, or of another `command`; `memory` in MiB, `cpu` in cores."""
    body = document(name, replicas, mark=Path("kubelets"), **{"command": COMMAND, **rest})
    if image:
        body["containers"][0]["image"] = image
    asked = {"memory": memory, "cpu": cpu}
    body["metadata"] |= {name: value for name, value in asked.items() if value is not None}
    return body
