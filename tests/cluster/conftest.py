"""Fixtures of the tests against a real control plane: one for each test process, a namespace for each test.

Its servers are built once per machine: `python scripts/cluster build`, or PIERHEAD_BUILD_CLUSTER=1. With
PIERHEAD_TEST_KUBECONFIG=FOLDER/kubeconfig the cluster of `python scripts/cluster up` is taken instead, by one
process (`-n 0`): some tests kill its servers.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

for beside in ("e2e", "fault"):  # their clients, their load
    sys.path.append(str(Path(__file__).parent.parent / beside))

from hollow_cluster import TOOL, HollowCluster, built  # noqa: E402 - as soon as these are found

MISSING = (
    "the servers of the test cluster are not built on this machine; "
    "build them with `python scripts/cluster build` (minutes, once)"
)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HollowCluster]:
    """A control plane with two hollow nodes, gone at the end with everything on it."""
    given = os.environ.get("PIERHEAD_TEST_KUBECONFIG")
    if given:
        alone = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") == "1"
        assert alone, "with PIERHEAD_TEST_KUBECONFIG there is one cluster: add -n 0"
        yield HollowCluster(Path(given).parent)
        return
    if not built():
        pytest.skip(MISSING)
    made = HollowCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.up()
        yield made
    finally:
        subprocess.run([sys.executable, TOOL, "down", f"--folder={made.folder}"], check=True)


@pytest.fixture
def namespace(cluster: HollowCluster) -> Iterator[str]:
    """An empty namespace; what is left in it afterwards goes in the background."""
    name = cluster.namespace(f"test-{uuid.uuid4().hex[:8]}")
    yield name
    cluster.forget(name)
