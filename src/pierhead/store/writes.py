"""Whether a database takes writes. While it does not, reads go on, and few writers wait for it.

A full disk, a lock that somebody holds, a file or server that only reads: the first writer that meets it
waits as long as the database does; from then on the others are refused at once, and one of them a
second tries whether it is over. So the one thread that writes is never the place where calls pile up.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from pierhead.core.errors import Unavailable
from pierhead.core.resources import MIB, human_bytes

#: Seconds between two tries, and how long such a try waits for a lock.
TRY_SECONDS, TRY_BUSY_SECONDS = 1.0, 0.2
#: Bytes that SQLite needs to go on: its log, its index, and room to write them back.
NEEDED = 8 * MIB


class Away(Unavailable):
    """The database does not answer, is locked, full, damaged or read-only; `why` is its own word."""

    def __init__(self, why: str) -> None:
        super().__init__("The database", why)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why writes are refused now, and for how many seconds already."""

    why: str
    seconds: float


@dataclass(slots=True)
class Writes:
    """Of one database; for the thread that writes, and for whoever asks how it is."""

    file: Path | None = None  #: of SQLite
    timer: Callable[[], float] = time.monotonic
    refused: int = 0  #: writes, since the start
    _why: str = ""
    _since: float | None = None
    _tried: float = 0.0

    @property
    def refusal(self) -> Refusal | None:
        """None while writes are taken."""
        since = self._since
        return None if since is None else Refusal(self._why, self.timer() - since)

    def check(self) -> None:
        """Is this write worth a try?

        Raises:
            Away: not yet.
        """
        refusal, now = self.refusal, self.timer()
        if refusal is None:
            return
        if now - self._tried < TRY_SECONDS:
            self.refused += 1
            raise Away(f"{refusal.why}; it only reads since {refusal.seconds:.0f} s")
        self._tried = now

    def failed(self, error: Away) -> Away:
        """A write failed; gives the error with what there is to say about it."""
        now = self.timer()
        self._since = now if self._since is None else self._since
        self._tried = now
        self._why = self._explained(error.why)
        self.refused += 1
        return Away(self._why)

    def passed(self) -> None:
        """A write was taken."""
        self._since = None

    @property
    def patience(self) -> float | None:
        """Seconds to wait for a lock; None = as long as usual."""
        return None if self._since is None else TRY_BUSY_SECONDS

    def _explained(self, why: str) -> str:
        if self.file is None or "full" not in why:
            return why
        needed = f"{human_bytes(NEEDED)} needed"
        with suppress(OSError):  # the disk itself is gone: the write was refused all the same
            needed = f"{human_bytes(shutil.disk_usage(self.file.parent).free)} free, {needed}"
        return f"{why} ({self.file}: {needed})"


@dataclass(slots=True)
class Log:
    """SQLite's log beside its file. What is committed lies there first: nobody may take it away.

    Who removes it all the same makes every later commit go into a file without a name, which ends with
    this process. The connections still have that file: from there all of it is written back, and new
    connections begin a new log.
    """

    file: Path
    _inode: int | None = field(default=None)

    def lost(self) -> bool:
        """Is it another file than it was, or none? It stays lost until it was written back."""
        try:
            now = self.file.with_name(f"{self.file.name}-wal").stat().st_ino
        except OSError:
            return self._inode is not None
        if self._inode is None:
            self._inode = now
        return self._inode != now

    def write_back(self, writer: Engine) -> None:
        """Put what is in the lost log into the database; the connection is of no use after that.

        Raises:
            Away: somebody reads an older state for longer than SQLite waits.
        """
        raw = writer.raw_connection()
        try:
            connection = raw.driver_connection
            if connection is None:
                raise Away("its connection was lost")
            with closing(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as done:
                busy = done.fetchone()[0]
        except sqlite3.Error as error:
            raise Away(str(error)) from error
        finally:
            raw.close()
        if busy:
            raise Away("its log was removed, and cannot be written back yet")
        self._inode = None


def patiently(engine: Engine, usual: float, patience: Callable[[], float | None]) -> None:
    """Let SQLite's writers wait as long as `patience` says, seconds; `usual` where it says nothing."""

    @event.listens_for(engine, "checkout")
    def _set(  # pyright: ignore[reportUnusedFunction]
        raw: sqlite3.Connection, record: ConnectionPoolEntry, _proxy: object
    ) -> None:
        wanted = patience() or usual
        if record.info.get("busy", usual) != wanted:
            raw.execute(f"PRAGMA busy_timeout={int(wanted * 1000)}").close()
            record.info["busy"] = wanted
