"""The Kubernetes runtime: an owner of pods by service; the cluster acts, and we tell what it did.

apply     workload -> step (stepping) -> objects (render) -> server (delivery)
observe   pods, nodes, events (copies) and earlier runs (runs) -> replicas (pods), from memory
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path
from random import Random
from weakref import WeakValueDictionary

from pierhead.core.errors import NotFound, Occupied, PierheadError, Refused, Stale, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus, RuntimeInfo
from pierhead.core.scalers import AutoScaler
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import Attempt, LogLine, LogQuery
from pierhead.runtimes.hints import Hints
from pierhead.runtimes.kubernetes import (
    causes,
    fields,
    groups,
    launching,
    names,
    owners,
    places,
    pods,
    probe,
    stepping,
    strays,
)
from pierhead.runtimes.kubernetes.api import GROUP, NODE, KubeApi, Manifest, Selection
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.copies import Copies
from pierhead.runtimes.kubernetes.delivery import Delivery
from pierhead.runtimes.kubernetes.discovery import Discovery
from pierhead.runtimes.kubernetes.handover import HandOver, is_given
from pierhead.runtimes.kubernetes.logbook import Logbook
from pierhead.runtimes.kubernetes.quantities import quantity
from pierhead.runtimes.kubernetes.reflector import Beat, LoopTime, Pace
from pierhead.runtimes.kubernetes.render import Extras, manifests
from pierhead.runtimes.kubernetes.sights import Sights

#: Seconds that `adopt` waits for the cluster.
_PATIENCE = 60.0
_SOON = 1  #: seconds that a pod gets to end which nobody waits for
DEFAULT_PACE = Pace()
_LIMITS = (
    "Each replica's memory and CPU are bounded by its container's cgroup, as the cluster does it."
)
_MOUNTS = "Files are mounted into each replica's container, read-only."


class KubernetesRuntime:
    """Implements runtimes.base.Runtime; `launch` is the engines' answer, given by bootstrap.

    `key_of` gives the key between gateway and engines, by service id. `folder` keeps what ended runs wrote.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with, named by bootstrap alone
        self,
        api: KubeApi,
        cluster: Cluster,
        launch: launching.Ask,
        clock: Clock,
        rng: Random,
        key_of: Callable[[str], str],
        folder: Path,
        *,
        pace: Pace = DEFAULT_PACE,
        patience: float = _PATIENCE,
        ask: Callable[[], Awaitable[Cluster]] | None = None,
    ) -> None:
        """`ask`: gives `cluster` as its server says that it is; None = that is known already."""
        self._api, self._cluster, self._launch = api, cluster, launch
        self._clock, self._key_of, self._patience = clock, key_of, patience
        self._ask, self._unseen, self._loaded = ask, "", False
        beat = Beat(LoopTime(), rng, pace)
        selected = Selection(cluster.namespace, names.ours(cluster.platform))
        self._copies = Copies(api, selected, self._hint, self._pod_changed, beat)
        self._beat = beat
        self._delivery = Delivery(api, cluster, beat.time, pace)
        self._handover = HandOver(api, cluster, self._delivery, clock)
        self._discovery = Discovery(api, beat.time, pace)
        self._logbook = Logbook(api, cluster.namespace, folder, self._hint, clock, self._concealed)
        self._sights = Sights(
            self._copies, self._logbook, clock, lambda node: places.tolerated(node, self._cluster)
        )
        self._strays = strays.Strays()
        self._listeners: set[Hints] = set()
        #: Rights, a sentence each; None = not asked yet.
        self._lacking: tuple[str, ...] | None = None
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    # ---- what it has ------------------------------------------------------------------------

    async def probe(self) -> RuntimeInfo:
        """The nodes that take pods, with what they offer them; from memory, but for our rights.

        Raises:
            Unavailable: the server does not answer the first question for our rights.
        """
        if self._ask is not None:
            told = self._unseen or "nobody has asked it yet"
            unseen = (f"The cluster has not been seen since this hub started: {told}",)
            one_node = "the cluster has not been seen yet"
            return RuntimeInfo(
                "kubernetes", (), _LIMITS, unseen, _MOUNTS, binds=True, one_node=one_node
            )
        await self._renew()
        if self._lacking is None:
            lacking = await probe.lacking(self._api, self._cluster)
            self._lacking = tuple(right.sentence for right in lacking if right.needed)
        taken = self._taken()
        nodes = tuple(
            probe.node_of(each, self._cluster, taken.get(fields.text(each, "metadata", "name"), 0))
            for each in await self._nodes()
            if probe.ready(each)[0] and not fields.at(each, "spec", "unschedulable")
        )
        warnings = self._lacking
        if not nodes:
            warnings += ("No node of the cluster takes pods, or its nodes cannot be seen.",)
        return RuntimeInfo(
            "kubernetes", nodes, _LIMITS, warnings, _MOUNTS, binds=True, one_node=self._one_node()
        )

    def _one_node(self) -> str:
        """Why a replica can be on one node only, in a clause; "" = it can span several."""
        if not self._cluster.lws:
            return owners.NO_SETS
        unseen = self._copies.groups_unseen
        return f"the cluster's LeaderWorkerSets are not seen: {unseen}" if unseen else ""

    async def _nodes(self) -> tuple[Manifest, ...]:
        """All nodes; asked for where nothing is watched yet, as a hub wants them before it adopts."""
        if self._copies.nodes_known:
            return tuple(self._copies.nodes.objects.values())
        # Where we may not see them, what that disables is told with the other rights.
        with suppress(Refused):
            return (await self._api.list(NODE, Selection())).items
        return ()

    def _taken(self) -> dict[str, int]:
        """Node -> bytes of memory that our pods on it asked for."""
        taken: dict[str, int] = {}
        for service in self._copies.services():
            for pod in self._copies.of(service).values():
                node = fields.text(pod, "spec", "nodeName")
                for each in fields.many(pod, "spec", "containers"):
                    asked = fields.text(each, "resources", "requests", "memory")
                    taken[node] = taken.get(node, 0) + int(quantity(asked))
        return taken

    def facts_age(self) -> float | None:
        """Seconds since all that `observe` says was known for sure; None = it never was."""
        return self._copies.age()

    def facts_problem(self) -> str:
        """Why the facts may be old; "" when they are not."""
        return self._unseen or self._copies.problem()

    async def adopt(self) -> None:
        """Learn what is there: whatever carries our labels is ours.

        Raises:
            Unavailable: the cluster does not tell; without its facts nothing may be decided. Call again.
            Refused: it does not tell us what it is.
        """
        if self._ask is not None:
            try:
                self._learn(await self._ask())
            except PierheadError as error:
                self._unseen = str(error)
                raise
            self._ask, self._unseen = None, ""
        if not self._loaded:  # once: what it knows of pods that are there is newer than its files
            await self._logbook.load()
            self._loaded = True
        self._copies.start(groups=self._cluster.lws)
        await self._copies.listed(self._patience)
        await self._delivery.learn()

    def _concealed(self, service: str) -> tuple[str, ...]:
        return self._delivery.concealed(service)

    def _learn(self, cluster: Cluster) -> None:
        """Go on with what the cluster is; nothing was rendered before."""
        self._cluster = cluster
        self._delivery = Delivery(self._api, cluster, self._beat.time, self._beat.pace)
        self._handover = HandOver(self._api, cluster, self._delivery, self._clock)

    @property
    def cluster(self) -> Cluster:
        """What it is, as far as that is known by now."""
        return self._cluster

    async def _renew(self) -> None:
        """Go on with what the cluster knows by now: somebody may have installed KEDA."""
        found = await self._discovery.renewed(self._cluster)
        if found is not self._cluster:
            self._cluster = self._handover.cluster = found
            self._delivery.renew(found)
            self._copies.start(groups=found.lws)

    # ---- apply, remove ----------------------------------------------------------------------

    async def apply(self, workload: Workload) -> None:
        """Send what differs from what is there, and let go of pods that nobody needs any more.

        Raises:
            Unavailable: the server does not answer; call again.
            Occupied: a quota of the cluster has no room for its pods.
            Refused: the server will not have it so.
        """
        async with self._turn(workload.service):
            try:
                await self._apply(workload)
                await self._let_go(workload)
            except Stale as error:
                why = f"something was changed meanwhile: {error}"
                raise Unavailable("The Kubernetes cluster", why) from error
            self._raise_refusal(workload)

    async def _apply(self, workload: Workload) -> None:
        service = workload.service
        await self._renew()
        await self._demand_sets(service, made=workload.template.nodes > 1 and not workload.leaving)
        if workload.leaving:
            await self._delivery.clear(service, self._copies.owners(service))
            return
        workload = await self._counted(workload)
        name = owners.name_of(workload)
        present = self._copies.owner(service, name)
        live = [each for each in self.observe(service) if each.state not in LEAVING]
        of_it = sum(each.rollout == workload.rollout for each in live)
        self._delivery.doubt(service, live)
        lacks = await self._delivery.lacks(service, self._standing(service, name))
        step = stepping.step(workload, stepping.deployed(present), of_it)
        await self._make_way(workload, live, stands_by=step is None)
        match step:
            case stepping.Render(bounded):
                await self._rank(service, live, bounded.replicas, present)
                answer = await self._delivery.send(
                    service, self._rendered(bounded, present), present
                )
                self._note(answer)
            case stepping.Scale(number) if present is not None:
                await self._rank(service, live, number, present)
                self._note(await self._delivery.scale(present, number))
            case _:
                if lacks and present is not None and stepping.runs(workload, present):
                    rendered = self._rendered(workload, present)
                    await self._delivery.mend(service, rendered, present)
        standing = self._standing(service, name)
        if standing is not None and not is_given(standing):
            self._note(await self._handover.offer(workload, standing))

    async def _demand_sets(self, service: str, *, made: bool = False) -> None:
        """Raise where one has a set, or one is `made`, and none is seen: it would be taken for none."""
        unseen = self._copies.groups_unseen if self._cluster.lws else ""
        made = made or self._copies.grouped(service)
        if unseen and (made or await self._delivery.in_set(service)):
            raise Unavailable(f"A list of the cluster's {GROUP.plural}", unseen)

    async def _make_way(
        self, workload: Workload, live: list[ReplicaStatus], *, stands_by: bool
    ) -> None:
        """Let go of owners that the service had before, as its new one has its replicas.

        `stands_by`: nothing is to be done about the new one; while it is not there, these are all there is.
        """
        service, name = workload.service, owners.name_of(workload)
        here = self._standing(service, name)
        for each in self._copies.owners(service):
            gone = fields.at(each, "metadata", "deletionTimestamp")
            if fields.text(each, "metadata", "name") == name or gone:
                continue
            if here is not None and stepping.replaced(workload, live):
                await self._delivery.retire(service, each)
            elif here is None and stands_by:
                number = stepping.older(workload, each)
                if number != fields.number(each, "spec", "replicas"):
                    self._note(await self._delivery.scale(each, number))

    async def _counted(self, workload: Workload) -> Workload:
        """With the number that is there, where the cluster counts."""
        service, name = workload.service, owners.name_of(workload)
        present = self._standing(service, name)
        if present is None or not is_given(present):
            return workload
        self._note(await self._handover.settle(workload, present))
        present = self._standing(service, name)
        if not is_given(present):
            return workload
        return replace(workload, replicas=fields.number(present, "spec", "replicas"))

    def _standing(self, service: str, name: str = "") -> Manifest | None:
        """The owner of that name ("" = the youngest), unless it is being deleted."""
        present = self._copies.owner(service, name)
        return None if fields.at(present, "metadata", "deletionTimestamp") else present

    def followed(self, service: str, wanted: int) -> int | None:
        """How many replicas the cluster's own scaler wants where `wanted` were; None = the count is ours."""
        return self._handover.count(service, wanted, self._standing(service))

    def stays(self, service: str, scaler: AutoScaler, *, bounded: bool) -> str:
        """Why the cluster does not follow the load of a service, where it should; "" = it does."""
        standing = self._standing(service)
        return self._handover.stays(service, scaler, standing, bounded=bounded)

    def _rendered(self, workload: Workload, present: Manifest | None) -> tuple[Manifest, ...]:
        launch = launching.launched(self._launch, workload, self._cluster)
        key = self._key_of(workload.service) if launch.keyed else ""
        # What is made anew has a number from the start; then it is handed over.
        scaler = workload.scaler if is_given(present) else None
        *others, owner = manifests(workload, launch, self._cluster, Extras(key, scaler))
        return (*others, owners.settled(owner, present))

    def _note(self, owner: Manifest | None) -> None:
        """What we did ourselves is known before the server tells of it."""
        if owner is not None:
            self._copies.note(owner)

    async def _rank(
        self, service: str, live: list[ReplicaStatus], wanted: int, present: Manifest | None
    ) -> None:
        now = stepping.deployed(present)
        if owners.kind_at(present) == GROUP:
            return  # of sets the last ones leave, whatever is said of their pods
        if now is not None and 0 < wanted < now.replicas:
            leaving = stepping.surplus(live, wanted)
            await self._delivery.rank(self._copies.of(service), leaving)

    async def _let_go(self, workload: Workload) -> None:
        """Cut short the grace of pods that serve nobody any more; clear away those that ended as a whole."""
        group = dict(self._copies.of(workload.service))
        shown = {each.id for each in self.observe(workload.service)}
        statuses, now = self._sights.statuses(workload.service), self._clock()
        for pod in strays.surplus(group.values()):
            await self._delivery.end(pod, 0)
        for uid, pod in group.items():
            over = fields.text(pod, "status", "phase") in {"Failed", "Succeeded"}
            hidden = uid not in shown and not groups.is_member(pod)
            if (over and hidden) or strays.blocks(self._sights.of(pod), now):
                await self._delivery.end(pod, 0)
            elif strays.waits_in_vain(uid, group, statuses, workload.drained):
                await self._delivery.end(pod, _SOON)

    def _raise_refusal(self, workload: Workload) -> None:
        """Say why the cluster makes no pods, if it does not.

        Raises:
            Occupied: a quota of the cluster has no room.
            Refused: something in the cluster does not admit them.
        """
        present = self._copies.owner(workload.service, owners.name_of(workload))
        if present is None or workload.replicas == 0:
            return
        cause = self._sights.refusal(workload.service, present)
        if cause is None:
            return
        if cause.reason == "PodQuotaExceeded":
            raise Occupied("PodQuotaExceeded", cause.message, placement=True, facts=cause.facts)
        raise Refused(cause.message)

    async def remove(self, service: str, grace: float) -> bool:
        """Delete every object of a service; True once the server has none of them, and no pod.

        Raises:
            Unavailable: the server does not answer; call again.
        """
        async with self._turn(service):
            try:
                return await self._remove(service, grace)
            except Stale as error:
                why = f"something was changed meanwhile: {error}"
                raise Unavailable("The Kubernetes cluster", why) from error

    async def _remove(self, service: str, grace: float) -> bool:
        await self._demand_sets(service)
        makers = self._copies.owners(service)
        bare = await self._delivery.clear(service, makers)
        group = dict(self._copies.of(service))
        statuses = self._sights.statuses(service)
        now = self._clock()
        for uid, pod in group.items():
            await self._end(pod, statuses[uid], grace, now)
        for pod in self._strays.of(service, group, now, owned=bool(makers)):
            await self._delivery.end_stray(pod, max(_SOON, ceil(grace)))
        if not bare or group or makers:
            return False
        self._handover.forget(service)
        self._sights.forget(service)
        await self._logbook.forget(service)
        return True

    async def _end(
        self, pod: Manifest, status: ReplicaStatus | None, grace: float, now: float
    ) -> None:
        """Let a pod of a service that is removed end; one on a node that is lost is forced, after a while."""
        sight = self._sights.of(pod)
        by = pods.ends_at(sight)
        if by is None:
            return  # what made it is deleted, and the cluster deletes it with that; if not: `strays`
        if strays.blocks(sight, now):
            await self._delivery.end(pod, 0)
        elif status is None:
            if pods.lost_since(sight) is None or now > by + causes.STUCK:
                await self._delivery.end(pod, 0)
        elif status.state is not ReplicaState.DRAINING and not pods.let_go(pod):
            await self._delivery.end(pod, _SOON)
        elif by - now > max(_SOON, ceil(grace)):
            await self._delivery.end(pod, max(_SOON, ceil(grace)))

    def _turn(self, service: str) -> asyncio.Lock:
        """One caller at a time per service; a lock lives as long as somebody holds or awaits it."""
        return self._turns.setdefault(service, asyncio.Lock())

    # ---- look -------------------------------------------------------------------------------

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        """From memory: while the server is away, what it said last."""
        chosen = list(self._copies.services()) if service is None else [service]
        return [status for each in chosen for status in self._sights.replicas(each)]

    def _pod_changed(self, service: str, old: Manifest | None, new: Manifest | None) -> None:
        self._sights.changed(service, old, new)

    async def logs(
        self, service: str, *, replica: str = "", previous: bool = False, limit: int = 100_000
    ) -> list[LogLine]:
        """Lines of one replica or of all, in the order of time.

        Raises:
            NotFound: there is no such replica.
            Unavailable: the server does not answer.
        """
        chosen = self._chosen(service, replica)
        return await self._logbook.lines(chosen, previous=previous, limit=limit)

    async def log_page(self, service: str, query: LogQuery) -> tuple[list[LogLine], int]:
        """Some lines, and the number of all, as far as the cluster keeps them and we count.

        Raises:
            NotFound: there is no such replica.
            Unavailable: the server does not answer.
        """
        chosen = self._chosen(service, query.replica)
        return await self._logbook.page(chosen, query)

    def _chosen(self, service: str, replica: str) -> list[Manifest]:
        group = self._copies.of(service)
        if replica and replica not in group:
            raise NotFound("replica", replica)
        if replica:
            return [group[replica]]
        return [pod for pod in group.values() if not groups.is_member(pod)]

    async def attempts(self, service: str, *, replica: str = "", lines: int = 0) -> list[Attempt]:
        """Runs of its replicas, and of some that were replaced, oldest first.

        Raises:
            Unavailable: the server does not answer.
        """
        group = list(self._copies.of(service).values())
        return await self._logbook.attempts(service, group, replica=replica, lines=lines)

    async def forget_others(self, known: Collection[str]) -> None:
        """Remove what is kept of runs of services that neither `known` names nor the cluster has."""
        if self.facts_age() is not None:
            await self._logbook.forget_others({*known, *self._copies.services()})

    def changes(self) -> AsyncIterator[str]:
        """Hints from now on, until `close`."""
        listener = Hints()
        self._listeners.add(listener)
        return listener

    def _hint(self, service: str) -> None:
        for listener in self._listeners:
            listener.add(service)

    async def close(self) -> None:
        """Stop watching; replicas run on."""
        await self._copies.close()
        await self._logbook.close()
        for listener in self._listeners:
            listener.close()
        with suppress(PierheadError):
            await self._api.close()
