"""What a restore finds in a data folder: whether it may go on, and where that is kept."""

import shutil
from pathlib import Path

from pierhead.bootstrap import backup
from pierhead.bootstrap.secret_files import key_id
from pierhead.core.errors import NotFound, PierheadError, Refused
from pierhead.settings import Settings
from pierhead.store import db, schema
from pierhead.store.archive import Manifest, cannot_write
from pierhead.store.writes import Away


class NotRestored(Refused):
    """A backup is not restored here and now; the message says what to do."""


def demand_key(settings: Settings, manifest: Manifest) -> None:
    """What is sealed in a database without its key is lost: better to say so before than after.

    Raises:
        NotRestored: the backup needs a key that is not there.
    """
    if manifest.secrets or not manifest.key:
        return
    if key_id(settings.data_dir) != manifest.key:
        raise NotRestored(
            "The backup was made without secrets, and what is sealed in it opens with the"
            f" run/storage.key of the platform that it was made from alone: put that file into"
            f" {settings.data_dir / 'run'} first (mode 0600). Without it, --new-secrets restores the"
            " rest."
        )


def set_aside(settings: Settings, path: Path, *, force: bool) -> Path | None:
    """Keep what is there; gives where, or None when there is nothing.

    `path` is what is to be restored, `force`: keep it and go on; else what is there is a reason not to.

    Raises:
        NotRestored: there is a platform already.
        Unavailable: the database does not answer, or the disk is full.
    """
    try:
        there = _has_database(settings)
    except Away:
        there = True  # one that cannot be read is worth keeping, too
    if not there and not settings.credentials_file.exists():
        return None
    if not force:
        raise NotRestored(
            f"There is a platform in {settings.data_dir} already: choose an empty folder with"
            " --into, or put the backup in its place with --force (it is kept as a backup then)."
        )
    try:
        return backup.keep(settings, "replaced", sparing=path)
    except PierheadError as error:
        if db.sqlite_file(settings.database) is None and not isinstance(error, NotFound):
            raise
        return _copied(settings)  # it is gone or cannot be read; whoever can mend it has its files


def _has_database(settings: Settings) -> bool:
    file = db.sqlite_file(settings.database)
    if file is not None and not file.exists():
        return False
    return schema.version(settings.database) is not None


def _copied(settings: Settings) -> Path:
    """The files themselves, where no backup can be made of them: a damaged database, keys without one."""
    folder = settings.data_dir / backup.FOLDER
    file = db.sqlite_file(settings.database) or settings.data_dir / "pierhead.db"
    beside = [file.with_name(file.name + end) for end in ("", "-wal", "-shm")]
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        into = backup.free_name(folder, "damaged")
        into.mkdir(mode=0o700)
        for path in (*beside, *(settings.data_dir / name for name in backup.KEYS)):
            if path.is_file():
                shutil.copy2(path, into / path.name)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return into
