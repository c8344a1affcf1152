"""A Kubernetes API server in this process: real HTTP on loopback, controllers as a small simulation.

It has what a driver meets: resource versions, watches with bookmarks, server-side apply with owners of
fields, graceful deletion, Deployments that roll, pods that crash, nodes that go away. Nothing runs in its
pods. `faults` break it in the ways in which a real server breaks.
"""

import asyncio
import copy
import ipaddress
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ports import free_port

Object = dict[str, Any]
Key = tuple[str, str, str]  #: (plural, namespace, name)
_TICK = 0.01
_HASH = "pod-template-hash"
_COST = "controller.kubernetes.io/pod-deletion-cost"

#: Paths of the lists that reflectors watch.
_WATCHED = re.compile(r"/(pods|deployments|nodes|events)$")


def stamp(at: float | None = None) -> str:
    """A time as the API has it: whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if at is None else at))


@dataclass(slots=True)
class Faults:
    """What is wrong with the server."""

    status: int = 0  #: every request is answered so
    refuse: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    hang: bool = False  #: nothing is answered
    mute_watches: bool = False  #: watches stay open and tell nothing
    expire_watches: int = 0  #: so many watches end with 410 at the next event
    double_events: bool = False
    no_controllers: bool = False  #: nothing is done about what is wanted
    changes_left: int | None = None  #: after so many changes each one is answered with 503


@dataclass(slots=True)
class Behaviour:
    """How pods of a rollout behave."""

    crash: int | None = None  #: exit code
    oom: bool = False
    lines: tuple[str, ...] = ()
    never_ready: bool = False
    ready_after: float = 0.0
    stuck: dict[str, Any] | None = None  #: state `waiting` that it never leaves
    unschedulable: str = ""


@dataclass(slots=True)
class _Life:
    """What the kubelet knows of a pod."""

    begun: float = 0.0  #: this run's start
    ended: float = 0.0
    restarts: int = 0
    unready: bool = False
    last: Object | None = None
    crash_now: Object | None = None


class KubeDouble:
    """`async with KubeDouble() as server: server.kubeconfig`"""

    def __init__(self, namespace: str = "pierhead", version: tuple[str, str] = ("1", "29")) -> None:
        self.namespace, self.version = namespace, version
        self.faults = Faults()
        self.behaviours: dict[str, Behaviour] = {}  #: by rollout
        self.objects: dict[Key, Object] = {}
        self.requests: list[tuple[str, str]] = []  #: (method, path), of all but watches
        self.denied: set[tuple[str, str]] = set()  #: (verb, resource) that a review denies
        self.kinds: dict[str, tuple[str, ...]] = {
            "apps/v1": ("Deployment",),
            "policy/v1": ("PodDisruptionBudget",),
            "autoscaling/v2": ("HorizontalPodAutoscaler",),
            "networking.k8s.io/v1": ("NetworkPolicy",),
            "storage.k8s.io/v1": ("CSIDriver",),
        }
        self.away: set[str] = set()  #: versions whose server, which is another one, does not answer
        self.port = 0
        self._rv = 1000
        self._events: list[tuple[int, str, Key, Object]] = []
        self._forgotten = 0  #: versions up to this one are not kept
        self._news = asyncio.Event()
        self._owners: dict[str, dict[tuple[str, str], set[tuple[str, ...]]]] = {}
        self._lives: dict[str, _Life] = {}
        self._address = 1
        self._runner: web.AppRunner | None = None
        self._controllers: asyncio.Task[None] | None = None
        for name in ("n1", "n2"):
            self.add_node(name)

    # ---- life -----------------------------------------------------------------------------

    @property
    def asked(self) -> list[tuple[str, str]]:
        """`requests`, but for the lists of what is watched: these come whenever a watch has ended."""
        return [each for each in self.requests if each[0] != "GET" or not _WATCHED.search(each[1])]

    async def __aenter__(self) -> "KubeDouble":
        await self.revive()
        self._controllers = asyncio.create_task(self._control())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._controllers is not None
        self._controllers.cancel()
        await asyncio.gather(self._controllers, return_exceptions=True)
        await self.kill()

    async def revive(self) -> None:
        """Answer (again), at the same port; what is stored is still there."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        # No port of the kernel's choice: while this one is away it could be another connection's.
        site = web.TCPSite(self._runner, "127.0.0.1", self.port or free_port(), reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def kill(self) -> None:
        """As kill -9 does: connections break, nobody answers."""
        if self._runner is not None:
            server = self._runner.server
            for handler in list(server.connections) if server else []:
                if handler.transport is not None:
                    handler.transport.abort()
            await self._runner.cleanup()
            self._runner = None

    # ---- what a test does to it -----------------------------------------------------------

    def add_node(self, name: str, **capacity: str) -> None:
        """A node that is ready."""
        size = {"cpu": "8", "memory": "16Gi", "pods": "110", **capacity}
        self.put(
            ("nodes", "", name),
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
                "status": {
                    "capacity": size,
                    "allocatable": size,
                    "nodeInfo": {"architecture": "amd64"},
                    "conditions": [_condition("Ready", holds=True, at=time.time() - 60)],
                },
            },
        )

    def node_answers(self, name: str, *, well: bool, since: float | None = None) -> None:
        """Let a node become (not) ready; with it, its pods."""
        node = copy.deepcopy(self.objects["nodes", "", name])
        at = time.time() if since is None else since
        node["status"]["conditions"] = [_condition("Ready", holds=well, at=at)]
        self.put(("nodes", "", name), node)

    def crash(self, uid: str, code: int, *lines: str, oom: bool = False) -> None:
        """Let the container of a pod end now."""
        life = self._lives[uid]
        life.crash_now = _terminated(life.begun, code, lines, oom=oom)

    def unready(self, uid: str, *, yes: bool = True) -> None:
        """Let its readiness probe fail, or succeed again."""
        self._lives[uid].unready = yes

    def evict(self, uid: str, why: str) -> None:
        """Let its node put it out."""
        pod = self._pod(uid)
        changed = copy.deepcopy(pod)
        changed["status"].update(phase="Failed", reason="Evicted", message=why)
        changed["status"].pop("containerStatuses", None)
        self.put(_key_of("pods", changed), changed)

    def warn(self, uid: str, reason: str, message: str) -> None:
        """An event about a pod."""
        name = f"event-{uuid.uuid4().hex[:8]}"
        self.put(
            ("events", self.namespace, name),
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": self.namespace},
                "type": "Warning",
                "reason": reason,
                "message": message,
                "involvedObject": {"kind": "Pod", "uid": uid},
                "lastTimestamp": stamp(),
            },
        )

    def refuse_pods(self, deployment: str, message: str) -> None:
        """Let a quota or an admission plugin refuse a Deployment's pods."""
        key = ("deployments", self.namespace, deployment)
        changed = copy.deepcopy(self.objects[key])
        changed["status"] = {
            "conditions": [
                {**_condition("ReplicaFailure", holds=True, at=time.time()), "message": message}
            ]
        }
        self.put(key, changed)

    def forget_history(self) -> None:
        """Let every version that watches could go on from be too old."""
        self._forgotten = self._rv
        self._events.clear()

    def all(self, plural: str) -> list[Object]:
        """The objects of a kind."""
        return [found for key, found in self.objects.items() if key[0] == plural]

    def put(self, key: Key, found: Object) -> Object:
        """Store an object; what did not change keeps its version."""
        before = self.objects.get(key)
        meta = found["metadata"]
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", stamp())
        if before is not None and _bare(before) == _bare(found):
            return before
        self._rv += 1
        meta["resourceVersion"] = str(self._rv)
        self.objects[key] = found
        self._tell("MODIFIED" if before is not None else "ADDED", key, found)
        return found

    def drop(self, key: Key) -> None:
        """Remove an object."""
        found = self.objects.pop(key, None)
        if found is None:
            return
        self._rv += 1
        gone = copy.deepcopy(found)
        gone["metadata"]["resourceVersion"] = str(self._rv)
        self._owners.pop(found["metadata"]["uid"], None)
        self._tell("DELETED", key, gone)

    def _tell(self, kind: str, key: Key, found: Object) -> None:
        self._events.append((self._rv, kind, key, copy.deepcopy(found)))
        del self._events[:-5000]
        self._news.set()
        self._news = asyncio.Event()

    def _pod(self, uid: str) -> Object:
        return next(each for each in self.all("pods") if each["metadata"]["uid"] == uid)

    # ---- HTTP -----------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") == "1"
        plural, namespace, name, part = _place(request.path)
        if not watch:
            self.requests.append((request.method, request.path))
        if self.faults.hang:
            await asyncio.Event().wait()
        status = self.faults.status or self.faults.refuse.get((request.method, plural), 0)
        if status:
            return _refusal(status, f"{request.method} {plural}: refused as the test wants it")
        if request.method != "GET" and self.faults.changes_left is not None:
            self.faults.changes_left -= 1
            if self.faults.changes_left < 0:
                return _refusal(503, "it went away as the test wants it")
        if watch:
            return await self._watch(request, plural, namespace)
        if plural in {"", "selfsubjectaccessreviews"}:
            return await self._about_itself(request)
        return await self._about_objects(request, (plural, namespace, name), part)

    async def _about_itself(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            return self._review(await request.json())
        return self._discovery(request.path)

    async def _about_objects(self, request: web.Request, key: Key, part: str) -> web.Response:
        if request.method == "PATCH":
            return await self._patch(request, key)
        if request.method == "DELETE":
            return await self._delete(request, key)
        if part == "log":
            return self._log(key, request)
        if not key[2]:
            return self._list(request, key[0], key[1])
        found = self.objects.get(key)
        return _missing(key) if found is None else web.json_response(found)

    def _discovery(self, path: str) -> web.Response:
        if path == "/version":
            major, minor = self.version
            told = {"major": major, "minor": f"{minor}+", "gitVersion": f"v{major}.{minor}.2"}
            return web.json_response(told)
        if path == "/apis":
            groups: dict[str, list[Object]] = {}
            for version in self.kinds:
                groups.setdefault(version.partition("/")[0], []).append({"groupVersion": version})
            return web.json_response(
                {"groups": [{"name": name, "versions": each} for name, each in groups.items()]}
            )
        if path.removeprefix("/apis/") in self.away:
            return _refusal(503, "service unavailable")
        kinds = self.kinds.get(path.removeprefix("/apis/"), ())
        return web.json_response({"resources": [{"kind": each} for each in kinds]})

    def _review(self, body: Object) -> web.Response:
        asked = body["spec"]["resourceAttributes"]
        allowed = (asked["verb"], asked["resource"]) not in self.denied
        return web.json_response({"status": {"allowed": allowed}}, status=201)

    def _list(self, request: web.Request, plural: str, namespace: str) -> web.Response:
        every = list(self._selected(request, plural, namespace))
        start = int(request.query.get("continue", 0))
        end = start + int(request.query.get("limit", 500))
        meta: Object = {"resourceVersion": str(self._rv)}
        if end < len(every):
            meta["continue"] = str(end)
        return web.json_response({"metadata": meta, "items": every[start:end]})

    def _selected(self, request: web.Request, plural: str, namespace: str) -> Iterator[Object]:
        for key, found in self.objects.items():
            if (
                key[0] == plural
                and (not namespace or key[1] == namespace)
                and _fits(request, found)
            ):
                yield found

    async def _watch(self, request: web.Request, plural: str, namespace: str) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        end = time.monotonic() + float(request.query["timeoutSeconds"])
        answer = web.StreamResponse()
        answer.content_type = "application/json"
        await answer.prepare(request)
        with suppress(ConnectionError):
            while time.monotonic() < end:
                news = self._news
                if version < self._forgotten or (self.faults.expire_watches and self._events):
                    self.faults.expire_watches = max(0, self.faults.expire_watches - 1)
                    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
                    await _line(answer, "ERROR", gone)
                    return answer
                for rv, kind, key, found in list(self._events):
                    if rv <= version or self.faults.mute_watches:
                        continue
                    version = rv
                    if (
                        key[0] == plural
                        and (not namespace or key[1] == namespace)
                        and _fits(request, found)
                    ):
                        await _line(answer, kind, found)
                        if self.faults.double_events:
                            await _line(answer, kind, found)
                if not self.faults.mute_watches:
                    await _line(answer, "BOOKMARK", {"metadata": {"resourceVersion": str(version)}})
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(1.0, max(0.0, end - time.monotonic()))):
                        await news.wait()
        return answer

    def _log(self, key: Key, request: web.Request) -> web.Response:
        found = self.objects.get(key)
        if found is None:
            return _missing(key)
        life = self._lives.get(found["metadata"]["uid"])
        behaviour = self._behaviour(found)
        if life is None or not life.begun or (request.query.get("previous") and life.last is None):
            return _refusal(400, "container is waiting to start")
        number = life.restarts + (0 if request.query.get("previous") and life.last else 1)
        written = behaviour.lines or (f"listening, run {number}",)
        lines = [f"{stamp(life.begun)[:-1]}.123456789Z {line}" for line in written]
        tail = int(request.query.get("tailLines", len(lines)))
        return web.Response(text="\n".join(lines[max(0, len(lines) - tail) :]) + "\n")

    async def _patch(self, request: web.Request, key: Key) -> web.Response:
        body: Object = json.loads(await request.text())
        manager = request.query.get("fieldManager", "unknown")
        if "apply-patch" in request.content_type:
            return self._apply(key, body, manager, force=request.query.get("force") == "true")
        found = self.objects.get(key)
        if found is None:
            return _missing(key)
        changed = _merged(copy.deepcopy(found), body)
        owners = self._owners.setdefault(found["metadata"]["uid"], {})
        owned = owners.setdefault((manager, "Update"), set())
        for path, value in _leaves(body):
            if _at(found, path) != value:  # whoever changes a field is then the only one to own it
                for paths in owners.values():
                    paths.discard(path)
            owned.add(path)
        return web.json_response(self.put(key, _generation(found, changed)))

    def _apply(self, key: Key, body: Object, manager: str, *, force: bool) -> web.Response:
        problem = _illegal(body)
        if problem is not None:
            return problem
        found = self.objects.get(key)
        meta = found["metadata"] if found else {"uid": str(uuid.uuid4())}
        owners = self._owners.setdefault(meta["uid"], {})
        mine = owners.setdefault((manager, "Apply"), set())
        wanted = dict(_leaves(body))
        clashes = [
            (other, path)
            for other, paths in owners.items()
            if other != (manager, "Apply")
            for path in paths & wanted.keys()
            if found is not None and _at(found, path) != wanted[path]
        ]
        if clashes and not force:
            return _conflict(key, clashes)
        for other, path in clashes:
            owners[other].discard(path)
        changed = copy.deepcopy(found) if found else {"metadata": meta}
        for path in mine - wanted.keys():
            if not any(
                path in paths for other, paths in owners.items() if other != (manager, "Apply")
            ):
                _remove(changed, path)
        owners[manager, "Apply"] = set(wanted)
        changed = _merged(changed, copy.deepcopy(body))
        if key[0] == "deployments":
            changed["spec"].setdefault("replicas", 1)
        return web.json_response(self.put(key, _generation(found, changed)))

    async def _delete(self, request: web.Request, key: Key) -> web.Response:
        found = self.objects.get(key)
        if found is None:
            return _missing(key)
        body: Object = json.loads(await request.text() or "{}")
        uid = (body.get("preconditions") or {}).get("uid")
        if uid and uid != found["metadata"]["uid"]:
            return _refusal(409, "the UID in the precondition does not match")
        if key[0] == "pods":
            self._end_pod(key, found, body.get("gracePeriodSeconds"))
        else:
            self.drop(key)
        return web.json_response({"kind": "Status", "status": "Success"})

    def _end_pod(self, key: Key, pod: Object, grace: int | None) -> None:
        own = pod["spec"].get("terminationGracePeriodSeconds", 30)
        grace = own if grace is None else grace
        if grace == 0:
            self.drop(key)
            return
        meta = pod["metadata"]
        if "deletionTimestamp" in meta and meta["deletionGracePeriodSeconds"] <= grace:
            return
        changed = copy.deepcopy(pod)
        changed["metadata"]["deletionTimestamp"] = stamp(time.time() + grace)
        changed["metadata"]["deletionGracePeriodSeconds"] = grace
        self.put(key, changed)

    # ---- controllers ----------------------------------------------------------------------

    async def _control(self) -> None:
        while True:
            if not self.faults.no_controllers:
                for deployment in self.all("deployments"):
                    self._roll(deployment)
                for pod in self.all("pods"):
                    self._collect(pod)
                    self._kubelet(pod)
                self._collect_owned()
            await asyncio.sleep(_TICK)

    def _roll(self, deployment: Object) -> None:
        """What the Deployment's controller and its ReplicaSets do, as far as bounds go."""
        spec, meta = deployment["spec"], deployment["metadata"]
        current = _hash(spec["template"])
        pods = [
            pod
            for pod in self.all("pods")
            if pod["metadata"].get("owner") == meta["uid"]
            and "deletionTimestamp" not in pod["metadata"]
            and pod["status"].get("phase") not in {"Failed", "Succeeded"}
        ]
        new = [pod for pod in pods if pod["metadata"]["labels"][_HASH] == current]
        old = [pod for pod in pods if pod not in new]
        wanted = spec["replicas"]
        surge, unavailable = _bounds(spec, wanted)
        refused = any(
            each["type"] == "ReplicaFailure" and each["status"] == "True"
            for each in deployment.get("status", {}).get("conditions", [])
        )
        room = wanted + (surge if old else 0) - len(pods)
        for _ in range(0 if refused else max(0, min(wanted - len(new), room))):
            self._create(deployment, current)
        for pod in _leaving_order(new)[: max(0, len(new) - wanted)]:
            self._end_pod(_key_of("pods", pod), pod, None)
        least = wanted - unavailable
        most = len(pods) - least - sum(not _is_ready(pod) for pod in new)
        unwell = [pod for pod in old if not _is_ready(pod)][: max(0, most)]
        spare = sum(_is_ready(pod) for pod in pods) - least
        well = [pod for pod in old if _is_ready(pod)][: max(0, min(spare, most - len(unwell)))]
        for pod in [*unwell, *well]:
            self._end_pod(_key_of("pods", pod), pod, None)

    def _create(self, deployment: Object, current: str) -> None:
        meta, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
        name = f"{meta['name']}-{current}-{uuid.uuid4().hex[:5]}"
        own = template.get("metadata", {})
        self.put(
            ("pods", meta["namespace"], name),
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": meta["namespace"],
                    "labels": {**own.get("labels", {}), _HASH: current},
                    "annotations": own.get("annotations", {}),
                    "owner": meta["uid"],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending"},
            },
        )

    def _collect(self, pod: Object) -> None:
        """What the garbage collector does: what nobody owns goes."""
        owners = {each["metadata"]["uid"] for each in self.all("deployments")}
        if pod["metadata"]["owner"] not in owners and "deletionTimestamp" not in pod["metadata"]:
            self._end_pod(_key_of("pods", pod), pod, None)

    def _collect_owned(self) -> None:
        """What names owners goes with the last of them."""
        there = {each["metadata"]["uid"] for each in self.objects.values()}
        for key, found in list(self.objects.items()):
            owners = {each["uid"] for each in found["metadata"].get("ownerReferences", ())}
            if owners and not owners & there:
                self.drop(key)

    def _behaviour(self, pod: Object) -> Behaviour:
        rollout = pod["metadata"]["labels"].get("pierhead.dev/rollout", "")
        return self.behaviours.get(rollout, Behaviour())

    def _kubelet(self, pod: Object) -> None:
        meta, key = pod["metadata"], _key_of("pods", pod)
        life, behaviour = self._lives.setdefault(meta["uid"], _Life()), self._behaviour(pod)
        node = self.objects.get(("nodes", "", pod["spec"].get("nodeName", "")))
        if node is not None and not _is_ready(node):
            return  # nobody tells, nothing is ended
        if "deletionTimestamp" in meta:
            short = meta["deletionGracePeriodSeconds"] <= 1
            if short or not life.begun or stamp() >= meta["deletionTimestamp"]:
                self.drop(key)
            return
        if pod["status"].get("phase") == "Failed" or self.objects.get(key) is not pod:
            return
        changed = copy.deepcopy(pod)
        if behaviour.unschedulable:
            said = _condition("PodScheduled", holds=False, at=time.time())
            said |= {"reason": "Unschedulable", "message": behaviour.unschedulable}
            before = pod["status"].get("conditions")
            changed["status"]["conditions"] = before or [said]
        else:
            changed["spec"].setdefault("nodeName", "n1")
            if "podIP" not in pod["status"]:
                self._address += 1
                changed["status"]["podIP"] = _pod_address(self._address)
            changed["status"] |= self._status(pod, life, behaviour)
        self.put(key, changed)

    def _status(self, pod: Object, life: _Life, behaviour: Behaviour) -> Object:
        now = time.time()
        if behaviour.stuck is None:
            _live(life, behaviour, now)
        runs = life.begun > life.ended
        mute = behaviour.never_ready or behaviour.crash is not None
        ready = runs and not mute and not life.unready
        ready = ready and now >= life.begun + behaviour.ready_after
        if behaviour.stuck is not None:
            state: Object = {"waiting": behaviour.stuck}
        elif runs:
            state = {"running": {"startedAt": stamp(life.begun)}}
        else:
            said = f"back-off {_pause(life):g}s restarting failed container=engine"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": said}}
        before = next(iter(pod["status"].get("conditions", [])), None)
        condition = _condition("Ready", holds=ready, at=now)
        if before is not None and before["status"] == condition["status"]:
            condition = before
        container = {
            "name": pod["spec"]["containers"][0]["name"],
            "image": pod["spec"]["containers"][0].get("image", ""),
            "ready": ready,
            "restartCount": life.restarts,
            "state": state,
            "lastState": {"terminated": life.last} if life.last else {},
        }
        return {"phase": "Running", "conditions": [condition], "containerStatuses": [container]}


