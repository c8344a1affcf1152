"""Who works on a snapshot has its lock; the others wait, and see how far that work is.

An flock: it keeps threads and processes apart, and ends with whoever held it.
"""

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pierhead.core.errors import NotFound, Unavailable
from pierhead.sources import cache
from pierhead.sources.progress import Ended, Phase, Progress, Stopped, Tell

_LOOK = 0.1  #: seconds between two looks at a lock
_TOLD = 0.3  #: seconds between two notes of the progress for others


class Busy(Exception):
    """Somebody else has the lock."""


@contextmanager
def locked(
    folder: Path, tell: Tell, stopped: Stopped, *, make: bool = True
) -> Generator[None, None, None]:
    """Hold a snapshot's lock; while another has it, its progress is told."""
    while True:
        with _lock_file(folder, make=make) as descriptor:
            if _taken(descriptor):
                yield
                return
        tell(_noted(folder))
        if stopped():
            raise Ended
        time.sleep(_LOOK)


@contextmanager
def at_once(folder: Path) -> Generator[None, None, None]:
    """Hold a snapshot's lock, or raise `Busy`."""
    with _lock_file(folder, make=True) as descriptor:
        if not _taken(descriptor):
            raise Busy
        yield


@contextmanager
def _lock_file(folder: Path, *, make: bool) -> Generator[int, None, None]:
    if make:
        folder.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(folder.parent / f"{folder.name}.lock", flags, 0o600)
    except FileNotFoundError:
        raise NotFound("snapshot", f"{folder.parent.name}/{folder.name}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Noted:
    """Tells, and notes it now and then for those that wait."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._path, self._tell = folder / "progress.json", tell
        self._noted = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._noted >= _TOLD:
            self._noted = now
            cache.write_whole(self._path, json.dumps(progress.row()).encode(), lasting=False)
        self._tell(progress)


def progress_of(folder: Path) -> tuple[Progress, bool]:
    """(how far a snapshot was told to be last, whether somebody works on it at the moment)."""
    try:
        with at_once(folder):
            return _noted(folder), False
    except Busy:
        return _noted(folder), True


def _noted(folder: Path) -> Progress:
    """What the one that fetches told last."""
    try:
        row: dict[str, Any] = json.loads((folder / "progress.json").read_bytes())
        row["phase"] = Phase.WAITING
        return Progress(**row)
    except (OSError, ValueError, TypeError):
        return Progress(Phase.WAITING)


@contextmanager
def disk(folder: Path) -> Generator[None, None, None]:
    """Says of a disk that fails which file it was."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            "The cache", f"{error.filename or folder}: {error.strerror or error}"
        ) from error
