"""One object on its way to the disk: a `.part` file that is written at many places, and its checkpoint.

The checkpoint says how much of each part is here and what CRC-64 that has. It is written by rename,
and believed only as far as the bytes on the disk have these sums.
"""

import ctypes
import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, cast

from pierhead.core.manifest import Entry
from pierhead.failpoint import failpoint
from pierhead.lasting import sync_folder
from pierhead.sources import cache, sums
from pierhead.sources.crc64 import combined, crc64

_BLOCK = 1 << 20
_SMALL = 1 << 17  #: stays in the processor's cache
_VERSION = 1
_WRITE = 2  #: SYNC_FILE_RANGE_WRITE: begin, and wait for nothing


@dataclass(slots=True)
class Part:
    """A range of an object."""

    start: int
    length: int
    #: (bytes from the start that are on the disk, their CRC-64): one value, so that a checkpoint
    #: that is written meanwhile never has one without the other.
    here: tuple[int, int] = (0, 0)
    checked: bool = True  #: False: `here` is what a checkpoint said

    @property
    def done(self) -> int:
        """Bytes that are on the disk."""
        return self.here[0]

    @property
    def whole(self) -> bool:
        """Is all of it here?"""
        return self.here[0] == self.length


def plan(size: int, part_bytes: int) -> list[Part]:
    """The parts of an object of `size` bytes."""
    starts = range(0, size, part_bytes)
    return [Part(start, min(part_bytes, size - start)) for start in starts]


