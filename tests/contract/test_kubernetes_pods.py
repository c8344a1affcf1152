"""What is told of a pod, for every fact that a cluster gives: states, causes, and words for people."""

from dataclasses import replace
from typing import Any

import pytest

from kube_double import stamp
from pierhead.core.diagnosis import explained, replica_cause
from pierhead.core.diagnosis.texts import ENTRIES
from pierhead.core.languages import Language
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import causes, stepping
from pierhead.runtimes.kubernetes.pods import IN_TURN, Past, Sight, status_of
from pierhead.runtimes.kubernetes.quantities import moment, quantity, span
from pierhead.runtimes.kubernetes.stepping import Deployed, Render, Scale
from replica_servers import workload

S = ReplicaState
T0 = 1_795_000_000.0
_NOW = T0 + 100


def at(seconds: float) -> str:
    """A time of the cluster, so many seconds after T0."""
    return stamp(T0 + seconds)


def pod(
    container: dict[str, Any] | None = None, *, node: str = "n1", **more: Any
) -> dict[str, Any]:
    """A pod as a server tells of it."""
    meta = {
        "name": "ph-5e-abc",
        "uid": "u-1",
        "creationTimestamp": at(0),
        "labels": {"pierhead.dev/service-id": "5e", "pierhead.dev/rollout": "1.0"},
        "annotations": {"pierhead.dev/engine": "custom", "pierhead.dev/keyed": "true"},
    }
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "engine",
                "command": ["run", "--api-key", "hunter2"],
                "env": [{"name": "HF_TOKEN", "value": "sesame-open"}],
                "resources": {"requests": {"cpu": "4"}, "limits": {"memory": "2Gi"}},
            }
        ],
    }
    if node:
        spec["nodeName"] = node
    statuses = [{"name": "engine", "image": "hub/x:1", "restartCount": 0, **(container or {})}]
    status = {"phase": "Running", "podIP": "10.0.0.5", "containerStatuses": statuses}
    return {
        "metadata": meta | more.get("metadata", {}),
        "spec": spec,
        "status": status | more.get("status", {}),
    }


def ready(*, yes: bool, since: float) -> dict[str, Any]:
    """The condition, as a part of a status."""
    state = {"type": "Ready", "status": str(yes), "lastTransitionTime": at(since)}
    return {"conditions": [state]}


def leaving(by: float, grace: int = 30) -> dict[str, Any]:
    """Metadata of a pod that was told to end."""
    return {"deletionTimestamp": at(by), "deletionGracePeriodSeconds": grace}


def node(*, well: bool = True, since: float = 0) -> dict[str, Any]:
    """A node that answers, or does not."""
    return {"metadata": {"name": "n1"}, "status": ready(yes=well, since=since)}


def event(reason: str, message: str, seconds: float) -> dict[str, Any]:
    """A warning about the pod."""
    return {"metadata": {}, "reason": reason, "message": message, "lastTimestamp": at(seconds)}


def look(found: dict[str, Any], **sight: Any) -> ReplicaStatus:
    """What it is, of one that is a replica."""
    status = status_of(Sight(found, **sight), _NOW)
    assert status is not None
    return status


_NO_FOO = ("CommandNotFound", "foo")
RUNNING = {"state": {"running": {"startedAt": at(10)}}}


def over(code: int, message: str = "") -> dict[str, Any]:
    """A container that ended, and is not started again."""
    (told,) = ended(code, "Completed" if code == 0 else "Error", message)["lastState"].values()
    return {"restartCount": 0, "state": {"terminated": told}}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """A container that ended, and waits for its next run."""
    told = {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": at(10),
        "finishedAt": at(50),
    }
    waits = {
        "reason": "CrashLoopBackOff",
        "message": "back-off 1m20s restarting failed container=engine",
    }
    return {"restartCount": 2, "state": {"waiting": waits}, "lastState": {"terminated": told}}


# ---- life -------------------------------------------------------------------------------------


def test_a_pod_that_takes_requests() -> None:
    status = look(pod(RUNNING, status=ready(yes=True, since=12)), node=node(), nodes=True)
    assert (status.state, status.address, status.node) == (S.READY, "10.0.0.5:8000", "n1")
    assert (status.runs, status.failures, status.started) == (1, 0, T0 + 10)
    assert (status.ready_at, status.keyed, status.key_of) == (T0 + 12, True, "5e")
    assert status.command == ("run", "--api-key", "******")


