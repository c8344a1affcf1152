"""Events of a node about its pods, as a kubelet writes them; one that cannot be written is lost."""

import asyncio
import secrets
from contextlib import suppress
from typing import Any

from containers import stamp
from kube_api import AWAY, NodeApi

Json = dict[str, Any]


class Events:
    """The events about one pod."""

    def __init__(self, api: NodeApi, node: str, pod: Json) -> None:
        self._api, self._node = api, node
        meta = pod["metadata"]
        self._about = {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        }
        self._last: tuple[str, str] | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def tell(self, reason: str, message: str, container: str = "", warning: bool = False) -> None:
        """Write one, in the background; the same again right after is left out."""
        if self._last == (reason, message):
            return
        self._last = (reason, message)
        path = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
        now = stamp()
        event = {
            "metadata": {"name": f"{self._about['name']}.{secrets.token_hex(8)}"},
            "involvedObject": self._about | path,
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": "kubelet", "host": self._node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        task = asyncio.create_task(self._write(event))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, event: Json) -> None:
        with suppress(*AWAY):
            await self._api.call(
                "POST", f"/api/v1/namespaces/{self._about['namespace']}/events", event
            )
