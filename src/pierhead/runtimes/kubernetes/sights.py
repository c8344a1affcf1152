"""What a service's pods are as replicas, from what is known of the cluster; asks nobody."""

from collections.abc import Callable

from pierhead.core.causes import Cause
from pierhead.core.ids import Clock
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.runtimes.kubernetes import causes, fields, groups, owners, pods, stepping
from pierhead.runtimes.kubernetes.api import GROUP, Manifest
from pierhead.runtimes.kubernetes.copies import Copies, maker_key
from pierhead.runtimes.kubernetes.logbook import Logbook
from pierhead.runtimes.kubernetes.quantities import moment


class Sights:
    """`tolerated`: seconds from a node's silence until its pods are replaced."""

    def __init__(
        self,
        copies: Copies,
        logbook: Logbook,
        clock: Clock,
        tolerated: Callable[[Manifest | None], float],
    ) -> None:
        self._copies, self._logbook = copies, logbook
        self._clock, self._tolerated = clock, tolerated
        self._falls = groups.Falls()
        #: Of pods that take requests: they stay what they are until something of them changes.
        self._steady: dict[str, tuple[Manifest, Manifest | None, ReplicaStatus]] = {}

    def replicas(self, service: str) -> list[ReplicaStatus]:
        """Its replicas; a pod that only computes for one is a part of that."""
        group = self._copies.of(service)
        found = groups.replicas(group, self.statuses(service))
        over = [
            uid
            for uid, pod in group.items()
            if fields.text(pod, "status", "phase") in {"Failed", "Succeeded"}
        ]
        return stepping.shown(found, frozenset(over))

    def statuses(self, service: str) -> dict[str, ReplicaStatus | None]:
        """uid of a pod -> what it is by itself; None = nothing any more."""
        now = self._clock()
        found: dict[str, ReplicaStatus | None] = {}
        for uid, pod in self._copies.of(service).items():
            status = self._status(uid, pod, now)
            found[uid] = status and self._falls.counted(status, pod, now)
        return found

    def _status(self, uid: str, pod: Manifest, now: float) -> ReplicaStatus | None:
        node = self._copies.node(fields.text(pod, "spec", "nodeName"))
        known = self._steady.get(uid)
        if known is not None and known[0] is pod and known[1] is node:
            return known[2]
        status = pods.status_of(self.of(pod), now)
        if status is not None and status.state is ReplicaState.READY:
            self._steady[uid] = (pod, node, status)
        return status

    def of(self, pod: Manifest) -> pods.Sight:
        """All that tells of a pod."""
        uid = fields.text(pod, "metadata", "uid")
        node = self._copies.node(fields.text(pod, "spec", "nodeName"))
        return pods.Sight(
            pod,
            node,
            self._copies.nodes_known,
            self._copies.told(uid),
            self._logbook.past(pod),
            self._tolerated(node),
        )

    def refusal(self, service: str, owner: Manifest) -> Cause | None:
        """Why the cluster makes no pods for an owner, or not all of them; None = it does."""
        found = causes.refused(owner) or causes.untouched(owner, self._clock())
        if found is not None or owners.kind_at(owner) != GROUP:
            return found
        spec, name = owner["spec"], fields.text(owner, "metadata", "name")
        own = [
            pod
            for pod in self._copies.of(service).values()
            if (groups.place(pod) or "")[:1] == (name,)
        ]
        if len(own) >= spec["replicas"] * spec["leaderWorkerTemplate"]["size"]:
            return None
        # A set's controller makes one StatefulSet of leaders, and one of members by leader.
        makers = [name, *(fields.text(pod, "metadata", "name") for pod in own)]
        told = [each for maker in makers for each in self._copies.told(maker_key(maker))]
        made = [
            moment(fields.text(each, "metadata", "creationTimestamp")) for each in (owner, *own)
        ]
        return causes.not_made(told, max(at or 0.0 for at in made))

    def changed(self, service: str, old: Manifest | None, new: Manifest | None) -> None:
        """Take note of what a pod became."""
        self._steady.pop(fields.text(new or old, "metadata", "uid"), None)
        if new is None:
            self._logbook.gone(fields.text(old, "metadata", "uid"))
            return
        self._logbook.seen(service, new, self.of)
        if groups.place(new) is None:
            return
        leader = groups.leader_of(new, self._copies.of(service).values())
        if leader is not None:
            sight = self.of(new)
            self._falls.seen(service, pods.status_of(sight, self._clock()), sight, leader)

    def forget(self, service: str) -> None:
        """It is gone."""
        self._falls.forget(service)