def test_before_and_after_it_is_ready() -> None:
    starting = look(pod(RUNNING, status=ready(yes=False, since=2)))
    assert (starting.state, starting.reason) == (S.STARTING, "")
    failed = event("Unhealthy", "Startup probe failed: connection refused", 40)
    told = look(pod(RUNNING, status=ready(yes=False, since=2)), events=(failed,))
    assert (told.reason, told.message) == (
        "NotReadyYet",
        "Startup probe failed: connection refused",
    )
    lost = look(pod(RUNNING, status=ready(yes=False, since=60)))
    assert (lost.state, lost.reason, lost.unready_at) == (S.UNREADY, "ProbeFailed", T0 + 60)
    remembered = look(pod(RUNNING, status=ready(yes=False, since=2)), past=Past(ready_at=T0 + 11))
    assert remembered.state is S.UNREADY


def test_one_that_leaves_drains_until_it_is_let_go_or_its_grace_is_over() -> None:
    well = ready(yes=True, since=12)
    drains = look(pod(RUNNING, status=well, metadata=leaving(120)))
    assert (drains.state, drains.address) == (S.DRAINING, "10.0.0.5:8000")
    unready = look(pod(RUNNING, status=ready(yes=False, since=91), metadata=leaving(120)))
    assert unready.state is S.DRAINING, "it turned unready when it was told to end: it has requests"
    assert look(pod(RUNNING, status=well, metadata=leaving(101, 1))).state is S.STOPPING
    assert look(pod(RUNNING, status=well, metadata=leaving(99))).state is S.STOPPING
    never = look(pod(RUNNING, status=ready(yes=False, since=2), metadata=leaving(120)))
    assert never.state is S.STOPPING
    stuck = look(pod(RUNNING, status=well, metadata=leaving(30)))
    assert (stuck.state, stuck.reason) == (S.STOPPING, "TerminatingStuck")


def test_pods_of_a_lost_node_are_no_replicas_once_their_grace_is_over() -> None:
    well = ready(yes=True, since=12)
    off = {"node": node(well=False, since=80), "nodes": True}
    lost = look(pod(RUNNING, status=well), **off)
    assert (lost.state, lost.reason) == (S.UNREADY, "NodeNotReady")
    assert "[n1] is not ready since" in lost.message
    assert "replacement" in lost.message
    gone = pod(RUNNING, status=well, metadata=leaving(98))
    assert look(gone, **off).state is not S.READY
    assert status_of(Sight(gone, node(well=False, since=60), nodes=True), _NOW) is None
    assert status_of(Sight(gone, None, nodes=True), _NOW) is None
    assert status_of(Sight(gone, None, nodes=False), _NOW) is not None, "nodes that nobody may see"


# ---- causes -----------------------------------------------------------------------------------


