"""A hub of this release starts on the database of each older one while its engines run."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from broken_things import verb
from lone_hub import Hub
from stage import Stage, until

from pierhead import __version__
from pierhead.cli.client import find_access
from pierhead.cli.ram_client import RamClient
from pierhead.store import db, schema

SOURCE = str(Path(__file__).parent.parent.parent / "src")
OLDER = [
    script.revision
    for script in ScriptDirectory.from_config(schema.config()).walk_revisions()
    if script.revision != schema.HEAD
]


def hub(stage: Stage) -> "subprocess.Popen[bytes]":
    process = stage.start("hub", PYTHONPATH=SOURCE)
    stage.answering(stage.listen, process)
    return process


def take_back(file: Path, revision: str) -> None:
    """Give the database the schema of an older release."""
    engine = db.connect(db.sqlite_url(file), writing=True)

    def down(tx: db.Connection) -> None:
        config = schema.config()
        config.attributes["connection"] = tx
        command.downgrade(config, revision)

    try:
        db.run(engine, down)
    finally:
        engine.dispose()


USER, QUOTA, GROUP = "ann", "small", "lab"


def furnish(own: RamClient, stage: Stage) -> None:
    """One of everything that a platform has beside its services."""
    own.act("CreateUser", UserName=USER)
    own.act("CreateAccessKey", UserName=USER)
    own.own("CreateQuota", QuotaId=QUOTA, MaxReplicas="9")
    own.own("CreateWorkspace", WorkspaceId=GROUP, Name="Lab", QuotaId=QUOTA)
    own.own("AddServiceToken", ServiceName="steady", TokenName="extra")
    secret = stage.folder.with_name("secret")
    secret.write_text("SK")
    where = ("--bucket", "models", "--endpoint", "http://127.0.0.1:1", "--region", "cn-shanghai")
    limits = ("--min", "2", "--max", "4", "--target", "qps=50")
    verb(stage, "services", "autoscale", "set", "steady", *limits)
    verb(stage, "services", "schedule", "set", "steady", "--at", "new year: 0 0 3 1 1 * = 2")
    keys = ("--access-key-id", "AK", "--access-key-secret-file", str(secret))
    verb(stage, "storage", "add", "oss", "bucket", *where, *keys, "--allow-private")


def is_of_use(own: RamClient, stage: Stage) -> None:
    """Each of them can be read, changed and deleted."""
    secret = own.own("GetServiceToken", ServiceName="steady", TokenName="extra")["Token"]
    assert secret["AccessToken"]
    assert own.act("GetUser", UserName=USER)["User"]["UserName"] == USER
    assert own.own("GetQuota", QuotaId=QUOTA)["Quota"]["QuotaId"] == QUOTA
    assert own.own("GetWorkspace", WorkspaceId=GROUP)["Workspace"]["WorkspaceId"] == GROUP
    assert "bucket" in verb(stage, "storage", "list")
    own.act("UpdateUser", UserName=USER, NewDisplayName="Ann")
    own.own("UpdateQuota", QuotaId=QUOTA, MaxReplicas="8")
    own.own("UpdateWorkspace", WorkspaceId=GROUP, Name="Laboratory")
    own.own("RevokeServiceToken", ServiceName="steady", TokenName="extra")
    (key,) = own.act("ListAccessKeys", UserName=USER)["AccessKeys"]["AccessKey"]
    own.act("DeleteAccessKey", UserName=USER, UserAccessKeyId=key["AccessKeyId"])
    own.act("DeleteUser", UserName=USER)
    own.own("DeleteWorkspace", WorkspaceId=GROUP)
    own.own("DeleteQuota", QuotaId=QUOTA)
    verb(stage, "storage", "remove", "bucket")


def rollouts(stage: Stage) -> list[tuple[object, ...]]:
    """What a replica's run is told by: were it another one, it would be replaced."""
    with closing(sqlite3.connect(stage.folder / "pierhead.db")) as raw:
        return raw.execute("SELECT name, latest, epoch FROM services").fetchall()


def test_an_upgrade_from_any_schema_touches_no_engine(stage: Stage) -> None:
    """Law: same pid, same start time, and every object can be read, changed and deleted (F17)."""
    serving = Hub(stage)
    stage.create("steady", 2)
    stage.running("steady", 2)
    own = RamClient(find_access(stage.folder, None, {}))
    furnish(own, stage)
    engines, told = stage.processes("keeper", "engine"), rollouts(stage)
    for revision in OLDER:
        serving.process.kill()
        serving.process.wait()
        take_back(stage.folder / "pierhead.db", revision)
        serving.start()
        assert schema.version(db.sqlite_url(stage.folder / "pierhead.db")) == schema.HEAD
        stage.running("steady", 2)
        assert stage.processes("keeper", "engine") == engines, revision
        assert rollouts(stage) == told
        if revision == OLDER[0]:  # older ones do not have all of it
            is_of_use(own, stage)
    kept = [path.name for path in (stage.folder / "backups").iterdir()]
    assert len(kept) == min(5, len(OLDER))
    stage.scale("steady", 1)
    stage.running("steady")
    stage.delete("steady")
    stage.gone("steady")


@pytest.mark.parametrize("verb", ["hub", "migrate"])
def test_a_newer_database_is_refused_in_one_sentence(stage: Stage, verb: str) -> None:
    """Law: the older program names both versions, and leaves everything as it is (F16)."""
    process = hub(stage)
    process.kill()
    process.wait()
    file = stage.folder / "pierhead.db"
    with closing(sqlite3.connect(file)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.execute("UPDATE facts SET value = '9.9.9' WHERE key = 'release'")
        raw.commit()
    flags = [f"--listen={stage.listen}"] if verb == "hub" else []
    done = subprocess.run(
        [sys.executable, "-m", "pierhead", verb, f"--data-dir={stage.folder}", *flags],
        env={"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    for word in ("9.9.9", "9999", __version__, schema.HEAD):
        assert word in line
    assert not (stage.folder / "backups").exists()
    until(lambda: schema.version(db.sqlite_url(file)) == "9999")
