"""Opens the platform's database, brings it to this release's schema, and seals what lay open in it."""

import sys

from pierhead import telemetry
from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.errors import Unavailable
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.store import db, facts, keys, schema

log = telemetry.logger("pierhead.hub")
#: The fact that no secret of an older release is left anywhere in the database.
_SCRUBBED = "secrets_scrubbed"


def migrate(settings: Settings) -> bool:
    """Bring the database to this release's schema; True if anything had to be done.

    Secrets of access keys that an older release left in plain are sealed, and their traces removed.

    Raises:
        PierheadError: the database is newer than this release, or does not answer.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _driver(settings.database)
    changed = schema.migrate(settings.database)
    _seal(settings)
    return changed


def _seal(settings: Settings) -> None:
    """Crash-safe: sealing is one transaction, and traces are looked for again until they are gone."""
    engine = db.connect(settings.database, writing=True)
    try:
        if db.run(engine, facts.get, _SCRUBBED) is not None:
            return
        if db.run(engine, keys.plain):
            box = SecretBox(storage_key(settings.data_dir))
            log.info("sealed access keys", keys=db.run(engine, keys.seal_plain, box))
        db.scrub(engine, "access_keys")
        db.run(engine, facts.put, _SCRUBBED, "1")
    except Unavailable as error:
        log.warning("traces of unsealed secrets stay until the next start", why=str(error))
    finally:
        engine.dispose()


def _driver(url: str) -> None:
    """Say what to install before SQLAlchemy's import error does."""
    if not url.startswith("postgresql"):
        return
    try:
        import psycopg  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL",
            f"its driver is not installed: {sys.executable} -m pip install 'pierhead[postgres]'",
        ) from error
