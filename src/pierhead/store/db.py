"""One function = one transaction = one thread hop. No await can hide in a transaction.

SQLite: WAL, one writing thread, `BEGIN IMMEDIATE`, every commit synced to disk.
PostgreSQL: the same functions, the same single writer per hub; other hubs are kept apart by guards.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from copy import copy
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
)

from pierhead.core.errors import Invalid, Unavailable
from pierhead.failpoint import failpoint
from pierhead.store.sealing import OPTION, Texts
from pierhead.store.writes import Away, Log, Writes, patiently

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
#: How long PostgreSQL may take to accept a connection.
CONNECT_SECONDS = 5
#: How long SQLite waits for another process that writes.
BUSY_SECONDS = 5
#: How long a server may leave what was sent to it without a word, in milliseconds.
_SILENT = 10_000
#: After so many milliseconds in a transaction without a statement a hub counts as stopped: where there
#: is another one, that must not wait for what it locked.
_STOPPED = 2_500


class Database:
    """The platform's database; `read` and `write` take functions of a connection."""

    def __init__(
        self,
        url: str,
        *,
        timed: Callable[[str, float], None] = lambda _kind, _seconds: None,
        box: Texts | None = None,
        shared: bool = False,
    ) -> None:
        """`box` seals the secrets in rows; without one they cannot be written, and stay sealed.

        `shared`: other hubs write to it, too.
        """
        self.url = url
        self._timed = timed
        self._reader = connect(url, writing=False, box=box)
        self._writer = connect(url, writing=True, box=box)
        if shared:
            _let_go_when_stopped(self._writer)
        self._guard: Callable[[Connection], object] = lambda _tx: None
        file = sqlite_file(url)
        #: Whether it takes writes.
        self.writes = Writes(file)
        self._log = None if file is None else Log(file)
        if file is not None:
            patiently(self._writer, BUSY_SECONDS, lambda: self.writes.patience)
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="db-read")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="db-write")

    async def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`fn(connection, ...)` in a transaction that writes nothing.

        Raises:
            Unavailable: the database does not answer.
        """
        return await self._run(
            "read",
            self._reading,
            lambda: self._read(lambda: run(self._reader, fn, *args, **kwargs)),
        )

    async def write(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`fn(connection, ...)` in a transaction of its own; all of it happens, or nothing.

        Raises:
            Unavailable: the database does not answer, is locked, full or read-only.
        """

        def work(tx: Connection) -> T:
            self._guard(tx)
            return fn(tx, *args, **kwargs)

        return await self._run("write", self._writing, lambda: self._write(work))

    def guarded(self, guard: Callable[[Connection], object]) -> Self:
        """The same database, each of whose writes begins with `guard`; it shares everything else.

        What `guard` raises ends the transaction, and is raised by `write`.
        """
        view = copy(self)
        view._guard = guard
        return view

    async def tend(self) -> None:
        """To be called every second or so: finds out whether writes are taken again, and mends the log.

        Raises:
            Unavailable: they are not, or it cannot be mended yet.
        """
        trying = self.writes.refusal is not None
        work = (lambda: self._write(_touch)) if trying else self._keep_log
        await asyncio.get_running_loop().run_in_executor(self._writing, work)

    def _read(self, look: Callable[[], T]) -> T:
        try:
            return look()
        except Away as error:
            if not self._torn(error):
                raise
        self._reader.dispose()
        return look()

    def _torn(self, error: Away) -> bool:
        """Was a connection made, or used, in the very moment in which its log was taken away? A new one will do."""
        return self._log is not None and error.why == "disk I/O error"

    def _write(self, fn: Callable[[Connection], T]) -> T:
        committing = False

        def work(tx: Connection) -> T:
            nonlocal committing
            done = fn(tx)
            failpoint("database.before_commit")
            committing = True
            return done

        self.writes.check()
        try:
            try:
                done = run(self._writer, work)
            except Away as error:
                if committing or not self._torn(error):
                    raise
                self._keep_log()  # what was committed before is not to go with the connection
                self._writer.dispose()
                done = run(self._writer, work)
            self._keep_log()
        except Away as error:
            raise self.writes.failed(error) from error
        self.writes.passed()
        failpoint("database.after_commit")
        return done

    def _keep_log(self) -> None:
        """What was committed lies in a log that has a name: before it is answered, and once a second."""
        if self._log is not None and self._log.lost():
            self._log.write_back(self._writer)
            self._writer.dispose()
            self._reader.dispose()

    async def _run(self, kind: str, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        finally:
            self._timed(kind, time.perf_counter() - began)

    def close(self) -> None:
        """Wait for running transactions, then let go of all connections."""
        self._reading.shutdown()
        self._writing.shutdown()
        self._reader.dispose()
        self._writer.dispose()


def _touch(tx: Connection) -> None:
    """The smallest write: it changes a row that nobody reads."""
    tx.exec_driver_sql("DELETE FROM facts WHERE key = 'touched'").close()
    tx.exec_driver_sql("INSERT INTO facts (key, value) VALUES ('touched', '')").close()


def run(
    engine: Engine, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """`fn` in one transaction on `engine`, in this thread.

    Raises:
        Unavailable: the database does not answer, is locked, full, damaged or read-only.
        Invalid: a value cannot be stored or searched for: a NUL or half a character, say.
    """
    with speaking(), engine.begin() as connection:
        return fn(connection, *args, **kwargs)


@contextmanager
def speaking() -> Generator[None]:
    """Inside, what goes wrong with a database is told in our own words.

    Raises:
        Away: the database does not answer, is locked, full, damaged or read-only.
        Invalid: a value cannot be stored or searched for: a NUL or half a character, say.
    """
    try:
        yield
    except (DataError, UnicodeEncodeError, OverflowError) as error:
        problem = str(getattr(error, "orig", error)).strip().split("\n", 1)[0]
        raise Invalid("values", f"the database cannot hold one of them: {problem}") from error
    except (IntegrityError, ProgrammingError):
        raise  # a mistake in our statements, not in the database's health
    except (DatabaseError, InterfaceError) as error:
        raise Away(str(error.orig).strip().split("\n", 1)[0]) from error


def scrub(engine: Engine, *names: str) -> None:
    """Remove what rows of these tables held before they were changed; may take as much disk again.

    SQLite rewrites the whole file and empties its log, PostgreSQL rewrites the tables. Nothing else may
    use the database in the meantime.

    Raises:
        Unavailable: somebody uses it, the disk is full, or it does not answer.
    """
    raw = engine.raw_connection()
    try:
        connection = raw.driver_connection
        if connection is None:
            raise Unavailable("The database", "its connection was lost")
        if engine.dialect.name == "sqlite":
            steps = ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"]
        else:
            connection.autocommit = True
            steps = [f"SET lock_timeout = '{BUSY_SECONDS}s'"]
            steps += [f"VACUUM FULL {name}" for name in names]
        for step in steps:
            connection.execute(step).close()
    except engine.dialect.loaded_dbapi.Error as error:
        raise Unavailable("The database", str(error).strip().split("\n", 1)[0]) from error
    finally:
        raw.invalidate()  # it is not as the others are, any more


def connect(url: str, *, writing: bool, box: Texts | None = None) -> Engine:
    """An engine for `url`; SQLite connections are tuned, and begin immediately when `writing`."""
    backend = make_url(url).get_backend_name()
    engine = (_sqlite if backend == "sqlite" else _server)(url, writing=writing)
    engine.update_execution_options(**{OPTION: box})
    return engine


def _server(url: str, *, writing: bool) -> Engine:
    return create_engine(
        url,
        pool_size=1 if writing else READERS,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # in errors and logs: they hold secrets
        connect_args={"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": _SILENT},
    )


def _let_go_when_stopped(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _limit(connection: DBAPIConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {_STOPPED}")
        connection.commit()


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite:///{file}"


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None when it is none, or has no file."""
    found = make_url(url)
    return Path(found.database) if found.get_backend_name() == "sqlite" and found.database else None


def _sqlite(url: str, *, writing: bool) -> Engine:
    engine = create_engine(
        url, pool_size=1 if writing else READERS, max_overflow=0, hide_parameters=True
    )
    begin = "BEGIN IMMEDIATE" if writing else "BEGIN"

    @event.listens_for(engine, "connect")
    def _tune(connection: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver must not begin transactions by itself: ours begin as asked for below.
        connection.isolation_level = None
        _use_wal(connection)
        for pragma in (
            "synchronous=FULL",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql(begin)

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn on WAL. A new file is changed by it, and for that SQLite itself does not wait for others."""
    # Where it does wait, it has waited BUSY_SECONDS when it fails: then there is no second try.
    deadline = time.monotonic() + BUSY_SECONDS / 2
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
