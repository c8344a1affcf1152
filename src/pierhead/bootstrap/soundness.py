"""Before a database is used: is it there, whole, and one that knows what runs here?

An empty one would be taken for a new platform's, and every replica of the data folder for a stranger
that is to be ended. A damaged one would be written to, and be damaged more.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from pierhead.bootstrap.credentials import key_id
from pierhead.core.errors import PierheadError
from pierhead.reconciler.stock import UNKNOWN
from pierhead.runtimes.process.records import INTENT, ReplicaFolder
from pierhead.settings import Settings, masked_url
from pierhead.store import db, events, keys, schema, services

#: Below the data folder, from a restore until a start finds nothing that it does not know: by it, what
#: the database does not know was given up on purpose.
GIVEN_UP = "run/restored"
#: Seconds that a start spends on reading a database through, at most; what it did not reach is read later.
PATIENCE = 2.0
#: For so long is told what a start found, and so much of it at a time.
_DAYS, _SHOWN = 2.0, 5
#: Steps of SQLite's machine between two looks at the clock.
_STEPS = 20_000
#: What SQLite answers of a file that is damaged, or is no database.
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class NotSound(PierheadError):
    """A database that must not be used as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What was found in a database that is whole."""

    schema: str
    rows: dict[str, int]  #: by table


def demand_there(settings: Settings, present: str | None) -> None:
    """See to it that a database without a schema (`present` is None) is that of a new platform.

    Raises:
        NotSound: there are replicas of the one that is missing, or what is left of its log.
    """
    if present is not None:
        return
    file = db.sqlite_file(settings.database)
    if file is None:
        what = f"The database {masked_url(settings.database)} is empty"
    elif file.exists() and file.stat().st_size:
        what = f"The database {file} holds nothing"
    else:
        what = f"The database {file} is {'empty' if file.exists() else 'missing'}"
    folder = settings.data_dir / "replicas"
    here = list(_replicas(folder))
    log = file.with_name(f"{file.name}-wal") if file is not None else None
    if here:
        services = len({path.parent for path in here})
        raise NotSound(
            f"{what}, but {folder} holds {len(here)} replica(s) of {services} service(s), which are left"
            f" as they are: put it back, or {_restore(settings)}; to begin anew, and end them, move"
            f" {folder} away."
        )
    if log is not None and log.exists() and log.stat().st_size and not _has_pages(file):
        raise NotSound(
            f"{what}, but its log {log.name} is there: put the database back beside it, or"
            f" {_restore(settings)}; to begin anew, move the log away."
        )


def demand_empty_is_new(settings: Settings) -> None:
    """The same, before SQLite opens a file: it removes the log of one that is missing or empty.

    Raises:
        NotSound: see `demand_there`.
    """
    file = db.sqlite_file(settings.database)
    if file is not None and not _has_pages(file):
        demand_there(settings, None)


def demand_whole(settings: Settings, patience: float = PATIENCE) -> None:
    """Read SQLite's pages through, for `patience` seconds at most.

    Raises:
        NotSound: one of them is damaged.
    """
    file = db.sqlite_file(settings.database)
    if file is None or not _has_pages(file):
        return
    found = _damage(file, patience)
    if found:
        raise NotSound(
            f"The database {file} is damaged ({found}); nothing was changed, and replicas that run go"
            f" on: {_restore(settings)}; what is there now is kept beside it."
        )


def demand_known_here(settings: Settings) -> None:
    """See to it that what runs here is not a stranger, all of it, to a database that lost its last moments.

    A service's record goes after its last process, so a replica that runs is known, unless the database
    is older. When it knows some of those that run, or services of this very folder, the others are ended,
    and that is told; when it does not, it is another database, or a copy without its log.

    Raises:
        NotSound: it knows none of those that run, and no restore has given them up.
    """
    given_up = settings.data_dir / GIVEN_UP
    folder = settings.data_dir / "replicas"
    run = [path for path in _replicas(folder) if ReplicaFolder(path).kept()]
    here = {path.parent.name for path in run}
    known, key = _known(settings) if here else (set[str](), "")
    strange = here - known
    older = known and key == key_id(settings)
    if not strange:
        given_up.unlink(missing_ok=True)
    elif strange == here and not older and not given_up.exists():
        what = db.sqlite_file(settings.database) or masked_url(settings.database)
        raise NotSound(
            f"The database {what} knows none of the {len(here)} service(s) whose {len(run)} replica(s)"
            f" run here, so it is another one, or older (was it copied without its -wal file?); they"
            f" are left as they are: put theirs back, or {_restore(settings)}; to end them, move"
            f" {folder} away."
        )


def _known(settings: Settings) -> tuple[set[str], str]:
    """The services that it knows, and the key pair of the folder that it belonged to last."""
    engine = db.connect(settings.database, writing=False)
    try:
        return set(db.run(engine, services.ids)), db.run(engine, keys.filed)
    finally:
        engine.dispose()


def look_through(settings: Settings) -> Sound:
    """Read all of the platform's own database.

    Raises:
        NotFound: there is none.
        NotSound: it is damaged, or not the one that belongs here.
        Unavailable: it does not answer.
    """
    from pierhead.bootstrap import backup as backups  # of no use to a start, and of some weight
    from pierhead.store import backup

    demand_empty_is_new(settings)
    backups.absent(settings)
    demand_whole(settings, float("inf"))
    with backup.snapshot(settings.database) as tx:
        revision = schema.version_of(tx)
        demand_there(settings, revision)
        schema.demand_known(tx, revision)
        loose = _loose(tx)
        if loose:
            raise NotSound(
                f"The database is damaged (a row of {loose} refers to one that is missing):"
                f" {_restore(settings)}."
            )
        rows = {
            table.name: tx.execute(select(func.count()).select_from(table)).scalar_one()
            for table in backup.ours(tx)
        }
    return Sound(revision or "", rows)


def found_at_starts(settings: Settings) -> list[str]:
    """What starts of the last days found that the database did not know, newest first; [] if it is not there."""
    from pierhead.store import backup

    file = db.sqlite_file(settings.database)
    if file is not None and not _has_pages(file):
        return []
    try:
        with backup.snapshot(settings.database) as tx:
            if schema.version_of(tx) != schema.HEAD:
                return []
            since = time.time() - _DAYS * 86400
            found, _count = events.page(tx, events.EventQuery(type="Warning", since=since))
    except PierheadError:
        return []  # how the database is, others say
    return [
        f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(one.at))} {one.message}"
        for one in found
        if one.reason in UNKNOWN
    ][:_SHOWN]


def _loose(tx: Connection) -> str:
    if tx.dialect.name != "sqlite":
        return ""  # PostgreSQL lets no such row in
    found = tx.execute(text("PRAGMA foreign_key_check")).first()
    return str(found[0]) if found is not None else ""


def _damage(file: Path, patience: float) -> str:
    """SQLite's own word for what is damaged; "" when nothing is, or when it cannot be read now."""
    give_up = time.monotonic() + patience
    try:
        # Who only reads writes no log back at the end: what is damaged stays as it was found.
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as raw:
            raw.set_progress_handler(lambda: time.monotonic() > give_up, _STEPS)
            found = raw.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if code in _DAMAGE else ""
    told = str(found[0]) if found else "ok"
    return "" if told == "ok" else " ".join(told.replace("*** in database main ***", "").split())


def _has_pages(file: Path | None) -> bool:
    return file is not None and file.exists() and file.stat().st_size > 0


def _replicas(folder: Path) -> Iterator[Path]:
    for service in folder.glob("[!.]*"):
        yield from (intent.parent for intent in service.glob(f"[!.]*/{INTENT}"))


def _restore(settings: Settings) -> str:
    """What to type: with the newest backup that the platform made by itself, if there is one."""
    from pierhead.bootstrap.backup import FOLDER

    folder = settings.data_dir / FOLDER
    newest = next((path for path in _newest_first(folder) if _opens(path)), None)
    name = str(newest) if newest is not None else "FILE"
    return f"restore a backup (pierhead restore {name} --into {settings.data_dir} --force)"


def _newest_first(folder: Path) -> list[Path]:
    from pierhead.bootstrap.backup import SUFFIX

    found = folder.glob(f"*{SUFFIX}")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _opens(path: Path) -> bool:
    from pierhead.store.archive_reader import opened

    try:
        with opened(path):
            return True
    except PierheadError:
        return False
