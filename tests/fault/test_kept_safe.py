"""Migration, backup and restore are cut off by SIGKILL at each of their steps: the old state, or the new one.

The deeds run in forked children of `cut_off.py`, so that hundreds of kills take seconds. Of the statements
of a migration and the tables of a restore, which are one transaction each, every n-th and the last is cut
off; all of them with PIERHEAD_EVERY_CUT=1 in the environment.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stage import Count

from pierhead import failpoint
from pierhead.bootstrap import backup as backups
from pierhead.bootstrap.credentials import load_or_create
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.secret_files import storage_key
from pierhead.settings import Settings
from pierhead.store import schema
from postgres import PostgresServer

DRIVER = Path(__file__).with_name("cut_off.py")
ROOT = Path(__file__).parent.parent.parent
FIXTURES = ROOT / "tests" / "fixtures" / "schemas"
OLDEST = "0001"
PATIENCE = 300.0
PATHS = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
ALL = os.environ.get("PIERHEAD_EVERY_CUT") == "1"


class Driver:
    """`cut_off.py`, started once for all tests: to start it takes as long as some cuts."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ask(self, *wanted: str | int) -> list[str]:
        """What it prints about one deed."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(DRIVER)],
                env={**os.environ, "PYTHONPATH": PATHS},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        patience = threading.Timer(PATIENCE, process.kill)
        patience.start()
        try:
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            told = list[str]()
            while (line := process.stdout.readline()) != "done\n":
                if not line:
                    self.end()
                    raise AssertionError("".join(told))
                told.append(line)
        finally:
            patience.cancel()
        return told

    def end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.communicate()


_DRIVER = Driver()


@pytest.fixture(scope="module", autouse=True)
def _one_driver() -> Iterator[None]:
    yield
    _DRIVER.end()


def cuts(
    point: str, deed: str, folder: Path, *, url: str = "", file: Path = Path(), every: int = 1
) -> list[dict[str, Any]]:
    """What came of a deed that was cut off at each (`every`-th) pass of a point; the last one came through."""
    lines = _DRIVER.ask(point, deed, str(folder), url, str(file), 1 if ALL else every)
    told = [json.loads(line) for line in lines if line.startswith("{")]
    *killed, through = told
    assert killed, f"nothing comes by {point}"
    assert {one["ended"] for one in killed} == {-signal.SIGKILL}
    assert through["ended"] == 0, "".join(lines)
    return told


def older(folder: Path, revision: str = OLDEST) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / "pierhead.db")) as raw:
        raw.executescript((FIXTURES / f"{revision}.sql").read_text())
    begin(Settings(data_dir=folder))
    return folder


def begin(settings: Settings) -> None:
    """What the first start writes beside the database."""
    load_or_create(settings)
    storage_key(settings.data_dir)


# ---- migration ------------------------------------------------------------------------------------


def test_a_migration_is_cut_off_at_every_statement(tmp_path: Path, record_property: Count) -> None:
    """Law: it is done or not begun, and the next start does it (F16)."""
    told = cuts("migrate.statement", "migrate", older(tmp_path / "data"), every=8)
    record_property("kills", len(told))
    assert told[-1]["passes"] > 50
    assert told[-2]["passes"] == told[-1]["passes"] - 1
    for one in told:
        before, after = one["after"], one["again"]
        assert before["schema"] in {OLDEST, schema.HEAD}
        assert after["schema"] == schema.HEAD
        assert before["services"] == after["services"] == ["paused", "steady"]
        assert before["whole"] == after["whole"] == "ok"
    assert {one["after"]["schema"] for one in told[:-1]} == {OLDEST}


def test_on_postgresql_too(tmp_path: Path, postgres: PostgresServer) -> None:
    """Law: the same, where somebody else's database is changed (F16)."""
    from alembic import command

    from pierhead.bootstrap import restore
    from pierhead.store import db

    backups.save(Settings(data_dir=older(tmp_path / "old")), tmp_path / "old.backup")
    folder, url = tmp_path / "data", postgres.database()
    settings = Settings(data_dir=folder, database_url=url)
    restore.restore(settings, tmp_path / "old.backup")
    engine = db.connect(url, writing=True)

    def down(tx: db.Connection) -> None:
        config = schema.config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0003")

    db.run(engine, down)
    engine.dispose()
    # One database for all: what is cut off leaves it as it was, until one comes through; and one to count.
    copy = f"{url}_count"
    name = url.rpartition("/")[2]
    postgres.execute(f'CREATE DATABASE "{name}_count" TEMPLATE "{name}"')
    done = subprocess.run(
        [sys.executable, "-c", ON_ONE, str(folder), url, copy, "1" if ALL else "10"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(DRIVER.parent)])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *killed, through = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]
    assert through["passes"] > 20
    assert killed[-1]["passes"] == through["passes"] - 1
    assert {one["schema"] for one in killed} == {"0003"}
    assert through["schema"] == schema.HEAD
    assert {tuple(one["services"]) for one in (*killed, through)} == {("paused", "steady")}
    for one in (url, copy):
        postgres.drop(one)


