"""Databases that must not be used as they are: missing, damaged, or of another life; each told in one sentence."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from pierhead.bootstrap import backup as backups
from pierhead.bootstrap import restore as restores
from pierhead.bootstrap.credentials import load_or_create
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.soundness import GIVEN_UP, NotSound, found_at_starts, look_through
from pierhead.core.errors import Invalid, NotFound, Unavailable
from pierhead.runtimes.process.records import INTENT
from pierhead.settings import Settings

STRANGER = "f" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A platform without services."""
    made = Settings(data_dir=tmp_path / "data")
    migrate(made)
    return made


def database(settings: Settings) -> Path:
    return settings.data_dir / "pierhead.db"


def replica(settings: Settings) -> Path:
    """The folder of a replica that no database knows."""
    folder = settings.data_dir / "replicas" / STRANGER / "svc-1"
    folder.mkdir(parents=True)
    (folder / INTENT).write_text("{}")
    return folder


@contextmanager
def running(folder: Path) -> Generator[None]:
    """Somebody keeps the replica, as its keeper does."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def missing(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [missing, empty])
def test_a_missing_database_ends_no_replica(
    settings: Settings, harm: Callable[[Path], None]
) -> None:
    """Law: nothing empty is begun while replicas are here; without them it is a new platform."""
    folder = replica(settings)
    harm(database(settings))
    for act in (migrate, look_through):
        with pytest.raises(
            NotSound, match=r"1 replica\(s\) of 1 service\(s\).*pierhead restore FILE"
        ):
            act(settings)
    assert (folder / INTENT).exists()
    assert not database(settings).exists() or database(settings).stat().st_size == 0
    shutil.move(settings.data_dir / "replicas", settings.data_dir / "away")
    assert migrate(settings)


def test_the_newest_whole_backup_is_named(settings: Settings) -> None:
    kept = backups.keep(settings, "schema-0001")
    (kept.parent / f"schema-0002-z{backups.SUFFIX}").write_text("no backup")
    replica(settings)
    database(settings).unlink()
    with pytest.raises(NotSound, match=str(kept)):
        migrate(settings)


def test_a_log_without_its_database_is_not_thrown_away(settings: Settings) -> None:
    """Law: SQLite would remove it; nobody asked for that."""
    log = database(settings).with_name("pierhead.db-wal")
    database(settings).unlink()
    log.write_bytes(b"what was written last")
    with pytest.raises(NotSound, match=r"its log pierhead\.db-wal is there"):
        migrate(settings)
    assert log.read_bytes() == b"what was written last"


def test_a_database_that_knows_nobody_who_runs_is_another_one(settings: Settings) -> None:
    """Law: a copy without its log does not end what runs; a restore that gave it up does."""
    folder = replica(settings)
    migrate(settings)  # nothing runs: the rest of a replica is swept away
    with running(folder):
        with pytest.raises(NotSound, match="knows none of the 1 service"):
            migrate(settings)
        given_up = settings.data_dir / GIVEN_UP
        given_up.parent.mkdir(exist_ok=True)
        given_up.touch()
        migrate(settings)
        migrate(settings)  # one start that was killed is not the last
    migrate(settings)
    assert not given_up.exists()


@pytest.mark.parametrize("own", [True, False])
def test_an_older_database_of_this_folder_is_taken(settings: Settings, own: bool) -> None:
    """Law: after a power cut the platform starts, whatever the database lost; another's it does not take."""
    folder = replica(settings)
    pair = load_or_create(settings).key
    with closing(sqlite3.connect(database(settings))) as raw, raw:
        raw.execute("INSERT INTO facts VALUES ('credentials_key', ?)", [pair.id if own else "LTAI"])
        columns = [name for _, name, *_ in raw.execute("PRAGMA table_info(services)")]
        values = [None if name in {"template", "model"} else "1" for name in columns]
        raw.execute(f"INSERT INTO services VALUES ({', '.join('?' * len(columns))})", values)
    with running(folder), nullcontext() if own else pytest.raises(NotSound, match="knows none of"):
        migrate(settings)


def test_an_empty_server_is_told_like_a_missing_file(tmp_path: Path, postgres_url: str) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=postgres_url)
    replica(settings)
    with pytest.raises(NotSound, match=r"is empty, but .*1 replica"):
        migrate(settings)


def test_damage_is_found_and_left_as_it_is(settings: Settings) -> None:
    with closing(sqlite3.connect(database(settings))) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        wanted = "SELECT rootpage FROM sqlite_master WHERE name = 'templates'"
        (number,) = raw.execute(wanted).fetchone()
    with database(settings).open("r+b") as out:
        out.seek((number - 1) * 4096)
        out.write(b"\xa5" * 700)
    before = database(settings).read_bytes()
    for act in (migrate, look_through):
        with pytest.raises(NotSound, match=r"is damaged \(.*pierhead restore"):
            act(settings)
    assert database(settings).read_bytes() == before


def test_a_row_that_hangs_loose_is_damage(settings: Settings) -> None:
    with closing(sqlite3.connect(database(settings))) as raw:
        raw.execute(
            "INSERT INTO versions (service, number, content, created) VALUES (?, 1, '{}', 0)",
            [STRANGER],
        )
        raw.commit()
    with pytest.raises(NotSound, match="a row of versions"):
        look_through(settings)


def test_what_is_whole_is_counted(settings: Settings, tmp_path: Path) -> None:
    assert look_through(settings).rows["services"] == 0
    assert found_at_starts(settings) == []
    assert found_at_starts(Settings(data_dir=tmp_path / "none")) == []
    with pytest.raises(NotFound):
        look_through(Settings(data_dir=tmp_path / "none"))


def test_what_is_no_file_is_not_replaced_by_one(settings: Settings, tmp_path: Path) -> None:
    """Law: `backup /dev/full --replace`, as root, leaves the machine its device."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(Invalid, match="is a device, a folder or a pipe"):
            backups.save(settings, path, replacing=True)
    assert pipe.is_fifo()


def test_a_folder_that_cannot_be_made_is_told(settings: Settings, tmp_path: Path) -> None:
    backups.save(settings, tmp_path / "a.backup")
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="file/data"):
        restores.restore(Settings(data_dir=tmp_path / "file" / "data"), tmp_path / "a.backup")
