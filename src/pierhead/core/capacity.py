"""The pool of machines: what they have, and what the replicas on them may use of it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pierhead.core.quota_sizes import of_node, of_replica
from pierhead.core.quotas import NOTHING, Amount
from pierhead.core.replicas import LEAVING, Node, ReplicaStatus
from pierhead.core.services import Seen, Service


@dataclass(frozen=True, slots=True)
class Pool:
    """The one pool of machines as it is now; it is called like its region."""

    id: str
    region: str
    account: str
    nodes: Sequence[Node]
    found: Sequence[tuple[Service, Seen]]  #: everything that runs in it
    created: float  #: epoch seconds


def there(nodes: Iterable[Node]) -> Amount:
    """What nodes have in all."""
    total = NOTHING
    for node in nodes:
        total += Amount(float(node.cpu), node.memory, float(node.gpus))
    return total


def held(found: Iterable[tuple[Service, Seen]], node: str = "") -> Amount:
    """What the replicas of these services on a node ("" = on any) may use; those that leave do not count."""
    total = NOTHING
    for service, replica in replicas(found, node):
        if replica.state not in LEAVING:
            template = service.current.template
            here = replica.places.count(node)
            total += of_node(template).times(here) if node else of_replica(template)
    return total


def replicas(
    found: Iterable[tuple[Service, Seen]], node: str = ""
) -> list[tuple[Service, ReplicaStatus]]:
    """The replicas of these services that are on a node ("" = on any)."""
    return [
        (service, replica)
        for service, seen in found
        for replica in seen.replicas
        if not node or node in replica.places
    ]
