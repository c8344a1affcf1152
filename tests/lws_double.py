"""A LeaderWorkerSet controller for the API server in this process: what it does to pods, as far as a driver sees it.

It is not LWS: its StatefulSets are not there as objects, only the pods that they would make, with the names,
labels, annotations and variables that LWS gives them. Groups roll as LWS and the StatefulSet of its leaders
roll them: LWS sets a partition and a count by the states of the groups, the StatefulSet follows with one pod at
a time from the last one on. A group is made anew as a whole when one of its pods ends by itself or is deleted.
"""

import asyncio
import copy
import hashlib
from dataclasses import dataclass, replace

from aiohttp import web

from kube_double import Behaviour, Key, KubeDouble, Object, stamp

SETS = "leaderworkersets"
KIND = ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet")
_MARK = "leaderworkerset.sigs.k8s.io/"
_REVISION = f"{_MARK}template-revision-hash"
_TICK = 0.01


@dataclass(slots=True)
class _Rolled:
    """The StatefulSet of a set's leaders, as far as it is not pods."""

    wanted: int  #: groups that the set had asked for at the last look
    count: int  #: groups that there are to be now
    template: Object  #: of the newest revision that was seen
    before: Object  #: what groups below the partition are made from
    partition: int = 0


@dataclass(frozen=True, slots=True)
class _State:
    ready: bool = False
    updated: bool = False


