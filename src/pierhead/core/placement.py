"""Can a replica be placed at all? Asked before anything is fetched or started."""

from collections.abc import Iterable, Sequence

from pierhead.core.replicas import Node
from pierhead.core.resources import Resources, human_bytes
from pierhead.core.services import Hold


def unplaceable(resources: Resources, nodes: Sequence[Node]) -> Hold | None:
    """The hold of a replica that fits on no node, with both numbers; None when one is large enough."""
    if any(not list(_short(resources, node)) for node in nodes):
        return None
    largest = max(nodes, key=lambda node: (node.gpus, node.memory, node.cpu), default=None)
    missing = "there is no node" if largest is None else "; ".join(_short(resources, largest))
    return Hold(
        "InsufficientResources",
        f"No node is large enough for one replica: {missing}. Ask for less, or add a larger machine.",
        permanent=True,
        placement=True,
    )


def _short(resources: Resources, node: Node) -> Iterable[str]:
    if resources.gpu > node.gpus:
        yield f"{resources.gpu} GPU wanted, {node.name} has {node.gpus}"
    if (resources.memory or 0) > node.memory:
        yield f"{human_bytes(resources.memory or 0)} memory wanted, {node.name} has {human_bytes(node.memory)}"
    if (resources.cpu or 0) > node.cpu:
        yield f"{resources.cpu:g} cores wanted, {node.name} has {node.cpu}"
