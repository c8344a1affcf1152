"""What a cluster has and lets us do: its version, its kinds, its nodes, our rights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pierhead.core.errors import Refused
from pierhead.core.replicas import Accelerator, Node
from pierhead.core.resources import MIB
from pierhead.runtimes.kubernetes import causes, fields, names
from pierhead.runtimes.kubernetes.api import (
    CSI_DRIVER,
    GROUP,
    NODE,
    Access,
    KubeApi,
    Manifest,
    Selection,
)
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.quantities import quantity

_ARCHITECTURES: Mapping[str, str] = {"amd64": "X86_64", "arm64": "AARCH64"}
_MACHINE = ("status", "nodeInfo", "architecture")


@dataclass(frozen=True, slots=True)
class Right:
    """Something that we must be permitted, and what does not work without it."""

    access: Access
    disables: str  #: a clause: what is lost without it
    needed: bool = True  #: False = the runtime works without it

    @property
    def sentence(self) -> str:
        """What is missing, for people, where it is."""
        what = f"{self.access.verb} {self.access.resource}"
        return f"The cluster does not permit us to {what}: {self.disables}."


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found on a server."""

    version: tuple[int, int]
    version_text: str
    kinds: Mapping[str, frozenset[str]]  #: `<group>/<version>` -> kinds
    csi_drivers: frozenset[str]
    nodes: tuple[Manifest, ...]
    #: Why parts of it could not be looked at, a sentence each.
    problems: tuple[str, ...] = ()

    def serves(self, version: str, kind: str) -> bool:
        """Does the server know objects of that kind? `version` = `<group>/<version>`."""
        return kind in self.kinds.get(version, frozenset())

    @property
    def metrics(self) -> bool:
        """Does it tell now what pods use (metrics-server or the like)?"""
        return any(kinds and at.startswith("metrics.k8s.io/") for at, kinds in self.kinds.items())

    @property
    def gateway_api(self) -> bool:
        """Does it know HTTPRoutes?"""
        return any("HTTPRoute" in kinds for kinds in self.kinds.values())


def _each(verbs: str, group: str, resource: str, disables: str) -> list[Right]:
    return [Right(Access(verb, group, resource), disables) for verb in verbs.split()]


#: What the runtime asks of a server, and what is lost where it may not.
RIGHTS: tuple[Right, ...] = (
    *_each("get list watch delete", "", "pods", "replicas are neither seen nor let go"),
    *_each("get", "", "pods/log", "logs cannot be read"),
    *_each("get list watch create patch delete", "apps", "deployments", "nothing can be deployed"),
    *_each("list create patch delete", "", "services", "services get no name in the cluster"),
    *_each("list create patch delete", "", "secrets", "engines get no key"),
    *_each("list watch", "", "events", "causes such as a failed mount are not told"),
    Right(Access("list", "", "nodes", namespaced=False), "capacity and lost nodes are not seen"),
    Right(Access("watch", "", "nodes", namespaced=False), "lost nodes are not seen"),
    *_each("list create patch delete", "policy", "poddisruptionbudgets", "no disruption budgets"),
    Right(
        Access("patch", "", "pods"),
        "which replicas leave first is up to the cluster",
        needed=False,
    ),
    Right(
        Access("delete", "apps", "replicasets"),
        "pods that lost their Deployment stay when their service is removed",
        needed=False,
    ),
    Right(
        Access("list", "storage.k8s.io", "csidrivers", namespaced=False),
        "CSI drivers are not seen",
        needed=False,
    ),
)


def rights(cluster: Cluster) -> tuple[Right, ...]:
    """What is asked of a server with these settings."""
    more: list[Right] = []
    if cluster.weights == "csi":
        claims = "models cannot be mounted"
        more += _each("list create patch delete", "", "persistentvolumeclaims", claims)
        more += [
            Right(Access(verb, "", "persistentvolumes", namespaced=False), claims)
            for verb in ("get", "list", "create", "patch", "delete")
        ]
    if cluster.network_policy:
        policies = "engines are open to every pod"
        more += _each("list create patch delete", "networking.k8s.io", "networkpolicies", policies)
    if cluster.follows_load:
        more += _scalers(cluster)
    if cluster.lws:
        more += _groups()
    return (*RIGHTS, *more)


def _groups() -> list[Right]:
    """Without them all services run that are on one node by replica."""
    api, stays = GROUP, "no replica can span several nodes"
    wanted = _each("get list watch create patch delete", api.group, api.plural, stays)
    left = "pods that lost their LeaderWorkerSet stay when their service is removed"
    return [
        replace(each, needed=False)
        for each in (*wanted, *_each("delete", "apps", "statefulsets", left))
    ]


