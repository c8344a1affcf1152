"""Brings objects to the server and away from it, with as few requests as that takes."""

from collections.abc import Mapping, Sequence

from pierhead.core.errors import NotFound, Refused, Stale
from pierhead.runtimes.kubernetes import fields, names
from pierhead.runtimes.kubernetes.api import (
    CLAIM,
    DEPLOYMENT,
    GROUP,
    POD,
    POLICY,
    SCALED,
    SECRET,
    SERVICE,
    VOLUME,
    Kind,
    KubeApi,
    Manifest,
    OwnedElsewhere,
    Selection,
    autoscaler,
    budget,
    kind_of,
)
from pierhead.runtimes.kubernetes.cluster import Cluster

_COST = "controller.kubernetes.io/pod-deletion-cost"
_COST_SINCE = (1, 22)


class Delivery:
    """What of each service's objects was sent is remembered: an unchanged one is not sent again."""

    def __init__(self, api: KubeApi, cluster: Cluster) -> None:
        self._api, self._cluster = api, cluster
        self._sent: dict[str, dict[tuple[Kind, str], str]] = {}
        self._bare: set[str] = set()  #: services of which nothing is there, asked of the server

    async def send(
        self, service: str, wanted: Sequence[Manifest], present: Manifest | None
    ) -> Manifest | None:
        """Send what differs; the Deployment as it is then, None where it was not sent.

        `present` = the Deployment as it is known. Whatever else the service has is sent before it.

        Raises:
            Unavailable: the server does not answer.
            Refused: the server will not have it so, or another owns one of its fields.
        """
        self._bare.discard(service)
        sent = self._sent.get(service)
        owner = next((each for each in wanted if kind_of(each) == DEPLOYMENT), None)
        fits = owner is not None and present is not None and same(owner, present)
        if sent is None:
            # After a restart: what makes the pods is sent last, so all before it is there if it fits.
            sent = self._sent[service] = (
                {_key(each): names.applied(each) for each in wanted} if fits else {}
            )
        answer: Manifest | None = None
        for each in wanted:
            if (each is owner and not fits) or sent.get(_key(each)) != names.applied(each):
                found = await self._apply(each)
                sent[_key(each)] = names.applied(each)
                answer = found if each is owner else answer
        for key in sent.keys() - {_key(each) for each in wanted}:
            await self._api.delete(key[0], key[1], self._place(key[0]))
            del sent[key]
        return answer

    def forget_sent(self, service: str) -> None:
        """Send all of it again with the next `send`: something of it is missing."""
        self._sent[service] = {}

    async def _apply(self, manifest: Manifest) -> Manifest:
        try:
            return await self._api.apply(manifest)
        except OwnedElsewhere as owned:
            # A number that we set alone (`scale`) counts as another manager of our name.
            if set(owned.managers) != {names.MANAGER}:
                raise
            return await self._api.apply(manifest, force=True)

    async def scale(self, deployment: Manifest, replicas: int) -> Manifest:
        """Change the number of replicas, and nothing else.

        Raises:
            Unavailable: the server does not answer.
        """
        name = fields.text(deployment, "metadata", "name")
        body: Manifest = {"spec": {"replicas": replicas}}
        return await self._api.patch(DEPLOYMENT, name, self._cluster.namespace, body)

    async def rank(self, pods: Mapping[str, Manifest], leaving: Sequence[str]) -> None:
        """Tell the cluster which pods are to leave when there are too many; servers before 1.22 cannot be told.

        Raises:
            Unavailable: the server does not answer.
        """
        if self._cluster.version < _COST_SINCE:
            return
        for place, uid in enumerate(leaving):
            pod = pods.get(uid)
            cost = str(place - 1000)
            if pod is None or fields.text(pod, "metadata", "annotations", _COST) == cost:
                continue
            body: Manifest = {"metadata": {"uid": uid, "annotations": {_COST: cost}}}
            name = fields.text(pod, "metadata", "name")
            try:
                await self._api.patch(POD, name, self._cluster.namespace, body)
            except (NotFound, Stale, Refused):
                continue  # it is gone, or may not be ranked: another one leaves

    async def end(self, pod: Manifest, grace: int) -> None:
        """Let a pod end within so many seconds from now; harmless when it is gone.

        Raises:
            Unavailable: the server does not answer.
        """
        meta = fields.mapping(pod, "metadata")
        name, uid = fields.text(meta, "name"), fields.text(meta, "uid")
        try:
            await self._api.delete(POD, name, self._cluster.namespace, grace=grace, uid=uid)
        except Stale:
            return  # another one has its name by now

    async def clear(self, service: str, deployment: Manifest | None) -> bool:
        """Delete all objects of a service but its pods; True once the server has none of them.

        Raises:
            Unavailable: the server does not answer.
        """
        if service in self._bare and deployment is None:
            return True
        self._sent.pop(service, None)
        left = 0
        for kind in self._kinds():
            selection = Selection(self._place(kind), names.selector(service))
            try:
                found = (await self._api.list(kind, selection)).items
            except (NotFound, Refused):
                continue  # the server has no such kind, or we may not have such objects
            for each in found:
                name = fields.text(each, "metadata", "name")
                gone = not await self._api.delete(kind, name, self._place(kind))
                left += not gone
        pods = await self._api.list(
            POD, Selection(self._cluster.namespace, names.selector(service))
        )
        if not left and not pods.items:
            self._bare.add(service)
        return service in self._bare

    def _kinds(self) -> list[Kind]:
        """What a service may have, what makes its pods first."""
        cluster = self._cluster
        found = [DEPLOYMENT, SERVICE, SECRET]
        found += [GROUP] * cluster.lws + [SCALED] * cluster.keda
        found += [autoscaler(cluster.hpa)] * bool(cluster.hpa)
        found += [budget(cluster.pdb)] * bool(cluster.pdb)
        found += [POLICY] * cluster.network_policy
        return found + [CLAIM, VOLUME] * (cluster.weights == "csi")

    def _place(self, kind: Kind) -> str:
        return self._cluster.namespace if kind.namespaced else ""


def same(wanted: Manifest, present: Manifest) -> bool:
    """Is it there as it was rendered, its number of replicas included?"""
    replicas = fields.at(wanted, "spec", "replicas")
    number = replicas is None or replicas == fields.at(present, "spec", "replicas")
    return number and names.applied(wanted) == names.applied(present)


def _key(manifest: Manifest) -> tuple[Kind, str]:
    return kind_of(manifest), fields.text(manifest, "metadata", "name")
