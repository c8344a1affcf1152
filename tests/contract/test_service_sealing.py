"""Secrets of services at rest: no file of the database shows one, whatever release wrote it."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from identity_stage import Stage, play
from sqlalchemy import Connection, text

from builders import BOX, ROOT, T0, a_service, a_template, a_version
from made_database import made_sqlite
from pierhead.bootstrap import database
from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.errors import Unavailable
from pierhead.core.jobs import JobState
from pierhead.core.services import Seen, Service, Version
from pierhead.dialects.eas import present, revise
from pierhead.operations import endpoint_tokens, services
from pierhead.operations.jobs import Jobs
from pierhead.operations.secret_box import SecretBox
from pierhead.operations.services import Decision, Draft
from pierhead.settings import Settings
from pierhead.store import db, facts, schema
from pierhead.store import jobs as job_rows
from pierhead.store import services as rows
from postgres import PostgresServer

TOKEN, DOCKER, ANSWER = "the-token-of-a-client-01", "ZG9ja2VyLXNlY3JldA-01", "the-answers-token-01"
DOCUMENT = {"metadata": {"name": "svc_one", "instance": 1}, "token": TOKEN, "dockerAuth": DOCKER}
ODD = {**DOCUMENT, "token": "sealed:by-nobody"}
WORDS = (TOKEN, DOCKER, ANSWER)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return made_sqlite(tmp_path / "pierhead.db")


def content(folder: Path) -> bytes:
    """Everything that the files below a folder hold."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def a_draft(**fields: Any) -> Draft:
    draft = Draft("svc_one", present.DOCUMENT, a_template(), 1, DOCUMENT, token=TOKEN)
    return replace(draft, **fields)


# --- what is written -----------------------------------------------------------------------------


