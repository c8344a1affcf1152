"""Which snapshots go when the disk is needed: those that nobody uses, longest unused first; and why.

Asked before something is written to the cache, and once in a while. Who uses a snapshot is asked anew
each time: marks of services that are gone by now are taken away first.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pierhead.core.errors import InUse, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.resources import human_bytes
from pierhead.sources.snapshot import Snapshot
from pierhead.sources.snapshot_locks import disk
from pierhead.sources.snapshots import Snapshots

_DAY = 86400.0
_TIDY = 3600.0  #: seconds between two looks without being asked


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a disk the cache may take, in bytes."""

    limit: int = 0  #: of all snapshots; 0 = as much as the disk has
    keep_free: int = 0  #: of the disk, as long as something unused can go for it
    free: Callable[[Path], int] = field(default=_free, compare=False)

    def lacking(self, taken: int, wanted: int, free: int) -> tuple[int, str]:
        """(bytes that have to go before `wanted` are written, why); `taken` by snapshots, `free` on the disk."""
        over = taken + wanted - self.limit if self.limit else 0
        short = self.keep_free + wanted - free
        more = f", {human_bytes(wanted)} are about to come" if wanted else ""
        if max(over, short) <= 0:
            return 0, ""
        if over >= short:
            limit = human_bytes(self.limit)
            return over, f"the cache may take {limit} and takes {human_bytes(taken)}{more}"
        keep = human_bytes(self.keep_free)
        return short, f"{keep} of the disk are to stay free and {human_bytes(free)} are{more}"


@dataclass(frozen=True, slots=True)
class Evicted:
    """A snapshot that is no longer there."""

    snapshot: Snapshot
    why: str


class Eviction:
    """Makes room in the cache; everything blocks, and any thread may ask."""

    def __init__(
        self,
        snapshots: Snapshots,
        folder: Path,
        room: Room,
        users: Callable[[], Sequence[str]],
        clock: Clock,
        told: Callable[[Evicted], None],
    ) -> None:
        """Of `snapshots`, on the disk of `folder`; `users` are those that snapshots are kept for now.

        `users` may raise Unavailable: then all marks count.
        """
        self._snapshots = snapshots
        self._folder = folder
        self._room = room
        self._users = users
        self._clock = clock
        self._told = told
        self._tidied = clock()

    def make_room(self, wanted: int) -> None:
        """Let unused snapshots go until `wanted` bytes have room, or none is left.

        Raises:
            Unavailable: the cache cannot be read or written.
        """
        with disk(self._folder):
            self._snapshots.clear()
            if self._lacking(self._snapshots.all(), wanted)[0]:
                self._release()
                self._evict(wanted)

    def tidy(self) -> None:
        """The same without a cause, and fetches that did not end go a day later; once an hour.

        Raises:
            Unavailable: as `make_room`.
        """
        now = self._clock()
        if now - self._tidied < _TIDY:
            return
        self._tidied = now
        with disk(self._folder):
            self._snapshots.clear()
            self._release()
            for each in self._snapshots.all():
                if not each.ready and each.used < now - _DAY:
                    self._remove(each, "its fetch did not end within a day")
            self._evict(0)

    def _release(self) -> None:
        before = self._clock()
        # Without the database nobody knows who is gone; what has no mark may go all the same.
        with suppress(Unavailable):
            self._snapshots.release_others(self._users(), before=before)

    def _evict(self, wanted: int) -> None:
        left = self._snapshots.all()
        unused = sorted((e for e in left if e.ready and not e.users), key=lambda each: each.used)
        if wanted > self._free() + sum(each.bytes for each in unused):
            return  # it will not fit, whatever goes: nothing is given up for it
        for each in unused:
            lacking, why = self._lacking(left, wanted)
            if not lacking:
                return
            if self._remove(each, why):
                left.remove(each)

    def _lacking(self, found: Sequence[Snapshot], wanted: int) -> tuple[int, str]:
        # The disk is asked each time: snapshots may share files.
        return self._room.lacking(sum(each.bytes for each in found), wanted, self._free())

    def _free(self) -> int:
        return self._room.free(_existing(self._folder))

    def _remove(self, each: Snapshot, why: str) -> bool:
        try:
            self._snapshots.remove(each)
        except InUse:  # since a moment ago
            return False
        self._told(Evicted(each, why))
        return True


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.is_dir())
