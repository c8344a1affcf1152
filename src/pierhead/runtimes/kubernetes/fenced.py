"""An API server that is only changed while this hub may: of several hubs, one is the active one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from math import inf
from typing import Any, TypeVar

from pierhead.runtimes.kubernetes.api import (
    NOTHING_KNOWN,
    Access,
    Change,
    Kind,
    KubeApi,
    Listed,
    LogWish,
    Manifest,
    Selection,
)

T = TypeVar("T")


class FencedApi:
    """Looks pass; a change begins, and goes on, as long as `demand` lets it: then it is ended.

    A change may have to wait for a connection: what was not sent by then is never sent.
    """

    def __init__(self, api: KubeApi, demand: Callable[[], float]) -> None:
        """`demand` gives seconds after which it is to be asked anew; Unavailable: nothing may be changed."""
        self._api, self._demand = api, demand

    async def _bounded(self, change: Callable[[], Coroutine[Any, Any, T]]) -> T:
        left = self._demand()
        changing = asyncio.create_task(change())
        try:
            while not (await asyncio.wait({changing}, timeout=None if left == inf else left))[0]:
                left = self._demand()
            return changing.result()
        finally:
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest:
        """One object."""
        return await self._api.get(kind, name, namespace)

    async def list(self, kind: Kind, selection: Selection) -> Listed:
        """All that are selected."""
        return await self._api.list(kind, selection)

    def watch(
        self, kind: Kind, selection: Selection, version: str, seconds: int
    ) -> AsyncIterator[Change]:
        """What changes after `version`."""
        return self._api.watch(kind, selection, version, seconds)

    async def apply(
        self, manifest: Manifest, *, force: bool = False, dry_run: bool = False, manager: str = ""
    ) -> Manifest:
        """Server-side apply, if this hub may.

        Raises:
            Unavailable: it may not, now.
        """
        return await self._bounded(
            lambda: self._api.apply(manifest, force=force, dry_run=dry_run, manager=manager)
        )

    async def patch(
        self, kind: Kind, name: str, namespace: str, body: Manifest, part: str = ""
    ) -> Manifest:
        """Merge-patch, if this hub may.

        Raises:
            Unavailable: it may not, now.
        """
        return await self._bounded(lambda: self._api.patch(kind, name, namespace, body, part))

    async def delete(
        self, kind: Kind, name: str, namespace: str = "", *, grace: int | None = None, uid: str = ""
    ) -> bool:
        """Delete it, if this hub may.

        Raises:
            Unavailable: it may not, now.
        """
        return await self._bounded(
            lambda: self._api.delete(kind, name, namespace, grace=grace, uid=uid)
        )

    async def logs(self, pod: str, namespace: str, wish: LogWish) -> str:
        """What a container wrote."""
        return await self._api.logs(pod, namespace, wish)

    async def may(self, access: Access, namespace: str) -> bool:
        """Does the server permit us that?"""
        return await self._api.may(access, namespace)

    async def version(self) -> tuple[int, int, str]:
        """The server's version."""
        return await self._api.version()

    async def served(
        self, known: Mapping[str, frozenset[str]] = NOTHING_KNOWN
    ) -> Mapping[str, frozenset[str]]:
        """What it serves."""
        return await self._api.served(known)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._api.close()


_: type[KubeApi] = FencedApi
