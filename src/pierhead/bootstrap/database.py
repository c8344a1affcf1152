"""Opens the platform's database, brings it to this release's schema, and seals what lay open in it."""

import sys

from pierhead import telemetry
from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.errors import Unavailable
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.store import db, facts, jobs, keys, schema, services
from pierhead.store.db import Connection

log = telemetry.logger("pierhead.hub")
#: The facts that no secret of an older release is left anywhere in the database; that those of
#: services are sealed, and that no trace of them is left either.
_SCRUBBED, _SERVICES_SEALED, _SERVICES_SCRUBBED = (
    "secrets_scrubbed",
    "service_secrets_sealed",
    "service_secrets_scrubbed",
)


def migrate(settings: Settings) -> bool:
    """Bring the database to this release's schema; True if anything had to be done.

    Secrets of access keys and services that an older release left in plain are sealed, and their
    traces removed.

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
    box = SecretBox(storage_key(settings.data_dir))
    engine = db.connect(settings.database, writing=True, box=box)
    try:
        known = {
            fact: db.run(engine, facts.get, fact)
            for fact in (_SCRUBBED, _SERVICES_SEALED, _SERVICES_SCRUBBED)
        }
        if None not in known.values():
            return
        if known[_SCRUBBED] is None and db.run(engine, keys.plain):
            log.info("sealed access keys", keys=db.run(engine, keys.seal_plain, box))
        if known[_SERVICES_SEALED] is None:
            sealed = db.run(engine, _seal_services)
            if sealed:  # verbs open new folders, too, and their output is read by programs
                log.info("sealed tokens of services", services=sealed)
        db.scrub(engine, "access_keys", "services", "versions", "api_jobs")
        for fact in (_SCRUBBED, _SERVICES_SCRUBBED):
            db.run(engine, facts.put, fact, "1")
    except Unavailable as error:
        log.warning("traces of unsealed secrets stay until the next start", why=str(error))
    finally:
        engine.dispose()


def _seal_services(tx: Connection) -> int:
    """All of them or none."""
    if facts.get(tx, _SERVICES_SEALED) is not None:
        return 0
    sealed = services.seal_plain(tx)
    jobs.seal_plain(tx)
    facts.put(tx, _SERVICES_SEALED, "1")
    return sealed


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
