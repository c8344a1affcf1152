"""Fixtures of the tests on two real kubelets: one cluster for all of them, a namespace for each.

`make test-kubelets` runs them; PIERHEAD_TEST_KUBELETS=FOLDER takes the cluster that `python scripts/cluster kubelets
up --folder=FOLDER` started. While they run the process is on the network of the control plane's namespace,
as the hub and the gateway that they start: so they are never run beside other tests.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

for beside in ("tests/cluster", "tests/e2e", "tests/fault", "scripts/cluster"):
    sys.path.append(str(Path(__file__).parents[2] / beside))

import kubelets_network as network  # noqa: E402 - as soon as these are found
from kube_client import until  # noqa: E402
from kubelet_cluster import TOOL, KubeletCluster, KubeletStage, why_not  # noqa: E402


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeletCluster]:
    """A control plane with two nodes that run containers, gone at the end with everything on it."""
    if not os.environ.get("PIERHEAD_TEST_KUBELETS"):
        pytest.skip(
            "tests on real kubelets change the network of their process: make test-kubelets"
        )
    why = why_not()
    if why:
        pytest.skip(why)
    given = os.environ["PIERHEAD_TEST_KUBELETS"]
    if given != "1":
        with network.inside(network.HEAD):
            yield KubeletCluster(Path(given) / "head")
        return
    made = KubeletCluster(tmp_path_factory.mktemp("kubelets") / "head")
    try:
        made.up()
        with network.inside(network.HEAD):
            made.nodes_ready()
            yield made
    finally:
        command = [sys.executable, TOOL, "kubelets", "down", f"--folder={made.folder.parent}"]
        subprocess.run(command, check=True)
        made.nothing_left()


@pytest.fixture(scope="module")
def namespace(cluster: KubeletCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty namespace; what is left in it afterwards is deleted, and waited for."""
    name = cluster.namespace(request.module.__name__.replace("_", "-"))
    yield name
    cluster.forget(name)


@pytest.fixture(scope="module")
def platform(
    cluster: KubeletCluster, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KubeletStage]:
    """A platform on the cluster, for all tests of a file."""
    made = KubeletStage(tmp_path_factory.mktemp("platform") / "data", cluster, namespace)
    try:
        made.up()
        yield made
    finally:
        made.end()
        print(made.tail(60))


@pytest.fixture
def stage(platform: KubeletStage) -> Iterator[KubeletStage]:
    """The same without any service."""
    yield platform
    for each in platform.services():
        platform.delete(each)
    # A kubelet of 1.20 ends the sandbox of a pod whose containers never started with its collection, once a minute,
    # and tells that within ten seconds.
    until(lambda: not platform.pods(), platform.pods, 90)
