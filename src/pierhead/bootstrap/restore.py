"""Puts a backup in place of what a data folder holds: all of it, or nothing.

Everything is made ready beside what is there, then written down in a plan, then moved into place. Who
is killed before the plan counts has changed nothing; what a plan that counts left undone is finished by
whoever comes next: another restore, or the next start. A plan for SQLite counts when it is there, one
for PostgreSQL when the database, which is changed in one transaction, holds its id.
"""

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pierhead.bootstrap import backup
from pierhead.bootstrap.audit import by_operator
from pierhead.bootstrap.credentials import of_account
from pierhead.bootstrap.restore_over import demand_key, set_aside
from pierhead.bootstrap.restore_plan import PLAN, STAGING, Plan, place, planned
from pierhead.bootstrap.restore_rows import RESTORED, Renewed, put_rows
from pierhead.bootstrap.secret_files import storage_key, write_private
from pierhead.bootstrap.soundness import GIVEN_UP
from pierhead.bootstrap.supervisor import only_one
from pierhead.bootstrap.turns import demand_nobody_active
from pierhead.bootstrap.watching import HEAD
from pierhead.core.errors import PierheadError, Unavailable
from pierhead.failpoint import failpoint
from pierhead.lasting import sync_folder
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.store import db, facts, schema
from pierhead.store.archive import Manifest, cannot_write
from pierhead.store.archive_reader import Reader, opened
from pierhead.store.writes import Away, Writes

#: Below the data folder: whoever works on what is made ready holds it.
LOCK = "run/restore.lock"
_FILES = "files"
#: The operator's settings come back under a name that has no effect: they may name another database.
_RENAMED = {backup.SETTINGS: f"{backup.SETTINGS}.restored"}


@dataclass(frozen=True, slots=True)
class Done:
    """A restore that was done."""

    manifest: Manifest
    plan: Plan
    renewed: Renewed


