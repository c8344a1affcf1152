"""Brings a database to this release's schema, or says in one sentence why not."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, String, Table, event, insert, inspect, text
from sqlalchemy.exc import DatabaseError

from pierhead import __version__
from pierhead.core.errors import PierheadError
from pierhead.failpoint import failpoint
from pierhead.store import db, facts, tables

if TYPE_CHECKING:
    from alembic.config import Config

#: The newest migration. A test compares it with the scripts' own head.
HEAD = "0011"
#: Key of PostgreSQL's advisory lock: "pier" in ASCII.
_LOCK = 0x70696572
#: Alembic's own note of where the schema is.
_NOTE = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


#: The fact that tells which release wrote the database last.
RELEASE = "release"


class TooNew(PierheadError):
    """The database was written by a newer release; it is left as it is."""


def version(url: str) -> str | None:
    """The schema version of a database; None for an empty one.

    Raises:
        Unavailable: the database does not answer.
    """
    engine = db.connect(url, writing=False)
    try:
        return db.run(engine, version_of)
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


def known(revision: str | None) -> bool:
    """Can this release bring a database of that schema up to date? None = an empty one."""
    if revision in (None, HEAD):
        return True
    # Alembic is loaded only when there is something to change: it costs 0.2 s and 10 MB.
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    return revision in {script.revision for script in scripts}


def config() -> "Config":
    """Alembic's configuration for our scripts."""
    from alembic.config import Config

    found = Config()
    found.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    return found


def upgrade(connection: Connection) -> bool:
    """The transaction of `migrate`; its end lets the next one in."""
    if connection.dialect.name == "postgresql":
        # SQLite's BEGIN IMMEDIATE keeps others out; here it takes a lock, held to the transaction's end.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    present = version_of(connection)
    if present == HEAD:
        return False
    event.listen(connection, "before_cursor_execute", _statement)
    if not inspect(connection).get_table_names():
        make(connection, HEAD)
    else:
        demand_known(connection, present)
        _migrate(connection, HEAD)
    facts.put(connection, RELEASE, __version__)
    return True


def make(connection: Connection, revision: str) -> None:
    """The tables of a schema, in an empty database.

    Those of the newest one are made at once; a test sees to it that migrations make the same.
    """
    if revision != HEAD:
        _migrate(connection, revision)
        return
    tables.metadata.create_all(connection, checkfirst=False)
    _NOTE.create(connection)
    connection.execute(insert(_NOTE).values(version_num=HEAD))


def demand_known(connection: Connection, present: str | None) -> None:
    """See to it that this release knows the schema of the database.

    Raises:
        TooNew: it does not; the message names both releases.
    """
    if known(present):
        return
    release = _release(connection)
    raise TooNew(
        f"The database was written by {f'Pierhead {release}' if release else 'a newer Pierhead'}"
        f" (schema {present}), and this is Pierhead {__version__} (schema {HEAD}), which does not"
        " know it: run the newer one, or restore a backup."
    )


def _release(connection: Connection) -> str:
    """The release that wrote the database last; "" when it does not say."""
    try:
        with connection.begin_nested():
            return facts.get(connection, RELEASE) or ""
    except DatabaseError:
        return ""  # facts may look otherwise in a newer schema


def _migrate(connection: Connection, revision: str) -> None:
    from alembic import command

    scripts = config()
    scripts.attributes["connection"] = connection
    command.upgrade(scripts, revision)


def _statement(*_: object) -> None:
    failpoint("migrate.statement")


def version_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
