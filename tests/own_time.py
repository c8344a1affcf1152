"""How long something takes by itself: without the time in which other programs of the machine had the CPU.

A limit of the design holds where nothing else runs, and tests run side by side. Linux tells of each thread
how long it stood in line for a CPU. Only that is taken off: what works, sleeps or waits for an answer counts.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

#: Of a platform that was started by this process: those of its processes that answer.
_ANSWER = (b"hub", b"gateway")


class OwnTime:
    """Runs from its making on. Counted are this thread, programs that this process started, and their hubs."""

    def __init__(self) -> None:
        self._before = dict(_in_line())
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Since then, without what any of them stood in line."""
        took = time.monotonic() - self._began
        stood = sum(now - self._before.get(thread, 0.0) for thread, now in _in_line())
        return max(0.0, took - stood)


def _in_line() -> Iterator[tuple[int, float]]:
    """Each thread with the seconds that it ever stood in line for a CPU; none where nobody tells."""
    own = Path("/proc/self/task") / str(threading.get_native_id())
    for thread in (own, *_threads()):
        try:
            yield int(thread.name), int((thread / "schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            continue  # it has ended


def _threads() -> Iterator[Path]:
    for child in _children(os.getpid()):
        answering = [each for each in _children(child) if _arguments(each).intersection(_ANSWER)]
        for pid in (child, *answering):
            try:
                yield from Path(f"/proc/{pid}/task").iterdir()
            except OSError:
                continue


def _children(pid: int) -> list[int]:
    try:
        told = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(each) for line in told for each in line.split()]


def _arguments(pid: int) -> set[bytes]:
    try:
        return set(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    except OSError:
        return set()