def restore(
    settings: Settings, path: Path, *, force: bool = False, new_secrets: bool = False
) -> Done:
    """Make the data folder and the database what they were when the backup was made.

    `force`: also over a platform that is there, which is kept as a backup of its own first.
    `new_secrets`: also without the key of a backup without secrets; what it opened is renewed.

    Raises:
        CannotStart: a platform runs on the folder.
        NotRestored: there is a platform already, or the backup needs a key that is not there.
        Damaged: the backup is no whole one.
        TooNew: a newer release made it.
        Unavailable: the database does not answer, or the disk is full.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(settings.data_dir, error) from error
    with only_one(settings.data_dir), only_one(settings.data_dir, "run/hub.lock"), _alone(settings):
        demand_nobody_active(settings)
        _finish(settings)
        with opened(path) as source:
            backup.demand_ours(path, source.manifest)
            source.check()
            if not new_secrets:
                demand_key(settings, source.manifest)
            aside = set_aside(settings, path, force=force)
            failpoint("restore.after_set_aside")
            plan = Plan(
                secrets.token_hex(16),
                path.name,
                source.manifest.made,
                source.manifest.release,
                source.manifest.schema,
                str(aside or ""),
                place(settings),
            )
            renewed = _made_ready(settings, source, plan)
        if _finish(settings) is None:
            raise Unavailable("The database", "it was put back while a backup was restored")
    return Done(source.manifest, plan, renewed)


def finish(settings: Settings) -> Plan | None:
    """Finish, or clear away, a restore that was cut off; gives what was finished.

    Raises:
        Unavailable: somebody is restoring right now, what was cut off is for another database, or the
            database does not answer.
    """
    if not (settings.data_dir / STAGING).exists():
        return None
    with _alone(settings):
        return _finish(settings)


@contextmanager
def _alone(settings: Settings) -> Generator[None]:
    """No two processes work on the same staging folder."""
    import fcntl

    path = settings.data_dir / LOCK
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable("The database", "a backup is being restored into it") from error
        yield


# ---- make ready --------------------------------------------------------------------------------


def _made_ready(settings: Settings, source: Reader, plan: Plan) -> Renewed:
    try:
        return _make_ready(settings, source, plan)
    except OSError as error:
        _give_up(settings, plan)
        raise cannot_write(settings.data_dir / STAGING, error) from error
    except Away as error:
        _give_up(settings, plan)
        raise Writes(db.sqlite_file(settings.database)).failed(error) from error
    except PierheadError:
        _give_up(settings, plan)
        raise


def _make_ready(settings: Settings, source: Reader, plan: Plan) -> Renewed:
    staging = settings.data_dir / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    (staging / _FILES).mkdir(parents=True, mode=0o700)
    for name, content in _files(settings, source):
        path = staging / _FILES / name
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        write_private(path, content)
    failpoint("restore.after_files")
    box = None if source.manifest.secrets else SecretBox(storage_key(settings.data_dir))
    file = db.sqlite_file(settings.database)
    if file is None:
        write_private(staging / PLAN, plan.raw())
        failpoint("restore.after_plan")
        renewed = put_rows(settings.database, source, plan.id, box)
        failpoint("restore.after_commit")
        return renewed
    fresh = _fresh(file)
    _remove(fresh)
    # SQLite gives its log the same mode.
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    renewed = put_rows(db.sqlite_url(fresh), source, plan.id, box)
    sync_folder(fresh.parent)
    failpoint("restore.after_rows")
    write_private(staging / PLAN, plan.raw())
    failpoint("restore.after_plan")
    return renewed


def _give_up(settings: Settings, plan: Plan) -> None:
    """Leave nothing of what was made ready, unless it may count: room is what was wanting, as a rule."""
    with suppress(PierheadError, OSError):  # whoever comes next asks again whether it counts
        if not _counts(settings, plan):
            _clear(settings)


def _counts(settings: Settings, plan: Plan) -> bool:
    """Is the plan to be finished?

    Raises:
        Unavailable: the database does not answer.
    """
    if db.sqlite_file(settings.database) is not None:
        return (settings.data_dir / STAGING / PLAN).exists()
    return _marked(settings) == plan.id


def _clear(settings: Settings) -> None:
    shutil.rmtree(settings.data_dir / STAGING, ignore_errors=True)
    file = db.sqlite_file(settings.database)
    if file is not None:
        _remove(_fresh(file))


def _files(settings: Settings, source: Reader) -> Generator[tuple[str, bytes]]:
    for name, member in source.manifest.files.items():
        yield _RENAMED.get(name, name), source.content(member)
    account = source.manifest.account
    if backup.KEYS[0] not in source.manifest.files and account:
        yield backup.KEYS[0], of_account(settings, account)


def _fresh(file: Path) -> Path:
    return file.with_name(f"{file.name}.restored")


def _remove(file: Path) -> None:
    for end in ("-wal", "-shm", ""):
        file.with_name(file.name + end).unlink(missing_ok=True)


# ---- into place --------------------------------------------------------------------------------


def _finish(settings: Settings) -> Plan | None:
    staging, plan = settings.data_dir / STAGING, planned(settings)
    if plan is None or not _counts(settings, plan):
        _clear(settings)
        return None
    file = db.sqlite_file(settings.database)
    try:
        if file is not None:
            _swap(file)
        _move(staging / _FILES, settings.data_dir)
        # What the restored database does not know was given up on purpose: a start may end it.
        write_private(settings.data_dir / GIVEN_UP, plan.id.encode())
        _tell(settings, plan)
        failpoint("restore.after_told")
        shutil.rmtree(staging)
    except OSError as error:
        raise cannot_write(settings.data_dir, error) from error
    return plan


def _marked(settings: Settings) -> str | None:
    engine = db.connect(settings.database, writing=False)
    try:
        if schema.version(settings.database) is None:
            return None
        return db.run(engine, facts.get, RESTORED)
    finally:
        engine.dispose()


def _swap(file: Path) -> None:
    """The new database in the old one's place; a log of the old one must not be played into it."""
    fresh = _fresh(file)
    if not fresh.exists():
        return  # done before
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).unlink(missing_ok=True)
    sync_folder(file.parent)  # a power cut keeps no order of its own
    failpoint("restore.after_log")
    fresh.replace(file)
    sync_folder(file.parent)
    failpoint("restore.after_swap")


def _move(source: Path, into: Path) -> None:
    for path in sorted(one for one in source.rglob("*") if one.is_file()):
        target = into / path.relative_to(source)
        target.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        path.replace(target)
        sync_folder(target.parent)
        failpoint("restore.after_file")
    # It tells of entries that this database never had.
    (into / HEAD).unlink(missing_ok=True)


def _tell(settings: Settings, plan: Plan) -> None:
    """An entry of the audit trail, once."""
    detail = {"Made": plan.made, "Release": plan.release, "Schema": plan.schema}
    told = by_operator(settings, "pierhead:RestoreBackup", f"Backup/{plan.file}", detail)

    def tell(tx: db.Connection) -> None:
        if facts.get(tx, RESTORED) == plan.id:
            told(tx)
            facts.remove(tx, RESTORED)

    engine = db.connect(settings.database, writing=True)
    try:
        db.run(engine, tell)
    finally:
        engine.dispose()
