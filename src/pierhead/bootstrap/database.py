"""Opens the platform's database, brings it to this release's schema, and seals what lay open in it."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from pierhead import __version__, telemetry
from pierhead.bootstrap.restore_plan import STAGING
from pierhead.bootstrap.secret_files import storage_key
from pierhead.bootstrap.soundness import (
    demand_empty_is_new,
    demand_known_here,
    demand_there,
    demand_whole,
)
from pierhead.core.errors import Unavailable
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.store import db, facts, jobs, keys, schema, services
from pierhead.store.db import Connection
from pierhead.store.writes import TRY_SECONDS, Away

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
        PierheadError: the database is newer than this release, damaged, missing although replicas are
            here, or does not answer, or the backup that is made before a change cannot be written.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _driver(settings.database)
    if (settings.data_dir / STAGING).exists():
        _finish_restore(settings)
    demand_empty_is_new(settings)
    demand_whole(settings)
    present = _present(settings)
    demand_there(settings, present)
    if present not in (None, schema.HEAD) and schema.known(present):
        from pierhead.bootstrap.backup import before_migration  # of no use to most starts

        kept = before_migration(settings, str(present))
        log.info("the database is migrated", schema=present, to=schema.HEAD, backup=str(kept))
    changed = schema.migrate(settings.database)
    demand_known_here(settings)
    _note_release(settings)
    _seal(settings)
    return changed


def _finish_restore(settings: Settings) -> None:
    from pierhead.bootstrap.restore import finish

    restored = finish(settings)
    if restored is not None:
        log.warning("a restore that was cut off was finished", backup=restored.file)


def _present(settings: Settings) -> str | None:
    """The schema that is there; asking SQLite for it does not make a database."""
    file = db.sqlite_file(settings.database)
    return None if file is not None and not file.exists() else schema.version(settings.database)


def _note_release(settings: Settings) -> None:
    """Write down which release writes the database: an older one that meets it later names it."""
    engine = db.connect(settings.database, writing=True)
    try:
        if db.run(engine, facts.get, schema.RELEASE) != __version__:
            db.run(engine, facts.put, schema.RELEASE, __version__)
    except Unavailable as error:
        log.warning("the database does not know this release yet", why=str(error))
    finally:
        engine.dispose()


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


# ---- while the hub runs ------------------------------------------------------------------------


def _end() -> None:
    signal.raise_signal(signal.SIGTERM)  # whoever keeps the hub starts another


@asynccontextmanager
async def tending(
    store: db.Database, begin: Callable[[], Awaitable[None]], end: Callable[[], None] = _end
) -> AsyncGenerator[None]:
    """Looks after the database's writes once a second.

    `begin` writes what every start has to; where the database only reads, it is done when it writes again.
    `end` is called when that cannot go on: a hub that nobody tells of its database is no good.

    Raises:
        Unavailable: `begin` cannot be done for another reason.
    """

    def over(done: asyncio.Task[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.error("nobody looks after the database: the hub ends", exc_info=error)
            end()

    left = not await _begun(begin)
    if left:
        log.warning("the hub starts, but the database only reads", **told(store)["database"])
    task = asyncio.create_task(_tend(store, begin, left=left), name="tend-database")
    task.add_done_callback(over)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _begun(begin: Callable[[], Awaitable[None]]) -> bool:
    try:
        await begin()
    except Away:
        return False
    return True


async def _tend(store: db.Database, begin: Callable[[], Awaitable[None]], *, left: bool) -> None:
    reads_only = left
    while True:
        await asyncio.sleep(TRY_SECONDS)
        with suppress(Unavailable):  # how it is, is told below, when it changes
            await store.tend()
        if (store.writes.refusal is not None) != reads_only:
            reads_only = not reads_only
            _say(store, reads_only=reads_only)
        if left and not reads_only:
            with suppress(Unavailable):  # it is tried again in a second
                left = not await _begun(begin)


def _say(store: db.Database, *, reads_only: bool) -> None:
    if reads_only:
        log.error("the database only reads", **told(store)["database"])
    else:
        log.warning("the database takes writes again", refused=store.writes.refused)


def told(store: db.Database) -> dict[str, Any]:
    """What /healthz says of the database."""
    refusal = store.writes.refusal
    if refusal is None:
        return {"status": "ok"}
    about = {"why": refusal.why, "seconds": round(refusal.seconds, 1)}
    return {"status": "read-only", "database": about | {"refused": store.writes.refused}}


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
