"""What `pierhead doctor` says of a cluster: does it answer, what may we do there, what does it lack?"""

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from pierhead.bootstrap import runtime_memory
from pierhead.bootstrap.kubernetes import connect
from pierhead.core.errors import PierheadError
from pierhead.core.resources import human_bytes
from pierhead.settings import Settings

if TYPE_CHECKING:
    from pierhead.bootstrap.kubernetes import Connected
    from pierhead.core.replicas import Node
    from pierhead.runtimes.kubernetes.probe import Right

_PATIENCE = 10.0  #: seconds that a cluster gets to answer
#: What Alibaba Cloud's drivers mount -> the driver.
_DRIVERS = {
    "oss://": "ossplugin.csi.alibabacloud.com",
    "nas://": "nasplugin.csi.alibabacloud.com",
}
_GROUPS = ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet")
_SCALED = ("keda.sh/v1alpha1", "ScaledObject")
#: The first server that lets us say which of several pods goes first.
_COSTS = (1, 22)

Level = Literal["ok", "warn", "fail"]


class ClusterRow(NamedTuple):
    """One row: what was looked at, how it is, what was found, what to do."""

    check: str
    level: Level
    found: str
    advice: str = ""


class _Looked(NamedTuple):
    """What a cluster answered."""

    there: "Connected"
    lacking: "tuple[Right, ...]"
    nodes: "tuple[Node, ...]"
    unready: tuple[str, ...]
    idle: tuple[str, ...]  #: LeaderWorkerSets that nobody acts on


def cluster_rows(settings: Settings) -> list[ClusterRow]:
    """What there is to say of the cluster that the settings lead to."""
    image = _image(settings)
    try:
        looked = asyncio.run(_look(settings))
    except PierheadError as problem:
        # Where a cluster is only used if there is one, none is fine; unless services are on one.
        alone = settings.runtime == "auto" and _before(settings) != "kubernetes"
        advice = "Replicas run on this machine." if alone else _REACH
        return [ClusterRow("cluster", "warn" if alone else "fail", str(problem), advice), *image]
    return [
        *_server(looked),
        *image,
        *_rights(looked),
        *_nodes(looked),
        *_besides(settings, looked),
    ]


def _before(settings: Settings) -> str | None:
    """The runtime that the services there were made for, as far as the database tells."""
    try:
        return runtime_memory.before_here(settings)
    except PierheadError:
        return None  # what is the matter with the database stands in its own row


_REACH = (
    "Check the settings kubernetes.kubeconfig and kubernetes.context: `kubectl version` has to work "
    "with the same."
)


async def _look(settings: Settings) -> _Looked:
    there = await connect(settings, _PATIENCE)
    from pierhead.runtimes.kubernetes import fields, probe

    try:
        lacking = await probe.lacking(there.api, there.cluster)
        idle = await probe.idle_sets(there.api, there.cluster, time.time())
    finally:
        await there.api.close()
    ready = [each for each in there.found.nodes if probe.ready(each)[0]]
    names = [
        fields.text(each, "metadata", "name") for each in there.found.nodes if each not in ready
    ]
    nodes = tuple(probe.node_of(each, there.cluster) for each in ready)
    return _Looked(there, lacking, nodes, tuple(sorted(names)), idle)


def _server(looked: _Looked) -> Iterator[ClusterRow]:
    there = looked.there
    found = f"{there.found.version_text} at {there.api.server}, namespace {there.cluster.namespace}"
    if there.found.version < _COSTS:
        why = "Older than 1.22: a smaller service may lose its oldest replicas first."
        yield ClusterRow("cluster", "warn", found, why)
    else:
        yield ClusterRow("cluster", "ok", found)
    for problem in there.found.problems:
        yield ClusterRow("cluster", "warn", problem, "Let the hub's account list them.")


def _image(settings: Settings) -> list[ClusterRow]:
    image = settings.kubernetes_image
    if image:
        return [ClusterRow("cluster image", "ok", image)]
    advice = "Set kubernetes.image to an image with Pierhead in it: replicas are started from it."
    return [ClusterRow("cluster image", "fail", "none is set", advice)]


def _rights(looked: _Looked) -> Iterator[ClusterRow]:
    """One row for each kind of objects that something is missing for; one if nothing is."""
    if not looked.lacking:
        yield ClusterRow("cluster rights", "ok", "all that are needed")
    for right in looked.lacking:
        access = right.access
        group = f".{access.group}" if access.group else ""
        where = "" if access.namespaced else ", in the whole cluster"
        found = f"may not {access.verb} {access.resource}{group}{where}: {right.disables}"
        level: Level = "fail" if right.needed else "warn"
        yield ClusterRow("cluster rights", level, found, "Add it to the hub's Role or ClusterRole.")


def _nodes(looked: _Looked) -> Iterator[ClusterRow]:
    if looked.nodes:
        memory, cores = (
            sum(node.memory for node in looked.nodes),
            sum(node.cpu for node in looked.nodes),
        )
        gpus = sum(node.gpus for node in looked.nodes)
        found = f"{len(looked.nodes)} ready: {cores} cores, {human_bytes(memory)}, {gpus} GPUs"
        yield ClusterRow("cluster nodes", "ok", found)
    else:
        yield ClusterRow("cluster nodes", "fail", "none is ready", "No replica can start.")
    if looked.unready:
        found = f"not ready: {', '.join(looked.unready[:5])}"
        yield ClusterRow("cluster nodes", "warn", found, "Look at their kubelets.")


def _besides(settings: Settings, looked: _Looked) -> Iterator[ClusterRow]:
    """What a cluster need not have, each with what does not work without it."""
    found, cluster = looked.there.found, looked.there.cluster
    mounts = settings.kubernetes_weights == "csi"
    for scheme, driver in _DRIVERS.items():
        there = driver in found.csi_drivers
        advice = (
            f"{scheme} weights cannot be mounted: install it, or set kubernetes.weights = fetch."
        )
        yield _optional("cluster storage", driver, there, advice if mounts else "", bad=mounts)
    yield _metrics(found.metrics, follows=cluster.follows_load)
    yield _optional(
        "cluster budgets", cluster.pdb, bool(cluster.pdb), "Drains may take all replicas."
    )
    yield _groups(found.serves(*_GROUPS), looked.idle)
    advice = "Pierhead's own scaler follows the load."
    yield _optional("cluster scaling", "KEDA", found.serves(*_SCALED), advice)


def _groups(there: bool, idle: tuple[str, ...]) -> ClusterRow:
    if idle:
        found = f"LeaderWorkerSets are known, and nobody acts on {', '.join(idle[:5])}"
        advice = "Look at their controller, lws-controller-manager: replicas on several nodes wait for it."
        return ClusterRow("cluster groups", "warn", found, advice)
    return _optional(
        "cluster groups", "LeaderWorkerSet", there, "No replica can span several nodes."
    )


def _metrics(there: bool, *, follows: bool) -> ClusterRow:
    if follows and not there:
        advice = (
            "Install metrics-server, or look at why it does not answer: without it scalers by CPU stay with "
            "the hub, which has no figure of the CPU on a cluster."
        )
        found = "metrics.k8s.io is not there, or does not answer"
        return ClusterRow("cluster metrics", "warn", found, advice)
    return _optional("cluster metrics", "metrics.k8s.io", there, "No scaling by CPU or memory use.")


def _optional(check: str, what: str, there: bool, advice: str, *, bad: bool = False) -> ClusterRow:
    if there:
        return ClusterRow(check, "ok", what)
    return ClusterRow(check, "fail" if bad else "ok", f"{what or 'none'} is not there", advice)