class GroupsDouble(KubeDouble):
    """A `KubeDouble` that knows LeaderWorkerSets, and acts on them."""

    def __init__(self, namespace: str = "pierhead", version: tuple[str, str] = ("1", "29")) -> None:
        super().__init__(namespace, version)
        self.kinds[KIND[0]] = (KIND[1],)
        self.members: dict[str, Behaviour] = {}  #: how members of a rollout behave
        self.idle = False  #: the kind is there, and nobody acts on it
        self.fewest_ready: int | None = None  #: groups that took requests at once, since it was set
        self._rolled: dict[str, _Rolled] = {}
        self._worker_of: dict[str, Object] = {}  # uid of a leader -> template of its members

    @property
    def asked(self) -> list[tuple[str, str]]:
        """`requests`, but for the lists of what is watched."""
        return [each for each in super().asked if each[0] != "GET" or SETS not in each[1]]

    def evict_all(self, node: str) -> None:
        """As the cluster does once a node is silent for too long: its pods are to end, and nobody ends them."""
        for pod in self.all("pods"):
            if pod["spec"].get("nodeName") == node:
                self._end_pod(_key(pod), pod, None)

    def end(self, uid: str) -> None:
        """Let somebody delete a pod."""
        pod = self._pod(uid)
        self._end_pod(_key(pod), pod, None)

    def fetches_again(self, uid: str, line: str) -> None:
        """Let what fetches files for a pod have ended once, with these words; it runs again."""
        changed = copy.deepcopy(self._pod(uid))
        now = stamp()
        ended = {"exitCode": 4, "startedAt": now, "finishedAt": now, "message": line}
        changed["status"]["initContainerStatuses"] = [
            {
                "name": "fetch",
                "restartCount": 1,
                "ready": False,
                "state": {"running": {"startedAt": now}},
                "lastState": {"terminated": ended},
            }
        ]
        self.put(_key(changed), changed)

    def leaders(self) -> list[Object]:
        """Pods that lead a group."""
        return [pod for pod in self.all("pods") if _label(pod, "worker-index") == "0"]

    def followers(self, leader: Object) -> list[Object]:
        """The members of a leader's own group."""
        uid = leader["metadata"]["uid"]
        return [pod for pod in self.all("pods") if pod["metadata"]["owner"] == uid]

    # ---- the server -------------------------------------------------------------------------

    def _apply(self, key: Key, body: Object, manager: str, *, force: bool) -> web.Response:
        answer = super()._apply(key, body, manager, force=force)
        found = self.objects.get(key)
        if key[0] == SETS and found is not None and "replicas" not in found["spec"]:
            changed = copy.deepcopy(found)
            changed["spec"]["replicas"] = 1
            self.put(key, changed)
        return answer

    # ---- its controllers ----------------------------------------------------------------------

    async def _control(self) -> None:
        await asyncio.gather(super()._control(), self._act())

    async def _act(self) -> None:
        while True:
            if not self.faults.no_controllers and not self.idle:
                for found in self.all(SETS):
                    self._restart(found)
                    self._roll_groups(found)
                    self._fill(found)
                    self._tell_status(found)
            await asyncio.sleep(_TICK)

    def _of(self, found: Object) -> dict[int, Object]:
        """Index -> leader."""
        uid = found["metadata"]["uid"]
        return {
            int(_label(pod, "group-index")): pod
            for pod in self.leaders()
            if pod["metadata"]["owner"] == uid
        }

    def _restart(self, found: Object) -> None:
        """A pod that ended by itself, or a member that is taken away, takes the whole group with it."""
        for leader in self._of(found).values():
            if _leaves(leader):
                continue
            group = self.followers(leader)
            fell = [pod for pod in (leader, *group) if _restarts(pod)]
            if fell or any(map(_leaves, group)):
                for pod in (*group, leader):
                    self._end_pod(_key(pod), pod, None)

    def _roll_groups(self, found: Object) -> None:
        spec = found["spec"]
        made, wanted = spec["leaderWorkerTemplate"], spec["replicas"]
        fresh = _Rolled(wanted, wanted, copy.deepcopy(made), copy.deepcopy(made))
        rolled = self._rolled.setdefault(found["metadata"]["uid"], fresh)
        leaders = self._of(found)
        if self.fewest_ready is not None:
            well = [pod for pod in leaders.values() if not _leaves(pod) and self._serves(pod)]
            self.fewest_ready = min(self.fewest_ready, len(well))
        states = [self._state(leaders.get(at), _revision(made)) for at in range(rolled.count)]
        bounds = spec["rolloutStrategy"]["rollingUpdateConfiguration"]
        again = _revision(made) != _revision(rolled.template)
        if again:
            rolled.template, rolled.before = copy.deepcopy(made), rolled.template
        step = (bounds["maxSurge"], bounds["maxUnavailable"])
        rolled.partition, rolled.count = _rolling(rolled, wanted, states, step, again=again)
        rolled.wanted = wanted
        self._follow(found, rolled, leaders)

    def _state(self, leader: Object | None, revision: str) -> _State:
        if leader is None:
            return _State()
        return _State(self._serves(leader), _of_revision(leader) == revision)

    def _follow(self, found: Object, rolled: _Rolled, leaders: dict[int, Object]) -> None:
        """What a StatefulSet's controller does: all that lack at once, updates from the last one on."""
        for at in range(rolled.count):
            if at not in leaders:
                template = rolled.before if at < rolled.partition else rolled.template
                self._lead(found, at, template)
        for at in sorted(each for each in leaders if each >= rolled.count):
            self._end_pod(_key(leaders[at]), leaders[at], None)
        for at in range(rolled.count - 1, rolled.partition - 1, -1):
            leader = leaders.get(at)
            if leader is None or _leaves(leader):
                return
            if _of_revision(leader) != _revision(rolled.template):
                self._end_pod(_key(leader), leader, None)
                return
            if not _ready(leader):
                return

    def _serves(self, leader: Object) -> bool:
        size = int(leader["metadata"]["annotations"][f"{_MARK}size"])
        group = [pod for pod in self.followers(leader) if not _leaves(pod)]
        return _ready(leader) and len(group) == size - 1 and all(map(_ready, group))

    def _fill(self, found: Object) -> None:
        """The members of leaders that are there."""
        for leader in self._of(found).values():
            if _leaves(leader):
                continue
            size = int(leader["metadata"]["annotations"][f"{_MARK}size"])
            name = leader["metadata"]["name"]
            for rank in range(1, size):
                key = ("pods", self.namespace, f"{name}-{rank}")
                if key not in self.objects:
                    self._make(key, found, leader, rank)

    def _lead(self, found: Object, at: int, template: Object) -> None:
        name = f"{found['metadata']['name']}-{at}"
        made = self._pod_of(found, template["leaderTemplate"], name, at, 0, template)
        made["metadata"]["owner"] = found["metadata"]["uid"]
        self._place(made, set())
        self._worker_of[self.put(_key(made), made)["metadata"]["uid"]] = template["workerTemplate"]

    def _make(self, key: Key, found: Object, leader: Object, rank: int) -> None:
        at = int(_label(leader, "group-index"))
        template = self._worker_of[leader["metadata"]["uid"]]
        made = self._pod_of(found, template, key[2], at, rank, None)
        made["metadata"]["labels"][_REVISION] = leader["metadata"]["labels"][_REVISION]
        made["metadata"]["annotations"][f"{_MARK}size"] = leader["metadata"]["annotations"][
            f"{_MARK}size"
        ]
        made["metadata"]["annotations"][f"{_MARK}leader-name"] = leader["metadata"]["name"]
        made["metadata"]["owner"] = leader["metadata"]["uid"]
        group = (leader, *self.followers(leader))
        self._place(made, {pod["spec"].get("nodeName", "") for pod in group})
        self.put(key, made)

    def _pod_of(
        self, found: Object, template: Object, name: str, at: int, rank: int, whole: Object | None
    ) -> Object:
        own, spec = template["metadata"], copy.deepcopy(template["spec"])
        set_name = found["metadata"]["name"]
        leader = f"{set_name}-{at}"
        variables = {
            "LWS_LEADER_ADDRESS": f"{leader}.{set_name}.{self.namespace}",
            "LWS_GROUP_SIZE": str(found["spec"]["leaderWorkerTemplate"]["size"]),
            "LWS_WORKER_INDEX": str(rank),
        }
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            made = [{"name": key, "value": value} for key, value in variables.items()]
            container["env"] = [*made, *container.get("env", ())]
        labels = {
            f"{_MARK}name": set_name,
            f"{_MARK}group-index": str(at),
            f"{_MARK}worker-index": str(rank),
            f"{_MARK}group-key": hashlib.sha256(leader.encode()).hexdigest()[:40],
        }
        size = {f"{_MARK}size": str(whole["size"])} if whole else {}
        revision = {_REVISION: _revision(whole)} if whole else {}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {**own.get("labels", {}), **labels, **revision},
                "annotations": {**own.get("annotations", {}), **size},
            },
            "spec": spec,
            "status": {"phase": "Pending"},
        }

    def _place(self, pod: Object, taken: set[str]) -> None:
        """On a node that has none of its group: the anti-affinity of its template says so."""
        nodes = [node["metadata"]["name"] for node in self.all("nodes") if _ready(node)]
        free = [name for name in nodes if name not in taken]
        if free:
            pod["spec"]["nodeName"] = free[0]
            return
        said = f"0/{len(nodes)} nodes are available: {len(nodes)} node(s) didn't match pod anti-affinity"
        unfit = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        pod["status"]["conditions"] = [{**unfit, "message": said}]

    def _tell_status(self, found: Object) -> None:
        meta, leaders = found["metadata"], self._of(found)
        told = copy.deepcopy(found)
        told["status"] = {
            "replicas": len(leaders),
            "readyReplicas": sum(map(self._serves, leaders.values())),
            "observedGeneration": meta.get("generation", 1),
            "hpaPodSelector": f"{_MARK}worker-index=0,{_MARK}name={meta['name']}",
            "conditions": [{"type": "Available", "status": "True"}],
        }
        current = self.objects.get((SETS, meta["namespace"], meta["name"]))
        if current is found:  # nobody changed it meanwhile
            self.put((SETS, meta["namespace"], meta["name"]), told)
        service = ("services", meta["namespace"], meta["name"])
        if service not in self.objects:
            mine = {"kind": KIND[1], "name": meta["name"], "uid": meta["uid"]}
            head = {"name": meta["name"], "namespace": meta["namespace"], "ownerReferences": [mine]}
            self.put(service, {"kind": "Service", "metadata": head, "spec": {"clusterIP": "None"}})

    # ---- pods ---------------------------------------------------------------------------------

    def _collect(self, pod: Object) -> None:
        owners = {each["metadata"]["uid"] for each in (*self.all(SETS), *self.all("pods"))}
        if pod["metadata"]["owner"] not in owners:
            super()._collect(pod)

    def _behaviour(self, pod: Object) -> Behaviour:
        found = super()._behaviour(pod)
        if _label(pod, "worker-index") == "":
            return found
        if _label(pod, "worker-index") != "0":
            rollout = pod["metadata"]["labels"].get("pierhead.dev/rollout", "")
            return self.members.get(rollout, Behaviour())
        size = int(pod["metadata"]["annotations"][f"{_MARK}size"])
        group = self.followers(pod)
        # Its engine is ready once its members' devices are there; that one is lost it may not notice.
        joined = _ready(pod) or (len(group) == size - 1 and all(map(_ready, group)))
        return found if joined else replace(found, never_ready=True)

    def _kubelet(self, pod: Object) -> None:
        node = self.objects.get(("nodes", "", pod["spec"].get("nodeName", "")))
        if _label(pod, "worker-index") and node is None:
            if _leaves(pod):
                self.drop(_key(pod))
            return  # no node takes it
        ends = _leaves(pod) and _label(pod, "worker-index") not in {"", "0"}
        if ends and node is not None and _ready(node):
            self.drop(_key(pod))  # nothing keeps it: it has no hook and no requests
            return
        super()._kubelet(pod)


