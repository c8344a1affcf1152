"""One pod on a hollow node: its containers as processes, from the first volume to the last signal."""

import asyncio
import signal
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import probes
import volumes
from containers import Container, stamp
from environments import ConfigError, command, environment
from events import Events
from kube_api import AWAY, STRATEGIC, NodeApi
from pod_status import Conditions, of_init, phase, readiness
from probing import Probing

Json = dict[str, Any]
#: Between two tries of something that must come from outside: a Secret, a folder, the API server.
RETRY_SECONDS = 1.0
#: A kubelet gives a process at least this between SIGTERM and SIGKILL.
LEAST_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What a node's pods share."""

    api: NodeApi
    name: str  #: of the node
    ip: str
    folder: Path
    back_off: float = 1.0  #: seconds before the second restart; doubles up to a minute
    keep_grace: bool = False  #: a second, shorter grace changes nothing, as with some kubelets


class Pod:
    """A pod that is bound to this node. `see` takes its object, `live` is its life."""

    def __init__(self, ground: Ground, item: Json, ip: str) -> None:
        self.ground, self.item, self.ip = ground, item, ip
        self.uid: str = item["metadata"]["uid"]
        self._changed = asyncio.Event()
        folder = ground.folder / self.uid
        spec = item["spec"]
        self.inits, self.containers = (
            [Container(each, folder, self._changed.set) for each in spec.get(key, ())]
            for key in ("initContainers", "containers")
        )
        self._events = Events(ground.api, ground.name, item)
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self._conditions = Conditions()
        self._told: Json | None = None
        self._begun, self._initialized, self._mounted = stamp(), not self.inits, False
        self._ending, self._shorter = asyncio.Event(), asyncio.Event()
        self._deadline, self._gone = float("inf"), False

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.item["metadata"]["namespace"], self.item["metadata"]["name"]

    def container(self, name: str) -> Container | None:
        return next((each for each in (*self.inits, *self.containers) if each.name == name), None)

    def see(self, item: Json) -> None:
        """Its object changed: when it must end matters, and whether others wrote what only we know."""
        self.item = item
        meta = item["metadata"]
        if self._told is not None and readiness(item["status"]) != readiness(self._told):
            # A node that was not heard of for a while has its pods marked as not ready.
            self._told = None
            self._changed.set()
        if "deletionTimestamp" in meta:
            self._end_within(float(meta.get("deletionGracePeriodSeconds", 30)))

    def vanish(self, grace: float = LEAST_GRACE_SECONDS) -> None:
        """Nobody wants it any more: it was deleted by force, or the node ends."""
        self._gone = True
        self._end_within(grace)

    async def live(self) -> None:
        """Run it until it was deleted and all of its processes have ended."""
        reporting = asyncio.create_task(self._report())
        work = asyncio.create_task(self._work())
        try:
            await self._ending.wait()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await asyncio.gather(*(self._stop(each) for each in (*self.inits, *self.containers)))
            await self._leave()
        finally:
            for task in (reporting, work, *self._probing.values()):
                task.cancel()

    def _end_within(self, grace: float) -> None:
        if self._ending.is_set() and self.ground.keep_grace and not self._gone:
            return
        self._deadline = min(self._deadline, time.monotonic() + grace)
        self._ending.set()
        self._shorter.set()

    # From the volumes to running containers.

    async def _work(self) -> None:
        await self._mount()
        for container in self.inits:
            await self._run_init(container)
        self._initialized = True
        self._changed.set()
        await asyncio.gather(*(self._keep(each) for each in self.containers))

    async def _mount(self) -> None:
        self._changed.set()
        while not self._mounted:
            try:
                volumes.mount(self.item["spec"])
                self._mounted = True
            except (volumes.MountRefusedError, OSError) as error:
                self._events.tell("FailedMount", str(error), warning=True)
                await asyncio.sleep(RETRY_SECONDS)

    async def _run_init(self, container: Container) -> None:
        while True:
            end = await self._run_once(container)
            if end["exitCode"] == 0:
                return
            await self._back_off(container)

    async def _keep(self, container: Container) -> None:
        policy = self.item["spec"].get("restartPolicy", "Always")
        while True:
            end = await self._run_once(container)
            if policy == "Never" or (policy == "OnFailure" and end["exitCode"] == 0):
                return
            await self._back_off(container)

    async def _run_once(self, container: Container) -> Json:
        variables = await self._prepared(container)
        await container.start(command(container.spec, variables), variables)
        if container.running:
            self._events.tell("Started", f"Started container {container.name}", container.name)
            if container in self.containers:
                probing = asyncio.create_task(self._probe(container))
                self._probing[container.name] = probing
        else:
            message = container.state["terminated"]["message"]
            self._events.tell("Failed", f"Error: {message}", container.name, warning=True)
        end = await container.ended()
        if container.name in self._probing:
            self._probing.pop(container.name).cancel()
        return end

    async def _prepared(self, container: Container) -> dict[str, str]:
        """Its environment, once image and references are there."""
        meta = self.item["metadata"]
        fields = {
            "status.podIP": self.ip,
            "status.hostIP": self.ground.ip,
            "spec.nodeName": self.ground.name,
            **{f"metadata.{name}": meta[name] for name in ("name", "namespace", "uid")},
        }
        while True:
            trouble = _image_trouble(container.spec)
            if trouble:
                self._events.tell("Failed", trouble, container.name, warning=True)
                container.wait_for("ImagePullBackOff", trouble)
            else:
                try:
                    found = await environment(self.ground.api, self.item, container.spec, fields)
                    self._environments[container.name] = found
                    return found
                except ConfigError as error:
                    self._events.tell("Failed", f"Error: {error}", container.name, warning=True)
                    container.wait_for("CreateContainerConfigError", str(error))
                except AWAY:
                    pass  # asked again below
            await asyncio.sleep(RETRY_SECONDS)

    async def _back_off(self, container: Container) -> None:
        """The first restart comes at once, each later one after twice as long."""
        earlier = container.restarts
        seconds = min(60.0, self.ground.back_off * 2 ** (earlier - 1)) if earlier else 0.0
        namespace, name = self.key
        message = f"back-off {seconds:g}s restarting failed container={container.name} pod={name}_{namespace}"
        container.restarting("CrashLoopBackOff", message)
        if seconds:
            self._events.tell("BackOff", message, container.name, warning=True)
            await asyncio.sleep(seconds)

    async def _probe(self, container: Container) -> None:
        ports, variables = container.spec.get("ports", ()), self._environments[container.name]

        def look(probe: Json) -> Awaitable[str]:
            return probes.look(probe, self.ip, ports, variables)

        why = await Probing(container, look, self._events).run()
        if not self._ending.is_set():
            await self._kill(container, why)

    async def _kill(self, container: Container, why: str) -> None:
        """End a run; whoever keeps the container starts the next one."""
        self._events.tell(
            "Killing", f"Container {container.name} {why}, will be restarted", container.name
        )
        container.signal(signal.SIGTERM)
        grace = float(self.item["spec"].get("terminationGracePeriodSeconds", 30))
        with suppress(TimeoutError):
            await asyncio.wait_for(container.ended(), grace)
        container.signal(signal.SIGKILL)

    # The end.

    async def _stop(self, container: Container) -> None:
        if not container.running:
            return
        self._events.tell("Killing", f"Stopping container {container.name}", container.name)
        ended = asyncio.ensure_future(container.ended())
        if not self._gone:
            await self._before_stop(container, ended)
        container.signal(signal.SIGTERM)
        self._deadline = max(self._deadline, time.monotonic() + LEAST_GRACE_SECONDS)
        await self._within_grace(ended)
        container.signal(signal.SIGKILL)
        await ended

    async def _before_stop(self, container: Container, ended: "asyncio.Future[Json]") -> None:
        """The preStop hook: for as long as it likes within the grace, and while the container runs."""
        hook = container.spec.get("lifecycle", {}).get("preStop")
        if hook is None:
            return
        variables = self._environments.get(container.name, {})
        if "sleep" in hook:
            wait: Awaitable[object] = asyncio.sleep(hook["sleep"]["seconds"])
        else:
            endless = {**hook, "timeoutSeconds": 10**6}
            wait = probes.look(endless, self.ip, container.spec.get("ports", ()), variables)
        hooked = asyncio.ensure_future(wait)
        await self._within_grace(ended, hooked)
        hooked.cancel()
        await asyncio.gather(hooked, return_exceptions=True)

    async def _within_grace(self, *waited: "asyncio.Future[Any]") -> None:
        """Until one of them is done or the grace is over, which a second delete may shorten."""
        while (left := self._deadline - time.monotonic()) > 0:
            self._shorter.clear()
            shorter = asyncio.create_task(self._shorter.wait())
            done, _ = await asyncio.wait(
                {*waited, shorter}, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            shorter.cancel()
            if done - {shorter}:
                return

    async def _leave(self) -> None:
        """Tell the last facts, then let the object go."""
        namespace, name = self.key
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        while not self._gone:
            try:
                await self._tell()
                await self.ground.api.call(
                    "DELETE", f"/api/v1/namespaces/{namespace}/pods/{quote(name)}", body
                )
                return
            except AWAY:
                await asyncio.sleep(RETRY_SECONDS)

    # What it says about itself.

    async def _report(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell()
            except AWAY:
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def _tell(self) -> None:
        status = self._status()
        if status == self._told:
            return
        namespace, name = self.key
        path = f"/api/v1/namespaces/{namespace}/pods/{quote(name)}/status"
        body = {"metadata": {"uid": self.uid}, "status": status}
        code, _ = await self.ground.api.call("PATCH", path, body, STRATEGIC)
        if code < 500:
            self._told = status
        else:
            raise OSError(f"the API server answered {code}")

    def _status(self) -> Json:
        over = self._ending.is_set() or self.item["spec"].get("restartPolicy") == "Never"
        status = {
            "phase": phase(self.containers, initialized=self._initialized, over=over),
            "hostIP": self.ground.ip,
            "startTime": self._begun,
            "conditions": self._conditions.of(self.containers, initialized=self._initialized),
            "containerStatuses": [each.status() for each in self.containers],
        }
        if self.inits:
            status["initContainerStatuses"] = [of_init(each) for each in self.inits]
        if self._mounted:
            status |= {"podIP": self.ip, "podIPs": [{"ip": self.ip}]}
        return status


def _image_trouble(spec: Json) -> str:
    """Names under .invalid (RFC 2606) exist nowhere: the one pull that a hollow node can fail."""
    image = str(spec.get("image", ""))
    if not image.partition("/")[0].endswith(".invalid"):
        return ""
    return f'Back-off pulling image "{image}": no such host'
