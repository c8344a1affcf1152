"""Snapshots of fetched weights: named by content, complete or not there, one fetch at a time.

A snapshot is a folder whose READY file was written last. A folder without one is a fetch that did
not end; the next fetch takes it over. An flock keeps processes apart.
"""

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pierhead.core.errors import Unavailable
from pierhead.core.resources import GIB, human_bytes
from pierhead.lasting import sync_folder

READY = "READY"
_LEFT = GIB // 4  #: bytes that a disk is to have left


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


def publish(part: Path) -> None:
    """Give a finished `NAME.part` its name, read-only, once it is safe on the disk."""
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.chmod(0o444)
    part.replace(part.with_suffix(""))


def need_room(folder: Path, wanted: int) -> None:
    """See that so many bytes can be written, and a little more.

    Raises:
        Unavailable: the disk is too full; with both numbers.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted + _LEFT:
        raise Unavailable(
            "The disk",
            f"{folder} has {human_bytes(free)} free, {human_bytes(wanted + _LEFT)} are needed",
        )
