"""Programs that a piece of work has running: all can be ended at once, those that begin a moment later too."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock


class Programs:
    """Those of one piece of work."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    @property
    def pids(self) -> list[int]:
        """Of those that run now."""
        with self._turn:
            return [program.pid for program in self._running]

    @contextmanager
    def holding(self, program: subprocess.Popen[str]) -> Generator[None]:
        """It runs until the block ends; one that was begun too late is told to end at once."""
        with self._turn:
            self._running.add(program)
            late = self._ended
        if late:
            program.terminate()
        try:
            yield
        finally:
            with self._turn:
                self._running.discard(program)

    def end(self) -> None:
        """Tell all of them to end, and every later one."""
        with self._turn:
            self._ended = True
            running = tuple(self._running)
        for program in running:
            program.terminate()