def _live(life: _Life, behaviour: Behaviour, now: float) -> None:
    """Start, crash, start again."""
    if life.begun <= life.ended:
        if not life.ended or now >= life.ended + _pause(life):
            life.restarts += int(life.ended > 0)
            life.begun = now
            life.unready = False
        return
    end = life.crash_now
    if end is None and behaviour.crash is not None and now > life.begun + 0.02:
        end = _terminated(life.begun, behaviour.crash, behaviour.lines, oom=behaviour.oom)
    if end is not None:
        life.crash_now, life.last, life.ended = None, end, now


def _pause(life: _Life) -> float:
    return min(60.0, 2.0 ** (life.restarts))


def _terminated(begun: float, code: int, lines: tuple[str, ...], *, oom: bool) -> Object:
    return {
        "exitCode": code,
        "reason": "OOMKilled" if oom else "Error",
        "startedAt": stamp(begun),
        "finishedAt": stamp(),
        "message": "\n".join(lines),
    }


def _condition(kind: str, *, holds: bool, at: float) -> Object:
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": stamp(at)}


def _is_ready(found: Object) -> bool:
    every = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in every)


def _leaving_order(pods: list[Object]) -> list[Object]:
    def rank(pod: Object) -> tuple[bool, int, float]:
        cost = int(pod["metadata"].get("annotations", {}).get(_COST, "0"))
        return (_is_ready(pod), cost, -int(pod["metadata"]["resourceVersion"]))

    return sorted(pods, key=rank)


