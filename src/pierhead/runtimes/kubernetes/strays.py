"""Pods that nobody ends: of an owner that was deleted without them, or made by hand with our labels."""

from collections.abc import Iterable, Mapping
from typing import Final

from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.runtimes.kubernetes import fields, groups, pods
from pierhead.runtimes.kubernetes.api import REPLICA_SET, STATEFUL_SET, Kind, Manifest

#: Seconds that the cluster gets to end pods by itself, once what made them is gone.
PATIENCE: Final = 10.0
#: Failed pods of a service that stay to be looked at while none takes their place.
KEPT: Final = 2


class Strays:
    """Remembers since when each service that is removed has pods, but nothing that made them."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def of(
        self, service: str, group: Mapping[str, Manifest], now: float, *, owned: bool
    ) -> list[Manifest]:
        """Those of its pods that the cluster had time to end and did not; `owned`: what made them is there.

        A member goes after its leader, which may have requests to end.
        """
        leaders = {groups.place(pod) for pod in group.values() if not groups.is_member(pod)}
        left = [
            pod
            for pod in group.values()
            if pods.leaves_at(pod) is None
            and not (groups.is_member(pod) and groups.place(pod) in leaders)
        ]
        if owned or not left:
            self._since.pop(service, None)
            return []
        since = self._since.setdefault(service, now)
        return left if now - since >= PATIENCE else []


def maker(pod: Manifest) -> tuple[Kind, str] | None:
    """Kind and name of what keeps a pod; None = nothing makes it anew."""
    known = {kind.name: kind for kind in (REPLICA_SET, STATEFUL_SET)}
    for each in fields.many(pod, "metadata", "ownerReferences"):
        kind = known.get(fields.text(each, "kind"))
        if kind is not None:
            return kind, fields.text(each, "name")
    return None


def waits_in_vain(
    uid: str,
    group: Mapping[str, Manifest],
    statuses: Mapping[str, ReplicaStatus | None],
    drained: frozenset[str],
) -> bool:
    """Does a pod that was told to end sit out a grace that nobody needs? `group`, `statuses`: by uid."""
    pod, status = group[uid], statuses[uid]
    if pods.leaves_at(pod) is None or pods.let_go(pod) or status is None:
        return False
    if status.state is not ReplicaState.DRAINING or status.id in drained:
        return True
    return groups.broken(pod, group.values(), statuses)


def blocks(sight: pods.Sight, now: float) -> bool:
    """Does a pod of a group that nobody tells the end of keep the cluster from making another one?

    A set's pods have names, and one on a node that is lost keeps its name for as long as its record is
    there. It keeps nothing else that another one could take from it, so its record may go.
    """
    if pods.leaves_at(sight.pod) is None or groups.place(sight.pod) is None:
        return False
    lost = pods.lost_since(sight)
    # A node that is back by then still has its streams, and the end of them to tell.
    return lost is not None and now - lost >= sight.toleration


def surplus(group: Iterable[Manifest]) -> list[Manifest]:
    """Pods that ended as a whole, but for the youngest: a node may put out hundreds in a row."""
    over = [pod for pod in group if fields.text(pod, "status", "phase") in {"Failed", "Succeeded"}]
    over.sort(key=lambda pod: fields.text(pod, "metadata", "creationTimestamp"))
    return over[:-KEPT]
