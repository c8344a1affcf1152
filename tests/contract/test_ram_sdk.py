"""The official RAM and STS SDKs, old and new, unmodified, on a real port over the real store."""

import inspect
import json
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_sts20150401 import models as sts_models
from ram_world import ROOT_KEYS, World, keys_of, serving

from builders import ACCOUNT
from pierhead.dialects.ram.catalog import NATIVE, STS, Operation, load
from pierhead.store import db, schema
from ram_clients import Json, Keys, Refused, Sdk

CATALOG = load()
DOCUMENT = json.dumps(
    {
        "Version": "1",
        "Statement": [{"Effect": "Allow", "Action": "eas:List*", "Resource": "*"}],
    }
)
TRUST = json.dumps(
    {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"RAM": [f"acs:ram::{ACCOUNT}:root"]},
            }
        ],
    }
)


@pytest.fixture(params=["v3", "hmac-sha1", "old", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which SDK signs how; one of them also over PostgreSQL."""
    return request.param


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    wanted = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    url: str = (
        request.getfixturevalue("postgres_made_url")
        if wanted.get("kind") == "postgresql"
        else db.sqlite_url(tmp_path / "pierhead.db")
    )
    schema.migrate(url)
    with serving(World(url)) as found:
        yield found


@pytest.fixture
def sdk(kind: str, world: World) -> Sdk:
    return client(world, kind)


def client(world: World, kind: str, keys: Keys = ROOT_KEYS) -> Sdk:
    if kind == "old":
        return world.old_sdk(keys)
    return world.new_sdk(keys, "v2" if kind == "hmac-sha1" else "")


def without_id(answer: Json) -> Json:
    assert len(answer["RequestId"]) == 36
    return {name: value for name, value in answer.items() if name != "RequestId"}


def fields(shape: Any) -> Any:
    """The names in a shape or in an answer, nested."""
    if isinstance(shape, dict):
        return {name: fields(inner) for name, inner in shape.items()}
    return [fields(shape[0])] if isinstance(shape, list) and shape else None


def refusal(sdk: Sdk, action: str, **parameters: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        sdk(action, **parameters)
    return caught.value.status, caught.value.code


def test_users(sdk: Sdk) -> None:
    texts = {
        "DisplayName": "爱丽丝 +&=/~*'()!",
        "MobilePhone": "86-13800000000",
        "Email": "alice+x@example.com",
        "Comments": "a%20b",
    }
    made = sdk("CreateUser", UserName="alice", **texts)["User"]
    assert {name: made[name] for name in texts} == texts
    assert len(made["UserId"]) == 18
    assert abs(time.time() - epoch(made["CreateDate"])) < 60
    assert refusal(sdk, "CreateUser", UserName="ALICE") == (409, "EntityAlreadyExists.User")
    assert sdk("GetUser", UserName="alice")["User"]["UserId"] == made["UserId"]

    changed = sdk("UpdateUser", UserName="alice", NewUserName="al.ice", NewComments="x")["User"]
    assert (changed["UserName"], changed["Comments"]) == ("al.ice", "x")
    assert changed["DisplayName"] == texts["DisplayName"]
    assert refusal(sdk, "GetUser", UserName="alice") == (404, "EntityNotExist.User")

    for name in ("bob", "carl"):
        sdk("CreateUser", UserName=name)
    first = sdk("ListUsers", MaxItems=2)
    assert [user["UserName"] for user in first["Users"]["User"]] == ["al.ice", "bob"]
    assert first["IsTruncated"] is True
    rest = sdk("ListUsers", MaxItems=2, Marker=first["Marker"])
    assert [user["UserName"] for user in rest["Users"]["User"]] == ["carl"]
    assert rest["IsTruncated"] is False
    assert "Marker" not in rest

    assert without_id(sdk("DeleteUser", UserName="bob")) == {}
    assert refusal(sdk, "DeleteUser", UserName="bob") == (404, "EntityNotExist.User")


def test_passwords(sdk: Sdk) -> None:
    sdk("CreateUser", UserName="alice")
    assert refusal(sdk, "GetLoginProfile", UserName="alice") == (
        404,
        "EntityNotExist.User.LoginProfile",
    )
    made = sdk("CreateLoginProfile", UserName="alice", Password="correct horse")["LoginProfile"]
    assert made["UserName"] == "alice"
    assert made["MFABindRequired"] is made["PasswordResetRequired"] is False
    assert sdk("GetLoginProfile", UserName="alice")["LoginProfile"] == made
    again = {"UserName": "alice", "Password": "correct horse"}
    assert refusal(sdk, "CreateLoginProfile", **again) == (
        409,
        "EntityAlreadyExists.User.LoginProfile",
    )
    assert without_id(sdk("UpdateLoginProfile", UserName="alice", Password="battery staple")) == {}
    assert without_id(sdk("UpdateLoginProfile", UserName="alice")) == {}
    sdk("DeleteLoginProfile", UserName="alice")
    assert refusal(sdk, "UpdateLoginProfile", **again)[0] == 404


def test_access_keys(sdk: Sdk, world: World) -> None:
    sdk("CreateUser", UserName="alice")
    made = sdk("CreateAccessKey", UserName="alice")["AccessKey"]
    assert made["Status"] == "Active"
    alice = keys_of(made)
    who = world.new_sdk(alice)("GetCallerIdentity")
    assert who["Arn"] == f"acs:ram::{ACCOUNT}:user/alice"
    (listed,) = sdk("ListAccessKeys", UserName="alice")["AccessKeys"]["AccessKey"]
    assert listed == {
        "AccessKeyId": alice.id,
        "Status": "Active",
        "CreateDate": made["CreateDate"],
    }
    assert alice.secret not in json.dumps(sdk("ListAccessKeys", UserName="alice"))
    used = sdk("GetAccessKeyLastUsed", UserName="alice", UserAccessKeyId=alice.id)
    assert used["AccessKeyLastUsed"]["LastUsedDate"] == ""

    sdk("CreateAccessKey", UserName="alice")
    assert refusal(sdk, "CreateAccessKey", UserName="alice") == (
        409,
        "LimitExceeded.User.AccessKey",
    )
    one = {"UserName": "alice", "UserAccessKeyId": alice.id}
    sdk("UpdateAccessKey", **one, Status="Inactive")
    assert refusal(world.new_sdk(alice), "GetCallerIdentity") == (
        404,
        "InvalidAccessKeyId.Inactive",
    )
    sdk("UpdateAccessKey", **one, Status="Active")
    world.new_sdk(alice)("GetCallerIdentity")
    sdk("DeleteAccessKey", **one)
    assert refusal(world.old_sdk(alice), "GetCallerIdentity") == (
        404,
        "InvalidAccessKeyId.NotFound",
    )
    assert refusal(sdk, "DeleteAccessKey", **one) == (404, "EntityNotExist.User.AccessKey")
    assert refusal(sdk, "DeleteUser", UserName="alice") == (409, "DeleteConflict.User.AccessKey")


def test_groups(sdk: Sdk) -> None:
    made = sdk("CreateGroup", GroupName="crew", Comments="all hands")["Group"]
    assert made["GroupId"]
    assert refusal(sdk, "CreateGroup", GroupName="Crew") == (409, "EntityAlreadyExists.Group")
    for name in ("alice", "bob", "carl"):
        sdk("CreateUser", UserName=name, DisplayName=name.title())
        sdk("AddUserToGroup", UserName=name, GroupName="crew")
    assert refusal(sdk, "AddUserToGroup", UserName="bob", GroupName="crew") == (
        409,
        "EntityAlreadyExists.User.Group",
    )
    first = sdk("ListUsersForGroup", GroupName="crew", MaxItems=2)
    shown = first["Users"]["User"]
    assert [(one["UserName"], one["DisplayName"]) for one in shown] == [
        ("alice", "Alice"),
        ("bob", "Bob"),
    ]
    rest = sdk("ListUsersForGroup", GroupName="crew", Marker=first["Marker"])
    assert [one["UserName"] for one in rest["Users"]["User"]] == ["carl"]
    (group,) = sdk("ListGroupsForUser", UserName="bob")["Groups"]["Group"]
    assert (group["GroupName"], group["Comments"]) == ("crew", "all hands")
    assert group["JoinDate"]
    assert refusal(sdk, "DeleteUser", UserName="bob") == (409, "DeleteConflict.User.Group")
    assert refusal(sdk, "DeleteGroup", GroupName="crew") == (409, "DeleteConflict.Group.User")
    for name in ("alice", "bob", "carl"):
        sdk("RemoveUserFromGroup", UserName=name, GroupName="crew")
    assert refusal(sdk, "RemoveUserFromGroup", UserName="bob", GroupName="crew") == (
        404,
        "EntityNotExist.User.Group",
    )
    changed = sdk("UpdateGroup", GroupName="crew", NewGroupName="Crew-2", NewComments="c")["Group"]
    assert (changed["GroupName"], changed["GroupId"]) == ("Crew-2", made["GroupId"])
    assert sdk("GetGroup", GroupName="Crew-2")["Group"]["Comments"] == "c"
    listed = sdk("ListGroups")["Groups"]["Group"]
    assert [one["GroupName"] for one in listed] == ["Crew-2"]
    sdk("DeleteGroup", GroupName="Crew-2")
    assert refusal(sdk, "GetGroup", GroupName="Crew-2") == (404, "EntityNotExist.Group")


def test_policies_and_versions(sdk: Sdk) -> None:
    made = sdk("CreatePolicy", PolicyName="Lists", PolicyDocument=DOCUMENT, Description="d")
    assert made["Policy"]["PolicyType"] == "Custom"
    assert made["Policy"]["DefaultVersion"] == "v1"
    again = {"PolicyName": "Lists", "PolicyDocument": DOCUMENT}
    assert refusal(sdk, "CreatePolicy", **again) == (409, "EntityAlreadyExists.Policy")
    found = sdk("GetPolicy", PolicyName="Lists", PolicyType="Custom")
    assert found["Policy"]["AttachmentCount"] == 0
    assert found["DefaultPolicyVersion"]["PolicyDocument"] == DOCUMENT
    shipped = sdk("GetPolicy", PolicyName="AdministratorAccess", PolicyType="System")
    assert json.loads(shipped["DefaultPolicyVersion"]["PolicyDocument"])["Version"] == "1"

    second = sdk("CreatePolicyVersion", **again, SetAsDefault=True)["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", True)
    third = sdk("CreatePolicyVersion", **again)["PolicyVersion"]
    assert (third["VersionId"], third["IsDefaultVersion"]) == ("v3", False)
    versions = sdk("ListPolicyVersions", PolicyName="Lists", PolicyType="Custom")
    shown = versions["PolicyVersions"]["PolicyVersion"]
    assert [(one["VersionId"], one["IsDefaultVersion"]) for one in shown] == [
        ("v1", False),
        ("v2", True),
        ("v3", False),
    ]
    sdk("SetDefaultPolicyVersion", PolicyName="Lists", VersionId="v3")
    one = {"PolicyName": "Lists", "PolicyType": "Custom", "VersionId": "v3"}
    assert sdk("GetPolicyVersion", **one)["PolicyVersion"]["IsDefaultVersion"] is True
    assert refusal(sdk, "DeletePolicyVersion", PolicyName="Lists", VersionId="v3") == (
        409,
        "DeleteConflict.Policy.Version.Default",
    )
    sdk("DeletePolicyVersion", PolicyName="Lists", VersionId="v1")
    assert refusal(sdk, "GetPolicyVersion", **{**one, "VersionId": "v1"}) == (
        404,
        "EntityNotExist.Policy.Version",
    )
    assert refusal(sdk, "DeletePolicy", PolicyName="Lists") == (
        409,
        "DeleteConflict.Policy.Version",
    )
    sdk("DeletePolicyVersion", PolicyName="Lists", VersionId="v2")
    sdk("DeletePolicy", PolicyName="Lists")
    listed = sdk("ListPolicies")["Policies"]["Policy"]
    assert {one["PolicyType"] for one in listed} == {"System"}
    assert sdk("ListPolicies", PolicyType="Custom")["Policies"]["Policy"] == []


@pytest.mark.parametrize("to", ["User", "Group", "Role"])
def test_attaching(sdk: Sdk, to: str) -> None:
    target = {f"{to}Name": "target"}
    trust = {"AssumeRolePolicyDocument": TRUST} if to == "Role" else {}
    sdk(f"Create{to}", **target, **trust)
    sdk("CreatePolicy", PolicyName="Lists", PolicyDocument=DOCUMENT)
    custom = {"PolicyName": "Lists", "PolicyType": "Custom"}
    shipped = {"PolicyName": "AliyunPAIEASFullAccess", "PolicyType": "System"}
    sdk(f"AttachPolicyTo{to}", **target, **custom)
    sdk(f"AttachPolicyTo{to}", **target, **shipped)
    assert refusal(sdk, f"AttachPolicyTo{to}", **target, **custom) == (
        409,
        f"EntityAlreadyExists.{to}.Policy",
    )
    listed = sdk(f"ListPoliciesFor{to}", **target)["Policies"]["Policy"]
    assert [(one["PolicyName"], one["PolicyType"]) for one in listed] == [
        ("Lists", "Custom"),
        ("AliyunPAIEASFullAccess", "System"),
    ]
    assert all(one["AttachDate"] for one in listed)
    entities = sdk("ListEntitiesForPolicy", **custom)
    ((shown,),) = [one[to] for name, one in entities.items() if name == f"{to}s"]
    assert shown[f"{to}Name"] == "target"
    count = sdk("GetPolicy", **custom)["Policy"]["AttachmentCount"]
    assert count == 1
    assert refusal(sdk, "DeletePolicy", PolicyName="Lists") == (
        409,
        f"DeleteConflict.Policy.{to}",
    )
    assert refusal(sdk, f"Delete{to}", **target) == (409, f"DeleteConflict.{to}.Policy")
    for policy in (custom, shipped):
        sdk(f"DetachPolicyFrom{to}", **target, **policy)
    assert refusal(sdk, f"DetachPolicyFrom{to}", **target, **custom) == (
        404,
        f"EntityNotExist.{to}.Policy",
    )
    sdk(f"Delete{to}", **target)


def test_roles_and_sts(sdk: Sdk, world: World, kind: str) -> None:
    made = sdk("CreateRole", RoleName="Reader", AssumeRolePolicyDocument=TRUST, Description="r")
    role = made["Role"]
    assert role["Arn"] == f"acs:ram::{ACCOUNT}:role/Reader"
    assert role["MaxSessionDuration"] == 3600
    assert sdk("GetRole", RoleName="Reader")["Role"]["AssumeRolePolicyDocument"] == TRUST
    changed = sdk("UpdateRole", RoleName="Reader", NewMaxSessionDuration=7200)["Role"]
    assert changed["MaxSessionDuration"] == 7200
    assert [one["RoleName"] for one in sdk("ListRoles")["Roles"]["Role"]] == ["Reader"]

    assume = {"RoleArn": role["Arn"], "RoleSessionName": "al-1", "DurationSeconds": 900}
    assert refusal(sdk, "AssumeRole", **assume) == (403, "NoPermission")  # the account itself
    alice = client(world, kind, world.user("alice"))
    assert refusal(alice, "AssumeRole", **assume) == (403, "NoPermission")
    sts = {"PolicyName": "AliyunSTSAssumeRoleAccess", "PolicyType": "System"}
    sdk("AttachPolicyToUser", UserName="alice", **sts)
    answer = alice("AssumeRole", **assume)
    assert answer["AssumedRoleUser"] == {
        "Arn": f"acs:ram::{ACCOUNT}:assumed-role/Reader/al-1",
        "AssumedRoleId": f"{role['RoleId']}:al-1",
    }
    expiry = epoch(answer["Credentials"]["Expiration"])
    assert abs(expiry - time.time() - 900) < 60
    temporary = client(world, kind, keys_of(answer["Credentials"]))
    who = temporary("GetCallerIdentity")
    assert without_id(who) == {
        "AccountId": ACCOUNT,
        "Arn": answer["AssumedRoleUser"]["Arn"],
        "IdentityType": "AssumedRoleUser",
        "PrincipalId": f"{role['RoleId']}:al-1",
        "RoleId": role["RoleId"],
    }
    assert refusal(temporary, "ListUsers") == (403, "NoPermission")
    look = {"PolicyName": "AliyunRAMReadOnlyAccess", "PolicyType": "System"}
    sdk("AttachPolicyToRole", RoleName="Reader", **look)
    assert temporary("ListUsers")["Users"]["User"]
    assert refusal(temporary, "CreateUser", UserName="x") == (403, "NoPermission")


def test_who_asks(sdk: Sdk) -> None:
    assert without_id(sdk("GetCallerIdentity")) == {
        "AccountId": ACCOUNT,
        "Arn": f"acs:ram::{ACCOUNT}:root",
        "IdentityType": "Account",
        "PrincipalId": ACCOUNT,
        "UserId": ACCOUNT,
    }


def test_a_refusal_tells_what_was_missing(world: World) -> None:
    alice = world.user("alice")
    with pytest.raises(Refused) as caught:
        world.new_sdk(alice)("CreateUser", UserName="bob")
    assert caught.value.code == "NoPermission"
    assert caught.value.denied["AuthAction"] == "ram:CreateUser"
    assert caught.value.denied["NoPermissionType"] == "ImplicitDeny"


def test_what_is_answered_is_what_the_catalog_says(world: World) -> None:
    """The shapes are the SDK's; here each answer holds all of its fields but those named."""
    sdk = world.new_sdk()
    raw = {
        "CreateUser": {"UserName": "alice"},
        "GetUser": {"UserName": "alice"},
        "CreateGroup": {"GroupName": "crew"},
        "AddUserToGroup": {"UserName": "alice", "GroupName": "crew"},
        "ListGroupsForUser": {"UserName": "alice"},
        "ListUsersForGroup": {"GroupName": "crew", "MaxItems": "1"},
        "CreateRole": {"RoleName": "reader", "AssumeRolePolicyDocument": TRUST},
        "ListRoles": {},
        "ListUsers": {"MaxItems": "1"},
    }
    sdk("CreateUser", UserName="zed")
    sdk("CreateGroup", GroupName="zoo")
    for action, parameters in raw.items():
        answer = world.v3(action, parameters)
        assert answer.status == 200, answer
        shape = fields(next(one for one in operations() if one.id == action).response)
        shown = fields({name: value for name, value in answer.body.items() if name != "RequestId"})
        if "Marker" in shape and not answer.body["IsTruncated"]:
            del shape["Marker"]
        assert shown == shape


# ---- the catalog against the SDK -----------------------------------------------------------------


def operations() -> list[Operation]:
    """The vendor's: of our own no SDK knows."""
    return [one for one in CATALOG.operations.values() if one.version != NATIVE]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_parameters_are_those_of_the_sdk(operation: Operation) -> None:
    models = sts_models if operation.version == STS else ram_models
    model: Any = getattr(models, f"{operation.id}Request", None)
    source = inspect.getsource(model) if model else ""
    ours = [one.name for one in operation.parameters if not one.extension]
    assert [name for name in ours if f"m.get('{name}')" not in source] == []


def test_every_operation_of_the_sdk_is_served_or_refused_with_a_reason() -> None:
    methods = [
        name.removesuffix("_with_options")
        for name, _ in inspect.getmembers(RamClient, inspect.isfunction)
        if name.endswith("_with_options")
    ]
    known = {_snake(name) for version, name in (*CATALOG.operations, *CATALOG.refused)}
    assert [name for name in methods if name not in known] == []
    assert all(one.reason for one in CATALOG.refused.values())


def _snake(name: str) -> str:
    plain = name.replace("MFAD", "Mfad").replace("MFAI", "Mfai")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", plain).lower()


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
