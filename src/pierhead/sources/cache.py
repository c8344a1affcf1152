"""Snapshots of fetched weights: named by content, complete or not there, one fetch at a time.

A snapshot is a folder whose READY file was written last. A folder without one is a fetch that did
not end; the next fetch takes it over. An flock keeps processes apart.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

READY = "READY"


def is_ready(snapshot: Path) -> bool:
    """Is the snapshot whole?"""
    return (snapshot / READY).is_file()


def mark_ready(snapshot: Path, note: str) -> None:
    """Declare the snapshot whole; `note` is kept in the mark."""
    write_whole(snapshot / READY, note.encode())
    sync_folder(snapshot)


@contextmanager
def locked(snapshot: Path) -> Generator[None, None, None]:
    """Hold the snapshot's lock; waits for another process that fetches the same."""
    snapshot.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(
        snapshot.parent / f"{snapshot.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Write a file so that it is there whole or not at all; `lasting`: also after a power cut."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        out.write(content)
        out.flush()
        if lasting:
            os.fsync(out.fileno())
    part.replace(path)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