def _scalers(cluster: Cluster) -> list[Right]:
    """Without them the hub follows the load, as it does everywhere else."""
    found: list[Right] = []
    for group, resource, there in (
        ("autoscaling", "horizontalpodautoscalers", bool(cluster.hpa)),
        ("keda.sh", "scaledobjects", cluster.keda),
    ):
        stays = "the hub goes on to scale services itself"
        wanted = _each("list create patch delete", group, resource, stays) if there else []
        found += [replace(right, needed=False) for right in wanted]
    return found


async def discover(api: KubeApi) -> Discovery:
    """Ask a server what it is and has.

    Raises:
        Unavailable: it does not answer.
    """
    major, minor, text = await api.version()
    kinds = await api.served()
    problems: list[str] = []
    nodes: tuple[Manifest, ...] = ()
    drivers: tuple[Manifest, ...] = ()
    try:
        nodes = (await api.list(NODE, Selection())).items
    except Refused as error:
        problems.append(f"Its nodes cannot be listed: {error}")
    try:
        drivers = (await api.list(CSI_DRIVER, Selection())).items
    except Refused as error:
        problems.append(f"Its CSI drivers cannot be listed: {error}")
    names = frozenset(str(each["metadata"]["name"]) for each in drivers)
    return Discovery((major, minor), text, kinds, names, nodes, tuple(problems))


async def lacking(api: KubeApi, cluster: Cluster) -> tuple[Right, ...]:
    """Of what we need, what we are not permitted.

    Raises:
        Unavailable: the server does not answer.
    """
    return tuple(
        [right for right in rights(cluster) if not await api.may(right.access, cluster.namespace)]
    )


async def idle_sets(api: KubeApi, cluster: Cluster, now: float) -> tuple[str, ...]:
    """Names of our LeaderWorkerSets that nobody acts on; none where there are none, or we may not see them.

    Raises:
        Unavailable: the server does not answer.
    """
    if not cluster.lws:
        return ()
    selected = Selection(cluster.namespace, names.ours(cluster.platform))
    try:
        listed = await api.list(GROUP, selected)
    except Refused:
        return ()
    every = [{**each, "kind": GROUP.name} for each in listed.items]
    return tuple(
        fields.text(each, "metadata", "name") for each in every if causes.untouched(each, now)
    )


# ---- nodes ----------------------------------------------------------------------------------


def node_of(found: Manifest, cluster: Cluster, taken: int = 0) -> Node:
    """A node as the platform knows nodes; `taken` = bytes of memory that our replicas on it asked for."""
    has = fields.mapping(found, "status", "allocatable") or fields.mapping(
        found, "status", "capacity"
    )
    memory = int(quantity(has.get("memory", "0")))
    name, machine = fields.text(found, "metadata", "name"), fields.text(found, *_MACHINE)
    labels = fields.mapping(found, "metadata", "labels")
    accelerators = tuple(_accelerators(name, has, labels, cluster))
    return Node(
        name=name,
        cpu=int(quantity(has.get("cpu", "0"))),
        memory=memory,
        memory_free=max(0, memory - taken),
        gpus=len(accelerators),
        architecture=_ARCHITECTURES.get(machine, machine.upper()),
        accelerators=accelerators,
    )


def _accelerators(
    node: str, has: Mapping[str, Any], labels: Mapping[str, str], cluster: Cluster
) -> Iterable[Accelerator]:
    """The devices that a node offers; their kind and memory where its labels tell them."""
    for vendor, resource in cluster.gpu_resources.items():
        count = int(quantity(has.get(resource.whole, "0")))
        product = labels.get("nvidia.com/gpu.product", "") if vendor == "NVIDIA" else ""
        memory = labels.get("nvidia.com/gpu.memory", "") if vendor == "NVIDIA" else ""
        numbers = [labels.get(label, "") for label in cluster.capability_labels]
        for place in range(count):
            name = f"{node}/{resource.whole}/{place}"
            yield Accelerator(
                uuid=name,
                spec=product or resource.whole,
                vendor=vendor,
                name=product or resource.whole,
                memory=int(memory) * MIB if memory.isdigit() else 0,
                capability=".".join(numbers) if all(numbers) else "",
                id=name,
                index=place,
            )


def ready(found: Manifest) -> tuple[bool, str]:
    """Does a node answer its control plane, and since when does it not (RFC 3339, "" = not told)?"""
    for condition in fields.many(found, "status", "conditions"):
        if condition.get("type") == "Ready":
            since = fields.text(condition, "lastTransitionTime")
            return condition.get("status") == "True", since
    return False, ""
