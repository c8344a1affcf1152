"""Looks at files without ever waiting long: a file system that hangs costs one thread, not the loop."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_PATIENCE = 0.05  #: seconds that the caller's thread waits; a file system that is well takes less


class Glances(Generic[T]):
    """One look per key at a time; one that is not done yet is asked for again later."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._running: dict[str, _Look[T]] = {}

    def at(self, key: str, look: Callable[[], T]) -> T | None:
        """What `look` gives; None while it is not done.

        Raises:
            OSError: what `look` raises.
        """
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = _Look(look)
            # A daemon: a file system that hangs must not keep the hub from ending.
            Thread(target=running, name=f"look at {key[:60]}", daemon=True).start()
            running.done.wait(self._patience)
        if not running.done.is_set():
            return None
        del self._running[key]
        if running.error is not None:
            raise running.error
        return running.found


class _Look(Generic[T]):
    """A look that runs."""

    def __init__(self, look: Callable[[], T]) -> None:
        self._look = look
        self.done = Event()
        self.found: T | None = None
        self.error: OSError | None = None

    def __call__(self) -> None:
        try:
            self.found = self._look()
        except OSError as error:
            self.error = error
        finally:
            self.done.set()
