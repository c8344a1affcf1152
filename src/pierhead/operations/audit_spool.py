"""Entries on their way to the database, in a file: a hub that is killed loses none of them.

A line is written before the call is answered, and not synced: it outlives the process, and a power
cut may take the last seconds. The file is emptied now and then, once the database has what is in it;
entries that both have are known by comparison.
"""

import json
import os
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from pierhead import telemetry
from pierhead.core.audit import Entry

log = telemetry.logger("pierhead.audit")

_NAMES = tuple(part.name for part in fields(Entry) if part.name not in ("number", "digest"))


#: Bytes from which on it is worth the trouble to empty the file, and to write what is left anew.
_MUCH, _TOO_MUCH = 64 * 1024, 8 * 1024 * 1024


class Spool:
    """An append-only file of entries. What goes wrong with it is logged once; memory has them too."""

    def __init__(self, path: Path) -> None:
        """`path`: made when it is missing, 0600."""
        self._path = path
        self._file = -1
        self._failed = False
        self._size = 0

    def open(self) -> list[Entry]:
        """What a former hub left; the file is ready for more."""
        left: list[Entry] = []
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = os.fstat(self._file).st_size
            left = [one for line in self._path.read_bytes().splitlines() if (one := _read(line))]
        except OSError as error:
            self._trouble(error)
        return left

    def add(self, one: Entry) -> None:
        """Write one down."""
        if self._file < 0:
            return
        try:
            self._size += os.write(self._file, _line(one))
        except OSError as error:
            self._trouble(error)

    def keep(self, entries: Collection[Entry]) -> None:
        """The database has all but these."""
        if self._file < 0 or self._size < (_TOO_MUCH if entries else _MUCH):
            return
        try:
            if entries:
                self._renew(b"".join(map(_line, entries)))
            else:
                os.ftruncate(self._file, 0)
                self._size = 0
        except OSError as error:
            self._trouble(error)

    def close(self, entries: Collection[Entry]) -> None:
        """Let go of the file; the database has all but these."""
        if self._file < 0:
            return
        try:
            if not entries:
                os.ftruncate(self._file, 0)
        except OSError as error:
            self._trouble(error)
        os.close(self._file)
        self._file = -1

    def _renew(self, lines: bytes) -> None:
        """The old file stays until the new one is whole."""
        part = self._path.with_name(self._path.name + ".part")
        part.unlink(missing_ok=True)
        new = os.open(part, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(new, lines)
        part.replace(self._path)
        os.close(self._file)
        self._file, self._size = new, len(lines)

    def _trouble(self, error: OSError) -> None:
        if not self._failed:
            log.error(
                "audit entries are kept in memory only, until the database has them",
                file=str(self._path),
                error=str(error),
            )
        self._failed = True


def _line(one: Entry) -> bytes:
    row = [getattr(one, name) for name in _NAMES]
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> Entry | None:
    """None for a line that was not written to its end."""
    try:
        row = json.loads(line)
        return Entry(**dict(zip(_NAMES, cast("list[Any]", row), strict=True)))
    except (ValueError, TypeError):
        return None
