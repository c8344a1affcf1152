"""The database of every schema that was ever in use is brought up to date, and is of use then.

`tests/fixtures/schemas` holds one per migration, written by the program as it was then:
`scripts/make_schema_fixture.py`.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select

from pierhead.bootstrap import backup as backups
from pierhead.bootstrap import restore as restores
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.restore_rows import verify
from pierhead.bootstrap.storage import box
from pierhead.core import lifecycle
from pierhead.core.replicas import ReplicaState
from pierhead.core.services import Wanted
from pierhead.settings import Settings
from pierhead.store import db, scalers, schema, services, tables

FIXTURES = Path(__file__).parent.parent / "fixtures" / "schemas"
REVISIONS = sorted(path.stem for path in FIXTURES.glob("*.sql"))


def run(settings: Settings, fn: Callable[..., Any], *args: Any) -> Any:
    engine = db.connect(settings.database, writing=True, box=box(settings))
    try:
        return db.run(engine, fn, *args)
    finally:
        engine.dispose()


def loaded(folder: Path, revision: str) -> Settings:
    """A data folder with the database of an older release."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "pierhead.db")) as connection:
        connection.executescript((FIXTURES / f"{revision}.sql").read_text())
    return Settings(data_dir=folder)


def test_every_schema_but_the_newest_has_one() -> None:
    """Law: old objects are fixtures. Make it before the next migration is begun."""
    scripts = ScriptDirectory.from_config(schema.config()).walk_revisions()
    wanted = {script.revision for script in scripts}
    assert wanted - {schema.HEAD} <= set(REVISIONS) <= wanted


@pytest.mark.parametrize("revision", REVISIONS)
def test_it_is_migrated_and_everything_in_it_can_be_used(tmp_path: Path, revision: str) -> None:
    """Law: an upgrade loses nothing, and restarts nothing through a changed rollout (F17)."""
    settings = loaded(tmp_path / "data", revision)
    before = sqlite3.connect(settings.data_dir / "pierhead.db")
    with closing(before):
        rollouts = before.execute("SELECT name, latest, epoch, revision FROM services").fetchall()
        contents = before.execute("SELECT service, number, content FROM versions").fetchall()
    assert migrate(settings) == (revision != schema.HEAD)
    assert schema.version(settings.database) == schema.HEAD

    found = {one.name: (one, seen) for one, seen in run(settings, services.everything)}
    assert set(found) == {"steady", "paused"}
    service, seen = found["steady"]
    assert service.wanted is Wanted.RUNNING
    assert [one.state for one in seen.replicas] == [ReplicaState.READY] * 2
    assert {one.rollout for one in seen.replicas} == {service.rollout}
    assert seen.settled == service.revision
    assert sorted((one.name, one.latest, one.epoch, one.revision) for one, _ in found.values()) == (
        sorted(rollouts)
    )
    for id_, number, _content in contents:
        assert run(settings, services.version, id_, number) is not None
    run(settings, read_everything)
    if revision >= "0009":
        autos, crons = run(settings, scalers.everything)
        assert [(one.service, one.scaler.low, one.scaler.high) for one in autos] == [
            (service.id, 2, 4)
        ]
        assert [one.scaler.jobs[0].target for one in crons] == [2]
    changed = lifecycle.upgrade(service, replace(service.current, number=0), service.updated + 1)
    run(settings, services.change, changed)
    run(settings, services.remove, found["paused"][0].id, found["paused"][0].revision)
    assert [one.name for one, _ in run(settings, services.everything)] == ["steady"]


def read_everything(tx: Connection) -> None:
    for table in tables.metadata.tables.values():
        tx.execute(select(table)).all()


@pytest.mark.parametrize("revision", [one for one in REVISIONS if one != schema.HEAD])
def test_the_backup_before_its_migration_holds_it(tmp_path: Path, revision: str) -> None:
    settings = loaded(tmp_path / "data", revision)
    migrate(settings)
    (path,) = (settings.data_dir / backups.FOLDER).iterdir()
    found = verify(path)
    assert found.manifest.schema == revision
    assert found.tables["services"] == 2


@pytest.mark.parametrize("revision", REVISIONS)
def test_it_moves_to_postgresql(tmp_path: Path, revision: str, postgres_url: str) -> None:
    settings = loaded(tmp_path / "data", revision)
    backups.save(settings, tmp_path / "a.backup")
    new = Settings(data_dir=tmp_path / "new", database_url=postgres_url)
    restores.restore(new, tmp_path / "a.backup")
    assert {one.name for one, _ in run(new, services.everything)} == {"steady", "paused"}
    run(new, read_everything)
    assert not migrate(new)
