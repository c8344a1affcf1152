"""What a restore finds and leaves: keys without a database, a plan for another one, the backups it keeps."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup_world import World, everything, run, saved

from pierhead.bootstrap import backup as backups
from pierhead.bootstrap import restore as restores
from pierhead.bootstrap import restore_plan
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.restore_over import NotRestored
from pierhead.core.errors import Unavailable
from pierhead.settings import Settings
from pierhead.store import archive_reader as reading
from pierhead.store import facts
from pierhead.store.archive import Damaged


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, request)
    yield made
    made.end()


def test_into_an_empty_server_over_a_folder_that_was_used(world: World) -> None:
    """Law: what a start with an empty database advises works; the folder's keys are kept."""
    old, lost = world.platform("postgresql"), world.platform("postgresql")
    file, _ = saved(old)
    keys = lost.credentials_file.read_bytes()
    empty = Settings(data_dir=lost.data_dir, database_url=world.settings("postgresql").database_url)
    with pytest.raises(NotRestored, match="--force"):
        restores.restore(empty, file)
    plan = restores.restore(empty, file, force=True).plan
    assert everything(empty)["services"] == everything(old)["services"]
    assert (Path(plan.aside) / "credentials.json").read_bytes() == keys


class Killed(BaseException):
    """Nobody cleans up after it, as after a kill."""


def dies(*_: object) -> None:
    raise Killed


def keys(settings: Settings) -> list[bytes]:
    return [(settings.data_dir / name).read_bytes() for name in backups.KEYS[:2]]


def test_a_plan_for_a_server_does_not_count_for_a_file(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: keys go with their database; a start with another one touches neither."""
    file, _ = saved(world.platform("sqlite"))
    own = world.platform("sqlite")
    server = Settings(data_dir=own.data_dir, database_url=world.settings("postgresql").database_url)
    monkeypatch.setattr(restores, "put_rows", dies)
    with pytest.raises(Killed):
        restores.restore(server, file, force=True)
    monkeypatch.undo()
    assert (own.data_dir / restores.STAGING / restore_plan.PLAN).exists()
    before, rows = keys(own), everything(own)
    for act in (migrate, lambda settings: restores.restore(settings, file, force=True)):
        with pytest.raises(Unavailable, match=r"restore into postgresql://.*--set database_url"):
            act(own)
    assert (keys(own), everything(own)) == (before, rows)
    assert restores.finish(server) is None  # it was not done
    assert not (own.data_dir / restores.STAGING).exists()
    assert not migrate(own)


def test_a_plan_for_a_file_is_kept_by_a_start_with_a_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what counts is finished, not cleared away, whichever database a start in between names."""
    old, own = world.platform("sqlite"), world.platform("sqlite")
    file, _ = saved(old)
    monkeypatch.setattr(restores, "_swap", dies)
    with pytest.raises(Killed):
        restores.restore(own, file, force=True)
    monkeypatch.undo()
    url = world.settings("postgresql").database_url
    with pytest.raises(Unavailable, match=r"restore into sqlite:pierhead\.db was cut off"):
        migrate(Settings(data_dir=own.data_dir, database_url=url))
    moved = own.data_dir.with_name("moved")
    shutil.move(own.data_dir, moved)
    assert restores.finish(Settings(data_dir=moved)) is not None
    assert keys(Settings(data_dir=moved)) == keys(old)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql+psycopg://a:x@h/db", "postgresql://b:y@h/db?connect_timeout=3", True),
        ("postgresql+psycopg://h/db", "postgresql+psycopg://h/other", False),
        ("postgresql:///db?host=/run/a", "postgresql:///db?host=/run/b", False),
        ("postgresql+psycopg://h/db", "", False),
    ],
)
def test_the_same_database_is_told_by_where_it_is(
    tmp_path: Path, one: str, other: str, *, same: bool
) -> None:
    places = [
        restore_plan.place(Settings(data_dir=tmp_path, database_url=url)) for url in (one, other)
    ]
    assert (places[0] == places[1]) is same
    assert "x@" not in "".join(places)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_that_are_refused_leave_nothing_ready(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.platform(kind)
    file, _ = saved(settings)

    def refuse(*_: object) -> None:
        raise Damaged("its rows do not fit")

    monkeypatch.setattr(restores, "put_rows", refuse)
    with pytest.raises(Damaged):
        restores.restore(settings, file, force=True)
    assert not (settings.data_dir / restores.STAGING).exists()
    assert not (settings.data_dir / "pierhead.db.restored").exists()


def test_what_is_being_restored_is_not_pruned(world: World) -> None:
    """Law: the sixth restore does not end the backup that it restores."""
    settings = world.platform("sqlite")
    kept = []
    for number in range(backups.KEPT):
        run(settings, facts.put, "round", str(number))
        kept.append(backups.keep(settings, "replaced"))
    run(settings, facts.put, "round", "last")
    restores.restore(settings, kept[0], force=True)
    assert kept[0].exists()
    assert run(settings, facts.get, "round") == "0"
    run(settings, facts.put, "round", "after")
    backups.keep(settings, "replaced")
    assert not kept[0].exists()


def test_a_rotten_twin_is_no_reason_to_keep_nothing(world: World) -> None:
    settings = world.platform("sqlite")
    rotten = backups.keep(settings, "schema-x")
    raw = bytearray(rotten.read_bytes())
    raw[100] ^= 0xFF  # in the first member's rows; what says what they were is whole
    rotten.write_bytes(raw)
    with reading.opened(rotten) as source, pytest.raises(Damaged):
        source.check()
    fresh = backups.keep(settings, "schema-x")
    assert fresh != rotten
    with reading.opened(fresh) as source:
        source.check()
    assert backups.keep(settings, "schema-x") == fresh


def test_the_old_log_is_gone_for_good_before_the_new_file_comes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: no power cut finds the new database beside the old one's log."""
    settings = world.platform("sqlite")
    file, _ = saved(settings)
    log, fresh = (settings.data_dir / f"pierhead.db{end}" for end in ("-wal", ".restored"))
    seen = list[tuple[bool, bool]]()
    monkeypatch.setattr(
        restores, "sync_folder", lambda _folder: seen.append((log.exists(), fresh.exists()))
    )
    monkeypatch.setattr(restores, "_swap", between(log, restores._swap))
    restores.restore(settings, file, force=True)
    assert (False, True) in seen[seen.index((True, True)) :]


def between(log: Path, swap: object) -> object:
    """Swaps, when a log of the old database lies there."""

    def act(path: Path) -> None:
        log.write_bytes(b"what was written last")
        restores.sync_folder(path.parent)
        assert callable(swap)
        swap(path)

    return act
