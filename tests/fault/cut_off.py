"""Does deeds in processes that die by SIGKILL at a failpoint; one line of standard input asks for one.

For each number of passes from 1 on it forks a child, armed for that pass, on a fresh copy of the data
folder; it ends with the first child that comes through. If it is every n-th pass and the last one, it counts
them first, on a copy of its own. After each it prints one line of JSON: how the child ended,
what the folder holds then, and what it holds once the deed was done again. Where a kill left the very same
rows and files as another before, what comes of the deed is known already. It ends with the line `done`.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import count as counting
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401  # a migration loads it: once here, and not in every child

from pierhead import failpoint
from pierhead.bootstrap import backup as backups
from pierhead.bootstrap import restore as restores
from pierhead.bootstrap.database import migrate
from pierhead.core.errors import PierheadError
from pierhead.settings import Settings
from pierhead.store import archive_reader, db, schema


def state(settings: Settings) -> dict[str, Any]:
    """What there is, as far as the tests ask; read without the program's help where that is possible."""
    engine = db.connect(settings.database, writing=False)

    def look(tx: db.Connection) -> list[str]:
        return sorted(tx.exec_driver_sql("SELECT name FROM services").scalars())

    try:
        present = schema.version(settings.database)
        found = {"schema": present, "services": db.run(engine, look) if present else []}
    finally:
        engine.dispose()
    if settings.database.startswith("sqlite"):
        with closing(sqlite3.connect(settings.data_dir / "pierhead.db")) as raw:
            found["whole"] = raw.execute("PRAGMA integrity_check").fetchone()[0]
    key = settings.data_dir / "run/storage.key"
    found["key"] = key.read_bytes().hex() if key.exists() else ""
    found["staging"] = (settings.data_dir / restores.STAGING).exists()
    return found


def fingerprint(settings: Settings) -> str:
    """Of every row, and of every file but databases and backups; of those, how many there are.

    On a server, rows are told by what tests ask for, and by which restore they come from.
    """
    folder, digest = settings.data_dir, hashlib.sha256()
    if settings.database_url:
        digest.update(json.dumps([state(settings), restores._marked(settings)]).encode())
    else:
        with closing(sqlite3.connect(folder / "pierhead.db")) as raw:
            for line in raw.iterdump():
                digest.update(line.encode())
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name.startswith("pierhead.db") or not path.is_file():
            continue
        told = name.rpartition("-")[0] if path.parent.name == backups.FOLDER else name
        digest.update(told.encode())
        digest.update(b"" if told != name else path.read_bytes())
    return digest.hexdigest()


def deed(name: str, settings: Settings, file: str) -> None:
    if name == "migrate":
        migrate(settings)
    elif name == "restore":
        restores.restore(settings, Path(file), force=True)
    elif name == "finish":
        restores.finish(settings)
    else:
        backups.save(settings, Path(file), replacing=True)


def cut(point: str, passes: int, name: str, settings: Settings, file: str) -> int:
    """The deed in a child; minus the signal that ended it, or its exit code."""
    child = os.fork()
    if child == 0:
        failpoint._ARMED = failpoint._Armed(point, passes)
        try:
            deed(name, settings, file)
        except PierheadError as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def passes(point: str, name: str, settings: Settings, file: str) -> int:
    """How often the deed comes by a point, when nothing ends it."""
    record = settings.data_dir.with_suffix(".passed")
    record.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        failpoint.arm(f"*:record={record}")
        deed(name, settings, file)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return record.read_text().split().count(point)


def chosen(count: int, every: int) -> Sequence[int]:
    """The passes that are cut off: the first and the last one are among them. The one after comes through."""
    return (*sorted({*range(1, count, every), count} - {0}), count + 1)


def whole(file: str) -> bool | None:
    """Is the backup whole? None = there is none."""
    if not Path(file).exists():
        return None
    with archive_reader.opened(Path(file)) as source:
        source.check()
    return True


def cut_all(point: str, name: str, folder: str, url: str, file: str, every: int) -> None:
    """The deed, cut off at each pass of the point, or every n-th."""
    known = dict[str, dict[str, Any]]()
    for number in numbers(point, name, Path(folder), file, every):
        here = Path(folder).with_name(f"{Path(folder).name}-{number}")
        shutil.copytree(folder, here)
        settings = Settings(data_dir=here, database_url=url)
        ended = cut(point, number, name, settings, file)
        told: dict[str, Any] = {"passes": number, "ended": ended}
        if name == "backup":
            told["file"] = whole(file)
            parts = Path(file).parent.glob(f".{Path(file).name}.*")
            told["parts"] = [part.name for part in parts]
        else:
            # What comes next is a start, as often as not: it has to finish or clear away by itself.
            restores.finish(settings)
            told["after"] = state(settings)
            same = fingerprint(settings)
            if url and ended == 0:  # a server is slow, and files show what comes of twice the same
                known[same] = told["after"]
            if same not in known:
                deed(name, settings, file)
                known[same] = state(settings)
            told["again"] = known[same]
        print(json.dumps(told), flush=True)
        shutil.rmtree(here)
        if ended != -signal.SIGKILL:
            return


def numbers(point: str, name: str, folder: Path, file: str, every: int) -> Iterable[int]:
    """The passes to be armed; a server is passed by as often as a file."""
    if every == 1:
        return counting(1)
    here = folder.with_name(f"{folder.name}-count")
    shutil.copytree(folder, here)
    found = passes(point, name, Settings(data_dir=here), file)
    shutil.rmtree(here)
    return chosen(found, every)


if __name__ == "__main__":
    for line in sys.stdin:
        cut_all(*json.loads(line))
        print("done", flush=True)