def waits(reason: str, message: str = "") -> dict[str, Any]:
    """A container that is not started."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


_SCHEDULER = (
    "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient nvidia.com/gpu. "
    "preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
)


@pytest.mark.parametrize(
    ("found", "state", "reason", "words"),
    [
        (
            pod(
                node="",
                status={
                    "conditions": [
                        {"type": "PodScheduled", "status": "False", "message": _SCHEDULER}
                    ]
                },
            ),
            S.PENDING,
            "PodUnschedulable",
            "0 of 3 nodes fit: 1 is cordoned, 2 lack nvidia.com/gpu; it asks for cpu 4",
        ),
        (pod(waits("ImagePullBackOff", "not found")), S.PENDING, "ImagePullFailed", "hub/x:1: not"),
        (
            pod(waits("CreateContainerConfigError", 'secret "k" not found')),
            S.PENDING,
            "ContainerConfigWrong",
            'secret "k" not found',
        ),
        (pod(ended(137, "OOMKilled")), S.CRASHED, "OutOfMemory", "2Gi"),
        (pod(ended(127, message="sh: foo: not found")), S.CRASHED, "CommandNotFound", "foo"),
        (pod(ended(132)), S.CRASHED, "IllegalInstruction", ""),
        (pod(ended(3, message="x\nbad sesame-open")), S.CRASHED, "Crashed", "exit code 3"),
        (
            pod(
                status={
                    "phase": "Failed",
                    "reason": "Evicted",
                    "message": "low on resource: memory",
                    "containerStatuses": [],
                }
            ),
            S.CRASHED,
            "Evicted",
            "low on resource: memory",
        ),
        (pod(over(0), status={"phase": "Succeeded"}), S.CRASHED, "Exited", "exit code 0"),
        (pod(over(127, "sh: foo: not found"), status={"phase": "Failed"}), S.CRASHED, *_NO_FOO),
        (
            pod(status={"phase": "Succeeded", "containerStatuses": []}),
            S.CRASHED,
            "PodFailed",
            "the cluster does not say why",
        ),
        (
            pod(over(0), status={"phase": "Failed", "reason": "NodeShutdown"}),
            S.CRASHED,
            "PodFailed",
            "NodeShutdown.",
        ),
        (
            pod(
                status={
                    "initContainerStatuses": [
                        {"name": "fetch", "state": {"running": {"startedAt": at(1)}}}
                    ]
                }
            ),
            S.PENDING,
            "PodFetchesFiles",
            "[fetch]",
        ),
        (
            pod(
                status={
                    "initContainerStatuses": [
                        {"name": "turn", "state": {"running": {"startedAt": at(1)}}}
                    ]
                }
            ),
            S.PENDING,
            IN_TURN,
            "does not answer",
        ),
        (
            pod(
                status={
                    "initContainerStatuses": [
                        {"name": "fetch", **ended(1, message="NoSuchKey: no object")}
                    ]
                }
            ),
            S.CRASHED,
            "WeightsUnavailable",
            "NoSuchKey",
        ),
    ],
)
def test_each_fact_has_its_cause(
    found: dict[str, Any], state: ReplicaState, reason: str, words: str
) -> None:
    status = look(found)
    assert (status.state, status.reason) == (state, reason)
    assert words in status.message
    assert "sesame-open" not in repr(status)
    cause = replica_cause(status)
    assert cause is not None
    assert reason in ENTRIES
    for language in Language:
        told = explained(cause, language)
        assert told.advices
        assert "{" not in told.error


def test_the_back_off_and_the_end_are_as_the_kubelet_tells_them() -> None:
    status = look(pod(ended(139)), past=Past(forgiven=1))
    assert (status.runs, status.failures, status.address) == (3, 2, "")
    assert status.retry_at == T0 + 50 + 80
    assert status.last_exit is not None
    assert (status.last_exit.signal, status.reason) == (11, "SegmentationFault")


def test_a_mount_is_blamed_only_after_a_while_and_the_last_word_counts() -> None:
    events = (
        event("FailedMount", "old", 30),
        event("FailedMount", "timed out waiting for nas", 90),
    )
    early = status_of(Sight(pod(waits("ContainerCreating")), events=events), T0 + 40)
    assert early is not None
    assert (early.state, early.reason) == (S.PENDING, "")
    late = look(pod(waits("ContainerCreating")), events=events)
    assert (late.reason, "nas" in late.message) == ("VolumeNotMounted", True)


@pytest.mark.parametrize(
    ("probe", "reason"), [("Startup", "StartDeadlineExceeded"), ("Liveness", "LivenessFailed")]
)
def test_what_a_kubelet_killed_is_told_as_that(probe: str, reason: str) -> None:
    failed = event("Unhealthy", f"{probe} probe failed: HTTP 500", 48)
    status = look(pod(ended(137)), events=(failed,))
    assert (status.state, status.reason) == (S.CRASHED, reason)
    assert "HTTP 500" in status.message
    by_itself = look(pod(ended(3)), events=(failed,))
    assert by_itself.reason == "Crashed", "a probe that fails while it starts ends nothing"


@pytest.mark.parametrize(
    ("code", "lasted", "ready_at", "reason"),
    [
        (1, 60, None, "StartDeadlineExceeded"),  # it was told to end, and ended in its own way
        (143, 60, None, "StartDeadlineExceeded"),
        (1, 58, None, "Crashed"),  # it ended by itself, before its time was over
        (143, 58, None, "StartDeadlineExceeded"),  # nobody else ends a program this way
        (1, 60, T0 + 20, "Crashed"),  # it was ready once: what it failed while it started is over
    ],
)
def test_of_a_deadline_and_an_exit_code_the_deadline_is_told_if_it_was_over(
    code: int, lasted: float, ready_at: float | None, reason: str
) -> None:
    """With a deadline of 59 s; both are true of a program that ends with 1 when it is told to end."""
    found = pod(ended(code))
    found["spec"]["containers"][0]["startupProbe"] = {"periodSeconds": 1, "failureThreshold": 60}
    run = found["status"]["containerStatuses"][0]["lastState"]["terminated"]
    run["startedAt"], run["finishedAt"] = at(0), at(lasted)
    failed = event("Unhealthy", "Startup probe failed: connection refused", lasted - 1)
    status = look(found, events=(failed,), past=Past(ready_at=ready_at))
    assert (status.state, status.reason) == (S.CRASHED, reason)


def test_a_folder_that_no_node_has_is_named() -> None:
    said = 'MountVolume.SetUp failed for volume "cache" : hostPath type check failed: /var/c is not a directory'
    late = look(pod(waits("ContainerCreating")), events=(event("FailedMount", said, 90),))
    assert late.reason == "VolumeNotMounted"
    assert late.message == "the folder [/var/c] is not on its node, where an operator makes it"


def test_a_deployment_whose_pods_are_refused() -> None:
    def told(message: str) -> str:
        state = {"type": "ReplicaFailure", "status": "True", "message": message}
        cause = causes.refused({"status": {"conditions": [state]}})
        return cause.reason if cause else ""

    assert told('pods "x" is forbidden: exceeded quota: q, used: pods=2') == "PodQuotaExceeded"
    assert told('admission webhook "policy" denied the request') == "PodRefused"
    assert causes.refused({"status": {}}) is None


def test_amounts_and_times() -> None:
    assert [quantity(each) for each in ("1500m", "2Gi", "3", "x", "1e3")] == [
        1.5,
        2**31,
        3,
        0,
        1000,
    ]
    assert [span(each) for each in ("1m20s", "10s", "1h", "", "soon")] == [80, 10, 3600, None, None]
    assert moment("2026-11-18T11:06:40.123456789Z") == moment("2026-11-18T11:06:40Z") + 0.123456  # pyright: ignore
    assert moment("yesterday") is None


# ---- what goes to the cluster -------------------------------------------------------------------

V1 = Deployed("1.0", 2)


def of(replicas: int, rollout: str = "1.0", **more: Any) -> Workload:
    """What is wanted."""
    return replace(workload(replicas, rollout=rollout), **more)


def sent(wanted: Workload, deployed: Deployed | None, live: int = 0) -> Any:
    """(replicas, max_surge, max_unavailable) that are rendered, ("scale", n), or None."""
    match stepping.step(wanted, deployed, live):
        case Render(found):
            return found.replicas, found.rolling.max_surge, found.rolling.max_unavailable
        case Scale(number):
            return "scale", number
        case None:
            return None


@pytest.mark.parametrize(
    ("wanted", "deployed", "live", "step"),
    [
        (of(2), None, 0, (2, 1, 0)),
        (of(0), None, 0, None),
        (of(0), V1, 2, ("scale", 0)),
        (of(2, held=True), None, 0, None),
        (of(3, held=True), V1, 2, None),
        (of(1, held=True), V1, 2, ("scale", 1)),
        (of(2, "2.0", frozen=True), V1, 0, None),
        (of(2, "2.0"), V1, 0, (2, 1, 0)),
        (of(2, "2.0", rolling=Rolling("25%", "50%")), V1, 0, (2, "25%", "50%")),
        (of(2, "2.0", crowded=1), V1, 0, (2, 0, 1)),
        (of(2, "2.0", room=0), V1, 0, None),
        (of(2, "2.0", room=0, crowded=1), V1, 0, (2, 0, 1)),
        (of(5, room=1), V1, 2, (3, 1, 0)),
        (of(5, room=0), V1, 2, (2, 1, 0)),
        (of(5, room=0), V1, 0, (2, 1, 0)),  # pods that are not made yet have their room
        (of(5, room=2), None, 0, (2, 1, 0)),
        (of(4, "2.0", room=3, rolling=Rolling(2, 0)), V1, 0, (3, 2, 0)),
    ],
)
def test_what_is_sent(wanted: Workload, deployed: Deployed | None, live: int, step: Any) -> None:
    assert sent(wanted, deployed, live) == step
