"""Where a replica's pod may run: its image's architecture, its GPUs, and what the operator wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from pierhead.core.events import Notice
from pierhead.core.placement import capability
from pierhead.core.templates import Template
from pierhead.runtimes.kubernetes import fields, names
from pierhead.runtimes.kubernetes.api import Manifest
from pierhead.runtimes.kubernetes.cluster import NVIDIA, Cluster

Expression = dict[str, Any]

#: What templates say -> value of the label that every node has.
_ARCHITECTURES = {"X86_64": "amd64", "AARCH64": "arm64"}
_ARCHITECTURE = "kubernetes.io/arch"
#: Engines that are a part of ours: no other image has them.
_OURS = frozenset({"llama_cpp"})
_HOSTNAME = "kubernetes.io/hostname"
#: From here on pods can be kept apart from those of the same replica alone.
_OWN_REPLICA = (1, 31)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_NOT_READY, _UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


@dataclass(frozen=True, slots=True)
class Image:
    """The image of an engine's container, and which architectures it is for."""

    name: str
    architectures: tuple[str, ...] = ()  #: as templates say them; empty = any


def image(template: Template, cluster: Cluster) -> Image:
    """The template's own image before the engine's, and that before ours, for what is not ours.

    One set of replicas has one image: of several, the first one that the template's architectures allow,
    and its replicas then keep to the architectures of that image.
    """
    allowed = template.constraints.architectures
    named = [
        (architecture, name)
        for architecture, name in sorted(template.images.items(), key=_common_first)
        if name and (not architecture or not allowed or architecture in allowed)
    ]
    if template.engine in _OURS or not named:
        return Image(cluster.engine_images.get(template.engine, cluster.image), allowed)
    chosen = named[0][1]
    fitting = tuple(architecture for architecture, name in named if name == chosen)
    return Image(chosen, allowed if "" in fitting else fitting)


def _common_first(entry: tuple[str, str]) -> tuple[int, str]:
    """Without an architecture first, then as `_ARCHITECTURES` has them."""
    order = ["", *_ARCHITECTURES]
    return (order.index(entry[0]) if entry[0] in order else len(order), entry[0])


def vendor(template: Template, cluster: Cluster) -> str:
    """Whose GPUs a replica gets: of those that the template names, the first one the cluster knows."""
    named = sorted(template.constraints.gpu_specs)
    known = {each.casefold(): each for each in cluster.gpu_resources}
    found = [known[each.casefold()] for each in named if each.casefold() in known]
    return found[0] if found else cluster.gpu_vendor if not named else named[0]


def scheduling(service: str, template: Template, cluster: Cluster) -> dict[str, Any]:
    """The part of a pod's `spec` that says where it may run."""
    found: dict[str, Any] = {
        "tolerations": _tolerations(cluster),
        "topologySpreadConstraints": [_spread(service)],
    }
    affinity = _affinity(service, template, cluster)
    if affinity:
        found["affinity"] = affinity
    if cluster.node_selector:
        found["nodeSelector"] = dict(sorted(cluster.node_selector.items()))
    if cluster.priority_class:
        found["priorityClassName"] = cluster.priority_class
    if cluster.runtime_class and template.resources.devices:
        found["runtimeClassName"] = cluster.runtime_class
    return found


def _affinity(service: str, template: Template, cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = {}
    terms = _terms(template, cluster)
    if terms != [[]]:
        selector = {"nodeSelectorTerms": [{"matchExpressions": each} for each in terms]}
        found["nodeAffinity"] = {_REQUIRED: selector}
    if template.nodes > 1:
        found["podAntiAffinity"] = {_REQUIRED: [_apart(service, cluster)]}
    return found


def _apart(service: str, cluster: Cluster) -> dict[str, Any]:
    """Several nodes are different ones: no two pods of a replica share one.

    A LeaderWorkerSet's own `exclusive-topology` says the opposite: all pods of a replica in one place, and
    no others there. Before 1.31 nothing in a template tells one replica of a service from another: there
    no two pods of the whole service share a node.
    """
    own = {"matchLabels": names.identity(service)}
    term: dict[str, Any] = {"topologyKey": _HOSTNAME, "labelSelector": own}
    if cluster.version >= _OWN_REPLICA:
        term["matchLabelKeys"] = [names.SET, names.GROUP_INDEX]
    return term


def tolerated(node: Manifest | None, cluster: Cluster) -> float:
    """Seconds from the moment at which a node is not ready any more until its replicas are replaced."""
    said = [
        fields.text(each, "status")
        for each in fields.many(node, "status", "conditions")
        if each.get("type") == "Ready"
    ]
    return float(cluster.not_ready_seconds if said == ["False"] else cluster.toleration_seconds)


def _tolerations(cluster: Cluster) -> list[dict[str, Any]]:
    """Without them a lost node's replicas are replaced after five minutes.

    A node that is unreachable was silent for the cluster's own grace already. One that says itself that it is
    not ready may only have its container runtime restarted, while its pods serve on.
    """
    seconds = {_NOT_READY: cluster.not_ready_seconds, _UNREACHABLE: cluster.toleration_seconds}
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": each}
        for key, each in seconds.items()
    ]


