"""Writes backups: on request, before a migration, and before a restore puts something else in place.

A backup is one consistent look at the database, taken while the hub works, and the keys that lie
beside it. Weights, environments and the records of replicas are not in it: they come anew.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pierhead import __version__
from pierhead.bootstrap.secret_files import key_id
from pierhead.core.errors import NotFound, PierheadError, Unavailable
from pierhead.failpoint import failpoint
from pierhead.settings import Settings
from pierhead.store import archive, backup, db, schema
from pierhead.store.archive import LARGEST_FILE, Damaged, Manifest
from pierhead.store.archive_reader import opened

#: Below the data folder: backups that the platform makes by itself.
FOLDER = "backups"
SUFFIX = ".pierhead"
#: Of those made before a migration so many are kept; and of those made before a restore.
KEPT = 5
#: Secrets of the data folder, each a file below it.
KEYS = (
    "credentials.json",
    "run/storage.key",
    "run/engine.key",
    "run/internal.key",
    "run/metrics.token",
)
#: A certificate that the platform made for itself lies in there.
TLS = "tls"
#: The operator's own settings: they may name a database with its password.
SETTINGS = "settings.toml"
#: Bytes of a file's name.
_LONGEST_NAME = 250


def save(
    settings: Settings, path: Path, *, secrets: bool = True, replacing: bool = False
) -> Manifest:
    """Write a backup of this platform to `path`; gives what is in it.

    Raises:
        NotFound: there is no platform in the folder yet.
        TooNew: a newer release wrote the database.
        Invalid: there is such a file, and it is not to be replaced.
        Unavailable: the database does not answer, or the file cannot be written.
    """
    absent(settings)
    with (
        backup.snapshot(settings.database) as tx,
        archive.writing(
            path, replacing=replacing, before=lambda: failpoint("backup.before_rename")
        ) as out,
    ):
        revision = schema.version_of(tx)
        if revision is None:
            raise NotFound("platform", str(settings.data_dir), "Its database is empty.")
        schema.demand_known(tx, revision)
        strips: Mapping[str, Mapping[str, backup.Strip]] = {} if secrets else backup.in_plain(tx)
        for table in backup.ours(tx):
            strip = strips.get(table.name, {})
            out.table(table.name, backup.columns(table), backup.lines(tx, table, strip))
        failpoint("backup.after_rows")
        for name, content in _files(settings) if secrets else ():
            out.file(name, content)
        manifest = out.end(
            Manifest(
                release=__version__,
                schema=revision,
                made=time.time(),
                database=tx.dialect.name,
                account=_account(settings),
                key=key_id(settings.data_dir),
                secrets=secrets,
                left_out=() if secrets else (*KEYS, TLS, SETTINGS, *backup.left_out(strips)),
            )
        )
    failpoint("backup.after_rename")
    return manifest


def absent(settings: Settings) -> None:
    """See to it that there is a database: asking SQLite for one would make it.

    Raises:
        NotFound: there is none.
    """
    file = db.sqlite_file(settings.database)
    if file is not None and not file.exists():
        raise NotFound("platform", str(settings.data_dir), "Start it once: pierhead up.")


def demand_ours(path: Path, manifest: Manifest) -> None:
    """See to it that the backup at `path` holds files only where ours have them: nowhere else one is written.

    Raises:
        Damaged: it holds another one.
    """
    strange = [name for name in manifest.files if not _is_ours(name)]
    if strange:
        raise Damaged(f"The backup {path} holds a file that no backup has: {strange[0][:80]!r}.")


def _is_ours(name: str) -> bool:
    folder, _, plain = name.partition("/")
    legal = plain.isprintable() and len(plain.encode()) <= _LONGEST_NAME
    inside = folder == TLS and "/" not in plain and plain not in {"", ".", ".."}
    return name in {*KEYS, SETTINGS} or (inside and legal)


def _files(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Name below the data folder, content."""
    folder = settings.data_dir / TLS
    tls = sorted(f"{TLS}/{one.name}" for one in folder.iterdir()) if folder.is_dir() else []
    for name in (*KEYS, *tls, SETTINGS):
        path = settings.data_dir / name
        if _is_ours(name) and path.is_file():
            yield name, _content(path)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as source:
            content = source.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Unavailable(f"The file {path}", error.strerror or str(error)) from error
    if len(content) > LARGEST_FILE:
        raise Unavailable(f"The file {path}", "it is too large to be a key or a certificate")
    return content


def _account(settings: Settings) -> str:
    try:
        document: Any = json.loads(settings.credentials_file.read_text("utf-8"))
        return str(cast("dict[str, Any]", document)["account_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # a platform that never came so far as to write them


# ---- by itself --------------------------------------------------------------------------------


def before_migration(settings: Settings, revision: str) -> Path:
    """Keep the database as it is; what was kept like that before, word for word, is not kept twice.

    Raises:
        Unavailable: it cannot be written: then nothing may be migrated.
    """
    try:
        path = keep(settings, f"schema-{revision}")
    except PierheadError as error:
        raise Unavailable(
            "The migration of the database", f"no backup can be written before it: {error}"
        ) from error
    failpoint("migrate.after_backup")
    return path


def keep(settings: Settings, why: str, sparing: Path | None = None) -> Path:
    """A backup in the data folder, named after its reason and the time; the oldest go, but not `sparing`.

    Raises:
        Unavailable: the database does not answer, or the disk is full.
    """
    folder = settings.data_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder)
    except OSError as error:
        raise archive.cannot_write(folder, error) from error
    path = free_name(folder, f"{why}-{_stamp()}", SUFFIX)
    manifest = save(settings, path)
    twin = _same(folder, why, path, manifest)
    if twin is not None:
        path.unlink()
        return twin
    for old in kept(folder, why)[:-KEPT]:
        if sparing is None or not old.samefile(sparing):
            old.unlink(missing_ok=True)
    return path


def _stamp() -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def free_name(folder: Path, stem: str, suffix: str = "") -> Path:
    """A path in `folder` that nothing has yet."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def kept(folder: Path, why: str) -> list[Path]:
    """Backups that were made for that reason, oldest first."""
    kind = why.partition("-")[0]
    found = folder.glob(f"{kind}-*{SUFFIX}")
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def _same(folder: Path, why: str, path: Path, manifest: Manifest) -> Path | None:
    """The backup before this one, if it holds the same: a start that fails is tried again and again."""
    others = [one for one in kept(folder, why) if one != path]
    if not others:
        return None
    try:
        with opened(others[-1]) as reader:
            other = reader.manifest
            if (other.members, other.schema) != (manifest.members, manifest.schema):
                return None
            reader.check()
    except PierheadError:
        return None  # a damaged one is no reason not to keep another
    return others[-1]


def _sweep(folder: Path) -> None:
    """Remove what backups left that were cut off; theirs alone, whose process has ended."""
    for part in folder.glob(f".*{SUFFIX}.*.part"):
        pid = part.name.split(".")[-2]
        if not (pid.isdigit() and int(pid) != os.getpid() and Path(f"/proc/{pid}").exists()):
            part.unlink(missing_ok=True)
