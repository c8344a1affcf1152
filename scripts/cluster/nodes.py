"""A hollow node: a kubelet without containers. It registers, beats, and runs what is bound to it.

To stop its process (SIGSTOP) is to cut the node off: the beats stop, its pods' processes run on. To kill it is
to lose the machine: its processes end with it.
"""

import asyncio
import ipaddress
import itertools
import platform
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import kubelet_logs
from containers import stamp
from kube_api import AWAY, STRATEGIC, Json
from paper_pods import PaperPod
from pods import RETRY_SECONDS, Ground, Pod

BEAT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a node claims to have."""

    capacity: Mapping[str, str] = field(
        default_factory=lambda: {
            "cpu": "64",
            "memory": "256Gi",
            "pods": "110",
            "ephemeral-storage": "100Gi",
        }
    )
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    paper: bool = False  #: its pods are not run, only written down


class HollowNode:
    """One node; `network` holds its address and those of its pods, all on loopback."""

    def __init__(self, ground: Ground, network: ipaddress.IPv4Network, shape: Shape) -> None:
        self._ground, self._shape = ground, shape
        self._pods: dict[str, Pod | PaperPod] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._addresses = _round(network)
        self._log_port = 0

    async def run(self, tls: ssl.SSLContext) -> None:
        """Be a node until cancelled; then all of its processes end."""
        self._ground.folder.mkdir(parents=True, exist_ok=True)
        self._log_port = await kubelet_logs.serve(
            self._ground.ip, tls, lambda: list(self._pods.values())
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat())
                tasks.create_task(self._follow())
        finally:
            for pod in self._pods.values():
                pod.vanish()
            await asyncio.gather(*self._lives.values(), return_exceptions=True)

    async def _beat(self) -> None:
        known = False
        while True:
            with suppress(*AWAY):
                known = known or await self._register()
                path = f"/api/v1/nodes/{self._ground.name}/status"
                status, _ = await self._ground.api.call("PATCH", path, self._status(), STRATEGIC)
                known = status != 404
            await asyncio.sleep(BEAT_SECONDS if known else RETRY_SECONDS)

    async def _register(self) -> bool:
        name = self._ground.name
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _architecture(),
            "pierhead.dev/hollow": "true",
            **self._shape.labels,
        }
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        status, _ = await self._ground.api.call("POST", "/api/v1/nodes", node)
        return status in {201, 409}

    def _status(self) -> Json:
        unknown = (
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "kubeProxyVersion",
        )
        addresses = {"InternalIP": self._ground.ip, "Hostname": self._ground.name}
        return {
            "status": {
                "capacity": self._shape.capacity,
                "allocatable": self._shape.capacity,
                "addresses": [{"type": kind, "address": at} for kind, at in addresses.items()],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self._log_port}},
                "nodeInfo": dict.fromkeys(unknown, "hollow")
                | {
                    "containerRuntimeVersion": "hollow://1",
                    "kubeletVersion": "v1.20.2-hollow",
                    "operatingSystem": "linux",
                    "architecture": _architecture(),
                },
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "KubeletReady",
                        "message": "hollow node is posting ready status",
                        "lastHeartbeatTime": stamp(),
                    }
                ],
            }
        }

    async def _follow(self) -> None:
        """List, then watch; from the list again whenever a watch ends."""
        query = f"fieldSelector=spec.nodeName={self._ground.name}"
        while True:
            try:
                status, listed = await self._ground.api.call("GET", f"/api/v1/pods?{query}")
                if status == 200:
                    self._see_all(listed["items"])
                    version = listed["metadata"]["resourceVersion"]
                    async for event in self._ground.api.watch("/api/v1/pods", query, version):
                        self._take(event)
            except AWAY:
                pass  # the API server is away: a kubelet waits for it
            await asyncio.sleep(RETRY_SECONDS)

    def _see_all(self, items: list[Json]) -> None:
        for item in items:
            self._see(item)
        there = {item["metadata"]["uid"] for item in items}
        for uid in set(self._pods) - there:
            self._pods[uid].vanish()

    def _take(self, event: Json) -> None:
        if event["type"] in {"ADDED", "MODIFIED"}:
            self._see(event["object"])
        elif event["type"] == "DELETED":
            pod = self._pods.get(event["object"]["metadata"]["uid"])
            if pod is not None:
                pod.vanish()

    def _see(self, item: Json) -> None:
        uid = item["metadata"]["uid"]
        if item.get("status", {}).get("phase") in {"Succeeded", "Failed"} and uid not in self._pods:
            return
        if uid not in self._pods:
            kind = PaperPod if self._shape.paper else Pod
            self._pods[uid] = kind(self._ground, item, self._address())
            life = asyncio.create_task(self._pods[uid].live())
            self._lives[uid] = life
            life.add_done_callback(lambda _: (self._pods.pop(uid), self._lives.pop(uid)))
        self._pods[uid].see(item)

    def _address(self) -> str:
        used = {pod.ip for pod in self._pods.values()}
        return next(ip for ip in self._addresses if ip not in used)


def _round(network: ipaddress.IPv4Network) -> Iterator[str]:
    """Addresses for pods, the one that was used longest ago first; the network's first is the node's."""
    return itertools.cycle([str(each) for each in itertools.islice(network.hosts(), 1, None)])


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