def _label(pod: Object, name: str) -> str:
    return pod["metadata"].get("labels", {}).get(f"{_MARK}{name}", "")


def _leaves(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _restarts(pod: Object) -> bool:
    every = ("initContainerStatuses", "containerStatuses")
    return any(each["restartCount"] for kind in every for each in pod["status"].get(kind, ()))


def _rolling(
    rolled: _Rolled, wanted: int, states: list[_State], step: tuple[int, int], *, again: bool
) -> tuple[int, int]:
    """(partition, count), as LWS finds them; `again` = the set's template was changed just now."""
    surge = min(step[0], wanted)
    unready = sum(
        at >= len(states) or not (states[at].ready and states[at].updated) for at in range(wanted)
    )

    def count(lacking: int) -> int:
        """With fewer that lack than may be above, those above go, but for one less than lack."""
        return wanted + (max(0, lacking - 1) if lacking <= surge else surge)

    if again:
        return min(wanted, rolled.count), count(wanted)
    if rolled.partition == 0 and rolled.count == wanted:
        return 0, wanted
    if rolled.wanted != wanted:
        return min(rolled.partition, wanted + surge), count(unready)
    room = step[1] + surge - (wanted + surge - rolled.count)
    return min(_partition(states, room), rolled.partition), count(unready)


def _partition(states: list[_State], room: int) -> int:
    """From which index on groups may be of the new revision."""
    last = 0
    for each in reversed(states):
        if not (each.ready and each.updated):
            break
        last += 1
    lowest = max(0, len(states) - last - room)
    found = lowest + sum(not each.ready for each in states[:lowest])
    for at in range(min(found, len(states) - 1), lowest - 1, -1):
        if states[at].ready and not states[at].updated:
            break
        found = at
    return found


def _ready(found: Object) -> bool:
    every = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in every)


def _revision(template: Object) -> str:
    return hashlib.sha256(repr(sorted(template.items())).encode()).hexdigest()[:10]


def _of_revision(pod: Object) -> str:
    return pod["metadata"]["labels"][_REVISION]


def _key(pod: Object) -> Key:
    return "pods", pod["metadata"]["namespace"], pod["metadata"]["name"]
