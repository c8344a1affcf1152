"""Brings objects to the server and away from it, with as few requests as that takes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

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
from pierhead.runtimes.kubernetes.keeping import mounts, staying
from pierhead.runtimes.kubernetes.owners import OWNERS, kind_at
from pierhead.runtimes.kubernetes.reflector import Pace, Time
from pierhead.runtimes.kubernetes.strangers import Strangers
from pierhead.runtimes.kubernetes.strays import maker

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")

_COST = "controller.kubernetes.io/pod-deletion-cost"
_SERVICE_OF = ("metadata", "labels", names.SERVICE_ID)
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
        belong = [kind for kind in self._kinds if kind not in OWNERS]
        self._there = Belongings(api, selected, (belong, unasked), time, pace)
        self._strangers = Strangers(api, cluster)
        #: What makes pods, as it was sent last; where its number is not ours, that is not in it.
        self._sent: dict[Key, Manifest] = {}
        self._doubted: dict[str, float] = {}  # service -> when all of it was to be sent again
        self._barred: dict[Key, float] = {}  # what we may not delete -> when that was said last
        self._ended: dict[str, set[str]] = {}  # service -> uids of its owners that we deleted

    def renew(self, cluster: Cluster) -> None:
        """Go on with a cluster that has other kinds by now; those that it had are still looked for."""
        self._cluster = cluster
        kinds, unasked = _kinds(cluster)
        self._kinds = [*kinds, *(kind for kind in self._kinds if kind not in kinds)]
        self._there.renew([kind for kind in self._kinds if kind not in OWNERS], unasked)

    async def learn(self) -> None:
        """Ask what the server has of all services; meant for before anything is sent.

        Raises:
            Unavailable: it does not answer, or does not let us see all of it.
        """
        await self._there.learn(anew=True)
        await self._strangers.look()

    def concealed(self, service: str) -> tuple[str, ...]:
        """What its pods know and nobody shall read in what they write."""
        return self._there.concealed(service)

    async def send(
        self, service: str, wanted: Sequence[Manifest], present: Manifest | None
    ) -> Manifest | None:
        """Send what differs; the pods' owner as it is then, None where it was not sent.

        `present` = that owner as it is known. What its pods need is sent before it, what belongs to it
        after it. Another owner, which the service had before, stays: see `retire`.

        Raises:
            Unavailable: the server does not answer.
            Refused: the server will not have it so, or another owns one of its fields.
        """
        there = await self._there.of(service)
        owner = next((each for each in wanted if kind_of(each) in OWNERS), None)
        await self._demand_ours(there, wanted, present)
        stays = staying(there, wanted, owner)
        wanted = [each for each in wanted if key_of(each) not in stays]
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
            body = with_owner(each, owner, of) if owner and of else each
            found = await self._apply(body, returned=returned and each is owner)
            there[key_of(each)] = mark(each, of)
            self._there.sent(service, each)
            if each is owner:
                answer, self._sent[key_of(each)] = found, each
        await self._drop(there, stays | {key_of(each) for each in wanted})
        return answer

    async def _drop(self, there: dict[Key, str], wanted: Collection[Key]) -> None:
        """Delete what is not wanted any more, but for owners of pods and what we may not delete by now."""
        kept = [key for key in there if key in wanted or key[0] in OWNERS or self._is_barred(key)]
        for key in there.keys() - kept:
            try:
                await self._delete(key)
            except Forbidden as error:  # what is wanted is there; the rest is tried again
                self._barred[key] = self._time.now()
                log.warning("what a service does not need any more stays", error=str(error))
            else:
                del there[key]

    async def _demand_ours(
        self, there: Mapping[Key, str], wanted: Sequence[Manifest], present: Manifest | None
    ) -> None:
        """Before anything is written down or sent: nothing of it may be another platform's."""
        self._strangers.demand_ours(present)
        shared = [each for each in wanted if kind_of(each) == VOLUME and key_of(each) not in there]
        owners = [each for each in wanted if kind_of(each) in OWNERS and present is None]
        await self._strangers.demand_free((*owners, *shared))

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
        """Is something of it not there, or not for sure? `present` = its pods' owner.

        Raises:
            Unavailable: the server does not answer.
        """
        await self._compare()
        there = await self._there.of(service)
        if present is not None:  # an earlier hub may have ended before it sent what belongs to it
            for kind in self._expected(present):
                there.setdefault((kind, names.object_name(service)), "")
        lost = any(not marked and key[0] not in OWNERS for key, marked in there.items())
        return lost or bool(self._left(there, present))

    async def in_set(self, service: str) -> bool:
        """Does something of it belong to a set, be that seen or not?"""
        await self._compare()
        return self._there.in_set(service)

    async def _compare(self) -> None:
        if await self._there.compare():
            await self._strangers.look_again()

    def _left(self, there: Mapping[Key, str], present: Manifest | None) -> set[Key]:
        """What the settings asked for once, and no pod of its owner needs."""
        gone: set[Kind] = set() if self._cluster.network_policy else {POLICY}
        if self._cluster.weights != "csi" and not mounts(present):
            gone |= {CLAIM, VOLUME}
        return {key for key in there if key[0] in gone and not self._is_barred(key)}

    def _is_barred(self, key: Key) -> bool:
        """Were we not let to delete it, a short while ago?"""
        again = self._time.now() - self._pace.whole_list
        return self._barred.get(key, again) > again

    def _expected(self, present: Manifest) -> list[Kind]:
        """What belongs to every owner of this kind."""
        several = fields.number(present, "spec", "replicas") > 1
        counted = names.scaled_by(present)  # then its scaler's least number decides
        kept = bool(self._cluster.pdb) and several and not counted
        return [SERVICE] + [budget(self._cluster.pdb)] * kept

    async def mend(self, service: str, wanted: Sequence[Manifest], present: Manifest) -> None:
        """Send what it lacks beside its pods' owner, take away what the settings do not ask for, no more.

        Raises:
            Unavailable: the server does not answer.
            Refused: the server will not have it so.
        """
        there = await self._there.of(service)
        uid = fields.text(present, "metadata", "uid")
        for each in wanted:
            key = key_of(each)
            if key[0] in OWNERS or there.get(key) != "":
                continue
            of = uid if depends(key[0]) else ""
            await self._apply(with_owner(each, present, of) if of else each, returned=False)
            there[key] = mark(each, of)
            self._there.sent(service, each)
        await self._drop(there, there.keys() - self._left(there, present))

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

    async def scale(self, owner: Manifest, replicas: int) -> Manifest:
        """Change the number of replicas, and nothing else.

        Raises:
            Unavailable: the server does not answer.
        """
        sent = self._sent.get(_known_as(owner)[0])
        known = sent is not None and names.applied(sent) == names.applied(owner)
        if sent is not None and known and "replicas" in sent["spec"]:
            # Set alone, the number would be another manager's: the next apply would be refused once.
            spec = {**sent["spec"], "replicas": replicas}
            with suppress(OwnedElsewhere):  # it is a number that is asked for, and nothing else
                return await self._owner_sent(names.stamped({**sent, "spec": spec}))
        name = fields.text(owner, "metadata", "name")
        body: Manifest = {"spec": {"replicas": replicas}}
        return await self._api.patch(kind_at(owner), name, self._cluster.namespace, body)

    async def _owner_sent(self, owner: Manifest) -> Manifest:
        found = await self._api.apply(owner)
        self._sent[key_of(owner)] = owner
        return found

    async def retire(self, service: str, owner: Manifest) -> None:
        """Delete an owner in whose place another one has its replicas; its pods end with their grace.

        Raises:
            Unavailable: the server does not answer, or does not let us.
        """
        key, _ = _known_as(owner)
        await self._delete(key)
        self._there.known(service).pop(key, None)

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
        if self._cluster.lws and await self._end_set(pod):
            return
        kept_by = maker(pod)
        if kept_by is not None:
            await self._api.delete(*kept_by, self._cluster.namespace)
        else:
            await self.end(pod, grace)

    async def _end_set(self, pod: Manifest) -> bool:
        """Delete the set that keeps a pod: it makes anew whatever else is taken away; False = there is none.

        One that lost our label is not known, and ours all the same where its pod is.
        """
        name = names.set_of(pod)
        if not name or names.service_of_set(name) != fields.text(pod, *_SERVICE_OF):
            return False
        try:
            found = await self._api.get(GROUP, name, self._cluster.namespace)
        except NotFound:
            return False
        self._strangers.demand_ours({"kind": GROUP.name, **found})
        uid = fields.text(found, "metadata", "uid")
        return await self._api.delete(GROUP, name, self._cluster.namespace, uid=uid)

    async def clear(self, service: str, owners: Sequence[Manifest]) -> bool:
        """Delete all objects of a service but its pods; True once the server has none of them.

        `owners`: what makes its pods, as it is known.

        Raises:
            Unavailable: the server does not answer, or does not let us.
        """
        there = await self._there.of(service)
        ended = self._ended.setdefault(service, set())
        uids = dict(map(_known_as, owners))
        there |= {key: there.get(key, "") for key, uid in uids.items() if uid not in ended}
        for key in sorted(there, key=lambda key: self._kinds.index(key[0])):
            if any(goes_with(there[key], uid) for uid in ended):
                del there[key]
            elif not await self._delete(key):
                del there[key]
                if key in uids:
                    ended.add(uids[key])
        if there:
            return False
        if not owners:
            self._doubted.pop(service, None)
            self._there.forget(service)
            self._ended.pop(service, None)
        return True

    async def _delete(self, key: Key) -> bool:
        """False = it is gone."""
        kind, name = key
        for known in (self._sent, self._barred):
            known.pop(key, None)
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


def _known_as(owner: Manifest) -> tuple[Key, str]:
    """An owner's key and uid."""
    meta = fields.mapping(owner, "metadata")
    return (kind_at(owner), fields.text(meta, "name")), fields.text(meta, "uid")


def _turn(manifest: Manifest) -> int:
    """What pods need, what makes them, what belongs to that."""
    kind = kind_of(manifest)
    return 2 if depends(kind) else int(kind in OWNERS)


def _kinds(cluster: Cluster) -> tuple[list[Kind], frozenset[Kind]]:
    """What a service may have, what makes its pods first; and of that, what is not asked for any more.

    A hub with other settings may have left it.
    """
    scalers = [SCALED] * cluster.keda + [autoscaler(cluster.hpa)] * bool(cluster.hpa)
    found = [DEPLOYMENT, *[GROUP] * cluster.lws, SERVICE, SECRET, *scalers]
    found += [budget(cluster.pdb)] * bool(cluster.pdb)
    volumes = [CLAIM, VOLUME] if cluster.weights != "csi" else []
    unasked = {*scalers, *volumes, *([] if cluster.network_policy else [POLICY])}
    return [*found, POLICY, CLAIM, VOLUME], frozenset(unasked)
