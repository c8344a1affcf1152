"""`pierhead cache ...` over a real cache, fetched over a connection from a store on loopback."""

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from builders import a_service, a_version
from pierhead.bootstrap import database
from pierhead.bootstrap.storage import box, snapshots
from pierhead.cli.cache import CacheDamaged
from pierhead.cli.main import app
from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.errors import NotFound
from pierhead.core.mounts import S3Source
from pierhead.operations import connections
from pierhead.settings import Settings
from pierhead.sources.openers import opened
from pierhead.sources.progress import Phase, Progress
from pierhead.sources.snapshot_locks import at_once
from pierhead.store import db, services
from s3_double import BUCKET, KEY, REGION, SECRET, Store, serving

CONTENT = random.Random(7).randbytes(100_000)
SOURCE = S3Source(BUCKET, "llama/")


def cli(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["cache", *words, "--data-dir", str(folder)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def fetched(folder: Path, store: Store) -> Path:
    """The one file of a snapshot that a service is kept for."""
    connection = Connection(
        "models",
        "s3",
        bucket=BUCKET,
        endpoint=store.url,
        region=REGION,
        access_key_id=KEY,
        allow_private=True,
    )
    account = Account(connection, Keys(SECRET))
    settings = Settings.load({"data_dir": folder}, {})
    database.migrate(settings)
    engine = db.connect(settings.database, writing=True, box=box(settings))
    db.run(engine, connections.add, box(settings), account)
    db.run(engine, services.add, a_service(current=a_version(source=SOURCE)))
    engine.dispose()
    remote = opened(SOURCE, account, lambda _: account, lambda: 1.8e9)
    cache = snapshots(settings)
    made = cache.fetch(remote, lambda _: None, lambda: False)
    cache.use(made, str(SOURCE))
    cache.use(made, "s3://models/a-source-of-nobody/")
    remote.close()
    return made.files / "model.gguf"


def test_the_cache_is_listed_checked_mended_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIERHEAD_CACHE_DIR", raising=False)
    with serving() as store:
        store.objects = {"llama/model.gguf": CONTENT}
        file = fetched(tmp_path, store)
        (row,) = json.loads(cli(tmp_path, "ls", "--json"))
        assert (row["name"], row["whole"], row["folder"]) == (
            "s3://models/llama/",
            True,
            str(file.parent),
        )
        assert row["kept_for"] == [str(SOURCE)], "the source of nobody keeps nothing"
        assert row["snapshot"] in cli(tmp_path, "ls")
        assert "is whole" in cli(tmp_path, "verify")

        file.chmod(0o644)
        file.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
        with pytest.raises(CacheDamaged, match="cache repair"):
            cli(tmp_path, "verify", row["snapshot"])
        assert "model.gguf" in cli(tmp_path, "repair", row["snapshot"])
        assert file.read_bytes() == CONTENT
        assert "is whole" in cli(tmp_path, "verify")

        assert "0 snapshots" in cli(tmp_path, "prune"), "a service names it"
        settings = Settings.load({"data_dir": tmp_path}, {})
        engine = db.connect(settings.database, writing=True, box=box(settings))
        service = a_service()
        db.run(engine, services.remove, service.id, service.revision)
        engine.dispose()
        assert "0 snapshots" in cli(tmp_path, "prune", "--limit", "20Gi")
        assert "1 snapshots would be removed" in cli(tmp_path, "prune", "--dry-run")
        assert file.exists()
        assert "1 snapshots were removed" in cli(tmp_path, "prune")
        assert not file.exists()
        assert json.loads(cli(tmp_path, "ls", "--json")) == []


def test_a_newcomer_is_told_what_there_is(tmp_path: Path) -> None:
    assert "The cache is empty" in cli(tmp_path, "ls")
    assert "nothing in the cache" in cli(tmp_path, "verify")
    assert "nothing in the cache" in cli(tmp_path, "repair")
    assert "0 snapshots" in cli(tmp_path, "prune")
    for verb in ("verify", "repair"):
        with pytest.raises(NotFound, match="does not exist"):
            cli(tmp_path, verb, "nobody/knows")
    done = CliRunner().invoke(app, ["cache", "prune", "--limit", "much", "--data-dir", "x"])
    assert done.exit_code == 2
    assert "such as 200GiB" in " ".join(done.output.split())


def test_a_fetch_under_way_shows_how_far_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "remote" / "0123456789abcdef" / "fedcba9876543210"
    (folder / "users").mkdir(parents=True)
    manifest = [{"key": "model.gguf", "size": 1000, "etag": "e", "crc64": None}]
    (folder / "about.json").write_text(json.dumps({"name": "s3://b/", "manifest": manifest}))
    told = Progress(Phase.DOWNLOADING, done=420, total=1000)
    (folder / "progress.json").write_text(json.dumps(told.row()))
    assert "unfinished 42 %" in cli(tmp_path, "ls")
    with at_once(folder):
        assert "fetching 42 %" in cli(tmp_path, "ls")
