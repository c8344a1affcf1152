"""Copies of what the cluster has of ours: pods and what makes them, their events, the nodes they are on."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import structlog

from pierhead.core.errors import Refused, Unavailable
from pierhead.runtimes.kubernetes import causes, fields, names, probe
from pierhead.runtimes.kubernetes.api import (
    DEPLOYMENT,
    EVENT,
    GROUP,
    NODE,
    POD,
    STATEFUL_SET,
    Kind,
    KubeApi,
    Manifest,
    Selection,
)
from pierhead.runtimes.kubernetes.owners import kind_at
from pierhead.runtimes.kubernetes.reflector import Beat, Reflector, uid_of

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")

#: Called with a service's id and what one of its pods was and is.
PodChanged = Callable[[str, Manifest | None, Manifest | None], None]


class Copies:
    """What is known of the cluster, from memory; `hint` is called for each service that something changed of.

    `selected`: the namespace, and what in it is ours.
    """

    def __init__(
        self,
        api: KubeApi,
        selected: Selection,
        hint: Callable[[str], None],
        pod_changed: PodChanged,
        beat: Beat,
    ) -> None:
        self._hint, self._pod_changed = hint, pod_changed
        self._of: dict[str, dict[str, Manifest]] = {}  # service -> uid -> pod
        self._owners_of: dict[
            str, dict[str, Manifest]
        ] = {}  # service -> uid -> what makes its pods
        self._told: dict[str, dict[str, Manifest]] = {}  # uid of what it is about -> uid -> event
        self._service_of: dict[str, str] = {}  # uid of a pod -> service
        self._node: dict[str, Manifest] = {}

        def reflector(
            kind: Kind,
            selection: Selection,
            changed: Callable[[Manifest | None, Manifest | None], None],
        ) -> Reflector:
            return Reflector(api, (kind, selection), changed, beat)

        warnings = Selection(selected.namespace, fields="type=Warning")
        self.pods = reflector(POD, selected, self._pod)
        self.deployments = reflector(DEPLOYMENT, selected, partial(self._owner, DEPLOYMENT))
        self.groups = reflector(GROUP, selected, partial(self._owner, GROUP))
        self.nodes = reflector(NODE, Selection(), self._node_changed)
        self.events = reflector(EVENT, warnings, self._event)
        self._tasks: list[asyncio.Task[None]] = []
        self._grouped = False

    # ---- run ------------------------------------------------------------------------------

    def start(self, *, groups: bool = False) -> None:
        """Begin to watch; needs a running loop. `groups`: the cluster knows LeaderWorkerSets, by now."""
        watched = [] if self._tasks else [self.pods, self.deployments, self.nodes, self.events]
        if groups and not self._grouped:
            self._grouped = True
            watched.append(self.groups)
        for each in watched:
            task = asyncio.create_task(each.run(), name=f"reflect-{each.kind.plural}")
            task.add_done_callback(_told)
            self._tasks.append(task)

    async def listed(self, seconds: float) -> None:
        """Wait until what is there is known; sets, nodes and events only where we may see them.

        Raises:
            Unavailable: it is not known after so many seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.pods.listed.wait()
                await self.deployments.listed.wait()
                for each in (*[self.groups] * self._grouped, self.nodes, self.events):
                    await each.answered.wait()
        except TimeoutError:
            problem = self.pods.problem or self.deployments.problem or self.nodes.problem
            why = str(problem) if problem else f"no answer within {seconds:g} s"
            raise Unavailable("The Kubernetes cluster", why) from problem

    async def close(self) -> None:
        """Watch no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def age(self) -> float | None:
        """Seconds since everything was known for sure; None = it never was."""
        ages = [each.age() for each in self._needed()]
        known = [age for age in ages if age is not None]
        return max(known) if len(known) == len(ages) else None

    def problem(self) -> str:
        """Why what is known may be old; "" when it is not."""
        told = next((each.problem for each in self._needed() if each.problem), None)
        return "" if told is None else str(told)

    def _needed(self) -> list[Reflector]:
        """What is to be known; of sets nothing, where there are none or we may not see them."""
        sets = self._grouped and not isinstance(self.groups.problem, Refused)
        return [self.pods, self.deployments, *[self.groups] * sets]

    @property
    def groups_unseen(self) -> str:
        """Why the cluster's LeaderWorkerSets are not known; "" = they are."""
        known = self.groups.listed.is_set() and not isinstance(self.groups.problem, Refused)
        return "" if known else str(self.groups.problem or "they were not listed yet")

    # ---- look -----------------------------------------------------------------------------

    def services(self) -> Iterable[str]:
        """Of which there are pods, or what makes them."""
        return self._of.keys() | self._owners_of.keys()

    def of(self, service: str) -> Mapping[str, Manifest]:
        """uid -> pod of a service."""
        return self._of.get(service, {})

    def grouped(self, service: str) -> bool:
        """Does one of a service's pods belong to a set?"""
        return any(names.set_of(pod) for pod in self.of(service).values())

    def owners(self, service: str) -> list[Manifest]:
        """What makes a service's pods, the youngest first; more than one while it changes its kind."""
        found = list(self._owners_of.get(service, {}).values())
        found.sort(
            key=lambda each: fields.text(each, "metadata", "creationTimestamp"), reverse=True
        )
        return found

    def owner(self, service: str, name: str = "") -> Manifest | None:
        """What makes a service's pods, of that name; "" = the youngest."""
        for each in self.owners(service):
            if name in {"", fields.text(each, "metadata", "name")}:
                return each
        return None

    def note(self, owner: Manifest) -> None:
        """What we did to an owner ourselves is known before the server tells of it."""
        (self.groups if kind_at(owner) == GROUP else self.deployments).note(owner)

    def told(self, uid: str) -> tuple[Manifest, ...]:
        """Warnings about an object, by its uid or its `maker_key`."""
        return tuple(self._told.get(uid, {}).values())

    def node(self, name: str) -> Manifest | None:
        """A node."""
        return self._node.get(name)

    @property
    def nodes_known(self) -> bool:
        """Is a node that is not known not there?"""
        return self.nodes.listed.is_set()

    # ---- take up --------------------------------------------------------------------------

    def _pod(self, old: Manifest | None, new: Manifest | None) -> None:
        uid = uid_of(new or old or {})
        service = fields.text(new or old, "metadata", "labels", names.SERVICE_ID)
        before = self._service_of.get(uid, service)
        if new is None or before != service:
            self._leave(before, uid)
        if new is None:
            self._told.pop(uid, None)
        else:
            self._of.setdefault(service, {})[uid] = new
            self._service_of[uid] = service
        self._pod_changed(service, old, new)
        for each in {before, service}:
            self._hint(each)

    def _leave(self, service: str, uid: str) -> None:
        """It is gone, or somebody gave it another label: the usual way to take a pod aside."""
        self._service_of.pop(uid, None)
        group = self._of.get(service, {})
        group.pop(uid, None)
        if not group:
            self._of.pop(service, None)

    def _owner(self, kind: Kind, old: Manifest | None, new: Manifest | None) -> None:
        found = new or old or {}
        service = fields.text(found, "metadata", "labels", names.SERVICE_ID)
        there = self._owners_of.setdefault(service, {})
        there.pop(uid_of(found), None)
        if new is not None:
            # What is listed does not say of what kind it is.
            there[uid_of(found)] = {**new, "apiVersion": kind.api_version, "kind": kind.name}
        if not there:
            self._owners_of.pop(service, None)
        if _told_of(old) != _told_of(new):
            self._hint(service)

    def _event(self, old: Manifest | None, new: Manifest | None) -> None:
        found = new or old or {}
        about = fields.text(found, "involvedObject", "uid")
        service = self._service_of.get(about)
        if fields.text(found, "involvedObject", "kind") == STATEFUL_SET.name:
            # Of what a set's controller makes nothing else is known.
            name = fields.text(found, "involvedObject", "name")
            about, service = maker_key(name), names.service_of_set(name)
        if new is None:
            self._told.get(about, {}).pop(uid_of(found), None)
            if not self._told.get(about):
                self._told.pop(about, None)
            return
        self._told.setdefault(about, {})[uid_of(found)] = new
        if service:
            self._hint(service)

    def _node_changed(self, old: Manifest | None, new: Manifest | None) -> None:
        name = fields.text(new or old, "metadata", "name")
        if new is None:
            self._node.pop(name, None)
        else:
            self._node[name] = new
        well = [probe.ready(each)[0] if each else None for each in (old, new)]
        if well[0] == well[1] or well == [None, True]:
            return
        for service, group in self._of.items():
            if any(fields.text(pod, "spec", "nodeName") == name for pod in group.values()):
                self._hint(service)


def maker_key(name: str) -> str:
    """What warnings about a StatefulSet of that name are found by."""
    return f"{STATEFUL_SET.name}/{name}"


def _told_of(owner: Manifest | None) -> object:
    """What a look at a service asks of its pods' owner; how many it counts, the pods tell themselves."""
    if owner is None:
        return None
    return (
        fields.at(owner, "metadata", "generation"),
        fields.text(owner, "metadata", "deletionTimestamp"),
        names.applied(owner),
        names.scaled_by(owner),
        causes.refused(owner),
    )


def _told(task: asyncio.Task[None]) -> None:
    """A loop that ends by a bug of ours is no secret: what it knew grows old from then on."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("the cluster is watched no more", what=task.get_name(), exc_info=error)
