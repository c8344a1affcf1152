"""Gives a service's count to the cluster's own scaler, and takes it back; at no time does it fall to 1.

    given     COUNTER owns the number that is there -> scaler -> mark (`names.SCALED_BY`)
    meanwhile MANAGER leaves `replicas` out of what it sends; a number that our owner sets is set once
    taken     scaler deleted -> COUNTER owns the number that is there -> mark emptied

Who alone owns a field and leaves it out sets it back to its default. So COUNTER owns it besides from
before the scaler's first step on, and never says another number: servers before 1.22 do not note that a
scaler owns what it set. The mark is on the pods' owner: a hub that starts finds all of it there.
"""

from dataclasses import dataclass, field

from pierhead.core.errors import Conflict, NotFound, Refused
from pierhead.core.ids import Clock
from pierhead.core.scalers import AutoScaler
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import fields, names, owners, pods, scaling
from pierhead.runtimes.kubernetes.api import (
    SCALED,
    Kind,
    KubeApi,
    Manifest,
    autoscaler,
    kind_of,
)
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.delivery import Delivery
from pierhead.runtimes.kubernetes.quantities import quantity

#: Seconds until a scaler is offered again that the server would not have.
_AGAIN = 60.0


def is_given(owner: Manifest | None) -> bool:
    """Is its count the cluster's?"""
    return bool(names.scaled_by(owner))


def follower(workload: Workload, cluster: Cluster) -> Manifest | None:
    """The scaler that takes a service's count; None = it stays ours."""
    if not cluster.follows_load or workload.scaler is None:
        return None
    target = owners.reference(workload, cluster)
    found = scaling.scaling(workload, workload.scaler, cluster, target)
    return None if found is None else names.stamped(names.owned(found, cluster.platform))


@dataclass(slots=True)
class HandOver:
    """Who counts which service's replicas; what it remembers it can do without."""

    api: KubeApi
    cluster: Cluster
    delivery: Delivery
    clock: Clock
    #: Service -> the number that we and the cluster agreed upon last.
    _agreed: dict[str, int] = field(default_factory=dict[str, int])
    #: Service -> (when the server would not have its scaler, why).
    _refused: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])

    def count(self, service: str, wanted: int, present: Manifest | None) -> int | None:
        """The number that holds where the cluster counts; None = the count is ours.

        `wanted`: what we know of it. If that is what was agreed upon, the cluster's number is the newer
        one; else its owner set it since. After a restart the cluster's holds.
        """
        if not is_given(present):
            return None
        there = fields.number(present, "spec", "replicas")
        return there if self._agreed.get(service, wanted) == wanted else wanted

    def stays(
        self, service: str, scaler: AutoScaler, present: Manifest | None, *, bounded: bool
    ) -> str:
        """Why a service's scaler is not the cluster's, where it should be; "" = it is, or need not."""
        if not self.cluster.follows_load:
            return ""
        if bounded:
            return "A quota bounds its count, and a scaler of the cluster does not ask it."
        cores = present is None or _asks_cores(present)
        if not scaling.follower(scaler, self.cluster, cores=cores):
            told = scaling.told(scaler, self.cluster, cores=cores)
            return " ".join(notice.message for notice in told)
        why = self._refused.get(service, (0.0, ""))[1]
        return f"The cluster would not have its scaler: {why}" if why else ""

    def forget(self, service: str) -> None:
        """It is gone."""
        self._agreed.pop(service, None)
        self._refused.pop(service, None)

    async def settle(self, workload: Workload, present: Manifest) -> Manifest | None:
        """Before a step: agree upon the number of a service that the cluster counts, or take it back.

        Gives the pods' owner as it is then, None where it was not changed.

        Raises:
            Unavailable: the server does not answer; call again.
            Refused: the server does not let go of the scaler.
        """
        wanted = follower(workload, self.cluster)
        if wanted is None:
            return await self._take(workload.service, present)
        there, number = fields.number(present, "spec", "replicas"), workload.replicas
        answer: Manifest | None = None
        if number != there and self._agreed.get(workload.service, number) != number:
            answer = present = await self.delivery.scale(present, number)
            there = number
        if number == there:
            self._agreed[workload.service] = number
        if names.scaled_by(present) != _mark(wanted):
            answer = await self._follow(workload.service, wanted, present)
        return answer

    async def offer(self, workload: Workload, present: Manifest) -> Manifest | None:
        """After a step: let the cluster count, if it can and there are as many as are wanted.

        Gives the pods' owner as it is then, None where the count stays ours.

        Raises:
            Unavailable: the server does not answer; call again.
        """
        service, number = workload.service, fields.number(present, "spec", "replicas")
        wanted = follower(workload, self.cluster)
        if wanted is None or number != workload.replicas:
            return None
        if self.clock() < self._refused.get(service, (0.0, ""))[0] + _AGAIN:
            return None
        try:
            await self._claim(present, number)
            answer = await self._follow(service, wanted, present)
        except (Refused, Conflict) as error:
            self._refused[service] = self.clock(), str(error)
            return None
        self._refused.pop(service, None)
        self._agreed[service] = number
        return answer

    async def _follow(self, service: str, wanted: Manifest, present: Manifest) -> Manifest:
        await self._end(service, present, but=kind_of(wanted))
        await self.api.apply(wanted)
        self.delivery.note(service, sent=wanted)
        return await self._marked(present, _mark(wanted))

    async def _take(self, service: str, present: Manifest) -> Manifest | None:
        name = fields.text(present, "metadata", "name")
        await self._end(service, present)
        self.forget(service)
        try:
            # Its last step may be younger than what we know.
            there = await self.api.get(owners.kind_at(present), name, self.cluster.namespace)
        except NotFound:
            return None
        await self._claim(there, fields.number(there, "spec", "replicas"))
        return await self._marked(there, "")

    async def _end(self, service: str, present: Manifest, but: Kind | None = None) -> None:
        """Delete the scaler that the mark tells of, if it is not of the kind `but`."""
        name = (names.scaled_by(present) or "").partition(" ")[0]
        kinds = {
            "HorizontalPodAutoscaler": autoscaler(self.cluster.hpa or "autoscaling/v2"),
            SCALED.name: SCALED,
        }
        kind = kinds.get(name)
        if kind is None or (but is not None and but.name == name):
            return
        await self.api.delete(kind, names.object_name(service), self.cluster.namespace)
        self.delivery.note(service, gone=kind)

    async def _claim(self, present: Manifest, number: int) -> None:
        kind, meta = owners.kind_at(present), fields.mapping(present, "metadata")
        body: Manifest = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {name: fields.text(meta, name) for name in ("name", "namespace", "uid")},
            "spec": {"replicas": number},
        }
        await self.api.apply(body, force=True, manager=names.COUNTER)

    async def _marked(self, present: Manifest, mark: str) -> Manifest:
        meta = fields.mapping(present, "metadata")
        uid, name = fields.text(meta, "uid"), fields.text(meta, "name")
        body: Manifest = {"metadata": {"uid": uid, "annotations": {names.SCALED_BY: mark}}}
        kind = owners.kind_at(present)
        return await self.api.patch(kind, name, self.cluster.namespace, body)


def _asks_cores(owner: Manifest) -> bool:
    """Do its pods ask for any CPU?"""
    engine = pods.container_of(owners.pods_of(owner))
    return bool(quantity(fields.text(engine, "resources", "requests", "cpu") or "0"))


def _mark(scaler: Manifest) -> str:
    return f"{kind_of(scaler).name} {names.applied(scaler)}"
