"""Reads the beginning of somebody else's file in pieces, wherever it lies; every length is doubted."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pierhead.sources import regular

#: (start, length) -> the bytes there; fewer only where the file ends.
Read = Callable[[int, int], bytes]

_FIRST, _NEXT = 16 * 1024, 256 * 1024  #: bytes per question: most headers tell enough in the first
_MOST = 64 * 1024 * 1024  #: no header is longer
_STRINGS = 2_000_000  #: in all lists of a header together: a vocabulary and its merges


class BadHeader(Exception):
    """A file is not what its name says, or its header cannot be true; one sentence."""


class BudgetSpent(Exception):
    """More of the file would have to be read than was allowed."""


@dataclass(frozen=True, slots=True)
class HeaderFile:
    """A file whose beginning can be read, on this machine or far away."""

    name: str  #: path below the model's folder
    size: int  #: bytes
    read: Read
    budget: int = _MOST  #: bytes that may be read; a small one for files far away

    @property
    def shown(self) -> str:
        """Its name as it may stand in a message."""
        return shown(self.name, 200)

    @property
    def far(self) -> bool:
        """Does every byte cost?"""
        return self.budget < _MOST


def shown(text: str, most: int) -> str:
    """What a file says as it may stand in a message and a database: short, on one line, no half characters."""
    text = text[:most]
    return text if text.isprintable() else ascii(text)[:most]


def local_file(path: Path, name: str = "") -> HeaderFile:
    """A file on this machine. Raises OSError when there is none; so does reading it."""

    def read(start: int, length: int) -> bytes:
        with regular.opened(path) as stream:
            stream.seek(start)
            return stream.read(length)

    return HeaderFile(name or path.name, path.stat().st_size, read)


class Window:
    """A position in a file, with the piece around it; it never holds more than one piece."""

    def __init__(self, file: HeaderFile) -> None:
        self.file = file
        self.at = 0
        self._piece, self._from = b"", 0
        self._read, self._strings = 0, 0

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            BadHeader: the file ends before, or the header is too long.
            BudgetSpent: they may not be read.
        """
        begin = self.at - self._from
        if begin < 0 or begin + count > len(self._piece):
            self._fetch(count)
            begin = 0
        self.at += count
        return self._piece[begin : begin + count]

    def numbers(self, form: str) -> tuple[Any, ...]:
        """Numbers as `struct` describes them."""
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def skip(self, count: int) -> None:
        """Go on; nothing is read."""
        if self.at + count > self.file.size:
            raise self.bad(f"names {count} bytes where {self.file.size - self.at} are left")
        self.at += count

    def skip_strings(self, count: int) -> None:
        """Go past so many strings, each a length of 8 bytes and its text."""
        self._strings += count
        if self._strings > _STRINGS or 8 * count > self.file.size - self.at:
            raise self.bad(f"names a list of {count} texts")
        length = struct.Struct("<Q").unpack_from
        done = 0
        while done < count:
            self.take(8)  # sees to it that the length is in the piece
            self.at -= 8
            piece, begin = self._piece, self.at - self._from
            end = len(piece) - 8
            while begin <= end and done < count:
                begin += 8 + length(piece, begin)[0]
                done += 1
            self.at = self._from + begin
            if self.at > self.file.size:
                raise self.bad("names a text that is longer than the file")

    def bad(self, problem: str) -> BadHeader:
        """The error of this file."""
        return BadHeader(f"The header of {self.file.shown} cannot be true: it {problem}.")

    def _fetch(self, count: int) -> None:
        left = self.file.size - self.at
        if count > left:
            raise self.bad(f"goes on where the file of {self.file.size} bytes ends")
        if self.at > _MOST or self._read > _MOST:
            raise self.bad(f"is longer than {_MOST >> 20} MiB")
        wanted = min(left, max(count, _NEXT if self._read else _FIRST))
        if self._read + wanted > self.file.budget:
            raise BudgetSpent(self.file.name)
        self._read += wanted
        self._piece, self._from = self.file.read(self.at, wanted), self.at
        if len(self._piece) < count:
            raise self.bad("ends early")
