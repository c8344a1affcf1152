"""Backups of somebody else's making, and places where others write: refused in a sentence, and by `verify` first."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backup_world import World, run, saved
from sqlalchemy import text
from typer.testing import CliRunner

from builders import a_service
from pierhead.bootstrap import backup as backups
from pierhead.bootstrap import restore as restores
from pierhead.bootstrap import restore_rows
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.restore_rows import verify
from pierhead.cli.main import app
from pierhead.core.errors import Unavailable
from pierhead.settings import Settings
from pierhead.store import archive, schema, services
from pierhead.store.archive import Damaged, Manifest, Member


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, request)
    yield made
    made.end()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A backup of a platform with one service."""
    settings = Settings(data_dir=tmp_path / "small")
    migrate(settings)
    run(settings, services.add, a_service())
    return saved(settings)[0]


Change = Callable[[Manifest], Manifest]


def remade(path: Path, contents: dict[str, bytes], change: Change = lambda made: made) -> Path:
    """The backup with other contents, and all digests right: whoever can write it can write those."""
    into = path.with_name("remade.backup")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(into, "w") as new:
        raw = {name: old.read(name) for name in old.namelist()} | contents
        manifest = archive.parsed(raw.pop(archive.MANIFEST))
        known = {one.name: one for one in manifest.members}
        members = [told(known.get(name), name, content) for name, content in raw.items()]
        manifest = change(replace(manifest, members=tuple(members)))
        for name, content in raw.items():
            new.writestr(name, content)
        archive.Writer(new, list(manifest.members)).end(manifest)
    return into


def told(known: Member | None, name: str, content: bytes) -> Member:
    columns = known.columns if known else ()
    rows = content.count(b"\n") if columns else 0
    return Member(name, len(content), hashlib.sha256(content).hexdigest(), rows, columns)


def cell(path: Path, table: str, column: str, value: Any) -> dict[str, bytes]:
    """The first row of a table, with one cell changed."""
    name = archive.table_member(table)
    with zipfile.ZipFile(path) as raw:
        columns = archive.parsed(raw.read(archive.MANIFEST)).tables[table].columns
        lines = [json.loads(line) for line in raw.read(name).splitlines()]
    lines[0][columns.index(column)] = value
    return {name: b"".join(json.dumps(line).encode() + b"\n" for line in lines)}


def refused(path: Path, settings: Settings, *, verifying: bool = True) -> None:
    """By whoever checks it, and by whoever would restore it: that changes nothing."""
    if verifying:
        with pytest.raises(Damaged):
            verify(path)
    with pytest.raises(Damaged):
        restores.restore(settings, path, force=True)
    assert not (settings.data_dir / restores.STAGING).exists()


CELLS: dict[str, tuple[str, Any]] = {
    "an object": ("name", {"x": 1}),
    "no base64": ("name", {"base64": "a"}),
    "a list": ("name", [1]),
    "no key": ("id", None),
    "half a character": ("name", "\ud800"),
    "a huge number": ("number", 10**30),
}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_cells_that_no_database_takes_are_damage(world: World, path: Path, kind: str) -> None:
    """Law: a sentence and nothing changed, whatever stands in a row."""
    here = world.settings(kind)
    for what, (column, value) in CELLS.items():
        table = "versions" if column == "number" else "services"
        bad = remade(path, cell(path, table, column, value))
        try:
            refused(bad, here, verifying=kind == "sqlite")
        except Exception as error:
            raise AssertionError(what) from error
    assert schema.version(here.database) is None


def test_a_key_twice_and_deep_lines_are_damage(world: World, path: Path) -> None:
    name = archive.table_member("services")
    with zipfile.ZipFile(path) as raw:
        line = raw.read(name)
    here = world.settings("sqlite")
    refused(remade(path, {name: line + line}), here)
    refused(remade(path, {name: b"[" * 200_000 + b"\n"}), here)
    assert not (here.data_dir / "pierhead.db").exists()