def _bounds(spec: Object, wanted: int) -> tuple[int, int]:
    rolling = spec.get("strategy", {}).get("rollingUpdate", {})

    def share(value: int | str, *, up: bool) -> int:
        if isinstance(value, int):
            return value
        part = float(value.rstrip("%")) / 100 * wanted
        return int(-(-part // 1)) if up else int(part // 1)

    surge = share(rolling.get("maxSurge", 1), up=True)
    unavailable = share(rolling.get("maxUnavailable", 0), up=False)
    return (surge, unavailable) if surge or unavailable else (1, 0)


def _pod_address(number: int) -> str:
    """One at which a test may answer: of this process alone, as others play with pods at the same time."""
    own = os.getpid() % 15_000 * 1024 + number % 1024
    return str(ipaddress.ip_address("127.16.0.0") + own)


def _hash(template: Object) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(template, sort_keys=True)).hex[:10]


def _key_of(plural: str, found: Object) -> Key:
    meta = found["metadata"]
    return plural, meta.get("namespace", ""), meta["name"]


def _place(path: str) -> tuple[str, str, str, str]:
    """(plural, namespace, name, part) of a path; plural "" = it is about no objects."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    rest += [""] * (3 - len(rest))
    return rest[0], namespace, rest[1], rest[2]


def _fits(request: web.Request, found: Object) -> bool:
    labels = found["metadata"].get("labels", {})
    for each in filter(None, request.query.get("labelSelector", "").split(",")):
        name, sign, value = each.partition("=")
        if sign and not name.endswith("!"):
            fits = labels.get(name) == value
        else:
            fits = labels.get(name[:-1]) != value if sign else name in labels
        if not fits:
            return False
    for each in filter(None, request.query.get("fieldSelector", "").split(",")):
        name, _, value = each.partition("=")
        if found.get(name) != value:
            return False
    return True


async def _line(answer: web.StreamResponse, kind: str, found: Object) -> None:
    await answer.write(json.dumps({"type": kind, "object": found}).encode() + b"\n")


def _refusal(status: int, message: str, details: Object | None = None) -> web.Response:
    body = {"kind": "Status", "code": status, "message": message, "details": details or {}}
    return web.json_response(body, status=status)


def _missing(key: Key) -> web.Response:
    return _refusal(404, f"{key[0]} {key[2]!r} not found", {"kind": key[0], "name": key[2]})


def _conflict(key: Key, clashes: list[tuple[tuple[str, str], tuple[str, ...]]]) -> web.Response:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}" using apps/v1',
            "field": "." + ".".join(path),
        }
        for (manager, _), path in clashes
    ]
    said = f"Apply failed with {len(causes)} conflict(s)"
    return _refusal(409, said, {"kind": key[0], "name": key[2], "causes": causes})


def _illegal(body: Object) -> web.Response | None:
    """What real servers refuse, of what a driver is likely to get wrong."""
    if body["kind"] == "Service" and any(
        "protocol" not in each for each in body["spec"].get("ports", [])
    ):
        return _refusal(
            500, 'associative list with keys has an element that omits key field "protocol"'
        )
    containers = body.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    for place, container in enumerate(containers):
        for port in container.get("ports", []):
            if not 0 < port["containerPort"] < 65536:
                where = f"spec.template.spec.containers[{place}].ports[0].containerPort"
                cause = {"field": where, "message": "must be between 1 and 65535"}
                return _refusal(422, "is invalid", {"causes": [cause]})
    return None


def _leaves(found: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and value of each field; lists are values."""
    for name, value in found.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name))
        elif (*path, name) not in {
            ("apiVersion",),
            ("kind",),
            ("metadata", "name"),
            ("metadata", "uid"),
        }:
            yield (*path, name), value


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _remove(found: Object, path: tuple[str, ...]) -> None:
    place = _at(found, path[:-1])
    if isinstance(place, dict):
        place.pop(path[-1], None)


def _merged(found: Object, body: Object) -> Object:
    for name, value in body.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict) and isinstance(found.get(name), dict):
            _merged(found[name], value)
        else:
            found[name] = value
    return found


def _generation(before: Object | None, after: Object) -> Object:
    number = before["metadata"].get("generation", 1) if before else 1
    changed = before is not None and before.get("spec") != after.get("spec")
    after["metadata"]["generation"] = number + int(changed)
    return after


def _bare(found: Object) -> Object:
    meta = {key: each for key, each in found["metadata"].items() if key != "resourceVersion"}
    return {**found, "metadata": meta}
