"""Copies of what the cluster has of ours: Deployments, pods, their events, and the nodes they are on."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from pierhead.core.errors import Unavailable
from pierhead.runtimes.kubernetes import causes, fields, names, probe
from pierhead.runtimes.kubernetes.api import (
    DEPLOYMENT,
    EVENT,
    NODE,
    POD,
    Kind,
    KubeApi,
    Manifest,
    Selection,
)
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
        self._deployment_of: dict[str, Manifest] = {}
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
        self.deployments = reflector(DEPLOYMENT, selected, self._deployment)
        self.nodes = reflector(NODE, Selection(), self._node_changed)
        self.events = reflector(EVENT, warnings, self._event)
        self._tasks: list[asyncio.Task[None]] = []

    # ---- run ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch; needs a running loop."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(each.run(), name=f"reflect-{each.kind.plural}")
                for each in (self.pods, self.deployments, self.nodes, self.events)
            ]
            for task in self._tasks:
                task.add_done_callback(_told)

    async def listed(self, seconds: float) -> None:
        """Wait until what is there is known; nodes and events only where we may see them.

        Raises:
            Unavailable: it is not known after so many seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                await self.pods.listed.wait()
                await self.deployments.listed.wait()
                for each in (self.nodes, self.events):
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
        ages = [each.age() for each in (self.pods, self.deployments)]
        known = [age for age in ages if age is not None]
        return max(known) if len(known) == len(ages) else None

    def problem(self) -> str:
        """Why what is known may be old; "" when it is not."""
        told = self.pods.problem or self.deployments.problem
        return "" if told is None else str(told)

    # ---- look -----------------------------------------------------------------------------

    def services(self) -> Iterable[str]:
        """Of which there are pods or a Deployment."""
        return self._of.keys() | self._deployment_of.keys()

    def of(self, service: str) -> Mapping[str, Manifest]:
        """uid -> pod of a service."""
        return self._of.get(service, {})

    def deployment(self, service: str) -> Manifest | None:
        """What makes a service's pods."""
        return self._deployment_of.get(service)

    def told(self, uid: str) -> tuple[Manifest, ...]:
        """Warnings about an object."""
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

    def _deployment(self, old: Manifest | None, new: Manifest | None) -> None:
        found = new or old or {}
        service = fields.text(found, "metadata", "labels", names.SERVICE_ID)
        if new is not None:
            self._deployment_of[service] = new
        elif uid_of(self._deployment_of.get(service, found)) == uid_of(found):
            self._deployment_of.pop(service, None)
        if _told_of(old) != _told_of(new):
            self._hint(service)

    def _event(self, old: Manifest | None, new: Manifest | None) -> None:
        found = new or old or {}
        about = fields.text(found, "involvedObject", "uid")
        if new is None:
            self._told.get(about, {}).pop(uid_of(found), None)
            if not self._told.get(about):
                self._told.pop(about, None)
            return
        self._told.setdefault(about, {})[uid_of(found)] = new
        service = self._service_of.get(about)
        if service is not None:
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


def _told_of(deployment: Manifest | None) -> object:
    """What a look at a service asks of its Deployment; how many pods it counts, the pods tell themselves."""
    if deployment is None:
        return None
    return (
        fields.at(deployment, "metadata", "generation"),
        fields.text(deployment, "metadata", "deletionTimestamp"),
        names.applied(deployment),
        names.scaled_by(deployment),
        causes.refused(deployment),
    )


def _told(task: asyncio.Task[None]) -> None:
    """A loop that ends by a bug of ours is no secret: what it knew grows old from then on."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("the cluster is watched no more", what=task.get_name(), exc_info=error)