ON_ONE = """
import json, sys
from pathlib import Path
from cut_off import chosen, cut, passes, state
from pierhead.settings import Settings
settings = Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[2])
counted = Settings(data_dir=Path(sys.argv[1]), database_url=sys.argv[3])
count = passes("migrate.statement", "migrate", counted, "")
for number in chosen(count, int(sys.argv[4])):
    ended = cut("migrate.statement", number, "migrate", settings, "")
    assert ended == (-9 if number <= count else 0), ended
    print(json.dumps({"passes": number, **state(settings)}), flush=True)
"""


def test_cut_off_between_backup_and_migration_it_is_kept_once(tmp_path: Path) -> None:
    """Law: the automatic backup is there before the first statement, and one of it is enough (F16)."""
    (killed, _through) = cuts("migrate.after_backup", "migrate", older(tmp_path / "data"))
    assert killed["after"]["schema"] == OLDEST
    assert killed["again"]["schema"] == schema.HEAD


# ---- restore --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `two` is a copy of."""
    root = tmp_path_factory.mktemp("made")
    other = Settings(data_dir=root / "other")
    migrate(other)
    begin(other)
    backups.save(other, root / "other.backup")
    migrate(Settings(data_dir=older(root / "data", "0005")))
    return root


@pytest.fixture
def two(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A platform with the services of a fixture, and a backup of another, which has none."""
    root = tmp_path / "two"
    shutil.copytree(made, root)
    return root / "data", root / "other.backup"


RESTORE = sorted(one for one in failpoint.POINTS if one.startswith("restore."))


@pytest.mark.parametrize("point", [one for one in RESTORE if one != "restore.after_commit"])
def test_a_restore_is_cut_off_at_every_step(two: tuple[Path, Path], point: str) -> None:
    """Law: the folder holds the old state or the new one, keys included; running it again finishes."""
    folder, file = two
    told = cuts(
        point, "restore", folder, file=file, every=12 if point == "restore.after_rows" else 1
    )
    old_key = (folder / "run/storage.key").read_bytes().hex()
    new = told[-1]["again"]
    assert new["services"] == []
    assert new["key"] != old_key
    for one in told:
        found, again = one["after"], one["again"]
        assert (found["services"], found["key"]) in [
            (["paused", "steady"], old_key),
            ([], new["key"]),
        ]
        assert found["whole"] == again["whole"] == "ok"
        assert again == new
        assert not found["staging"]


def test_a_restore_into_postgresql_is_cut_off_at_every_step(
    two: tuple[Path, Path], postgres: PostgresServer, tmp_path: Path
) -> None:
    """Law: the same; its one transaction is the moment from which on it counts."""
    _folder, file = two
    url, folder = postgres.database(), tmp_path / "server"
    settings = Settings(data_dir=folder, database_url=url)
    migrate(settings)
    begin(settings)
    old_key = (folder / "run/storage.key").read_bytes().hex()
    new_key = (file.with_name("other") / "run/storage.key").read_bytes().hex()
    for point in ("restore.after_plan", "restore.after_rows", "restore.after_commit"):
        every = 20 if point == "restore.after_rows" else 1
        told = cuts(point, "restore", folder, url=url, file=file, every=every)
        counts = point == "restore.after_commit"
        assert {one["after"]["key"] for one in told[:-1]} == {new_key if counts else old_key}
        assert {one["again"]["key"] for one in told} == {new_key}
    postgres.drop(url)


# ---- backup ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", ["backup.after_rows", "backup.before_rename", "backup.after_rename"]
)
def test_a_backup_is_cut_off_at_every_step(two: tuple[Path, Path], point: str) -> None:
    """Law: a backup is there as a whole or not at all; one that was there stays until then."""
    folder, old = two
    before = old.read_bytes()
    fresh = old.with_name("fresh.backup")
    told = cuts(point, "backup", folder, file=fresh)
    assert told[-1]["file"] is True
    assert told[0]["file"] is (True if point == "backup.after_rename" else None)
    told = cuts(point, "backup", folder, file=old)
    assert [one["file"] for one in told] == [True, True]
    assert old.read_bytes() != before


def test_every_point_is_cut_off_somewhere() -> None:
    """A new step is in no test yet: then this fails on the day it is written."""
    text = Path(__file__).read_text()
    rest = {one for one in failpoint.POINTS if one.startswith(("backup.", "migrate."))}
    assert {one for one in rest if f'"{one}"' not in text} == set()
    assert len(RESTORE) == 9


def test_leftovers_of_a_backup_that_was_cut_off_go_with_the_next(two: tuple[Path, Path]) -> None:
    folder, _file = two
    settings = Settings(data_dir=folder)
    kept = folder / backups.FOLDER
    kept.mkdir(exist_ok=True)
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    rest = kept / f".schema-0001-x{backups.SUFFIX}.{ended.pid}.part"
    alive = kept / f".schema-0001-y{backups.SUFFIX}.{os.getppid()}.part"
    for part in (rest, alive):
        part.write_text("cut off")
    backups.keep(settings, "schema-0005")
    assert not rest.exists()
    assert alive.exists()
    shutil.rmtree(kept)
