"""Our own operations about endpoint tokens: over the wire, with the command line's client."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ram_world import KEY, World, as_key, serving

from builders import ACCOUNT, BOX, a_service
from made_database import made_sqlite
from pierhead.cli.client import Access, HubRefused, Json
from pierhead.cli.ram_client import RamClient
from pierhead.core.principals import AccessKey
from pierhead.core.usage import Meter, Usage
from pierhead.operations import endpoint_tokens
from pierhead.store import endpoint_tokens as rows
from pierhead.store import services as service_rows
from pierhead.store import usage

ACTIONS = {
    "ListServiceTokens": {},
    "GetServiceToken": {},
    "AddServiceToken": {"TokenName": "more"},
    "RotateServiceToken": {},
    "UpdateServiceToken": {"RequestsPerMinute": "7"},
    "RevokeServiceToken": {"TokenName": "ci"},
    "GetServiceUsage": {},
}
CHANGES = {"AddServiceToken", "RotateServiceToken", "UpdateServiceToken", "RevokeServiceToken"}
READS = {"ListServiceTokens", "GetServiceToken"}
SERVICE = f"acs:eas:*:{ACCOUNT}:service/svc_one"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    url = made_sqlite(tmp_path / "pierhead.db")
    with serving(World(url)) as found:
        made = a_service(name="svc_one", labels={"team": "red"})
        asyncio.run(found.db.write(service_rows.add, made))
        yield found


def client(world: World, key: AccessKey = KEY) -> RamClient:
    return RamClient(Access(f"http://{world.address}", "local", key))


def user(world: World, name: str, *statements: Json) -> RamClient:
    return client(world, as_key(world.user(name, *statements)))


def allow(*actions: str, on: str = "*", **more: Any) -> Json:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def ask(asking: RamClient, action: str, service: str = "svc_one", **parameters: str) -> str:
    """`OK`, or the code of the refusal."""
    try:
        asking.own(action, ServiceName=service, **parameters)
    except HubRefused as refusal:
        return refusal.code
    return "OK"


def test_a_token_from_its_beginning_to_its_end(world: World) -> None:
    root = client(world)
    made = root.own(
        "AddServiceToken",
        ServiceName="svc_one",
        TokenName="ci",
        RequestsPerMinute="60",
        MonthlyTokens="1000000",
    )["Token"]
    assert len(made["AccessToken"]) == 56
    assert made["Limits"] == {"RequestsPerMinute": 60, "MonthlyTokens": 1000000}
    own = root.own("GetServiceToken", ServiceName="svc_one")["Token"]
    assert (own["TokenName"], own["AccessToken"]) == ("default", a_service(name="svc_one").token)
    listed = root.own("ListServiceTokens", ServiceName="svc_one")["Tokens"]["Token"]
    assert [one["TokenName"] for one in listed] == ["default", "ci"]
    assert all("AccessToken" not in one for one in listed)
    assert made["AccessToken"] not in json.dumps(listed)
    changed = root.own(
        "UpdateServiceToken",
        ServiceName="svc_one",
        TokenName="ci",
        RequestsPerMinute="none",
        Concurrency="4",
    )["Token"]
    assert changed["Limits"] == {"Concurrency": 4, "MonthlyTokens": 1000000}
    assert "AccessToken" not in changed
    again = root.own("RotateServiceToken", ServiceName="svc_one", TokenName="ci", Overlap="60")
    assert again["Token"]["AccessToken"] != made["AccessToken"]
    assert again["Token"]["PreviousUntil"].endswith("Z")
    root.own("RevokeServiceToken", ServiceName="svc_one", TokenName="ci")
    for action in ("GetServiceToken", "RotateServiceToken", "RevokeServiceToken"):
        assert ask(root, action, TokenName="ci") == "EntityNotExist.ServiceToken"


def test_a_service_has_only_so_many_tokens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_tokens, "MOST", 2)
    root = client(world)
    assert ask(root, "AddServiceToken", TokenName="ci") == "OK"
    assert ask(root, "AddServiceToken", TokenName="more") == "LimitExceeded.Service.Token"
    assert ask(root, "RevokeServiceToken", TokenName="ci") == "OK"
    assert ask(root, "AddServiceToken", TokenName="more") == "OK"


def test_what_cannot_be_is_refused_by_name(world: World) -> None:
    root = client(world)
    for action, more in ACTIONS.items():
        assert ask(root, action, "svc_none", **more) == "EntityNotExist.Service", action
    assert ask(root, "AddServiceToken", TokenName="ci") == "OK"
    assert ask(root, "AddServiceToken", TokenName="ci") == "EntityAlreadyExists.ServiceToken"
    assert ask(root, "AddServiceToken", TokenName="default") == "OperationConflict"
    assert (
        ask(root, "AddServiceToken", TokenName="a b") == "InvalidParameter.TokenName.InvalidChars"
    )
    assert ask(root, "AddServiceToken", TokenName="x" * 65) == "InvalidParameter.TokenName.Length"
    assert ask(root, "AddServiceToken") == "MissingTokenName"
    alone = ask(root, "AddServiceToken", TokenName="x", UserName="nobody")
    assert alone == "EntityNotExist.User"
    for text in ("0", "-1", "1.5", "many", "1" + "0" * 16):
        code = ask(root, "UpdateServiceToken", TokensPerMinute=text)
        assert code == "InvalidParameter.TokensPerMinute"
    assert ask(root, "RotateServiceToken", Overlap="2592001") == "InvalidParameter.Overlap"
    assert ask(root, "RevokeServiceToken", TokenName="default") == "OperationConflict"
    assert ask(root, "GetServiceUsage", Month="2026-13") == "InvalidParameter"


@pytest.mark.parametrize(
    ("action", "opens"),
    [
        ("eas:UpdateService", CHANGES),
        ("eas:DescribeServiceEndpoints", READS),
        ("eas:DescribeService", {"GetServiceUsage"}),
        ("pierhead:RotateServiceToken", {"RotateServiceToken"}),
        ("pierhead:*", set(ACTIONS)),
        ("eas:*", set(ACTIONS)),
        ("eas:ListServices", set[str]()),
    ],
)
def test_the_permissions_are_those_of_the_service(
    world: World, action: str, opens: set[str]
) -> None:
    client(world).own("AddServiceToken", ServiceName="svc_one", TokenName="ci")
    alice = user(world, "alice", allow(action, on=SERVICE))
    for each, more in ACTIONS.items():
        wanted = "OK" if each in opens else "NoPermission"
        assert ask(alice, each, **more) == wanted, each
        assert ask(alice, each, "svc_none", **more) == "NoPermission", each


def test_no_name_of_a_service_is_a_way_around(world: World) -> None:
    made = a_service(name="svc_one")
    deny = {"Effect": "Deny", "Action": "eas:UpdateService", "Resource": SERVICE}
    alice = user(world, "alice", allow("*"), deny)
    labelled = {"StringEquals": {"acs:ResourceTag/team": "red"}}
    red = user(world, "red", allow("eas:UpdateService", Condition=labelled))
    for name in ("svc_one", made.id, f"eas-m-{made.id[:18]}"):
        assert ask(alice, "RotateServiceToken", name) == "NoPermission"
        assert ask(alice, "GetServiceToken", name) == "OK"
        assert ask(red, "RotateServiceToken", name) == "OK"


def test_a_user_reads_its_own_token_and_no_other(world: World) -> None:
    root = client(world)
    alice, bob = user(world, "alice"), user(world, "bob")
    made = {
        name: root.own("AddServiceToken", ServiceName="svc_one", TokenName=name, UserName=name)[
            "Token"
        ]["AccessToken"]
        for name in ("alice", "bob")
    }
    told = alice.own("GetServiceToken", ServiceName="svc_one", TokenName="alice")["Token"]
    assert (told["AccessToken"], told["UserName"]) == (made["alice"], "alice")
    for name in ("bob", "default", "none"):
        assert ask(alice, "GetServiceToken", TokenName=name) == "NoPermission"
    for action, more in ACTIONS.items():
        assert ask(bob, action, **more) == "NoPermission"
    assert ask(bob, "GetServiceToken", "svc_none", TokenName="bob") == "NoPermission"
    root.act("DeleteAccessKey", UserName="bob", UserAccessKeyId=bob._access.key.id)
    root.act("DeleteUser", UserName="bob")
    listed = root.own("ListServiceTokens", ServiceName="svc_one")["Tokens"]["Token"]
    assert [(one["TokenName"], one["UserName"]) for one in listed] == [
        ("default", ""),
        ("alice", "alice"),
    ]


def test_usage_is_told(world: World) -> None:
    service = a_service(name="svc_one").id
    meter = Meter(service, "ci", "2026-11", Usage(3, 20, 5, 1))
    asyncio.run(world.db.write(usage.put, "gw-1", [meter], 0.0))
    found = client(world).own("GetServiceUsage", ServiceName="svc_one")["Usages"]["Usage"]
    assert found == [
        {
            "TokenName": "ci",
            "Month": "2026-11",
            "Requests": 3,
            "PromptTokens": 20,
            "CompletionTokens": 5,
            "EstimatedRequests": 1,
        }
    ]
    root = client(world)
    assert root.own("GetServiceUsage", ServiceName="svc_one", Month="2026-10")["Usages"] == {
        "Usage": []
    }


def test_the_audit_trail_names_the_service_and_no_secret(world: World) -> None:
    root = client(world)
    secrets = [
        root.own(action, ServiceName="svc_one", TokenName="ci")["Token"]["AccessToken"]
        for action in ("AddServiceToken", "RotateServiceToken")
    ]
    root.own("RevokeServiceToken", ServiceName="svc_one", TokenName="ci")
    acts = [act for act, _who, _source in world.acts if act.action.endswith("ServiceToken")]
    assert [act.action for act in acts] == [
        "pierhead:AddServiceToken",
        "pierhead:RotateServiceToken",
        "pierhead:RevokeServiceToken",
    ]
    assert all(act.resources == (f"acs:eas:*:{ACCOUNT}:service/svc_one",) for act in acts)
    assert not [secret for secret in secrets if secret in repr(acts)]
    held = asyncio.run(world.db.read(rows.everything, BOX))
    assert held == {}