FILES = [
    *("files/../../x", "files//etc/x", "files/run/x", "files/tls/../x", "files/tls/", "files/x\x07"),
    *("files/tls/bell\x07", "files/tls/" + "x" * 300, "tables/services\x07.jsonl", "evil"),
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_no_backup_has_is_told_by_every_look(
    world: World, path: Path, name: str
) -> None:
    bad = remade(path, {name: b"evil"})
    refused(bad, world.settings("sqlite"))
    with pytest.raises(Damaged) as caught:
        verify(bad, trying=False)
    assert caught.value.message.isprintable()


def members(**changed: Any) -> Change:
    """The services, told otherwise."""

    def change(made: Manifest) -> Manifest:
        name = archive.table_member("services")
        new = [replace(one, **changed) if one.name == name else one for one in made.members]
        return replace(made, members=tuple(new))

    return change


MANIFESTS: dict[str, Change] = {
    "less than nothing": members(bytes=-1),
    "rows less than none": members(rows=-1),
    "a table without columns": members(columns=(), rows=0),
    "twice the same": lambda made: replace(made, members=(*made.members, made.members[0])),
    "a bell": lambda made: replace(made, release="1\x07"),
    "no moment": lambda made: replace(made, made=1e300),
    "a large file": lambda made: replace(
        made,
        members=tuple(
            replace(one, bytes=2 * archive.LARGEST_FILE) if not one.columns else one
            for one in made.members
        ),
    ),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_no_backup_has_is_told(world: World, path: Path, what: str) -> None:
    bad = remade(path, {"files/settings.toml": b""}, MANIFESTS[what])
    with pytest.raises(Damaged, match="its manifest"):
        verify(bad, trying=False)
    refused(bad, world.settings("sqlite"))


def test_what_the_reader_refuses_is_not_written(world: World) -> None:
    """Law: a backup that was made can be restored."""
    settings = world.platform("sqlite")
    tls = settings.data_dir / backups.TLS
    tls.mkdir()
    (tls / "bell\x07").write_text("x")
    (tls / "own.crt").write_text("x")
    file, made = saved(settings)
    assert [name for name in made.files if name.startswith("tls/")] == ["tls/own.crt"]
    assert verify(file).manifest == made
    (settings.data_dir / backups.SETTINGS).write_bytes(b"#" * (archive.LARGEST_FILE + 1))
    with pytest.raises(Unavailable, match=r"settings\.toml.*too large"):
        saved(settings, "b.backup")


def test_tables_of_others_in_the_same_database_are_left_alone(world: World) -> None:
    """Law: a backup has, and a restore replaces, this program's tables alone."""
    settings = world.platform("postgresql")
    for statement in ("CREATE TABLE theirs (n int)", "INSERT INTO theirs VALUES (7)"):
        run(settings, lambda tx, asked=statement: tx.execute(text(asked)))
    file, made = saved(settings)
    assert "theirs" not in made.tables
    restores.restore(settings, file, force=True)
    assert run(settings, lambda tx: tx.execute(text("SELECT n FROM theirs")).scalar_one()) == 7


# --- where others write -----------------------------------------------------------------------------


def test_what_lies_under_the_unfinished_name_is_neither_followed_nor_kept(world: World) -> None:
    """Law: the file is private, also in a folder where others put what they like."""
    settings = world.platform("sqlite")
    file = settings.data_dir.parent / "a.backup"
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    victim = file.with_name("victim")
    victim.write_text("theirs")
    part.symlink_to(victim)
    saved(settings)
    assert victim.read_text() == "theirs"
    part.touch(mode=0o666)
    part.chmod(0o666)
    saved(settings, replacing=True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.is_symlink()


def test_a_restored_database_is_private_at_every_moment(
    world: World, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.settings("sqlite")
    settings.data_dir.mkdir(mode=0o755)
    seen = dict[str, int]()

    def look(_point: str) -> None:
        for one in settings.data_dir.glob("pierhead.db*"):
            seen[one.name] = seen.get(one.name, 0) | one.stat().st_mode & 0o777

    for module in (restores, restore_rows):
        monkeypatch.setattr(module, "failpoint", look)
    before = os.umask(0o022)
    try:
        restores.restore(settings, path)
    finally:
        os.umask(before)
    look("")
    assert {"pierhead.db", "pierhead.db.restored", "pierhead.db.restored-wal"} <= set(seen)
    assert set(seen.values()) == {0o600}


@pytest.mark.parametrize("name", ["file/x", "x" * 300, "file/x/y"])
def test_a_path_that_cannot_be_is_told(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.platform("sqlite")
    monkeypatch.delenv("PIERHEAD_DATA_DIR", raising=False)
    folder = settings.data_dir.parent
    (folder / "file").touch()
    with pytest.raises(Unavailable):
        backups.save(settings, folder / name)
    asked = ["backup", str(folder / name), f"--data-dir={settings.data_dir}", "--replace"]
    assert isinstance(CliRunner().invoke(app, asked).exception, Unavailable)
