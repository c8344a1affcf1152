"""Real containers under load: a node that is cut off, an API server that is killed, pods that are replaced."""

import signal
import time

from kube_client import until
from kubelet_cluster import KubeletStage
from open_loop import Account, Load, calling, spotless
from stage import PATIENCE

OUTAGE = 30.0
#: Seconds from the API server's return until what was wanted meanwhile has a node.
CONVERGED = 10.0 * PATIENCE
#: Seconds from a node's last word to the replacement's first: 12 until it is missed, 3 tolerated, and a start.
REPLACED = 20.0 * PATIENCE
GRACE = 30.0


def test_a_stream_outlives_its_pod_and_the_pod_its_stream(stage: KubeletStage) -> None:
    """Law: a stream goes on in a pod that was deleted. What follows is the kubelet's, and is measured here.

    The hub deletes a drained pod again, with a grace of a second. A kubelet of 1.20 does not hear of that while
    the preStop hook runs (kubernetes#83916): the pod stays for its grace. docs/explanation/kubernetes.md says so.
    """
    stage.create("svc", 1, grace=GRACE)
    stage.running("svc", within=60)
    (old,) = stage.pods()
    targets = (("svc", stage.token("svc")),)
    load = Load(stage.gateway_listen, targets, streams=1, events=150, gap=0.1, once=True)
    with calling(stage.folder, load) as finish:
        stage.again("svc", 1, grace=GRACE, env={"VERSION": "2"})
        until(lambda: "deletionTimestamp" in stage.pods()[old]["metadata"], stage.pods, 60)
        deleted = time.monotonic()
        account = finish()
    (stream,) = account.streams
    spotless(account)
    until(lambda: _grace_left(stage, old) == 1, "the hub deletes the drained pod again", 5)
    again = time.monotonic()
    until(lambda: old not in stage.pods(), stage.pods, 2 * GRACE)
    over = time.monotonic()
    print(
        f"the stream ended {stream.ended - deleted:.1f} s after the deletion of its pod, the second one "
        f"came {again - stream.ended:.1f} s later, the pod was gone {over - deleted:.1f} s after the first"
    )
    assert stream.replica == old
    assert stream.ended > deleted
    assert GRACE - 5 < over - deleted < GRACE + 15 * PATIENCE


def test_a_rolling_update_cuts_no_stream(stage: KubeletStage) -> None:
    """Law: a rolling update cuts no stream and fails no request, with containers that really end."""
    stage.create("svc", 2, grace=GRACE, env={"VERSION": "1"})
    stage.running("svc", 2, within=60)
    old = stage.pods()
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), rate=10, streams=8, gap=0.1)
    with calling(stage.folder, load) as finish:
        began = time.monotonic()
        stage.again("svc", 2, grace=GRACE, env={"VERSION": "2"})
        until(lambda: not old.keys() & stage.pods().keys(), stage.pods, 6 * GRACE)
        took = time.monotonic() - began
        stage.running("svc", 2)
        account = finish()
    _told(f"2 replicas replaced in {took:.1f} s", account)
    spotless(account)
    assert {one.version for one in account.streams} == {"1", "2"}
    assert len([one for one in account.crossing(began) if one.replica in old]) >= 4


def test_replicas_of_a_node_that_is_cut_off_are_replaced(stage: KubeletStage) -> None:
    """Law: 20 s after a node falls silent its replica is replaced, and requests go to those that answer."""
    stage.create("svc", 2, grace=5.0)
    stage.running("svc", 2, within=60)
    before = stage.pods()
    homes = {uid: each["spec"]["nodeName"] for uid, each in before.items()}
    assert len(set(homes.values())) == 2, homes
    name = homes[min(homes)]
    lost = {uid for uid, home in homes.items() if home == name}
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), rate=10)
    with calling(stage.folder, load) as finish:
        stage.kubelets.cut(name)
        began = time.monotonic()
        try:
            until(lambda: len(stage.pods(ready=True).keys() - lost) == 2, stage.pods)
            took = time.monotonic() - began
            stage.running("svc", 2)
        finally:
            stage.kubelets.mend(name)
        account = finish()
    stage.cluster.nodes_ready()
    until(lambda: not lost & stage.pods().keys(), "the lost pod ends once its node is back", 60)
    _told(f"{len(lost)} replaced after {took:.1f} s", account)
    spotless(account)
    assert took < REPLACED


def test_the_api_server_is_away_for_half_a_minute(stage: KubeletStage) -> None:
    """Law: without an API server no container is touched, and no request fails; then what is wanted is placed.

    When a kubelet hears of it is its own: its watch asks again after a pause that grows to half a minute, and by
    chance to twice that (client-go's reflector). That is measured, and no bound of ours.
    """
    stage.create("svc", 2, grace=GRACE)
    stage.running("svc", 2, within=60)
    before = stage.pods()
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), rate=10, streams=4, gap=0.1)
    server = stage.cluster.process("apiserver")
    with calling(stage.folder, load) as finish:
        server.send_signal(signal.SIGKILL)
        server.wait(10)
        gone = time.monotonic()
        stage.scale("svc", 3)
        until(lambda: time.monotonic() - gone > OUTAGE, "", 2 * OUTAGE)
        assert len(stage.instances("svc")) == 2
        back = stage.cluster.back()
        until(lambda: stage.deployment()["spec"]["replicas"] == 3, "the wish is applied", 60)
        applied = time.monotonic() - back
        until(lambda: len(_placed(stage)) == 3, stage.pods, 60)
        placed = time.monotonic() - back
        stage.running("svc", 3, within=60)
        converged = time.monotonic() - back
        account = finish()
    took = f"applied {applied:.1f} s after the return, placed after {placed:.1f} s"
    _told(f"{took}, running with the third after {converged:.1f} s", account)
    spotless(account)
    after = stage.pods()
    same = {uid: _containers(each) for uid, each in after.items() if uid in before}
    assert same == {uid: _containers(each) for uid, each in before.items()}
    assert placed < CONVERGED


def _placed(stage: KubeletStage) -> list[str]:
    """The pods that have a node."""
    return [uid for uid, each in stage.pods().items() if each["spec"].get("nodeName")]


def _grace_left(stage: KubeletStage, uid: str) -> int | None:
    return stage.pods()[uid]["metadata"].get("deletionGracePeriodSeconds")


def _containers(pod: dict[str, object]) -> list[tuple[str, int]]:
    status = pod["status"]
    assert isinstance(status, dict)
    return [(each["containerID"], each["restartCount"]) for each in status["containerStatuses"]]


def _told(what: str, account: Account) -> None:
    """Print the figures: shown with -s, or where the test failed."""
    print(
        f"{what}: {account.sent} sent, {len(account.failed)} failed, {len(account.truncated)} truncated"
    )
