"""Logins, keys and accounts as the ZStack wire shows them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from identity_stage import PASSWORD, Stage, play

from builders import ROOT, T0
from made_database import made_sqlite
from pierhead.bootstrap.credentials import BadCredentials, load_or_create
from pierhead.core.errors import Missing, WrongLogin
from pierhead.core.principals import LoginSession
from pierhead.core.query import Condition, Op, Query
from pierhead.dialects.zstack import catalog
from pierhead.dialects.zstack.calls import NOBODY, Call
from pierhead.dialects.zstack.handlers.identity import Identity
from pierhead.dialects.zstack.times import time_text
from pierhead.operations.accounts import ADMIN_UUID
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.logins import Logins
from pierhead.settings import Settings

HEX = hashlib.sha512(PASSWORD.encode()).hexdigest()
OPEN = {"LogInByAccount", "LogInByUser", "LogOut", "ValidateSession"}


class Wire:
    """The handlers over one stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ring = KeyRing(stage.platform)
        self.logins = Logins(stage.platform, stage.hashing)
        self.handlers = Identity(stage.platform, self.logins).table()

    async def call(
        self,
        name: str,
        query: Query | None = None,
        login: LoginSession | None = None,
        **params: Any,
    ) -> Mapping[str, Any]:
        api = catalog.load().apis[name]
        principal = NOBODY if name in OPEN else ROOT
        call = Call(api=api, params=params, principal=principal, query=query, login=login)
        return await self.handlers[name](call)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a database with the schema of this release."""
    return made_sqlite(tmp_path / "pierhead.db")


def test_a_login_from_its_beginning_to_its_end(url: str) -> None:
    async def act(stage: Stage) -> None:
        wire = Wire(await stage.with_admin())
        made = (await wire.call("LogInByAccount", accountName="admin", password=HEX))["inventory"]
        uuid = made.pop("uuid")
        assert made == {
            "accountUuid": ADMIN_UUID,
            "userUuid": ADMIN_UUID,
            "userType": "account",
            "createDate": time_text(T0),
            "expiredDate": time_text(T0 + 7200),
        }
        assert await wire.call("ValidateSession", sessionUuid=uuid) == {"valid": True}
        renewed = await wire.call("RenewSession", sessionUuid=uuid, duration=60)
        assert renewed["inventory"]["uuid"] == uuid
        assert renewed["inventory"]["expiredDate"] == time_text(T0 + 60)
        for _ in range(2):
            assert await wire.call("LogOut", sessionUuid=uuid) == {}
            assert await wire.call("ValidateSession", sessionUuid=uuid) == {"valid": False}

    play(url, act)


def test_a_login_of_a_user_needs_an_account(url: str) -> None:
    async def act(stage: Stage) -> None:
        wire = Wire(await stage.with_admin())
        with pytest.raises(Missing, match="accountName"):
            await wire.call("LogInByUser", userName="alice", password=HEX)
        for account in ({"accountName": "admin"}, {"accountUuid": ADMIN_UUID}):
            with pytest.raises(WrongLogin):
                await wire.call("LogInByUser", userName="alice", password=HEX, **account)

    play(url, act)


def test_a_key_is_shown_with_its_secret_once(url: str) -> None:
    async def act(stage: Stage) -> None:
        wire = Wire(await stage.with_admin())
        wish = {"accountUuid": ADMIN_UUID, "userUuid": ADMIN_UUID, "description": "ci"}
        made = (await wire.call("CreateAccessKey", **wish))["inventory"]
        secret = made.pop("AccessKeySecret")
        assert made == {
            "uuid": made["uuid"],
            **wish,
            "AccessKeyID": made["AccessKeyID"],
            "state": "Enabled",
            "createDate": time_text(T0),
            "lastOpDate": time_text(T0),
        }
        uuid = made["uuid"]
        listed = await wire.call("QueryAccessKey", Query(reply_with_count=True))
        assert listed == {"inventories": [made], "total": 1}
        assert secret not in json.dumps(listed)
        found = await wire.ring.find(made["AccessKeyID"])
        assert found is not None
        assert found.secret == secret
        off = await wire.call("ChangeAccessKeyState", uuid=uuid, stateEvent="disable")
        assert off["inventory"] == {**made, "state": "Disabled"}
        found = await wire.ring.find(made["AccessKeyID"])
        assert found is not None
        assert not found.active
        state = Query((Condition("state", Op.EQUAL, "Enabled"),))
        assert (await wire.call("QueryAccessKey", state))["inventories"] == []
        on = await wire.call("ChangeAccessKeyState", uuid=uuid, stateEvent="enable")
        assert on["inventory"] == made
        assert await wire.call("DeleteAccessKey", uuid=uuid) == {}
        assert await wire.ring.find(made["AccessKeyID"]) is None

    play(url, act)


def test_the_account_is_listed(url: str) -> None:
    async def act(stage: Stage) -> None:
        wire = Wire(await stage.with_admin())
        (one,) = (await wire.call("QueryAccount", Query()))["inventories"]
        assert (one["uuid"], one["name"], one["type"]) == (ADMIN_UUID, "admin", "SystemAdmin")
        other = Query((Condition("name", Op.EQUAL, "other"),))
        assert (await wire.call("QueryAccount", other))["inventories"] == []

    play(url, act)


# --- the credentials file ---------------------------------------------------------------------------


def test_a_file_of_an_older_release_gets_a_password_and_keeps_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    first = load_or_create(settings)
    assert (first.zstack_account, len(first.zstack_password)) == ("admin", 20)
    assert first.zstack_password not in repr(first)
    document = json.loads(settings.credentials_file.read_text())
    del document["zstack"]
    settings.credentials_file.write_text(json.dumps(document))
    second, third = load_or_create(settings), load_or_create(settings)
    assert second.zstack_password == third.zstack_password != first.zstack_password
    assert second.key == first.key


@pytest.mark.parametrize("zstack", [None, {}, {"account": "admin"}, {"account": 1, "password": 2}])
def test_a_file_with_a_damaged_login_is_refused(tmp_path: Path, zstack: object) -> None:
    settings = Settings(data_dir=tmp_path)
    load_or_create(settings)
    document = json.loads(settings.credentials_file.read_text())
    settings.credentials_file.write_text(json.dumps({**document, "zstack": zstack}))
    with pytest.raises(BadCredentials):
        load_or_create(settings)
