"""Does one deed in a process that dies by SIGKILL at its failpoint: `cut_off.py POINT DEED ARGUMENTS`.

For each number of passes from 1 on it forks a child, armed for that pass, on a fresh copy of the data
folder; it ends with the first child that comes through. After each it prints one line of JSON: how the
child ended, what the folder holds then, and what it holds once the deed was done again. Where a kill left
the very same rows and files as another before, what comes of the deed is known already.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

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
    """Of every row, and of every file but databases and backups; of those, how many there are."""
    folder, digest = settings.data_dir, hashlib.sha256()
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


def whole(file: str) -> bool | None:
    """Is the backup whole? None = there is none."""
    if not Path(file).exists():
        return None
    with archive_reader.opened(Path(file)) as source:
        source.check()
    return True


def main() -> None:
    point, name, folder, url, file, every = sys.argv[1:7]
    passes, known = 1, dict[str, dict[str, Any]]()
    while True:
        here = Path(folder).with_name(f"{Path(folder).name}-{passes}")
        shutil.copytree(folder, here)
        settings = Settings(data_dir=here, database_url=url)
        ended = cut(point, passes, name, settings, file)
        told: dict[str, Any] = {"passes": passes, "ended": ended}
        if name == "backup":
            told["file"] = whole(file)
            parts = Path(file).parent.glob(f".{Path(file).name}.*")
            told["parts"] = [part.name for part in parts]
        else:
            # What comes next is a start, as often as not: it has to finish or clear away by itself.
            restores.finish(settings)
            told["after"] = state(settings)
            same = "" if url else fingerprint(settings)
            if not same or same not in known:
                deed(name, settings, file)
                known[same] = state(settings)
            told["again"] = known[same]
        print(json.dumps(told), flush=True)
        shutil.rmtree(here)
        if ended != -signal.SIGKILL:
            return
        passes += int(every)


if __name__ == "__main__":
    main()
