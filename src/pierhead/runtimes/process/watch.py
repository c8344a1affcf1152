"""Notices the end of a process within milliseconds, child or not."""

import asyncio
from collections.abc import Callable

from pierhead.runtimes.process.identity import Handle

#: Seconds between looks where the kernel offers no pidfd.
POLL = 0.25


class Watch:
    """Calls `ended` once, from the event loop, when the handle's process has ended."""

    def __init__(self, handle: Handle, ended: Callable[[], None]) -> None:
        self.handle = handle
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        if handle.fd >= 0:
            self._loop.add_reader(handle.fd, self._look)
        else:
            self._timer = self._loop.call_later(0, self._look)

    def _look(self) -> None:
        if self.handle.ended():
            self.close()
            self._ended()
        elif self.handle.fd < 0:
            self._timer = self._loop.call_later(POLL, self._look)

    def close(self) -> None:
        """Stop watching and let go of the handle."""
        if self._timer is not None:
            self._timer.cancel()
        if self.handle.fd >= 0:
            self._loop.remove_reader(self.handle.fd)
        self.handle.close()
