"""Brings a database to this release's schema, or says in one sentence why not."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, String, Table, insert, inspect, text

from pierhead.core.errors import PierheadError
from pierhead.store import db, tables

if TYPE_CHECKING:
    from alembic.config import Config

#: The newest migration. A test compares it with the scripts' own head.
HEAD = "0008"
#: Key of PostgreSQL's advisory lock: "pier" in ASCII.
_LOCK = 0x70696572
#: Alembic's own note of where the schema is.
_NOTE = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


class TooNew(PierheadError):
    """The database was written by a newer release; it is left as it is."""


def version(url: str) -> str | None:
    """The schema version of a database; None for an empty one.

    Raises:
        Unavailable: the database does not answer.
    """
    engine = db.connect(url, writing=False)
    try:
        return db.run(engine, _version)
    finally:
        engine.dispose()


def migrate(url: str) -> bool:
    """Bring the database to HEAD; True if anything had to be done. Safe in several processes at once.

    Raises:
        TooNew: it was written by a newer release.
        Unavailable: it does not answer.
    """
    if version(url) == HEAD:
        return False
    engine = db.connect(url, writing=True)
    try:
        return db.run(engine, upgrade)
    finally:
        engine.dispose()


def config() -> "Config":
    """Alembic's configuration for our scripts."""
    from alembic.config import Config

    found = Config()
    found.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    return found


def upgrade(connection: db.Connection) -> bool:
    """The transaction of `migrate`; its end lets the next one in."""
    if connection.dialect.name == "postgresql":
        # SQLite's BEGIN IMMEDIATE keeps others out; here it takes a lock, held to the transaction's end.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    present = _version(connection)
    if present == HEAD:
        return False
    if not inspect(connection).get_table_names():
        _make(connection)
    else:
        _migrate(connection, present)
    return True


def _make(connection: db.Connection) -> None:
    """All tables of an empty database at once; a test sees to it that migrations make the same."""
    tables.metadata.create_all(connection, checkfirst=False)
    _NOTE.create(connection)
    connection.execute(insert(_NOTE).values(version_num=HEAD))


def _migrate(connection: db.Connection, present: str | None) -> None:
    # Alembic is loaded only when there is something to change: it costs 0.2 s and 10 MB.
    from alembic import command
    from alembic.script import ScriptDirectory

    scripts = config()
    known = {script.revision for script in ScriptDirectory.from_config(scripts).walk_revisions()}
    if present is not None and present not in known:
        raise TooNew(
            f"The database has schema {present}, which this release (schema {HEAD}) does not know: run a newer pierhead, or restore a backup."
        )
    scripts.attributes["connection"] = connection
    command.upgrade(scripts, HEAD)


def _version(connection: db.Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
