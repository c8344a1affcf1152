"""Work that blocks, in daemon threads: one per key, asked for until it is done, never waited for at exit."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Busy(Exception):
    """The work of this key is still going on: ask again later."""


class Aside:
    """Runs functions that may hang, such as those that touch a disk."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[tuple[Any, BaseException | None]]] = {}
        self._end = Event()

    def stop(self) -> None:
        """Tell all work to end; see `stopped`."""
        self._end.set()

    def stopped(self) -> bool:
        """Shall the work end? Asked by the work itself."""
        return self._end.is_set()

    def busy(self, key: str) -> bool:
        """Is there work of this key whose result nobody has taken yet?"""
        return key in self._running

    async def do(self, key: str, work: Callable[[], T], patience: float) -> T:
        """What `work` gives, or what the work of this key gives that is under way already.

        Args:
            key: one work at a time has it.
            work: runs in a thread of its own.
            patience: seconds to wait.

        Raises:
            Busy: it is not done by then.
        """
        future = self._running.get(key)
        if future is None:
            future = self._running[key] = self._started(key, work)
        done, _ = await asyncio.wait({future}, timeout=patience)
        if not done:
            raise Busy(key)
        del self._running[key]
        value, error = future.result()
        if error is not None:
            raise error
        return cast("T", value)

    def _started(
        self, key: str, work: Callable[[], Any]
    ) -> asyncio.Future[tuple[Any, BaseException | None]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def run() -> None:
            try:
                outcome = (work(), None)
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
                outcome = (None, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_set, future, outcome)

        # A daemon: a disk that hangs must not keep the hub from ending.
        Thread(target=run, name=f"aside {key}", daemon=True).start()
        return future


def _set(future: asyncio.Future[Any], outcome: tuple[Any, BaseException | None]) -> None:
    if not future.cancelled():
        future.set_result(outcome)
