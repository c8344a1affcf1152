"""Access keys' secrets at rest: no file of the database shows one, whatever release wrote it."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from identity_stage import Stage, play
from sqlalchemy import Connection, text

from builders import ACCOUNT, BOX, ROOT, T0
from made_database import made_sqlite
from pierhead.bootstrap import database
from pierhead.bootstrap.credentials import issue_sts
from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.errors import Unavailable
from pierhead.core.identities import Attachment, Role, User
from pierhead.core.principals import AccessKey, Principal
from pierhead.operations.authority import Authority
from pierhead.operations.iam import common, grants, keys, roles, users
from pierhead.operations.iam.assume import Wish, assume_role
from pierhead.operations.key_ring import USE_SECONDS, KeyRing
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.store import db, facts, schema
from pierhead.store import keys as rows
from postgres import PostgresServer

PATIENCE = 30.0
KEY = AccessKey("LTAIone", "one-secret-of-a-key", ROOT, created=T0)
OLD = ("the-old-secret-0001", "the-old-session-token-0001", "the-old-deleted-secret-0001")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a SQLite file with the schema of this release."""
    return made_sqlite(tmp_path / "pierhead.db")


def content(folder: Path) -> bytes:
    """Everything that the files below a folder hold."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


# --- what is written -----------------------------------------------------------------------------


def test_no_file_of_the_database_holds_a_secret(tmp_path: Path, url: str) -> None:
    async def act(stage: Stage) -> list[str]:
        platform = stage.platform
        made = await users.create_user(platform, ROOT, User("", "alice"))
        trust = (
            '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
            f'"Principal":{{"RAM":["acs:ram::{ACCOUNT}:root"]}}}}]}}'
        )
        await roles.create_role(platform, ROOT, Role("", "build", trust))
        given = Attachment("AliyunSTSAssumeRoleAccess", "System", "alice", "User")
        await grants.attach(platform, ROOT, given)
        key = await keys.create_access_key(platform, ROOT, "alice")
        alice = common.principal_of(platform, made)
        wish = Wish(f"acs:ram::{ACCOUNT}:role/build", "ci")
        session = await assume_role(platform, alice, Authority(platform), wish)
        await stage.db.write(rows.put_filed, BOX, KEY, T0)
        for one in (key, session):
            assert await KeyRing(platform).find(one.id) == one
            for word in (one.secret, one.session_token):
                assert not word or word not in repr(one)
        written = content(tmp_path)  # while the database is open: its log is there
        words = [key.secret, session.secret, session.session_token, KEY.secret]
        assert key.id.encode() in written
        for word in words:
            assert word.encode() not in written
        return words

    words = play(url, act)
    assert not [word for word in words if word.encode() in content(tmp_path)]


def test_a_sealed_secret_does_not_open_for_another_key_nor_with_another_file(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.db.write(rows.put, BOX, KEY)
        await stage.db.write(rows.put, BOX, replace(KEY, id="LTAItwo", secret="another"))

        def swap(tx: Connection) -> None:
            tx.execute(
                text(
                    "UPDATE access_keys SET sealed ="
                    " (SELECT sealed FROM access_keys WHERE id = 'LTAIone') WHERE id = 'LTAItwo'"
                )
            )

        await stage.db.write(swap)
        assert await stage.db.read(rows.find, BOX, "LTAIone")
        with pytest.raises(Unavailable, match=r"access key \[LTAItwo\].*storage\.key"):
            await KeyRing(stage.platform).find("LTAItwo")
        with pytest.raises(Unavailable, match=r"access key \[LTAIone\]"):
            await stage.db.read(rows.find, SecretBox(bytes(32)), "LTAIone")
        # Lists and changes need no secret.
        assert len(await stage.db.read(rows.permanent)) == 2

    play(url, act)


def test_opening_a_key_costs_microseconds() -> None:
    """Measured loosely: a hundred times what it takes would still be noticed."""
    sealed = BOX.seal("access key:LTAI", rows.Keys("s" * 30, "t" * 128))
    began = time.thread_time()
    for _ in range(1000):
        BOX.open("access key:LTAI", sealed)
    assert time.thread_time() - began < 1.0


# --- what an older release wrote -----------------------------------------------------------------


def _old(tx: Connection) -> None:
    """A database as schema 0003 left it: plain secrets, and some that were to be deleted."""
    config = schema.config()
    config.attributes["connection"] = tx
    command.upgrade(config, "0003")
    rows_ = (
        ("LTAIold", OLD[0], "", None),
        ("STS.old", OLD[0], OLD[1], T0 + 1e9),
        *((f"LTAIgone{number}", OLD[2], "", None) for number in range(200)),
    )
    for id_, secret, token, expires in rows_:
        tx.execute(
            text(
                "INSERT INTO access_keys (id, secret, account, principal, kind, active,"
                " session_token, expires, created, uuid, updated) VALUES (:id, :secret, :account,"
                " :account, 'account', :yes, :token, :expires, :at, :id, :at)"
            ),
            {
                "id": id_,
                "secret": secret,
                "account": ACCOUNT,
                "yes": True,
                "token": token,
                "expires": expires,
                "at": T0,
            },
        )


def _forgetful(tx: Connection) -> None:
    """Delete keys as most builds of SQLite do: whole pages of them stay in the file."""
    if tx.dialect.name == "sqlite":
        tx.execute(text("PRAGMA secure_delete = OFF")).close()
    tx.execute(text("DELETE FROM access_keys WHERE id LIKE 'LTAIgone%'"))


def old_folder(settings: Settings) -> None:
    engine = db.connect(settings.database, writing=True)
    try:
        db.run(engine, _old)
        db.run(engine, _forgetful)
    finally:
        engine.dispose()


def opened(settings: Settings, key: str) -> AccessKey | None:
    """As a hub on this folder finds it."""
    engine = db.connect(settings.database, writing=False)
    try:
        return db.run(engine, rows.find, SecretBox(storage_key(settings.data_dir)), key)
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
        assert all(word.encode() in content(tmp_path) for word in OLD), "the test can fail"
    before = _as_plain(settings)
    assert database.migrate(settings) is True
    for key in ("LTAIold", "STS.old"):
        found = opened(settings, key)
        assert found is not None
        assert found.secret == OLD[0]
        assert found.session_token == ("" if key == "LTAIold" else OLD[1])
    assert before == {OLD[0], OLD[1], ""}
    assert _as_plain(settings) == {""}
    if kind == "sqlite":
        assert not [word for word in OLD if word.encode() in content(tmp_path)]
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        server.execute("CHECKPOINT")
        table = content(server._folder / "data" / "base")
        assert b"LTAIold" in table, "the test can fail"
        assert not [word for word in OLD if word.encode() in table]
    assert database.migrate(settings) is False


def _as_plain(settings: Settings) -> set[str]:
    """What stands in the columns of the older release."""
    engine = db.connect(settings.database, writing=False)
    try:
        found = db.run(
            engine,
            lambda tx: tx.execute(text("SELECT secret, session_token FROM access_keys")).all(),
        )
        return {word for row in found for word in row}
    finally:
        engine.dispose()


def test_what_is_not_sealed_yet_opens_too(url: str) -> None:
    """Between the change of the schema and the sealing a process may be killed."""

    async def act(stage: Stage) -> None:
        await stage.db.write(rows.put, BOX, KEY)
        plain = "UPDATE access_keys SET sealed = NULL, secret = 'plain', session_token = 't'"
        await stage.db.write(lambda tx: tx.execute(text(plain)).close())
        assert await stage.db.read(rows.plain) == 1
        found = await KeyRing(stage.platform).find(KEY.id)
        assert found is not None
        assert (found.secret, found.session_token) == ("plain", "t")
        assert await stage.db.write(rows.seal_plain, BOX) == 1
        assert await stage.db.read(rows.plain) == 0
        assert await stage.db.write(rows.seal_plain, BOX) == 0
        assert await stage.db.read(rows.find, BOX, KEY.id) == found

    play(url, act)


def test_a_start_that_cannot_remove_traces_seals_all_the_same_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    old_folder(settings)

    def full(*_: object) -> None:
        raise Unavailable("The database", "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(db, "scrub", full)
        database.migrate(settings)
    assert _as_plain(settings) == {""}
    database.migrate(settings)
    assert not [word for word in OLD if word.encode() in content(tmp_path)]


def test_traces_are_not_removed_under_somebody_who_reads(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert database.migrate(settings)
    reader, writer = (db.connect(settings.database, writing=one) for one in (False, True))
    try:
        with writer.connect() as held, held.begin():
            facts.put(held, "a", "1")
            other = db.connect(settings.database + "?timeout=0", writing=True)
            try:
                with pytest.raises(Unavailable, match="locked"):
                    db.scrub(other, "access_keys")
            finally:
                other.dispose()
        db.scrub(writer, "access_keys")
        assert db.run(reader, facts.get, "a") == "1"
        db.run(writer, facts.put, "b", "2")  # the engine works on
    finally:
        reader.dispose()
        writer.dispose()


def test_temporary_keys_of_the_command_line_are_sealed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    database.migrate(settings)
    settings.credentials_file.write_text(
        '{"account_id": "1000000000000001", "access_key_id": "a", "access_key_secret": "b"}'
    )
    issued = issue_sts(settings, 900.0)
    written = content(tmp_path)
    assert issued.id.encode() in written
    assert issued.secret.encode() not in written
    assert issued.session_token.encode() not in written
    found = opened(settings, issued.id)
    assert found is not None
    assert (found.secret, found.session_token) == (issued.secret, issued.session_token)


# --- the last use --------------------------------------------------------------------------------


def test_uses_are_written_behind_the_requests_once_a_minute(url: str) -> None:
    async def act(stage: Stage) -> None:
        ring = KeyRing(stage.platform)
        user = await users.create_user(stage.platform, ROOT, User("", "alice"))
        alice = common.principal_of(stage.platform, user)
        made = await keys.create_access_key(stage.platform, alice)
        assert await keys.last_used(stage.platform, alice, made.id) is None
        writing = asyncio.create_task(ring.write_uses())
        before = stage.writes

        async def written(at: float) -> None:
            async with asyncio.timeout(PATIENCE):
                while await keys.last_used(stage.platform, alice, made.id) != at:  # noqa: ASYNC110 - the database tells nobody
                    await asyncio.sleep(0.005)

        try:
            for _ in range(50):
                stage.clock.advance(1)
                ring.used(made.id)
                await asyncio.sleep(0)
            await written(T0 + 1)
            assert stage.writes - before == 1
            stage.clock.advance(USE_SECONDS - 49)
            ring.used(made.id)
            ring.used("LTAIunknown")
            await written(stage.clock.now)
            assert (await KeyRing(stage.platform).find(made.id) or KEY).last_used == stage.clock.now
        finally:
            writing.cancel()

    play(url, act)


def test_a_database_that_is_away_costs_a_note_and_no_more(url: str) -> None:
    async def act(stage: Stage) -> None:
        class Away:
            called = asyncio.Event()

            async def write(self, *_: object) -> None:
                self.called.set()
                raise Unavailable("The database", "away")

        away = Away()
        ring = KeyRing(replace(stage.platform, db=away))  # pyright: ignore[reportArgumentType]
        writing = asyncio.create_task(ring.write_uses())
        for _ in range(2):
            away.called.clear()
            ring.used("LTAI")
            async with asyncio.timeout(PATIENCE):
                await away.called.wait()
            stage.clock.advance(USE_SECONDS)
        assert not writing.done()
        writing.cancel()

    play(url, act)


def test_the_ring_does_not_remember_uses_without_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pierhead.operations import key_ring

    monkeypatch.setattr(key_ring, "MOST_USED", 3)

    async def act(stage: Stage) -> None:
        ring = KeyRing(stage.platform)
        for number in range(10):
            ring.used(f"AK{number}")
            assert len(ring._noted) <= 3

    play(url, act)


def test_a_principal_is_not_told_apart_by_its_name() -> None:
    """Names change; what somebody owns is theirs by the id."""
    mine = Principal(ACCOUNT, "2" * 18, "user", "alice")
    assert mine == Principal(ACCOUNT, "2" * 18, "user", "alicia")
    assert mine != Principal(ACCOUNT, "3" * 18, "user", "alice")
