"""Fills a database with the rows of a backup, in one transaction, and tries whether that works."""

import os
import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from pierhead.bootstrap.backup import demand_ours
from pierhead.core.errors import Invalid, Unavailable
from pierhead.core.ids import access_token
from pierhead.failpoint import failpoint
from pierhead.operations.secret_box import SecretBox
from pierhead.store import (
    backup,
    connections,
    db,
    endpoint_tokens,
    facts,
    jobs,
    keys,
    schema,
    services,
    tables,
)
from pierhead.store.archive import Damaged, Manifest
from pierhead.store.archive_reader import Reader, opened

#: The fact that names the restore by which a database became what it is, until that is told.
RESTORED = "restored"
#: Seconds that PostgreSQL waits for others to let go of its tables.
_PATIENCE = 10
#: What comes of rows that are of somebody else's making: a cell of a strange kind, a key twice or not at all.
_UNFIT = (
    *(DataError, IntegrityError, ProgrammingError, Invalid),
    *(AttributeError, KeyError, OverflowError, TypeError, ValueError),
)


@dataclass(frozen=True, slots=True)
class Renewed:
    """What of a backup without secrets had to be replaced, because nothing opens it."""

    services: int = 0  #: with a new token
    tokens: int = 0  #: further endpoint tokens that are new
    keys: int = 0  #: access keys that are no more
    connections: tuple[str, ...] = ()  #: whose secret has to be given again


@dataclass(frozen=True, slots=True)
class Trial:
    """What a backup was found to hold."""

    manifest: Manifest
    bytes: int  #: of the file
    tables: dict[str, int]  #: rows after it was brought to this release's schema; {} = not tried


def verify(path: Path, *, trying: bool = True) -> Trial:
    """Read a backup to its end, and restore its rows into a database that is thrown away.

    Raises:
        Damaged: it is no whole backup, or its rows do not make a database.
        TooNew: a newer release made it.
        Unavailable: it cannot be read, or there is no room for the trial.
    """
    with opened(path) as source:
        demand_ours(path, source.manifest)
        source.check()
        size = path.stat().st_size
        if not trying:
            return Trial(source.manifest, size, {})
        with tempfile.TemporaryDirectory(prefix="pierhead-verify-") as folder:
            url = db.sqlite_url(Path(folder) / "trial.db")
            put_rows(url, source, "")
            return Trial(source.manifest, size, _counted(url, source))


def _counted(url: str, source: Reader) -> dict[str, int]:
    engine = db.connect(url, writing=False)
    try:
        counts = db.run(engine, _counts)
        loose = db.run(engine, lambda tx: tx.execute(text("PRAGMA foreign_key_check")).first())
    finally:
        engine.dispose()
    if loose is not None:
        raise Damaged(f"The backup {source.path} is damaged: a row of {loose[0]} hangs loose.")
    return counts


def _counts(tx: Connection) -> dict[str, int]:
    known = tables.metadata.tables
    return {
        name: tx.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in sorted(known.items())
    }


def put_rows(url: str, source: Reader, mark: str, box: SecretBox | None = None) -> Renewed:
    """Make the database what the backup says, in this release's schema; all of it, or nothing.

    `mark` is what the fact `restored` says afterwards; what of a backup without secrets does not
    open with `box` is renewed, or left as it is when there is none.

    Raises:
        TooNew: this release does not know its schema.
        Damaged: its rows do not fit it.
        Unavailable: the database does not answer, or others use it.
    """
    engine = db.connect(url, writing=True, box=box)
    try:
        renewed = db.run(engine, _put, source, mark, box)
        if engine.dialect.name == "sqlite":
            engine.dispose()
            _whole(Path(url.partition(":///")[2]))
        return renewed
    finally:
        engine.dispose()


def _put(tx: Connection, source: Reader, mark: str, box: SecretBox | None) -> Renewed:
    if tx.dialect.name == "postgresql":
        _demand_alone(tx)
    manifest = source.manifest
    _demand_known(manifest)
    there = backup.lay(tx, manifest.schema)
    strange = sorted(set(manifest.tables) ^ set(there))
    if strange:
        raise Damaged(f"The backup {source.path} does not fit its schema: {strange[0]}.")
    for name, table in there.items():
        member = manifest.tables[name]
        if set(member.columns) != set(backup.columns(table)):
            raise Damaged(f"The backup {source.path} does not fit its schema: {name}.")
        with _fitting(source, name):
            backup.fill(tx, table, member.columns, source.lines(member))
        failpoint("restore.after_rows")
    with _fitting(source, "what an older release wrote"):
        schema.upgrade(tx)
    facts.put(tx, RESTORED, mark)
    return Renewed() if manifest.secrets or box is None else _renew(tx, box)


@contextmanager
def _fitting(source: Reader, what: str) -> Generator[None]:
    """Raises:
    Damaged: rows that the digests vouch for are none that a database takes.
    """
    try:
        yield
    except _UNFIT as error:
        # The first line alone: the others hold the statement.
        why = str(getattr(error, "orig", error)).strip().partition("\n")[0][:200]
        raise Damaged(
            f"The backup {source.path} is damaged: a row of {what} cannot be restored ({why!r})."
        ) from error


def _demand_known(manifest: Manifest) -> None:
    if not schema.known(manifest.schema):
        raise schema.TooNew(
            f"The backup was made by Pierhead {manifest.release} (schema {manifest.schema}), which"
            f" is newer than this one (schema {schema.HEAD}): restore it with that release."
        )


def _demand_alone(tx: Connection) -> None:
    """A hub of another folder may use the same database.

    Raises:
        Unavailable: somebody does.
    """
    tx.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
    others = tx.execute(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    ).scalar_one()
    if others:
        raise Unavailable(
            "The database", f"{others} other connections are open to it: stop what uses it"
        )


def _renew(tx: Connection, box: SecretBox) -> Renewed:
    """What stood in plain was left out, and what is sealed may have lost its key."""
    jobs.forget_unreadable(tx)
    return Renewed(
        services=services.renew_tokens(tx, _fresh),
        tokens=endpoint_tokens.renew(tx, box, _fresh),
        keys=keys.forget_unreadable(tx, box),
        connections=tuple(
            one.name for one in connections.everything(tx) if not _opens(tx, box, one.name)
        ),
    )


def _fresh() -> str:
    return access_token(secrets.token_bytes)


def _opens(tx: Connection, box: SecretBox, connection: str) -> bool:
    try:
        box.open(connection, connections.sealed(tx, connection) or b"")
    except Unavailable:
        return False
    return True


def _whole(file: Path) -> None:
    """The file alone holds everything, on the disk: it is to be moved.

    Raises:
        Unavailable: SQLite did not empty its log into it.
    """
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and log.stat().st_size:
        raise Unavailable("The database", f"its log {log.name} was not written back")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
