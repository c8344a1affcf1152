"""Pods that nobody ends: of a Deployment that was deleted without them, or made by hand with our labels."""

from collections.abc import Iterable, Mapping
from typing import Final

from pierhead.runtimes.kubernetes import fields, pods
from pierhead.runtimes.kubernetes.api import Manifest

#: Seconds that the cluster gets to end pods by itself, once what made them is gone.
PATIENCE: Final = 10.0
#: Failed pods of a service that stay to be looked at while none takes their place.
KEPT: Final = 2


class Strays:
    """Remembers since when each service that is removed has pods, but nothing that made them."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def of(
        self, service: str, maker: Manifest | None, group: Mapping[str, Manifest], now: float
    ) -> list[Manifest]:
        """Those of its pods that the cluster had time to end and did not."""
        left = [pod for pod in group.values() if pods.leaves_at(pod) is None]
        if maker is not None or not left:
            self._since.pop(service, None)
            return []
        since = self._since.setdefault(service, now)
        return left if now - since >= PATIENCE else []


def replica_set(pod: Manifest) -> str:
    """Name of the ReplicaSet that keeps a pod; "" = nothing makes it anew."""
    owners = fields.many(pod, "metadata", "ownerReferences")
    return next(
        (fields.text(each, "name") for each in owners if each.get("kind") == "ReplicaSet"), ""
    )


def surplus(group: Iterable[Manifest]) -> list[Manifest]:
    """Pods that ended as a whole, but for the youngest: a node may put out hundreds in a row."""
    over = [pod for pod in group if fields.text(pod, "status", "phase") in {"Failed", "Succeeded"}]
    over.sort(key=lambda pod: fields.text(pod, "metadata", "creationTimestamp"))
    return over[:-KEPT]
