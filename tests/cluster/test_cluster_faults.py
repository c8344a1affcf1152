"""A platform on a real control plane, under load: what breaks there costs no request."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_stage import ClusterStage
from hollow_cluster import HollowCluster
from kube_client import until
from open_loop import Account, Load, calling, spotless

OUTAGE = 30.0
#: Seconds from the API server's return until what was wanted meanwhile runs, the cluster's own part included.
CONVERGED = 10.0
#: Seconds from a node's last word to the replacement's first: 12 until it is missed, 3 tolerated, and a start.
REPLACED = 20.0
GRACE = 30.0


@pytest.fixture
def stage(cluster: HollowCluster, namespace: str, tmp_path: Path) -> Iterator[ClusterStage]:
    """A platform on the cluster; its pods go with the namespace."""
    made = ClusterStage(tmp_path / "data", cluster, namespace)
    try:
        made.up()
        yield made
    finally:
        made.end()
        print(made.tail(60))


def test_six_replicas_are_replaced_under_streams_and_none_is_cut(stage: ClusterStage) -> None:
    """Law: a rolling update cuts no stream, and drained replicas do not wait for their whole grace."""
    stage.create("svc", 6, grace=GRACE, env={"VERSION": "1"})
    stage.running("svc", 6)
    old = stage.pods()
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), rate=20, streams=24, gap=0.1)
    with calling(stage.folder, load) as finish:
        began = time.monotonic()
        stage.change("svc", 6, {"VERSION": "2"}, GRACE)
        until(lambda: not old.keys() & stage.pods().keys(), stage.pods, 6 * GRACE)
        took = time.monotonic() - began
        stage.running("svc", 6)
        account = finish()
    _told(f"6 replicas replaced in {took:.1f} s", account)
    spotless(account)
    assert {one.version for one in account.streams} == {"1", "2"}
    assert len([one for one in account.crossing(began) if one.replica in old]) >= 12
    assert took < 3 * GRACE


def test_the_api_server_is_away_for_half_a_minute(stage: ClusterStage) -> None:
    """Law: without an API server the data plane serves, no replica is touched, and a wish waits."""
    stage.create("svc", 2, grace=GRACE)
    stage.running("svc", 2)
    before = stage.pods()
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), rate=20, streams=6, gap=0.1)
    server = stage.cluster.process("apiserver")
    with calling(stage.folder, load) as finish:
        server.send_signal(signal.SIGKILL)
        server.wait(10)
        gone = time.monotonic()
        stage.scale("svc", 3)
        until(lambda: time.monotonic() - gone > OUTAGE, "", 2 * OUTAGE)
        assert len(stage.instances("svc")) == 2
        back = stage.cluster.back()
        until(lambda: stage.deployment()["spec"]["replicas"] == 3, "the wish is applied")
        applied = time.monotonic() - back
        stage.running("svc", 3, within=60)
        converged = time.monotonic() - back
        account = finish()
    _told(f"applied {applied:.1f} s after the return, running after {converged:.1f} s", account)
    spotless(account)
    after = stage.pods()
    assert before.keys() <= after.keys()
    assert not [each for each in after.values() if _restarts(each)]
    assert converged < CONVERGED


def test_replicas_of_a_lost_node_are_replaced(stage: ClusterStage) -> None:
    """Law: 20 s after a node falls silent its replicas are replaced, and no request failed meanwhile."""
    stage.create("svc", 2, grace=5.0)
    stage.running("svc", 2)
    before = stage.pods()
    name = next(iter(before.values()))["spec"]["nodeName"]
    lost = {uid for uid, each in before.items() if each["spec"]["nodeName"] == name}
    node = stage.cluster.process(name)
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), rate=20)
    with calling(stage.folder, load) as finish:
        node.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            until(lambda: len(stage.pods(ready=True).keys() - lost) == 2, stage.pods)
            took = time.monotonic() - began
            stage.running("svc", 2)
        finally:
            node.send_signal(signal.SIGCONT)
        account = finish()
    stage.cluster.nodes_ready()
    _told(f"{len(lost)} replaced after {took:.1f} s", account)
    spotless(account)
    assert took < REPLACED


def _restarts(pod: dict[str, object]) -> int:
    status = pod["status"]
    assert isinstance(status, dict)
    return sum(each["restartCount"] for each in status["containerStatuses"])


def _told(what: str, account: Account) -> None:
    """Print the figures: shown with -s, or where the test failed."""
    print(
        f"{what}: {account.sent} sent, {len(account.failed)} failed, {len(account.truncated)} truncated"
    )