def test_no_file_of_the_database_and_no_line_of_the_log_holds_a_secret(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def act(stage: Stage) -> list[str]:
        platform, jobs = stage.platform, Jobs(stage.platform)
        made = await services.create(platform, ROOT, a_draft())
        bare = await services.create(
            platform, ROOT, a_draft(name="svc_two", token="", submitted={})
        )
        await services.change(platform, ROOT, "svc_one", _other_version)
        added = await endpoint_tokens.add(platform, ROOT, "svc_one", "ci")
        rotated = [
            await endpoint_tokens.rotate(platform, ROOT, "svc_one", name, 600)
            for name in ("default", "ci", "default")
        ]
        await jobs.begin("1" * 32, "CreateX", ROOT)
        await jobs.finish("1" * 32, JobState.DONE, {"inventory": {"accessToken": ANSWER}})
        words = [*WORDS, made.token, bare.token, added.token.secret]
        words += [word for one in rotated for word in (one.token.secret, one.token.previous)]
        found, _seen = await services.find(platform, "svc_one")
        assert found.token == rotated[-1].token.secret
        assert found.current.submitted == {**DOCUMENT, "x": 1}
        assert (await stage.again().db.read(rows.version, made.id, 1)) == made.current
        job = await jobs.find("1" * 32)
        assert job is not None
        assert job.answer == {"inventory": {"accessToken": ANSWER}}
        written = content(tmp_path)  # while the database is open: its log is there
        assert made.id.encode() in written, "the test can fail"
        assert not [word for word in words if word and word.encode() in written]
        shown = repr((made, added, rotated, found))
        assert not [word for word in (made.token, added.token.secret) if f"'{word}'," in shown]
        return [word for word in words if word]

    words = play(url, act)
    assert not [word for word in words if word.encode() in content(tmp_path)]
    assert not [word for word in words if word in caplog.text]


def _other_version(service: Service, _seen: Any, now: float) -> Decision:
    version = Version(0, service.current.template, None, submitted={**DOCUMENT, "x": 1})
    return services.upgraded(service, version, now, None, ())


def test_what_did_not_change_is_not_written_anew(url: str) -> None:
    """Who compares rows, or remembers what they mean, must not take a new cipher text for news."""

    async def act(stage: Stage) -> None:
        made = await services.create(stage.platform, ROOT, a_draft())

        def row(tx: Connection) -> tuple[Any, ...]:
            asked = "SELECT token, content FROM services WHERE id = :id"
            return tuple(tx.execute(text(asked), {"id": made.id}).one())

        before = await stage.db.read(row)
        await stage.db.write(rows.change, replace(made, replicas=2, revision=2))
        assert await stage.db.read(row) == before
        await stage.db.write(rows.change, replace(made, replicas=2, revision=3, token="other"))
        after = await stage.db.read(row)
        assert after[0] != before[0]
        assert after[1] == before[1]
        twin = await services.create(stage.platform, ROOT, a_draft(name="svc_two"))
        other = await stage.db.read(
            lambda tx: tuple(
                tx.execute(text(f"SELECT token FROM services WHERE id = '{twin.id}'")).one()
            )
        )
        assert other[0] != before[0], "the same secret looks different in every service"

    play(url, act)


def test_a_sealed_token_does_not_open_for_another_service(url: str) -> None:
    async def act(stage: Stage) -> None:
        one = await services.create(stage.platform, ROOT, a_draft())
        two = await services.create(stage.platform, ROOT, a_draft(name="svc_two"))

        def swap(tx: Connection) -> None:
            swapped = "UPDATE services SET token = (SELECT token FROM services WHERE id = :one)"
            tx.execute(text(f"{swapped} WHERE id = :two"), {"one": one.id, "two": two.id})

        await stage.db.write(swap)
        assert (await services.find(stage.platform, "svc_one"))[0].token == TOKEN
        assert (await services.find(stage.platform, "svc_two"))[0].token == ""

    play(url, act)


def test_a_token_may_look_like_anything(url: str) -> None:
    async def act(stage: Stage) -> None:
        for number, token in enumerate(("sealed:", "sealed:AAAA", "ü" * 200, "{}", " ", "\t")):
            document = {**DOCUMENT, "token": token, "dockerAuth": {"user": token}}
            name = f"svc_{number}"
            made = await services.create(
                stage.platform, ROOT, a_draft(name=name, token=token, submitted=document)
            )
            assert await stage.again().db.read(rows.load, made.id) is not None
            found, _seen = await services.find(stage.again().platform, name)
            assert found.token == token
            assert found.current.submitted == document
            assert list(found.current.submitted) == list(document)

    play(url, act)


def test_without_its_key_a_database_takes_no_secret(tmp_path: Path, url: str) -> None:
    engine = db.connect(url, writing=True)
    try:
        with pytest.raises(Unavailable, match="key"):
            db.run(engine, rows.add, a_service())
        assert db.run(engine, rows.ids) == []
    finally:
        engine.dispose()
    assert b"svc_one" not in content(tmp_path)


# --- what an older release wrote -----------------------------------------------------------------


def _old(tx: Connection) -> None:
    """A database as schema 0005 left it: everything in plain."""
    config = schema.config()
    config.attributes["connection"] = tx
    command.upgrade(config, "0005")
    columns = "id, name, account, caller, origin, wanted, change, replicas, content, latest, epoch,"
    columns += " revision, token, created, updated, workspace, quota, group_name, labels"
    for number, token in enumerate((TOKEN, "sealed:by-nobody")):
        id_, document = f"{number}" * 32, (DOCUMENT, ODD)[number]
        content_ = rows.codec.text(rows.codec.version, a_version(submitted=document))
        values = (
            f"'{id_}', 'svc_{number}', '1', '1', 'eas.service', 'running', 'create', 1, :content, 1,"
            f" 0, 1, '{token}', {T0}, {T0}, '', '', '', '{{}}'"
        )
        tx.execute(
            text(f"INSERT INTO services ({columns}) VALUES ({values})"), {"content": content_}
        )
        history = "INSERT INTO versions (service, number, content, created) VALUES"
        tx.execute(text(f"{history} ('{id_}', 1, :content, {T0})"), {"content": content_})
        seen = "INSERT INTO seen (service, revision, settled, since, hold, replicas, failed_roll,"
        no = "false" if tx.dialect.name == "postgresql" else "0"
        tx.execute(
            text(f"{seen} served, broken) VALUES ('{id_}', 0, 0, 0.0, '', '[]', {no}, {no}, '')")
        )
    job = "INSERT INTO api_jobs (id, api, principal, state, object, answer, webhook, created,"
    answer = json.dumps({"accessToken": ANSWER})
    tx.execute(
        text(f"{job} expires) VALUES ('{'2' * 32}', 'X', '1', 'Done', '', :answer, '', 0.0, 9e9)"),
        {"answer": answer},
    )
    facts.put(tx, "secrets_scrubbed", "1")


def old_folder(settings: Settings) -> None:
    engine = db.connect(settings.database, writing=True)
    try:
        db.run(engine, _old)
    finally:
        engine.dispose()


def opened(settings: Settings, read: Callable[[Connection], Any]) -> Any:
    """As a hub on this folder finds it."""
    box = SecretBox(storage_key(settings.data_dir))
    engine = db.connect(settings.database, writing=False, box=box)
    try:
        return db.run(engine, read)
    finally:
        engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_first_start_seals_what_an_older_release_left_in_plain(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    where = {} if kind == "sqlite" else {"database_url": request.getfixturevalue("postgres_url")}
    settings = Settings(data_dir=tmp_path, **where)
    old_folder(settings)
    if kind == "sqlite":
        assert all(word.encode() in content(tmp_path) for word in WORDS), "the test can fail"
    assert database.migrate(settings) is True
    found = opened(settings, lambda tx: sorted(rows.everything(tx), key=lambda pair: pair[0].name))
    assert [pair[0].token for pair in found] == [TOKEN, "sealed:by-nobody"]
    assert [pair[0].current.submitted for pair in found] == [DOCUMENT, ODD]
    version = opened(settings, lambda tx: rows.version(tx, "0" * 32, 1))
    assert version.submitted == DOCUMENT
    if kind == "sqlite":
        assert not [word for word in WORDS if word.encode() in content(tmp_path)]
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        server.execute("CHECKPOINT")
        table = content(server._folder / "data" / "base")
        assert b"svc_0" in table, "the test can fail"
        assert not [word for word in WORDS if word.encode() in table]
    assert database.migrate(settings) is False
    assert opened(settings, rows.everything) != []


def test_a_start_that_cannot_remove_traces_seals_once_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    old_folder(settings)

    def full(*_: object) -> None:
        raise Unavailable("The database", "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(db, "scrub", full)
        for _ in range(2):  # what is sealed must not be sealed again
            database.migrate(settings)
            assert {pair[0].token for pair in opened(settings, rows.everything)} >= {TOKEN}
    database.migrate(settings)
    assert not [word for word in WORDS if word.encode() in content(tmp_path)]
    assert {pair[0].token for pair in opened(settings, rows.everything)} >= {TOKEN}


def test_what_is_sealed_already_is_not_sealed_again(url: str) -> None:
    """Whatever became of the note that all was sealed: a restored database, say."""

    async def act(stage: Stage) -> None:
        made = await services.create(stage.platform, ROOT, a_draft())
        jobs = Jobs(stage.platform)
        await jobs.begin("1" * 32, "CreateX", ROOT)
        await jobs.finish("1" * 32, JobState.DONE, {"accessToken": ANSWER})
        for _ in range(2):
            assert await stage.db.write(rows.seal_plain) == 1
            assert await stage.db.write(job_rows.seal_plain) == 1
        assert await stage.again().db.read(rows.load, made.id) == (made, Seen())
        assert await stage.db.read(rows.version, made.id, 1) == made.current
        found = await jobs.find("1" * 32)
        assert found is not None
        assert found.answer == {"accessToken": ANSWER}

    play(url, act)


# --- what clients are shown ----------------------------------------------------------------------


def test_a_document_shows_the_present_token_and_lists_show_none(url: str) -> None:
    """A token that was submitted and rotated since must not come back by the next update."""

    async def act(stage: Stage) -> None:
        platform = stage.platform
        await services.create(platform, ROOT, a_draft())
        second = (await endpoint_tokens.rotate(platform, ROOT, "svc_one")).token.secret
        found, seen = await services.find(platform, "svc_one")
        shown = revise.config(found)
        assert shown["token"] == second
        assert "dockerAuth" not in shown
        view = present.View("local", platform.gateway, stage.clock, revise.config)
        listed: Mapping[str, Any] = present.Listed(view).show(found, seen)
        told = json.dumps(listed)
        assert TOKEN not in told
        assert second not in told
        assert json.loads(listed["ServiceConfig"])["metadata"]["name"] == "svc_one"
        one: Mapping[str, Any] = present.service(view, found, seen)
        assert one["AccessToken"] == json.loads(one["ServiceConfig"])["token"] == second

    play(url, act)


def test_sealing_and_opening_cost_microseconds() -> None:
    """Measured loosely: a hundred times what it takes would still be noticed."""

    async def timed() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(1000):
            sealed = BOX.seal_text(f"endpoint token:{number}", "s" * 56)
            assert BOX.open_text(f"endpoint token:{number}", sealed) == "s" * 56
        return loop.time() - began

    assert asyncio.run(timed()) < 2.0
