"""A queue of keys: each key is worked on by one worker at a time, asks coalesce, errors back off."""

import asyncio
from collections.abc import Awaitable, Callable

from pierhead.core.backoff import delay

#: One pass over a key; gives the seconds after which to look again, or None.
Pass = Callable[[str], Awaitable[float | None]]


class KeyedQueue:
    """Runs `work(key)` for every key that was woken, at most `workers` keys at once."""

    def __init__(
        self, work: Pass, failed: Callable[[str, Exception], None], workers: int = 8
    ) -> None:
        self._work = work
        self._failed = failed
        self._workers = workers
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: set[str] = set()  # in the queue
        self._busy: set[str] = set()  # being worked on
        self._again: set[str] = set()  # woken while busy
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to work; needs a running loop."""
        self._tasks = [
            asyncio.create_task(self._run(), name=f"reconcile-{n}") for n in range(self._workers)
        ]

    async def close(self) -> None:
        """End all work; a pass that runs is cancelled at its next await."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self, key: str) -> None:
        """Look at `key` soon; many calls before that are one."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)

    def wake_in(self, key: str, seconds: float) -> None:
        """Look at `key` after a while, unless something looks at it sooner."""
        loop = asyncio.get_running_loop()
        old = self._timers.get(key)
        if (
            key in self._waiting
            or key in self._again
            or (old is not None and old.when() <= loop.time() + seconds)
        ):
            return
        if old is not None:
            old.cancel()
        self._timers[key] = loop.call_later(seconds, self.wake, key)

    def hasten(self) -> None:
        """Look now at every key that has a time set."""
        for key in list(self._timers):
            self.wake(key)

    async def _run(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                again_in = await self._attempt(key)
            finally:
                self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.wake(key)
            elif again_in is not None:
                self.wake_in(key, again_in)

    async def _attempt(self, key: str) -> float | None:
        try:
            again_in = await self._work(key)
        except Exception as error:  # noqa: BLE001 - one key's fault must not end the worker; it is reported and retried
            self._failures[key] = self._failures.get(key, 0) + 1
            self._failed(key, error)
            return delay(self._failures[key], key)
        self._failures.pop(key, None)
        return again_in
