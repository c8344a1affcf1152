"""Brings objects to the server and away from it, with as few requests as that takes."""

from collections.abc import Iterable, Mapping, Sequence

import structlog

from pierhead.core.errors import NotFound, Refused, Stale, Unavailable
from pierhead.core.replicas import ReplicaStatus
from pierhead.runtimes.kubernetes import fields, names
from pierhead.runtimes.kubernetes.api import (
    CLAIM,
    DEPLOYMENT,
    GROUP,
    POD,
    POLICY,
    REPLICA_SET,
    SCALED,
    SECRET,
    SERVICE,
    VOLUME,
    Denied,
    Kind,
    KubeApi,
    Manifest,
    OwnedElsewhere,
    Selection,
    autoscaler,
    budget,
    kind_of,
)
from pierhead.runtimes.kubernetes.belongings import (
    Belongings,
    Key,
    depends,
    goes_with,
    key_of,
    mark,
    with_owner,
)
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.reflector import Pace, Time
from pierhead.runtimes.kubernetes.strays import replica_set

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")

_COST = "controller.kubernetes.io/pod-deletion-cost"
_COST_SINCE = (1, 22)


class Forbidden(Unavailable):
    """The server does not let us delete what is ours."""


class Delivery:
    """What the server has of each service's objects is known: an unchanged one is not sent again."""

    def __init__(self, api: KubeApi, cluster: Cluster, time: Time, pace: Pace) -> None:
        self._api, self._cluster = api, cluster
        self._time, self._pace = time, pace
        self._kinds, unasked = _kinds(cluster)
        selected = Selection(cluster.namespace, names.ours(cluster.platform))
        self._there = Belongings(api, selected, (self._kinds[1:], unasked), time, pace)
        self._doubted: dict[str, float] = {}  # service -> when all of it was to be sent again
        self._ended: dict[str, str] = {}  # service -> uid of its Deployment that we deleted

    async def learn(self) -> None:
        """Ask what the server has of all services; meant for before anything is sent.

        Raises:
            Unavailable: it does not answer, or does not let us see all of it.
        """
        await self._there.learn(anew=True)

    def concealed(self, service: str) -> tuple[str, ...]:
        """What its pods know and nobody shall read in what they write."""
        return self._there.concealed(service)

    async def send(
        self, service: str, wanted: Sequence[Manifest], present: Manifest | None
    ) -> Manifest | None:
        """Send what differs; the Deployment as it is then, None where it was not sent.

        `present` = the Deployment as it is known. What its pods need is sent before it, what belongs to
        it after it.

        Raises:
            Unavailable: the server does not answer.
            Refused: the server will not have it so, or another owns one of its fields.
        """
        there = await self._there.of(service)
        owner = next((each for each in wanted if kind_of(each) == DEPLOYMENT), None)
        fits = owner is not None and present is not None and same(owner, present)
        returned = names.scaled_by(present) == ""
        answer: Manifest | None = None
        uid = fields.text(present, "metadata", "uid") if owner else ""
        for each in wanted:
            # What is not there as it should be comes also if this ends before its turn: see `lacks`.
            of = uid if depends(kind_of(each)) else ""
            if each is not owner and there.get(key_of(each)) != mark(each, of):
                there[key_of(each)] = ""
        for each in sorted(wanted, key=_turn):
            of = fields.text(answer or present, "metadata", "uid") if owner else ""
            of = of if depends(kind_of(each)) else ""
            if fits if each is owner else there.get(key_of(each)) == mark(each, of):
                continue
            there[key_of(each)] = ""  # from now on it may be there, whatever we hear
            body = with_owner(each, fields.text(owner, "metadata", "name"), of) if of else each
            found = await self._apply(body, returned=returned and each is owner)
            there[key_of(each)] = mark(each, of)
            self._there.sent(service, each)
            answer = found if each is owner else answer
        for key in there.keys() - {key_of(each) for each in wanted}:
            try:
                await self._delete(key)
            except Forbidden as error:  # what is wanted is there; the rest is tried again
                log.warning("what a service does not need any more stays", error=str(error))
            else:
                del there[key]
        return answer

    def doubt(self, service: str, replicas: Iterable[ReplicaStatus]) -> None:
        """Have all of it sent again where pods say that something is missing which they are made with."""
        now = self._time.now()
        if now - self._doubted.get(service, -self._pace.doubt) < self._pace.doubt:
            return
        if any(each.reason == "ContainerConfigWrong" for each in replicas):
            self._doubted[service] = now
            there = self._there.known(service)
            there.update(dict.fromkeys(there, ""))

    async def lacks(self, service: str, present: Manifest | None) -> bool:
        """Is something of it not there, or not for sure? `present` = its Deployment.

        Raises:
            Unavailable: the server does not answer.
        """
        await self._there.compare()
        there = await self._there.of(service)
        if present is not None:  # an earlier hub may have ended before it sent what belongs to it
            for kind in self._expected(present):
                there.setdefault((kind, names.object_name(service)), "")
        return any(not marked and key[0] != DEPLOYMENT for key, marked in there.items())

    def _expected(self, present: Manifest) -> list[Kind]:
        """What belongs to every Deployment of this kind."""
        several = fields.number(present, "spec", "replicas") > 1
        counted = names.scaled_by(present)  # then its scaler's least number decides
        kept = bool(self._cluster.pdb) and several and not counted
        return [SERVICE] + [budget(self._cluster.pdb)] * kept

    async def mend(self, service: str, wanted: Sequence[Manifest], present: Manifest) -> None:
        """Send what it lacks beside its Deployment, and nothing else.

        Raises:
            Unavailable: the server does not answer.
            Refused: the server will not have it so.
        """
        there = await self._there.of(service)
        name, uid = (fields.text(present, "metadata", each) for each in ("name", "uid"))
        for each in wanted:
            key = key_of(each)
            if key[0] == DEPLOYMENT or there.get(key) != "":
                continue
            of = uid if depends(key[0]) else ""
            await self._apply(with_owner(each, name, of) if of else each, returned=False)
            there[key] = mark(each, of)
            self._there.sent(service, each)

    def note(self, service: str, sent: Manifest | None = None, gone: Kind | None = None) -> None:
        """Something else sent an object of a service, or took one away."""
        there = self._there.known(service)
        if sent is not None:
            there[key_of(sent)] = mark(sent, "")
        if gone is not None:
            there.pop((gone, names.object_name(service)), None)

    async def _apply(self, manifest: Manifest, *, returned: bool) -> Manifest:
        """`returned`: the cluster owned the count once, and what it still owns of it is ours again."""
        try:
            return await self._api.apply(manifest)
        except OwnedElsewhere as owned:
            # A number that we set alone (`scale`) counts as another manager of our name.
            ours = set(owned.managers) <= {names.MANAGER, names.COUNTER}
            if not ours and not (returned and set(owned.fields) == {".spec.replicas"}):
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

    async def end_stray(self, pod: Manifest, grace: int) -> None:
        """Let a pod end that nothing else ends; with what would make it anew, if that is left.

        Raises:
            Unavailable: the server does not answer.
            Refused: it does not let us.
        """
        maker = replica_set(pod)
        if maker:
            await self._api.delete(REPLICA_SET, maker, self._cluster.namespace)
        else:
            await self.end(pod, grace)

    async def clear(self, service: str, deployment: Manifest | None) -> bool:
        """Delete all objects of a service but its pods; True once the server has none of them.

        Raises:
            Unavailable: the server does not answer, or does not let us.
        """
        there = await self._there.of(service)
        uid = fields.text(deployment, "metadata", "uid")
        if deployment is not None and self._ended.get(service) != uid:
            name = fields.text(deployment, "metadata", "name")
            there.setdefault((DEPLOYMENT, name), mark(deployment, ""))
        ended = ""
        for key in sorted(there, key=lambda key: self._kinds.index(key[0])):
            if goes_with(there[key], ended):
                del there[key]
            elif not await self._delete(key):
                del there[key]
                if key[0] == DEPLOYMENT and deployment is not None:
                    ended = self._ended[service] = uid
        if there:
            return False
        if deployment is None:
            self._doubted.pop(service, None)
            self._there.forget(service)
            self._ended.pop(service, None)
        return True

    async def _delete(self, key: Key) -> bool:
        """False = it is gone."""
        kind, name = key
        try:
            return await self._api.delete(kind, name, self._place(kind))
        except Denied as error:
            raise Forbidden(f"The deletion of the cluster's {kind.plural}", str(error)) from error

    def _place(self, kind: Kind) -> str:
        return self._cluster.namespace if kind.namespaced else ""


