"""What keeps a service's pods: a Deployment, or a LeaderWorkerSet where a replica is several pods.

A set's name has its size in it, which never changes for as long as it is there; so a service that goes
from one number of nodes to another has two owners for a while, and the older one goes last (`delivery`).
"""

from collections.abc import Mapping

from pierhead.core.errors import Unsupported
from pierhead.core.events import Notice
from pierhead.core.plan import bounds
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import fields, members, names
from pierhead.runtimes.kubernetes.api import DEPLOYMENT, GROUP, Kind
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.objects import Manifest, manifest

#: Kinds of what makes a service's pods.
OWNERS = (DEPLOYMENT, GROUP)
#: Why a replica can be on one node only, in a clause.
NO_SETS = "the cluster has no LeaderWorkerSets (leaderworkerset.x-k8s.io)"
_ROLLOUT = ("metadata", "labels", names.ROLLOUT)
_HISTORY = 3  #: old rollouts that can be looked at
#: Seconds without progress until the Deployment says so; judged by us, not by it.
_PROGRESS = 600


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
    head = reference(workload, cluster)
    head["metadata"]["annotations"][names.TEMPLATE] = names.digest(pod)
    return {**head, "spec": spec}


def group(workload: Workload, pod: Manifest, cluster: Cluster) -> Manifest:
    """A replica of several pods: a leader that has the engine, and members that compute for it.

    Raises:
        Unsupported: the cluster has no such sets, or the engine computes on one machine only.
    """
    template = workload.template
    if not cluster.lws:
        raise Unsupported("A replica on several nodes", NO_SETS)
    if template.engine != "vllm":
        raise Unsupported("A replica on several nodes", "only the engine vllm computes on several")
    above, below = _groups_bounds(workload)
    made: Manifest = {
        "size": template.nodes,
        # A member that is lost leaves an engine that cannot go on: all of them start anew together.
        "restartPolicy": "RecreateGroupOnPodRestart",
        "leaderTemplate": members.leader(pod),
        "workerTemplate": members.member(pod, in_turn=template.in_turn),
    }
    spec: Manifest = {
        "replicas": workload.replicas,
        # With LeaderReady it would never start: its engine is ready only once its members are there.
        "startupPolicy": "LeaderCreated",
        "rolloutStrategy": {
            "type": "RollingUpdate",
            "rollingUpdateConfiguration": {"maxSurge": above, "maxUnavailable": below},
        },
        "leaderWorkerTemplate": made,
    }
    head = reference(workload, cluster)
    head["metadata"]["annotations"][names.TEMPLATE] = names.digest(made)
    return {**head, "spec": spec}


def _groups_bounds(workload: Workload) -> tuple[int, int]:
    """(groups above the number that is wanted, groups below it) while a set is updated.

    A set's controller takes back its last group above as soon as one group alone is of the older rollout. With
    a single group that is so from the start: where nothing may be below, it would wait for ever.
    """
    above, below = bounds(workload.rolling, workload.replicas)
    return (0, 1) if workload.replicas == 1 and below == 0 else (above, below)


def told(workload: Workload) -> list[Notice]:
    """What an update of a set cannot keep to."""
    wanted = workload.replicas
    if workload.template.nodes == 1 or not wanted or bounds(workload.rolling, wanted)[1]:
        return []
    lacks = (
        "an update ends its one replica before the next one starts: it is away for as long as a "
        "replica takes to end its requests and to become ready"
        if wanted == 1
        else "an update has one replica fewer than wanted at its end, for as long as a replica takes "
        "to become ready"
    )
    return [Notice("UpdateHasFewer", f"On several nodes {lacks} (max_unavailable is 0).")]


def reference(workload: Workload, cluster: Cluster) -> Manifest:
    """The head of what keeps the pods of a workload."""
    kind = DEPLOYMENT if workload.template.nodes == 1 else GROUP
    head = manifest(kind.api_version, kind.name, workload, namespace=cluster.namespace)
    head["metadata"]["name"] = name_of(workload)
    return head


def name_of(workload: Workload) -> str:
    """The name of what keeps the pods of a workload.

    A set's controller makes a Service of the set's name, which is not to be ours.
    """
    nodes = workload.template.nodes
    service = workload.service
    return names.object_name(service) if nodes == 1 else names.set_name(service, nodes)


# ---- reading one that is there ------------------------------------------------------------------


def kind_at(owner: Mapping[str, object] | None) -> Kind:
    """The kind of an owner that a server told us of."""
    return GROUP if (owner or {}).get("kind") == GROUP.name else DEPLOYMENT


def pods_of(owner: Manifest | None) -> Manifest:
    """The template of the pods that take requests; empty = there is none."""
    path = ("spec", "template")
    if kind_at(owner) == GROUP:
        path = ("spec", "leaderWorkerTemplate", "leaderTemplate")
    return dict(fields.mapping(owner, *path))


def rollout(owner: Manifest | None) -> str:
    """Which rollout its pods are made for."""
    return fields.text(pods_of(owner), *_ROLLOUT)


def settled(owner: Manifest, present: Manifest | None) -> Manifest:
    """`owner` with the pods' templates that are there, where the settings alone would change them.

    A rollout keeps its pods: a hub that comes with another image may not replace every replica of a
    service because one of them crashed. What the settings say counts from the next rollout on.
    """
    if present is None or rollout(present) != rollout(owner):
        return owner
    before = fields.text(present, "metadata", "annotations", names.TEMPLATE)
    if before in {"", fields.text(owner, "metadata", "annotations", names.TEMPLATE)}:
        return owner
    meta = owner["metadata"]
    meta = {**meta, "annotations": {**meta["annotations"], names.TEMPLATE: before}}
    made = "leaderWorkerTemplate" if kind_at(owner) == GROUP else "template"
    spec = {**owner["spec"], made: present["spec"][made]}
    return names.stamped({**owner, "metadata": meta, "spec": spec})
