"""Pods that are only written down: Ready at once, gone when their grace is over. For thousands on one machine.

They end as a container does whose preStop hook sleeps: a second delete with a shorter grace ends them sooner.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from containers import Container, stamp
from kube_api import AWAY, STRATEGIC
from pods import RETRY_SECONDS, Ground

Json = dict[str, Any]


class PaperPod:
    """As `pods.Pod`, without a single process."""

    def __init__(self, ground: Ground, item: Json, ip: str) -> None:
        self.ground, self.item, self.ip = ground, item, ip
        self.uid: str = item["metadata"]["uid"]
        self._news, self._gone = asyncio.Event(), False
        self._by: float | None = None  # when its grace is over (monotonic)

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.item["metadata"]["namespace"], self.item["metadata"]["name"]

    def container(self, name: str) -> Container | None:
        """It has none, and so no logs."""
        del name
        return None

    def see(self, item: Json) -> None:
        """Its object changed."""
        self.item = item
        meta = item["metadata"]
        if "deletionTimestamp" in meta:
            by = time.monotonic() + float(meta.get("deletionGracePeriodSeconds", 30))
            self._by = by if self._by is None else min(self._by, by)
            self._news.set()

    def vanish(self, grace: float = 0) -> None:
        """Nobody wants it any more."""
        del grace
        self._gone = True
        self._news.set()

    async def live(self) -> None:
        """Say that it is ready; once it is deleted, let it go."""
        namespace, name = self.key
        path = f"/api/v1/namespaces/{namespace}/pods/{quote(name)}"
        ready = {"metadata": {"uid": self.uid}, "status": self._ready()}
        await self._until_done("PATCH", f"{path}/status", ready)
        await self._let_go()
        await self._until_done(
            "DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        )

    async def _let_go(self) -> None:
        """Wait until it is deleted and its grace is over, or nobody wants it any more."""
        while not self._gone and (self._by is None or self._by > time.monotonic()):
            left = None if self._by is None else self._by - time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
            self._news.clear()

    async def _until_done(self, method: str, path: str, body: Json) -> None:
        while not self._gone:
            with suppress(*AWAY):
                kind = STRATEGIC if method == "PATCH" else "application/json"
                status, _ = await self.ground.api.call(method, path, body, kind)
                if status < 500:
                    return
            await asyncio.sleep(RETRY_SECONDS)

    def _ready(self) -> Json:
        now = stamp()
        return {
            "phase": "Running",
            "hostIP": self.ground.ip,
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "startTime": now,
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": now}
                for kind in ("Initialized", "Ready", "ContainersReady")
            ],
            "containerStatuses": [
                {
                    "name": spec["name"],
                    "image": spec.get("image", ""),
                    "imageID": "",
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for spec in self.item["spec"]["containers"]
            ],
        }