class PartFile:
    """The file that an object is written to until it is whole."""

    def __init__(self, folder: Path, entry: Entry, part_bytes: int) -> None:
        """In `folder`; what an earlier fetch of the same version left there is taken over.

        Raises:
            OSError: it cannot be made.
        """
        self.entry = entry
        self._path, self._checkpoint = paths(folder, entry.key)
        self._part_bytes = part_bytes
        self._turn, self._writing = Lock(), Lock()
        self._unsaved = 0
        self._check = ""
        self._sum: sums.Sum | None = None
        self._summed = 0  #: bytes from the start of the file that the sum has seen
        self._summing = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.parts = self._resumed() or plan(entry.size, part_bytes)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        os.ftruncate(self._descriptor, entry.size)

    def leave(self) -> None:
        """Leave it as it is, for the next fetch to go on; does nothing once it is published or gone.

        Raises:
            OSError: the checkpoint cannot be written; an earlier one stays.
        """
        if self._descriptor >= 0:
            try:
                self.save()
            finally:
                self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def crc(self) -> int:
        """CRC-64 of the whole."""
        return combined((part.here[1], part.length) for part in self.parts)

    def follow(self, check: str) -> None:
        """From now on, sum up what comes: the whole file is to be `check`, see `Entry.check`."""
        self._check = check
        self._restart()

    @property
    def sum_kind(self) -> str:
        """`sha256`, or another kind of sum that the whole file is to have."""
        return self._check.partition(":")[0]

    def sum_up(self, stopped: Callable[[], bool]) -> None:
        """Sum up what is here without a gap before it; returns at once if that is going on.

        Raises:
            OSError: they cannot be read.
        """
        # They were written a moment ago: this reads memory, while other parts travel.
        if self._sum is None or not self._summing.acquire(blocking=False):
            return
        try:
            for part in self.parts[self._summed // self._part_bytes :]:
                if not part.checked or stopped():
                    return
                self._sum_to(part.start + part.done, stopped)
                if not part.whole:
                    return
        finally:
            self._summing.release()

    def fits(self, stopped: Callable[[], bool]) -> bool:
        """Is the whole file what it is to be? True when nobody knows, or `stopped()` is.

        Raises:
            OSError: it cannot be read.
        """
        if self._sum is None:
            return True
        self.sum_up(stopped)
        return stopped() or self._sum.hexdigest() == self._check.partition(":")[2]

    def _restart(self) -> None:
        kind = self.sum_kind
        self._sum = sums.begun(kind, self.entry.size) if kind else None
        self._summed = 0

    def _sum_to(self, end: int, stopped: Callable[[], bool]) -> None:
        block = memoryview(bytearray(_SMALL))
        while self._sum is not None and self._summed < end and not stopped():
            room = block[: end - self._summed]
            count = os.preadv(self._descriptor, [room], self._summed)
            if not count:
                return
            self._sum.update(room[:count])
            self._summed += count

    def check(self, part: Part, stopped: Callable[[], bool]) -> None:
        """Believe of a resumed part what is really on the disk; no more than all or nothing.

        Raises:
            OSError: it cannot be read.
        """
        done, wanted = part.here
        at, found = part.start, 0
        while at < part.start + done and not stopped():
            block = os.pread(self._descriptor, min(_BLOCK, part.start + done - at), at)
            if not block:
                break
            found = crc64(block, found)
            at += len(block)
        if stopped():
            return
        if at != part.start + done or found != wanted:
            part.here = (0, 0)
        part.checked = True

    def write(self, part: Part, piece: bytes) -> None:
        """Add the next bytes of a part.

        Raises:
            OSError: the disk is full or broken.
        """
        done, crc = part.here
        view = memoryview(piece)
        at = part.start + done
        # The kernel takes one write to a file at a time, and who waits there keeps a core busy.
        with self._writing:
            while view:
                written = os.pwrite(self._descriptor, view, at)
                view, at = view[written:], at + written
        part.here = (done + len(piece), crc64(piece, crc))
        with self._turn:
            self._unsaved += len(piece)
            due = self._unsaved >= self._part_bytes and len(self.parts) > 1
        # An end at any moment costs no more than a part; more often would take a tenth of the time.
        if due:
            self.save()

    def settle(self, part: Part) -> None:
        """Let the disk begin with a part that is whole: what `publish` waits for is little then."""
        begin = _begin_writing()
        if begin is not None and self._descriptor >= 0:
            begin(self._descriptor, part.start, part.length, _WRITE)

    def again(self, part: Part) -> None:
        """Forget what is here of a part."""
        part.here = (0, 0)
        self._restart()
        self.save()

    def save(self, *, whole: bool = False) -> None:
        """Write the checkpoint."""
        with self._turn:
            self._unsaved = 0
            cache.write_whole(self._checkpoint, self._text(whole=whole), lasting=False)
        failpoint("download.after_checkpoint")

    def publish(self, target: Path) -> None:
        """Give the whole file its name, once it is safe on the disk; read-only from then on."""
        # The checkpoint stays: repair learns from it which parts are bad.
        self.save(whole=True)
        os.fsync(self._descriptor)
        self._close()
        target.parent.mkdir(parents=True, exist_ok=True)
        failpoint("download.before_rename")
        self._path.replace(target)
        failpoint("download.after_rename")
        target.chmod(0o444)
        sync_folder(target.parent)

    def discard(self) -> None:
        """Throw it away, with its checkpoint."""
        self._close()
        for path in (self._checkpoint, self._path):
            path.unlink(missing_ok=True)

    def _text(self, *, whole: bool) -> bytes:
        entry = self.entry
        parts = [list(part.here) for part in self.parts]
        version = {"version": _VERSION, "key": entry.key, "etag": entry.etag, "size": entry.size}
        return json.dumps(
            {**version, "part_bytes": self._part_bytes, "whole": whole, "parts": parts}
        ).encode()

    def _resumed(self) -> list[Part] | None:
        said = read(self._checkpoint, self.entry)
        if said is None or not self._path.is_file() or self._path.is_symlink():
            return None
        self._part_bytes = said.part_bytes
        return said.parts


@lru_cache(maxsize=1)
def _begin_writing() -> Callable[[int, int, int, int], int] | None:
    """Linux' `sync_file_range(file, offset, bytes, flags)`; None elsewhere. It only hastens."""
    try:
        found = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says."""

    part_bytes: int
    whole: bool
    parts: list[Part]

    @property
    def crc(self) -> int:
        """CRC-64 of the whole object, once it is whole."""
        return combined((part.here[1], part.length) for part in self.parts)


def paths(folder: Path, key: str) -> tuple[Path, Path]:
    """(the part file, its checkpoint). Named by digest: a name with more at its end may be too long."""
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    return folder / f"{name}.part", folder / f"{name}.json"


def read(checkpoint: Path, entry: Entry) -> Checkpoint | None:
    """What it says of this version of an object; None when it is of another, or is none."""
    try:
        row: dict[str, Any] = json.loads(checkpoint.read_bytes())
        same = all(
            row[name] == wanted
            for name, wanted in (
                ("version", _VERSION),
                ("key", entry.key),
                ("etag", entry.etag),
                ("size", entry.size),
            )
        )
        part_bytes, states = row["part_bytes"], cast(list[tuple[int, int]], row["parts"])
        parts = plan(entry.size, part_bytes) if same and part_bytes > 0 else None
        if parts is None or len(parts) != len(states):
            return None
        for part, (done, crc) in zip(parts, states, strict=True):
            if not 0 <= done <= part.length:
                return None
            part.here, part.checked = (done, crc), done == 0
        return Checkpoint(part_bytes, row["whole"] is True, parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def unpublish(file: Path, folder: Path, entry: Entry) -> None:
    """Make a published file one that is on its way again: its bad parts are fetched, the good ones kept.

    Raises:
        OSError: it cannot be moved.
    """
    part, checkpoint = paths(folder, entry.key)
    with suppress(FileNotFoundError):
        file.chmod(0o600)
        file.replace(part)
    said = read(checkpoint, entry)
    if said is None:
        checkpoint.unlink(missing_ok=True)
