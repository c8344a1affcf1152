"""Reads a backup file, and believes nothing in it before it was checked against the manifest."""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from pierhead.core.errors import Unavailable
from pierhead.store.archive import (
    FILES,
    LARGEST_FILE,
    MANIFEST,
    TABLES,
    Damaged,
    Manifest,
    Member,
    parsed,
)

#: Bytes; a manifest holds some hundred per member, and no row comes near the other.
_LONGEST_MANIFEST, _LONGEST_LINE = 4 * 1024 * 1024, 256 * 1024 * 1024
_TABLE = re.compile(re.escape(TABLES) + r"[a-z_]{1,63}\.jsonl")
#: Epoch seconds of the last moment that can be written as a date.
_LAST_MOMENT = 253402300799
#: What reading a ZIP raises that was cut off, or changed, or is none.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
)


@contextmanager
def opened(path: Path) -> Generator["Reader"]:
    """The archive at `path`.

    Raises:
        Unavailable: the file cannot be opened.
        Damaged: it is no backup, or its manifest does not hold.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unavailable(f"The file {path}", error.strerror or str(error)) from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except _UNREADABLE as error:
            raise Damaged(f"{path} is no backup, or its end is missing: {error}.") from error
        with archive:
            yield Reader(path, _manifest(path, archive), archive)


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        if archive.getinfo(MANIFEST).file_size > _LONGEST_MANIFEST:
            raise ValueError("it is too large")
        manifest = parsed(archive.read(MANIFEST))
        _demand_sane(manifest)
    except _UNREADABLE as error:
        raise Damaged(f"The backup {path} is damaged: its manifest: {error}.") from error
    strange = set(archive.namelist()) ^ {MANIFEST, *(one.name for one in manifest.members)}
    if strange:
        raise Damaged(f"The backup {path} is damaged: {min(strange)!r} is missing or too much.")
    return manifest


def _demand_sane(manifest: Manifest) -> None:
    """A manifest whose digest is right may still be of somebody else's making.

    Raises:
        ValueError: it says what none of ours says.
    """
    told = (manifest.release, manifest.schema, manifest.database, manifest.account, manifest.key)
    if not all(text.isprintable() for text in (*told, *manifest.left_out)):
        raise ValueError("a text in it cannot be printed")
    if not 0 <= manifest.made <= _LAST_MOMENT:
        raise ValueError("its time is none")
    names = [one.name for one in manifest.members]
    if len(names) != len(set(names)):
        raise ValueError("it names something twice")
    for one in manifest.members:
        if not (_is_table(one) or _is_file(one)):
            raise ValueError(f"no backup has {one.name[:80]!r} with these numbers")


def _is_table(one: Member) -> bool:
    fits = _TABLE.fullmatch(one.name) is not None and one.columns != ()
    return fits and one.bytes >= 0 and one.rows >= 0


def _is_file(one: Member) -> bool:
    """Where it may be written, others know."""
    small = one.name.startswith(FILES) and 0 <= one.bytes <= LARGEST_FILE
    return small and one.columns == () and one.rows == 0


@dataclass(frozen=True, slots=True)
class Reader:
    """An archive whose manifest was read and holds; members are checked as they are read."""

    path: Path
    manifest: Manifest
    archive: zipfile.ZipFile

    def check(self) -> None:
        """Read all of it.

        Raises:
            Damaged: a member is not what was written.
        """
        for member in self.manifest.members:
            if member.columns:
                for _ in self.lines(member):
                    pass
            else:
                self.content(member)

    def lines(self, member: Member) -> Iterator[list[Any]]:
        """The rows of a table.

        Raises:
            Damaged: it is not what was written; only known at the end.
        """
        digest, size, count = hashlib.sha256(), 0, 0
        with self._opened(member) as source:
            while line := self._read(source, member, member.bytes + 1 - size):
                digest.update(line)
                size, count = size + len(line), count + 1
                if size > member.bytes:
                    break
                yield self._row(line, member)
        told = (size, count, digest.hexdigest())
        if told != (member.bytes, member.rows, member.sha256):
            raise self._damaged(f"{member.name} is not what was written")

    def content(self, member: Member) -> bytes:
        """A file.

        Raises:
            Damaged: it is not what was written.
        """
        with self._opened(member) as source:
            try:
                found = source.read(member.bytes + 1)
            except _UNREADABLE as error:
                raise self._damaged(f"{member.name} cannot be read") from error
        if len(found) != member.bytes or hashlib.sha256(found).hexdigest() != member.sha256:
            raise self._damaged(f"{member.name} is not what was written")
        return found

    def _opened(self, member: Member) -> IO[bytes]:
        try:
            return self.archive.open(member.name)
        except _UNREADABLE as error:
            raise self._damaged(f"{member.name} is missing or cannot be read") from error

    def _read(self, source: IO[bytes], member: Member, most: int) -> bytes:
        try:
            return source.readline(min(most, _LONGEST_LINE))
        except _UNREADABLE as error:
            raise self._damaged(f"{member.name} cannot be read") from error

    def _row(self, line: bytes, member: Member) -> list[Any]:
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"{member.name} holds a line that is no row") from error
        values = cast("list[Any]", row) if isinstance(row, list) else []
        if len(values) != len(member.columns):
            raise self._damaged(f"{member.name} holds a line that is no row")
        return values

    def _damaged(self, why: str) -> Damaged:
        return Damaged(f"The backup {self.path} is damaged: {why}.")
