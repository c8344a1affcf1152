"""LogInByUser through the real ZStack app, as a hub puts it together: a RAM user is a sub-user."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from identity_stage import PASSWORD, Stage, play

from builders import ROOT
from made_database import made_sqlite
from pierhead.bootstrap.credentials import load_or_create
from pierhead.bootstrap.dialects import Told, dialects
from pierhead.core.errors import WrongLogin
from pierhead.core.identities import Attachment, User
from pierhead.dialects.watch import Watch
from pierhead.dialects.zstack.app import ZStackApp
from pierhead.dialects.zstack.calls import Signed
from pierhead.dialects.zstack.signature import Judge, sign
from pierhead.operations import accounts
from pierhead.operations.accounts import ADMIN_UUID, wire_password
from pierhead.operations.iam import common, grants, keys, users
from pierhead.operations.iam.users import UserChange
from pierhead.operations.key_ring import KeyRing
from pierhead.settings import Settings

HEX = wire_password(PASSWORD)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a database with the schema of this release."""
    return made_sqlite(tmp_path / "pierhead.db")


async def call(
    app: ZStackApp, method: str, path: str, body: object = None, login: str = ""
) -> tuple[int, Any]:
    """One HTTP request, and its answer."""
    sent: list[Any] = []
    raw = b"" if body is None else json.dumps(body).encode()
    headers = [(b"host", b"127.0.0.1"), (b"content-length", str(len(raw)).encode())]
    if login:
        headers.append((b"authorization", f"OAuth {login}".encode()))
    location, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": location,
        "raw_path": location.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(one.get("body", b"") for one in sent[1:]))


async def log_in(app: ZStackApp, **fields: str) -> tuple[int, Any]:
    body = {"logInByUser": {"userName": "alice", "password": HEX, **fields}}
    return await call(app, "PUT", "/zstack/v1/accounts/users/login", body)


@asynccontextmanager
async def a_hub(stage: Stage, folder: Path) -> AsyncGenerator[ZStackApp]:
    """The ZStack app of a hub that just started; there is a user `alice` who may do everything."""
    settings, platform = Settings(data_dir=folder), stage.platform
    credentials, watch = load_or_create(settings), Watch()
    told = Told(lambda *_: None, watch)
    async with dialects(platform, settings, credentials, told) as doors:
        await users.create_user(platform, ROOT, User("", "alice"))
        given = Attachment("AdministratorAccess", "System", "alice", "User")
        await grants.attach(platform, ROOT, given)
        yield doors.zstack


def test_only_a_user_with_a_password_and_who_knows_it_logs_in(url: str, tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        async with a_hub(stage, tmp_path) as app:
            status, refused = await log_in(app, accountName="admin")
            assert (status, "inventory" in refused) == (503, False), "it has no password"
            await users.create_login_profile(stage.platform, ROOT, stage.hashing, "alice", PASSWORD)
            alice = common.principal_of(
                stage.platform, await users.get_user(stage.platform, ROOT, "alice")
            )
            for who in ({"accountName": "admin"}, {"accountUuid": ADMIN_UUID}):
                status, answer = await log_in(app, **who)
                assert status == 200, answer
                session = answer["inventory"]
                uuid = accounts.user_uuid(stage.platform, alice)
                assert (session["accountUuid"], session["userUuid"]) == (ADMIN_UUID, uuid)
                assert session["userType"] == "user"
            for wrong in (
                {"accountName": "admin", "password": wire_password("another")},
                {"accountName": "other"},
                {"accountName": "admin", "userName": "Alice"},
            ):
                status, answer = await log_in(app, **wrong)
                assert (status, "inventory" in answer) == (503, False), wrong

    play(url, act)


def test_a_user_sees_its_own_and_is_out_when_it_is_renamed(url: str, tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        async with a_hub(stage, tmp_path) as app:
            await users.create_login_profile(platform, ROOT, stage.hashing, "alice", PASSWORD)
            key = await keys.create_access_key(platform, ROOT, "alice")
            await keys.create_access_key(platform, ROOT)  # the account's
            login = (await log_in(app, accountName="admin"))[1]["inventory"]["uuid"]
            status, listed = await call(app, "GET", "/zstack/v1/accesskeys", login=login)
            assert status == 200, listed
            (own,) = listed["inventories"]
            uuid = accounts.user_uuid(platform, key.principal)
            assert (own["AccessKeyID"], own["userUuid"]) == (key.id, uuid)
            assert key.secret not in json.dumps(listed)

            await users.update_user(platform, ROOT, "alice", UserChange(name="alicia"))
            status, _ = await call(app, "GET", "/zstack/v1/accesskeys", login=login)
            assert status == 503
            assert (await log_in(app, accountName="admin"))[0] == 503
            assert (await log_in(app, accountName="admin", userName="alicia"))[0] == 200

    play(url, act)


def test_a_signed_call_is_the_last_use_of_its_key(url: str, tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        platform, ring = stage.platform, KeyRing(stage.platform)
        await users.create_user(platform, ROOT, User("", "alice"))
        key = await keys.create_access_key(platform, ROOT, "alice")
        judge = Judge(ring.find, platform.clock, ring.used)
        date = formatdate(platform.clock(), usegmt=True)

        async def ask(secret: str) -> None:
            signature = sign(secret, f"GET\n{date}\n/v1/zones".encode()).decode()
            headers = {"date": date, "authorization": f"ZStack {key.id}:{signature}"}
            await judge(Signed("GET", "/v1/zones", "/v1/zones", headers))

        writing = asyncio.create_task(ring.write_uses())
        try:
            with pytest.raises(WrongLogin, match="signature"):
                await ask("wrong")
            assert not ring._noted, "who cannot sign uses no key"
            await ask(key.secret)
            async with asyncio.timeout(30):
                while await keys.last_used(platform, ROOT, key.id, "alice") is None:  # noqa: ASYNC110 - the database tells nobody
                    await asyncio.sleep(0.005)
        finally:
            writing.cancel()

    play(url, act)
