"""Backup, verify and restore on both databases: what comes back is what was there, or nothing changes."""

import asyncio
import hashlib
import json
import sqlite3
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backup_world import KINDS, World, everything, furnish, opened_again, run, saved
from sqlalchemy import Connection

from builders import T0, a_service
from pierhead import __version__
from pierhead.bootstrap import backup as backups
from pierhead.bootstrap import restore as restores
from pierhead.bootstrap.audit import verify
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.restore_over import NotRestored
from pierhead.bootstrap.restore_rows import verify as verify_file
from pierhead.bootstrap.supervisor import CannotStart, only_one
from pierhead.core.errors import Invalid, NotFound, Unavailable
from pierhead.core.events import Event
from pierhead.settings import Settings
from pierhead.store import archive, audit, db, events, facts, schema, services, tables
from pierhead.store import archive_reader as reading
from pierhead.store.archive import Damaged, Manifest


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, request)
    yield made
    made.end()


# --- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_what_is_restored_is_what_was_there(world: World, of: str, to: str) -> None:
    """Law: a backup of either database can be restored into either."""
    old = world.platform(of)
    furnish(old)
    path, made = saved(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (made.database, made.schema, made.release) == (of, schema.HEAD, __version__)
    assert made.rows("services") == 21

    new = world.settings(to)
    restores.restore(new, path)
    before, after = everything(old), everything(new)
    told = after["audit"].pop()
    assert "pierhead:RestoreBackup" in told
    assert after == before
    for name in ("credentials.json", "run/storage.key"):
        assert (new.data_dir / name).read_bytes() == (old.data_dir / name).read_bytes()
        assert (new.data_dir / name).stat().st_mode & 0o777 == 0o600
    assert not (new.data_dir / restores.STAGING).exists()
    assert opened_again(new) == opened_again(old)
    assert verify(new).problem == ""
    assert not migrate(new)
    # New rows are numbered after those that came.
    run(new, lambda tx: events.append(tx, Event(T0, "b" * 32, "svc", "Normal", "New", "", "me")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_one_moment_while_others_write(world: World, kind: str) -> None:
    """Law: online; a service and its first version are in it together, or neither."""
    settings = world.platform(kind)
    ended = threading.Event()

    def write() -> None:
        number = 100
        while not ended.is_set():
            run(settings, services.add, a_service(name=f"svc_{number}"))
            number += 1

    writing = threading.Thread(target=write)
    writing.start()
    try:
        counts = []
        for number in range(8):
            path, made = saved(settings, f"{number}.backup")
            counts.append(made.rows("services"))
            rows = made.tables
            assert rows["services"].rows == rows["versions"].rows == rows["seen"].rows
            with reading.opened(path) as source:
                source.check()
    finally:
        ended.set()
        writing.join()
    assert counts == sorted(counts)


@pytest.mark.parametrize("kind", KINDS)
def test_verify_restores_into_a_database_that_is_thrown_away(world: World, kind: str) -> None:
    settings = world.platform(kind)
    path, _made = saved(settings)
    found = verify_file(path)
    assert found.tables["services"] == found.manifest.rows("services") == 20
    assert found.tables["audit"] == 3
    assert found.bytes == path.stat().st_size
    assert verify_file(path, trying=False).tables == {}


# --- what is refused ---------------------------------------------------------------------------------


def test_a_platform_that_was_never_started_has_nothing_to_back_up(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "none")
    with pytest.raises(NotFound):
        backups.save(settings, tmp_path / "a.backup")
    assert not settings.data_dir.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_only_when_that_is_said(world: World) -> None:
    settings = world.platform("sqlite")
    path, _ = saved(settings)
    before = path.read_bytes()
    with pytest.raises(Invalid, match="exists"):
        saved(settings)
    assert path.read_bytes() == before
    run(settings, facts.put, "more", "1")
    saved(settings, replacing=True)
    assert path.read_bytes() != before
    assert [one.name for one in path.parent.iterdir() if one.is_file()] == ["a.backup"]


def test_a_folder_with_a_platform_needs_force_and_is_kept(world: World) -> None:
    old, other = world.platform("sqlite"), world.platform("sqlite")
    run(other, services.add, a_service(name="only_here"))
    path, _ = saved(old)
    before = everything(other)
    with pytest.raises(NotRestored, match="--force"):
        restores.restore(other, path)
    assert everything(other) == before
    plan = restores.restore(other, path, force=True).plan
    assert everything(other)["services"] == everything(old)["services"]
    aside = Path(plan.aside)
    assert aside.parent == other.data_dir / "backups"
    again = world.settings("sqlite")
    restores.restore(again, aside)
    assert everything(again)["services"] == before["services"]


@pytest.mark.parametrize("lock", ["up.lock", "run/hub.lock"])
def test_it_is_refused_while_the_platform_runs(world: World, lock: str) -> None:
    settings = world.platform("sqlite")
    path, _ = saved(settings)
    before = everything(settings)
    with only_one(settings.data_dir, lock), pytest.raises(CannotStart, match="already runs"):
        restores.restore(settings, path, force=True)
    assert everything(settings) == before


def test_a_database_that_cannot_be_read_is_set_aside_as_it_is(world: World) -> None:
    settings = world.platform("sqlite")
    path, _ = saved(settings)
    file = settings.data_dir / "pierhead.db"
    file.write_bytes(b"this is no database" * 1000)
    with pytest.raises(NotRestored):
        restores.restore(settings, path)
    plan = restores.restore(settings, path, force=True).plan
    kept = Path(plan.aside)
    assert (kept / "pierhead.db").read_bytes() == b"this is no database" * 1000
    assert len(everything(settings)["services"]) == 20


def test_on_postgresql_it_is_refused_while_somebody_is_connected(world: World) -> None:
    settings = world.platform("postgresql")
    path, _ = saved(settings)
    engine = db.connect(settings.database, writing=False)
    before = everything(settings)
    try:
        with engine.connect(), pytest.raises(Unavailable, match="other connections"):
            restores.restore(settings, path, force=True)
    finally:
        engine.dispose()
    assert everything(settings) == before
    restores.restore(settings, path, force=True)


def test_a_backup_of_a_newer_release_is_refused_with_both_versions(world: World) -> None:
    settings = world.platform("sqlite")
    path, made = saved(settings)
    newer = path.with_name("newer.backup")
    rewrite(path, newer, replace(made, schema="9999", release="9.9.9"))
    fresh = world.settings("sqlite")
    with pytest.raises(schema.TooNew) as caught:
        restores.restore(fresh, newer)
    assert caught.value.message == (
        "The backup was made by Pierhead 9.9.9 (schema 9999), which is newer than this one"
        f" (schema {schema.HEAD}): restore it with that release."
    )
    with pytest.raises(schema.TooNew):
        verify_file(newer)


def rewrite(path: Path, into: Path, manifest: Manifest, **changed: bytes) -> None:
    """A copy with another manifest, whose own digest is right, and members changed at will."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            if name != archive.MANIFEST:
                new.writestr(name, changed.get(name, old.read(name)))
        writer = archive.Writer(new, list(manifest.members))
        writer.end(manifest)


# --- damage ------------------------------------------------------------------------------------------


def test_whatever_byte_is_changed_it_is_noticed(world: World) -> None:
    """Law: what verify passes is what was written."""
    settings = world.platform("sqlite")
    path, _ = saved(settings)
    whole = path.read_bytes()
    bad = path.with_name("bad.backup")
    missed = []
    for at in range(0, len(whole), max(1, len(whole) // 400)):
        raw = bytearray(whole)
        raw[at] ^= 0x10
        bad.write_bytes(raw)
        try:
            found = verify_file(bad, trying=False)
        except Damaged:
            continue
        # ZIP says some things twice: times and flags of no consequence. What counts is the same.
        with reading.opened(path) as good, reading.opened(bad) as other:
            if contents(good) != contents(other):
                missed.append((at, found))
    assert missed == []


def contents(source: reading.Reader) -> dict[str, str]:
    found = {}
    for member in source.manifest.members:
        whole = source.content(member) if not member.columns else str(list(source.lines(member)))
        found[member.name] = hashlib.sha256(str(whole).encode()).hexdigest()
    return found


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_backup_that_was_cut_off_is_none(world: World, share: float) -> None:
    settings = world.platform("sqlite")
    path, _ = saved(settings)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Damaged):
        verify_file(path)
    fresh = world.settings("sqlite")
    with pytest.raises(Damaged):
        restores.restore(fresh, path)
    assert not (fresh.data_dir / "pierhead.db").exists()


@pytest.mark.parametrize(
    "name", ["files/../../evil", "files/run/x", "files//etc/x", "evil", "files/tls/../x"]
)
def test_a_file_is_written_nowhere_else(world: World, name: str) -> None:
    settings = world.platform("sqlite")
    path, made = saved(settings)
    evil = path.with_name("evil.backup")
    content = b"evil"
    member = archive.Member(name, len(content), hashlib.sha256(content).hexdigest())
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        for one in old.namelist():
            if one != archive.MANIFEST:
                new.writestr(one, old.read(one))
        new.writestr(name, content)
        archive.Writer(new, [*made.members, member]).end(made)
    fresh = world.settings("sqlite")
    with pytest.raises((Damaged, NotRestored)):
        restores.restore(fresh, evil)
    assert "evil" not in "".join(str(one) for one in fresh.data_dir.parent.rglob("x"))
    assert not (fresh.data_dir / "pierhead.db").exists()


def test_rows_that_do_not_fit_change_nothing(world: World) -> None:
    settings = world.platform("sqlite")
    path, made = saved(settings)
    short = tuple(one for one in made.members if one.name != "tables/seen.jsonl")
    bad = path.with_name("bad.backup")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bad, "w") as new:
        for one in short:
            new.writestr(one.name, old.read(one.name))
        archive.Writer(new, list(short)).end(made)
    before = everything(settings)
    with pytest.raises(Damaged, match="does not fit"):
        restores.restore(settings, bad, force=True)
    assert everything(settings) == before


# --- by itself -----------------------------------------------------------------------------------------


def older(settings: Settings, revision: str = "0003") -> None:
    """Take a platform's database back to an older schema."""
    from alembic import command

    def down(tx: Connection) -> None:
        config = schema.config()
        config.attributes["connection"] = tx
        command.downgrade(config, revision)

    run(settings, down)


def test_before_a_migration_the_database_is_kept_the_last_five_times(world: World) -> None:
    settings = world.platform("sqlite")
    for number in range(7):
        older(settings)
        run(settings, facts.put, "round", str(number))
        assert migrate(settings)
    kept = sorted((settings.data_dir / "backups").iterdir())
    assert len(kept) == 5
    rounds = set()
    for path in kept:
        assert path.name.startswith("schema-0003-")
        assert path.stat().st_mode & 0o777 == 0o600
        with reading.opened(path) as source:
            assert source.manifest.schema == "0003"
            rows = list(source.lines(source.manifest.tables["facts"]))
            rounds |= {value for key, value in rows if key == "round"}
    assert rounds == {"2", "3", "4", "5", "6"}


def test_a_start_that_fails_again_and_again_keeps_one_backup(world: World) -> None:
    """Or a supervisor that tries ten times would push out the one that is worth keeping."""
    settings = world.platform("sqlite")
    older(settings)
    paths = {backups.before_migration(settings, "0003") for _ in range(8)}
    assert len(paths) == 1
    assert list((settings.data_dir / "backups").iterdir()) == list(paths)


def test_without_a_backup_nothing_is_migrated(world: World) -> None:
    settings = world.platform("sqlite")
    older(settings)
    (settings.data_dir / "backups").write_text("in the way")
    with pytest.raises(Unavailable, match="no backup can be written before it"):
        migrate(settings)
    assert schema.version(settings.database) == "0003"


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_of_an_older_schema_is_restored_and_migrated(world: World, kind: str) -> None:
    settings = world.platform(kind)
    older(settings)
    before = everything(settings)
    assert migrate(settings)
    (path,) = (settings.data_dir / "backups").iterdir()
    new = world.settings(kind)
    restores.restore(new, path)
    assert schema.version(new.database) == schema.HEAD
    after = everything(new)
    was = [json.loads(row) for row in before["versions"]]  # columns that are new come last
    assert [json.loads(row)[: len(was[0])] for row in after["versions"]] == was
    assert len(after["services"]) == len(before["services"])


def test_every_table_that_ever_was_is_known(tmp_path: Path) -> None:
    """A backup before a migration has the tables of the schema before it."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from sqlalchemy import inspect

    settings = Settings(data_dir=tmp_path)
    scripts = ScriptDirectory.from_config(schema.config())
    for script in reversed(list(scripts.walk_revisions())):

        def up(tx: Connection, revision: str = script.revision) -> set[str]:
            config = schema.config()
            config.attributes["connection"] = tx
            command.upgrade(config, revision)
            return set(inspect(tx).get_table_names())

        assert run(settings, up) <= {*tables.metadata.tables, "alembic_version"}


def test_it_is_read_in_another_loop_than_the_hubs(world: World) -> None:
    """The hub's own connections serve on: a backup opens its own."""
    settings = world.platform("sqlite")
    store = db.Database(settings.database)

    async def both() -> list[Any]:
        making = asyncio.to_thread(saved, settings)
        return await asyncio.gather(making, store.write(facts.put, "at the same time", "1"))

    try:
        (path, _made), _ = asyncio.run(both())
    finally:
        store.close()
    assert verify_file(path).tables["services"] == 20


def test_the_audit_trail_tells_of_the_restore(world: World) -> None:
    settings = world.platform("sqlite")
    path, made = saved(settings)
    restores.restore(settings, path, force=True)
    newest = run(settings, audit.recent, 1)[0]
    assert (newest.action, newest.resource) == ("pierhead:RestoreBackup", "Backup/a.backup")
    assert json.loads(newest.detail)["Made"] == made.made
    assert verify(settings).problem == ""
    with closing(sqlite3.connect(settings.data_dir / "pierhead.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- the verbs --------------------------------------------------------------------------------------


def test_the_verbs_say_what_they_did(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from pierhead.cli.main import app

    old, new = world.platform("sqlite"), world.settings("sqlite")
    file = old.data_dir.parent / "a.backup"
    monkeypatch.delenv("PIERHEAD_DATA_DIR", raising=False)
    made = CliRunner().invoke(app, ["backup", str(file), f"--data-dir={old.data_dir}", "--json"])
    told = json.loads(made.stdout)
    assert made.exit_code == 0
    assert told["Rows"]["services"] == 20
    assert told["Bytes"] == file.stat().st_size
    assert "run/storage.key" in told["Files"]
    seen = CliRunner().invoke(app, ["verify", str(file)])
    assert "20 services" in seen.stdout
    assert seen.stdout.endswith("It is whole, and can be restored.\n")
    done = CliRunner().invoke(app, ["restore", str(file), f"--into={new.data_dir}", "--json"])
    assert json.loads(done.stdout)["Into"] == str(new.data_dir)
    assert everything(new)["services"] == everything(old)["services"]
    again = CliRunner().invoke(app, ["restore", str(file), f"--into={new.data_dir}"])
    assert isinstance(again.exception, NotRestored)