def same(wanted: Manifest, present: Manifest) -> bool:
    """Is it there as it was rendered, its number of replicas included?"""
    replicas = fields.at(wanted, "spec", "replicas")
    number = replicas is None or replicas == fields.at(present, "spec", "replicas")
    return number and names.applied(wanted) == names.applied(present)


def _turn(manifest: Manifest) -> int:
    """What pods need, what makes them, what belongs to that."""
    kind = kind_of(manifest)
    return 2 if depends(kind) else int(kind in {DEPLOYMENT, GROUP})


def _kinds(cluster: Cluster) -> tuple[list[Kind], frozenset[Kind]]:
    """What a service may have, what makes its pods first; and of that, what is not asked for any more.

    A hub with other settings may have left it.
    """
    scalers = [GROUP] * cluster.lws + [SCALED] * cluster.keda
    scalers += [autoscaler(cluster.hpa)] * bool(cluster.hpa)
    found = [DEPLOYMENT, SERVICE, SECRET, *scalers]
    found += [budget(cluster.pdb)] * bool(cluster.pdb)
    volumes = [CLAIM, VOLUME] if cluster.weights != "csi" else []
    unasked = {*scalers, *volumes, *([] if cluster.network_policy else [POLICY])}
    return [*found, POLICY, CLAIM, VOLUME], frozenset(unasked)
