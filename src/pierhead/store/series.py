"""Figures of services over time, in files of fixed size: one ring of records per service.

A file is a header and one record of 64 bytes per step: its tick (core/series.py), then the figures as
floats of 32 bits. A record's place follows from its tick, so that the newest one overwrites the oldest;
one whose tick is not the one looked for is of an earlier round, and what was never written is a gap.
Records never straddle a page: who reads while one is written, or after a crash, meets the old one or
the new one. 24 hours take 0.53 MiB of disk per service and nothing of memory.
"""

import os
import re
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path

from pierhead.core.series import METRICS, STEP, Sample

_RECORD = struct.Struct(f"<I{len(METRICS)}f")
#: What it is, how many bytes a record has, seconds of a step, records.
_HEADER = struct.Struct("<8sIII")
#: Counts up with every change of METRICS: old figures would pass for others.
_MAGIC = b"PHRING01"
_HEAD = _RECORD.size  #: bytes before the first record, so that records do not straddle pages
_PIECE = 1024  #: records that are read at once
_SUFFIX, _PART = ".ring", ".part"
_OURS = frozenset({_SUFFIX, _PART})
_ID = re.compile(r"[0-9a-f]{32}")


class SeriesFiles:
    """The rings of one folder; everything blocks."""

    def __init__(self, folder: Path, hours: float) -> None:
        """`hours`: how far back they go; a file of another length begins anew."""
        self._folder = folder
        self._slots = max(1, ceil(hours * 3600 / STEP))
        self._head = _HEADER.pack(_MAGIC, _RECORD.size, STEP, self._slots).ljust(_HEAD, b"\0")

    @property
    def seconds(self) -> int:
        """How far back they go."""
        return self._slots * STEP

    @property
    def file_bytes(self) -> int:
        """What one service takes of the disk, at most."""
        return _HEAD + self._slots * _RECORD.size

    def write(self, tick: int, rows: Mapping[str, Sequence[float]]) -> None:
        """One record for each of these services, by id; a ring that is not there is made.

        Raises:
            OSError: the disk refuses. Those after the first that it refuses are not written.
        """
        if rows:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for service, values in rows.items():
            ring = self._ring(self._path(service))
            try:
                os.pwrite(ring, _RECORD.pack(tick, *values), self._place(tick))
            finally:
                os.close(ring)

    def read(self, service: str, first: int, end: int) -> Iterator[Sample]:
        """The samples of the ticks from `first` to before `end`, in this order; gaps are left out.

        Raises:
            OSError: the disk refuses.
        """
        try:
            ring = os.open(self._path(service), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if self._fits(ring):
                yield from self._samples(ring, max(first, end - self._slots), end)
        finally:
            os.close(ring)

    def _samples(self, ring: int, tick: int, end: int) -> Iterator[Sample]:
        while tick < end:
            # Up to where the ring begins again; in pieces, so that a long one takes no memory.
            count = min(end - tick, self._slots - tick % self._slots, _PIECE)
            data = os.pread(ring, count * _RECORD.size, self._place(tick))
            for number, (found, *values) in enumerate(_RECORD.iter_unpack(data)):
                if found == tick + number:
                    yield found, values
            tick += count

    def _fits(self, ring: int) -> bool:
        """Is it of this kind and length?"""
        size = os.fstat(ring).st_size
        return size == self.file_bytes and os.pread(ring, _HEAD, 0) == self._head

    def keep(self, services: Collection[str]) -> None:
        """Remove the rings of all services but these.

        Raises:
            OSError: the disk refuses.
        """
        with suppress(FileNotFoundError):
            for file in self._folder.iterdir():
                # Others' files are others', such as what a file system keeps at its top.
                if file.suffix in _OURS and (file.suffix != _SUFFIX or file.stem not in services):
                    file.unlink(missing_ok=True)

    def _place(self, tick: int) -> int:
        return _HEAD + tick % self._slots * _RECORD.size

    def _path(self, service: str) -> Path:
        if _ID.fullmatch(service) is None:
            raise ValueError(f"{service!r} is no service's id")
        return self._folder / f"{service}{_SUFFIX}"

    def _ring(self, path: Path) -> int:
        """The ring's descriptor; one of another kind or length gives way to a new one."""
        try:
            ring = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return self._made(path)
        if self._fits(ring):
            return ring
        os.close(ring)
        return self._made(path)

    def _made(self, path: Path) -> int:
        """A ring without records: it has its name only once its header is whole."""
        part = path.with_suffix(_PART)
        ring = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(ring, self._head, 0)
            os.ftruncate(ring, self.file_bytes)
            part.rename(path)
        except OSError:
            os.close(ring)
            raise
        return ring