def _spread(service: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": _HOSTNAME,
        "whenUnsatisfiable": "ScheduleAnyway",  # all on one node is better than none
        "labelSelector": {"matchLabels": names.identity(service)},
    }


def _terms(template: Template, cluster: Cluster) -> list[list[Expression]]:
    """Alternatives, of which one must hold; each is what must hold together."""
    architectures = image(template, cluster).architectures
    known = sorted(_ARCHITECTURES.get(each, each.lower()) for each in architectures)
    always = [_in(_ARCHITECTURE, known)] if known else []
    if not template.resources.devices:
        return [always]
    levels = _levels(template, cluster)
    kinds = _kinds(template, cluster)
    return [[*always, *level, *kind] for level, kind in product(levels, kinds)]


def _levels(template: Template, cluster: Cluster) -> Sequence[list[Expression]]:
    least = capability(template.constraints.gpu_capability)
    if least is None or vendor(template, cluster).casefold() != NVIDIA.casefold():
        return [[]]
    major, minor = cluster.capability_labels
    above = [_above(major, least[0])]
    return [above, [_in(major, [str(least[0])]), _above(minor, least[1] - 1)]]


def _above(label: str, number: int) -> Expression:
    return {"key": label, "operator": "Gt", "values": [str(number)]}


def _kinds(template: Template, cluster: Cluster) -> Sequence[list[Expression]]:
    """The specs that the template lists, by the labels that the operator mapped them to."""
    chosen = vendor(template, cluster)
    specs = _specs(template, chosen)
    labels = [cluster.gpu_labels[each] for each in specs or (chosen,) if each in cluster.gpu_labels]
    return [[_in(label, [value])] for label, value in map(_split, labels)] or [[]]


def _specs(template: Template, chosen: str) -> tuple[str, ...]:
    listed: Mapping[str, tuple[str, ...]] = template.constraints.gpu_specs
    return next(
        (found for each, found in listed.items() if each.casefold() == chosen.casefold()), ()
    )


def _split(label: str) -> tuple[str, str]:
    name, _, value = label.partition("=")
    return name, value


def _in(label: str, values: list[str]) -> Expression:
    return {"key": label, "operator": "In", "values": values}


def told(template: Template, cluster: Cluster) -> list[Notice]:
    """What of the template's wishes for a machine no label or resource of the cluster says."""
    found: list[Notice] = []
    chosen = image(template, cluster)
    others = sorted({name for name in template.images.values() if name} - {chosen.name})
    if others:
        why = f"all replicas run [{chosen.name}]"
        found.append(Notice("OneImage", f"The image [{others[0]}] is not used: {why}."))
    if not template.resources.devices:
        return found
    own = vendor(template, cluster)
    rest = [
        each for each in sorted(template.constraints.gpu_specs) if each.casefold() != own.casefold()
    ]
    if rest:
        why = f"one kind of resource can be asked for, and it is {own}'s"
        found.append(Notice("OneVendor", f"GPUs of {', '.join(rest)} are not used: {why}."))
    unmapped = [each for each in _specs(template, own) if each not in cluster.gpu_labels]
    if unmapped:
        found.append(
            Notice(
                "GpuSpecUnmapped",
                f"The GPU spec [{unmapped[0]}] is mapped to no label of nodes: any GPU of {own} "
                "will do. The setting kubernetes.gpu_labels maps it.",
            )
        )
    return found
