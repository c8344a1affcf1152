"""What keeps a service's pods: a Deployment, or a LeaderWorkerSet where a replica is several pods."""

from dataclasses import replace
from typing import Any

from pierhead.core.errors import Unsupported
from pierhead.core.plan import bounds
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import fields, names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.objects import Manifest, manifest

_LWS = "leaderworkerset.x-k8s.io/v1"
_TEMPLATE, _ROLLOUT = ("spec", "template"), ("metadata", "labels", names.ROLLOUT)
_HISTORY = 3  #: old rollouts that can be looked at
#: Seconds without progress until the Deployment says so; judged by us, not by it.
_PROGRESS = 600
_RAY_PORT = 6379
_WORKER = "worker"
_HEAD = f'ray start --head --port={_RAY_PORT} && exec "$0" "$@"'
_MEMBER = f'exec ray start --block --address="$LWS_LEADER_ADDRESS:{_RAY_PORT}"'


def deployment(workload: Workload, pod: Manifest, cluster: Cluster, boot: int) -> Manifest:
    """One pod per replica; `boot`: seconds that a pod may take until it is ready."""
    above, below = bounds(workload.rolling, workload.replicas)
    spec: Manifest = {
        "replicas": workload.replicas,
        "selector": {"matchLabels": names.identity(workload.service)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": above, "maxUnavailable": below},
        },
        "progressDeadlineSeconds": max(_PROGRESS, boot + 60),
        "revisionHistoryLimit": _HISTORY,
        "template": pod,
    }
    head = manifest("apps/v1", "Deployment", workload, namespace=cluster.namespace)
    head["metadata"]["annotations"][names.TEMPLATE] = names.digest(pod)
    return {**head, "spec": spec}


def group(workload: Workload, pod: Manifest, cluster: Cluster, nodes: int) -> Manifest:
    """A replica of several pods: a leader that has the engine, and members that compute for it.

    Raises:
        Unsupported: the cluster has no such sets, or the engine computes on one machine only.
    """
    if not cluster.lws:
        raise Unsupported("A replica on several nodes", "the cluster has no LeaderWorkerSets")
    if workload.template.engine != "vllm":
        raise Unsupported("A replica on several nodes", "only the engine vllm computes on several")
    above, below = bounds(workload.rolling, workload.replicas)
    spec: Manifest = {
        "replicas": workload.replicas,
        "startupPolicy": "LeaderCreated",
        "rolloutStrategy": {
            "type": "RollingUpdate",
            "rollingUpdateConfiguration": {"maxSurge": above, "maxUnavailable": below},
        },
        "leaderWorkerTemplate": {
            "size": nodes,
            "restartPolicy": "RecreateGroupOnPodRestart",
            "leaderTemplate": _with_engine(pod, _leading),
            "workerTemplate": _member(pod),
        },
    }
    head = manifest(_LWS, "LeaderWorkerSet", workload, namespace=cluster.namespace)
    return {**head, "spec": spec}


def settled(owner: Manifest, present: Manifest | None) -> Manifest:
    """`owner` with the pods' template that is there, where the settings alone would change it.

    A rollout keeps its pods: a hub that comes with another image may not replace every replica of a
    service because one of them crashed. What the settings say counts from the next rollout on.
    """
    if present is None or fields.at(present, *_TEMPLATE, *_ROLLOUT) != fields.at(
        owner, *_TEMPLATE, *_ROLLOUT
    ):
        return owner
    before = fields.text(present, "metadata", "annotations", names.TEMPLATE)
    if before in {"", fields.text(owner, "metadata", "annotations", names.TEMPLATE)}:
        return owner
    meta = owner["metadata"]
    meta = {**meta, "annotations": {**meta["annotations"], names.TEMPLATE: before}}
    spec = {**owner["spec"], "template": present["spec"]["template"]}
    return names.stamped({**owner, "metadata": meta, "spec": spec})


def spread_over(workload: Workload, nodes: int) -> Workload:
    """The workload whose engine is asked to compute on so many nodes."""
    flags = ("--distributed-executor-backend", "ray", "--pipeline-parallel-size", str(nodes))
    template = workload.template
    return replace(workload, template=replace(template, flags=(*flags, *template.flags)))


def _leading(engine: Manifest) -> Manifest:
    return {**engine, "command": ["/bin/sh", "-c", _HEAD, *engine["command"]]}


def _following(engine: Manifest) -> Manifest:
    """It has no engine of its own: nothing is asked of it, and nobody waits for its requests."""
    asked = {"startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"}
    kept = {name: value for name, value in engine.items() if name not in asked}
    return {**kept, "command": ["/bin/sh", "-c", _MEMBER]}


def _member(pod: Manifest) -> Manifest:
    """Its labels set it apart from a replica: it is a part of one, and nobody asks it anything."""
    worker = _with_engine(pod, _following)
    labels = {**pod["metadata"]["labels"], names.COMPONENT: _WORKER}
    del labels[names.MANAGED_BY]
    return {**worker, "metadata": {**pod["metadata"], "labels": labels}}


def _with_engine(pod: Manifest, change: Any) -> Manifest:
    spec = pod["spec"]
    containers = [change(engine) for engine in spec["containers"]]
    return {**pod, "spec": {**spec, "containers": containers}}
