"""Every code that RAM and STS refuse with, hostile input, and who may do what."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ram_world import BODY_LIMIT, KEY, Answer, World, as_key, keys_of, serving

from builders import ACCOUNT, ROOT, a_service
from made_database import made_sqlite
from pierhead.core import audit
from pierhead.core import errors as core
from pierhead.core.connections import Connection
from pierhead.core.principals import AccessKey
from pierhead.dialects.ram import errors
from pierhead.dialects.ram.catalog import load
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.sign import Options
from pierhead.store import connections
from pierhead.store import services as rows
from ram_clients import Keys, Refused

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ANYTHING = json.dumps({"Version": "1", "Statement": [ALLOW]})
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
ROLE = f"acs:ram::{ACCOUNT}:role/reader"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made_sqlite(tmp_path_factory.mktemp("ram") / "pierhead.db")


@pytest.fixture(scope="module")
def furnished(url: str) -> Iterator[World]:
    """One of everything, for tests that change nothing of it."""
    with serving(World(url)) as world:
        sdk = world.new_sdk()
        for name in ("alice", "bob"):
            sdk("CreateUser", UserName=name)
        sdk("CreateGroup", GroupName="crew")
        sdk("CreateGroup", GroupName="bare")
        sdk("CreateRole", RoleName="reader", AssumeRolePolicyDocument=TRUST)
        sdk("CreatePolicy", PolicyName="any", PolicyDocument=ANYTHING)
        for _ in range(4):
            sdk("CreatePolicyVersion", PolicyName="any", PolicyDocument=ANYTHING)
        sdk("CreatePolicy", PolicyName="spare", PolicyDocument=ANYTHING)
        sdk("CreatePolicyVersion", PolicyName="spare", PolicyDocument=ANYTHING)
        for kind, name in (("User", "bob"), ("Group", "crew"), ("Role", "reader")):
            policy = f"for-{kind}"
            sdk("CreatePolicy", PolicyName=policy, PolicyDocument=ANYTHING)
            target = {f"{kind}Name": name, "PolicyName": policy, "PolicyType": "Custom"}
            sdk(f"AttachPolicyTo{kind}", **target)
        sdk("CreateUser", UserName="member")
        sdk("CreateGroup", GroupName="club")
        sdk("AddUserToGroup", UserName="member", GroupName="club")
        sdk("CreateUser", UserName="keyed")
        for _ in range(2):
            sdk("CreateAccessKey", UserName="keyed")
        sdk("CreateLoginProfile", UserName="keyed", Password="correct horse")
        furnish_own(world)
        yield world


def furnish_own(world: World) -> None:
    """What our own API knows."""
    for quota in ("named", "lent", "free"):
        world.v3("CreateQuota", {"QuotaId": quota})
    for workspace, quota in (("lender", "lent"), ("full", ""), ("granted", ""), ("stored", "")):
        world.v3("CreateWorkspace", {"WorkspaceId": workspace, "QuotaId": quota})
    asyncio.run(world.db.write(rows.add, a_service(name="svc", workspace="full", quota="named")))
    bucket = Connection("bucket", "s3", bucket="b", workspaces=("stored",))
    asyncio.run(world.db.write(connections.add, bucket, b""))
    world.v3("AddServiceToken", {"ServiceName": "svc", "TokenName": "ci"})
    look = {"PolicyName": "AliyunRAMReadOnlyAccess", "PolicyType": "System"}
    world.v3("AttachPolicyToUser", {"UserName": "member", **look, "Workspace": "granted"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = made_sqlite(tmp_path / "pierhead.db")
    with serving(World(found)) as serve:
        yield serve


Ask = Callable[[World], Answer]


def v3(action: str, **parameters: str) -> Ask:
    return lambda world: world.v3(action, parameters)


def attaching(verb: str, kind: str, **parameters: str) -> Ask:
    return v3(f"{verb}{kind}", PolicyType="Custom", **parameters)


def failing(error: Exception) -> Ask:
    def ask(world: World) -> Answer:
        world.fails = error
        try:
            return world.v3("ListUsers")
        finally:
            world.fails = None

    return ask


LONG = "x" * 2000
FORM = ("content-type", "application/x-www-form-urlencoded")
#: Code -> how to come by it.
PROVOKED: dict[str, Ask] = {
    # what is not there
    "EntityNotExist.User": v3("GetUser", UserName="nobody"),
    "EntityNotExist.User.AccessKey": v3("DeleteAccessKey", UserName="bob", UserAccessKeyId="no"),
    "EntityNotExist.User.LoginProfile": v3("GetLoginProfile", UserName="bob"),
    "EntityNotExist.User.Group": v3("RemoveUserFromGroup", UserName="bob", GroupName="crew"),
    "EntityNotExist.User.Policy": attaching(
        "DetachPolicyFrom", "User", UserName="alice", PolicyName="any"
    ),
    "EntityNotExist.Group": v3("GetGroup", GroupName="nobody"),
    "EntityNotExist.Group.Policy": attaching(
        "DetachPolicyFrom", "Group", GroupName="crew", PolicyName="any"
    ),
    "EntityNotExist.Policy": v3("GetPolicy", PolicyName="no", PolicyType="System"),
    "EntityNotExist.Policy.Version": v3(
        "GetPolicyVersion", PolicyName="any", PolicyType="Custom", VersionId="v9"
    ),
    "EntityNotExist.Role": v3("GetRole", RoleName="nobody"),
    "EntityNotExist.Role.Policy": attaching(
        "DetachPolicyFrom", "Role", RoleName="reader", PolicyName="any"
    ),
    # what is there already
    "EntityAlreadyExists.User": v3("CreateUser", UserName="Alice"),
    "EntityAlreadyExists.User.LoginProfile": v3(
        "CreateLoginProfile", UserName="keyed", Password="correct horse"
    ),
    "EntityAlreadyExists.User.Group": v3("AddUserToGroup", UserName="member", GroupName="club"),
    "EntityAlreadyExists.User.Policy": attaching(
        "AttachPolicyTo", "User", UserName="bob", PolicyName="for-User"
    ),
    "EntityAlreadyExists.Group": v3("CreateGroup", GroupName="CREW"),
    "EntityAlreadyExists.Group.Policy": attaching(
        "AttachPolicyTo", "Group", GroupName="crew", PolicyName="for-Group"
    ),
    "EntityAlreadyExists.Policy": v3("CreatePolicy", PolicyName="any", PolicyDocument=ANYTHING),
    "EntityAlreadyExists.Role": v3("CreateRole", RoleName="Reader", AssumeRolePolicyDocument=TRUST),
    "EntityAlreadyExists.Role.Policy": attaching(
        "AttachPolicyTo", "Role", RoleName="reader", PolicyName="for-Role"
    ),
    # what still has something
    "DeleteConflict.User.AccessKey": v3("DeleteUser", UserName="keyed"),
    "DeleteConflict.User.Group": v3("DeleteUser", UserName="member"),
    "DeleteConflict.User.Policy": v3("DeleteUser", UserName="bob"),
    "DeleteConflict.Group.User": v3("DeleteGroup", GroupName="club"),
    "DeleteConflict.Group.Policy": v3("DeleteGroup", GroupName="crew"),
    "DeleteConflict.Role.Policy": v3("DeleteRole", RoleName="reader"),
    "DeleteConflict.Policy.User": v3("DeletePolicy", PolicyName="for-User"),
    "DeleteConflict.Policy.Group": v3("DeletePolicy", PolicyName="for-Group"),
    "DeleteConflict.Policy.Role": v3("DeletePolicy", PolicyName="for-Role"),
    "DeleteConflict.Policy.Version": v3("DeletePolicy", PolicyName="spare"),
    "DeleteConflict.Policy.Version.Default": v3(
        "DeletePolicyVersion", PolicyName="any", VersionId="v1"
    ),
    "LimitExceeded.User.AccessKey": v3("CreateAccessKey", UserName="keyed"),
    "LimitExceeded.Policy.Version": v3(
        "CreatePolicyVersion", PolicyName="any", PolicyDocument=ANYTHING
    ),
    "OperationConflict": v3("DeleteAccessKey", UserAccessKeyId=KEY.id),
    # ours
    "EntityNotExist.Quota": v3("GetQuota", QuotaId="nobody"),
    "EntityNotExist.Workspace": v3("GetWorkspace", WorkspaceId="nobody"),
    "EntityAlreadyExists.Quota": v3("CreateQuota", QuotaId="free"),
    "EntityAlreadyExists.Workspace": v3("CreateWorkspace", WorkspaceId="full"),
    "DeleteConflict.Quota.Service": v3("DeleteQuota", QuotaId="named"),
    "DeleteConflict.Quota.Workspace": v3("DeleteQuota", QuotaId="lent"),
    "DeleteConflict.Workspace.Service": v3("DeleteWorkspace", WorkspaceId="full"),
    "DeleteConflict.Workspace.Connection": v3("DeleteWorkspace", WorkspaceId="stored"),
    "DeleteConflict.Workspace.Policy": v3("DeleteWorkspace", WorkspaceId="granted"),
    "EntityNotExist.Service": v3("ListServiceTokens", ServiceName="nobody"),
    "EntityNotExist.ServiceToken": v3("GetServiceToken", ServiceName="svc", TokenName="nobody"),
    "EntityAlreadyExists.ServiceToken": v3("AddServiceToken", ServiceName="svc", TokenName="ci"),
    # what is not legal
    "MalformedPolicyDocument": v3("CreatePolicy", PolicyName="x", PolicyDocument="{"),
    "InvalidParameter.Password.TooWeak": v3("CreateLoginProfile", UserName="bob", Password="short"),
    "InvalidParameter": lambda world: world.send(
        "GET", "/?Action=ListUsers&Action=ListUsers", [("host", "h")]
    ),
    "InvalidParameter.Format": v3("ListUsers", Format="XML"),
    "NotSupported": v3(
        "CreateLoginProfile", UserName="bob", Password="correct horse", MFABindRequired="true"
    ),
    "InvalidAction.NotFound": v3("BindMFADevice", UserName="bob"),
    "InvalidAction.Mismatch": lambda world: world.v3("ListUsers", {"Action": "CreateUser"}),
    "MissingAction": lambda world: world.send(
        "POST", "/", [("host", "h"), ("x-acs-version", "2015-05-01")]
    ),
    "MissingVersion": lambda world: world.send("GET", "/?Action=ListUsers", [("host", "h")]),
    "InvalidVersion": lambda world: world.v3("ListUsers", headers={"x-acs-version": "2021-07-01"}),
    "UnsupportedHTTPMethod": lambda world: world.send(
        "DELETE", "/?Action=ListUsers", [("host", "h")]
    ),
    "RequestEntityTooLarge": lambda world: world.send(
        "POST", "/?Action=ListUsers", [("host", "h"), FORM], b"a=" + b"x" * BODY_LIMIT
    ),
    "RequestTimeout": lambda world: world.send(
        "POST", "/", [("host", "h"), FORM, ("content-length", "9")], b"a"
    ),
    # who asks
    "NoPermission": lambda world: world.v3(
        "AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "al"}
    ),
    "Throttling.User": failing(core.Throttled("Too many calls.", 3)),
    "ServiceUnavailable": failing(core.Unavailable("The database", "it is away")),
    "InternalError": failing(RuntimeError("secret inside")),
    # signatures
    "IncompleteSignature": lambda world: world.send(
        "POST", "/?Action=ListUsers&Version=2015-05-01", [("host", "h")]
    ),
    "InvalidSignatureMethod": lambda world: world.rpc(
        "ListUsers", changed={"SignatureMethod": "MD5"}
    ),
    "InvalidAccessKeyId.NotFound": lambda world: world.rpc(
        "ListUsers", changed={"AccessKeyId": "LTAInobody"}
    ),
    "SignatureDoesNotMatch": lambda world: world.rpc("ListUsers", changed={"MaxItems": "1"}),
    "InvalidTimeStamp.Format": lambda world: world.rpc("ListUsers", changed={"Timestamp": "x"}),
    "InvalidTimeStamp.Expired": lambda world: world.rpc("ListUsers", age=1000),
    "ContentMD5NotMatched": lambda world: world.send(
        "POST", "/?" + signed_query(world), [("host", "h"), ("content-md5", "AAAA")]
    ),
    "InvalidSecurityToken.MismatchWithAccessKey": lambda world: world.rpc(
        "ListUsers", changed={"SecurityToken": "x"}
    ),
    "InvalidSecurityToken.Malformed": lambda world: world.rpc(
        "ListUsers", changed={"SecurityToken": "x y"}
    ),
    "InvalidBearerToken": lambda world: world.send(
        "POST",
        "/?Action=ListUsers&Version=2015-05-01",
        [
            ("host", "h"),
            ("x-acs-bearer-token", "nobody's"),
            ("x-acs-signature-type", "BEARERTOKEN"),
            ("x-acs-date", "2026-01-01T00:00:00Z"),
            ("x-acs-content-sha256", "x"),
        ],
    ),
}
#: Codes with tests of their own: keys that change, and STS.
ELSEWHERE = {
    "InvalidAccessKeyId.Inactive",
    "SignatureNonceUsed",
    "MissingSecurityToken",
    "InvalidSecurityToken.Expired",
    "InvalidParameter.PolicyGrammar",
    "InvalidParameter.RoleArn",
    "InvalidParameter.RoleSessionName",
    "InvalidParameter.DurationSeconds",
    "LimitExceeded.Service.Token",
    "EntityNotExist.StorageConnection",
    "EntityAlreadyExists.StorageConnection",
    "DeleteConflict.StorageConnection.Service",
}


def signed_query(world: World) -> str:
    given = {"Action": "ListUsers", "Version": "2015-05-01"}
    signed = sign.sign_rpc("POST", given, KEY, date=world.clock(), nonce="md5")
    return sign.encode(signed)


def of_parameters() -> dict[str, tuple[str, dict[str, str]]]:
    """Code of a single parameter -> (operation, parameters that provoke it)."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for operation in load().operations.values():
        legal = {item.name: legal_value(item) for item in operation.parameters if item.required}
        for item in operation.parameters:
            name = f"InvalidParameter.{item.name}"
            if item.required:
                found[f"Missing{item.name}"] = (operation.id, {**legal, item.name: ""})
            elif item.extension:  # of a script whose variable is not set
                found[f"{name}.Empty"] = (operation.id, {**legal, item.name: ""})
            if item.maximum is not None and item.type not in errors.NUMBERS:
                found[f"{name}.Length"] = (
                    operation.id,
                    {**legal, item.name: "x" * (item.maximum + 1)},
                )
            wrong = {"name": ".InvalidChars", "text": ".InvalidChars", "phone": ".Format"}
            wrong |= {"email": ".Format", "version": ".Format"}
            wrong |= {"boolean": "", "integer": "", "choice": "", "bound": "", "whole": ""}
            if item.type in wrong:
                text = "-1" if item.type == "integer" else "\x07"
                found[f"{name}{wrong[item.type]}"] = (operation.id, {**legal, item.name: text})
    return found


def legal_value(item: Any) -> str:
    by_type = {"name": "x", "version": "v1", "choice": item.values[0] if item.values else ""}
    return by_type.get(item.type, "x")


PARAMETERS = of_parameters()


def test_every_code_is_provoked() -> None:
    assert set(errors.codes()) == {*PROVOKED, *ELSEWHERE, *PARAMETERS}


@pytest.mark.parametrize("code", PROVOKED)
def test_codes(furnished: World, code: str) -> None:
    answer = PROVOKED[code](furnished)
    assert answer.code == code, answer.body
    is_refusal(answer, code)


@pytest.mark.parametrize("code", PARAMETERS)
def test_codes_of_parameters(furnished: World, code: str) -> None:
    action, parameters = PARAMETERS[code]
    answer = furnished.v3(action, parameters)
    assert answer.code == code, answer.body
    is_refusal(answer, code)
    name = code.removeprefix("Missing").removeprefix("InvalidParameter.").partition(".")[0]
    assert name in answer.body["Message"]


def is_refusal(answer: Answer, code: str) -> None:
    """It has the envelope, the right status, and tells nothing that it should not."""
    assert answer.status == errors.status_of(code)
    denied = {"AccessDeniedDetail"} if code == "NoPermission" else set()
    assert set(answer.body) == {
        "RequestId", "HostId", "Code", "Message", "Recommend", *denied,
    }  # fmt: skip
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", answer.body["RequestId"])
    assert answer.headers["x-acs-request-id"] == answer.body["RequestId"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.body["Recommend"].endswith(f"#{errors.anchor(code)}")
    text = json.dumps(answer.body)
    assert KEY.secret not in text
    assert "secret inside" not in text
    assert len(text) < 2000


def test_what_the_answers_of_some_refusals_carry(furnished: World) -> None:
    assert PROVOKED["UnsupportedHTTPMethod"](furnished).headers["allow"] == "GET, POST"
    assert PROVOKED["ServiceUnavailable"](furnished).headers["retry-after"] == "5"
    throttled = PROVOKED["Throttling.User"](furnished).headers
    assert (throttled["retry-after"], throttled["x-acs-retry-after"]) == ("3", "3000")
    assert "MFA" in PROVOKED["InvalidAction.NotFound"](furnished).body["Message"]
    assert PROVOKED["RequestTimeout"](furnished).headers["connection"] == "close"


# ---- signatures ----------------------------------------------------------------------------------


def test_a_replay_is_refused_in_either_scheme(world: World) -> None:
    """Law: a request is served once, whoever sends it again (F26)."""
    assert world.v3("ListUsers", nonce="n1").status == 200
    assert world.v3("ListUsers", nonce="n1").code == "SignatureNonceUsed"
    assert world.rpc("ListUsers", nonce="n2").status == 200
    for form in (False, True):
        assert world.rpc("ListUsers", nonce="n2", method="POST", form=form).code == (
            "SignatureNonceUsed"
        )


def test_a_wrong_signature_burns_no_nonce(world: World) -> None:
    """Law: nobody uses up another's nonce."""
    for _ in range(2):
        wrong = world.rpc("ListUsers", nonce="n1", changed={"Signature": "AAAA"})
        assert wrong.code == "SignatureDoesNotMatch"
    assert world.rpc("ListUsers", nonce="n1").status == 200


@pytest.mark.parametrize("age", [-1000.0, 1000.0])
def test_skew(world: World, age: float) -> None:
    """Law: a clock that is wrong by more than 15 minutes is told so (F26)."""
    assert world.v3("ListUsers", age=age).code == "InvalidTimeStamp.Expired"
    assert world.rpc("ListUsers", age=age).code == "InvalidTimeStamp.Expired"


def test_a_header_cannot_turn_a_signed_call_into_another(world: World) -> None:
    """Law: what is called is what was signed; in HMAC-SHA1 headers are not."""
    query = signed_query(world)
    answer = world.send("POST", f"/?{query}", [("host", "h"), ("x-acs-action", "CreateUser")])
    assert answer.code == "InvalidAction.Mismatch"
    answer = world.send("POST", f"/?{query}", [("host", "h"), ("x-acs-version", "2015-04-01")])
    assert answer.code == "InvalidAction.Mismatch"


def test_a_call_by_form_is_the_same_call(world: World) -> None:
    made = world.rpc("CreateUser", {"UserName": "alice"}, method="POST", form=True)
    assert made.body["User"]["UserName"] == "alice"
    split = world.rpc("GetUser", {"UserName": "alice"}, method="POST")
    assert split.body["User"]["UserId"] == made.body["User"]["UserId"]


def test_hmac_sha1_switched_off(tmp_path: Path) -> None:
    url = made_sqlite(tmp_path / "pierhead.db")
    with serving(World(url, Options(rpc_enabled=False))) as world:
        assert world.rpc("ListUsers").code == "InvalidSignatureMethod"
        assert world.v3("ListUsers").status == 200
        with pytest.raises(Refused, match="InvalidSignatureMethod"):
            world.old_sdk()("ListUsers")


# ---- hostile input -------------------------------------------------------------------------------


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_ten_megabytes_are_refused_and_the_connection_goes_on(tmp_path: Path, parser: str) -> None:
    url = made_sqlite(tmp_path / "pierhead.db")
    with serving(World(url), parser) as world:
        answer = world.send("POST", "/", [("host", "h"), FORM], b"x" * 10_000_000)
        assert answer.code == "RequestEntityTooLarge"
        assert world.v3("ListUsers").status == 200


@pytest.mark.parametrize(
    "name",
    ["爱丽丝", "a b", "a/../b", "{PolicyName}", "*", "a\x00b", "a\nb", "' OR 1=1 --", "x" * 65],
)
def test_names_that_are_none(furnished: World, name: str) -> None:
    answer = furnished.v3("CreateUser", {"UserName": name})
    assert answer.status == 400
    assert answer.code.startswith("InvalidParameter.UserName.")
    assert furnished.v3("GetUser", {"UserName": name}).status == 400


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Action=ListUsers&Version=2015-05-01&%FF=1", "InvalidParameter"),
        ("Action=ListUsers&Version=2015-05-01&UserName=%C3%28", "InvalidParameter"),
        ("Action=%00&Version=2015-05-01", "InvalidAction.NotFound"),
        ("Action=ListUsers&Version=2015-05-01&a=1&a=2", "InvalidParameter"),
        ("Action=ListUsers&Version=" + "9" * 500, "InvalidVersion"),
        ("Action=" + "A" * 3000 + "&Version=2015-05-01", "InvalidAction.NotFound"),
    ],
)
def test_queries_that_are_none(furnished: World, query: str, code: str) -> None:
    answer = furnished.send("GET", f"/?{query}", [("host", "h")])
    assert answer.code == code
    is_refusal(answer, code)


def test_a_body_that_is_no_form(furnished: World) -> None:
    headers = [("host", "h"), ("content-type", "application/json")]
    answer = furnished.send("POST", "/?Action=ListUsers&Version=2015-05-01", headers, b"{}")
    assert answer.code == "InvalidParameter"


def test_documents_that_are_none(furnished: World) -> None:
    deep = '{"Version":"1","Statement":' + "[" * 3000
    for document in ("[]", "null", '{"Version":"1"}', "\x00", '"' * 7, deep):
        parameters = {"PolicyName": "x", "PolicyDocument": document}
        assert furnished.v3("CreatePolicy", parameters).code == "MalformedPolicyDocument"
        trust = {"RoleName": "x", "AssumeRolePolicyDocument": document}
        assert furnished.v3("CreateRole", trust).code == "MalformedPolicyDocument"


def test_unknown_parameters_and_headers_change_nothing(furnished: World) -> None:
    answer = furnished.v3(
        "GetUser",
        {"UserName": "alice", "Tag": '[{"Key":"a"}]', "x" * 100: "", "RegionId": "local"},
        headers={"x-forwarded-for": "10.0.0.1"},
    )
    assert answer.status == 200


# ---- who may ---------------------------------------------------------------------------------------


def refusal(sdk: Any, action: str, **parameters: Any) -> str:
    with pytest.raises(Refused) as caught:
        sdk(action, **parameters)
    return caught.value.code


def test_nobody_may_anything_without_a_policy(world: World) -> None:
    """Law: what no policy allows is denied; only who one is may be asked by everybody."""
    key = as_key(world.user("alice"))
    for (_, name), operation in load().operations.items():
        answer = world.v3(name, {}, key=key)
        if name == "GetCallerIdentity":
            assert answer.body["Arn"] == f"acs:ram::{ACCOUNT}:user/alice"
        elif name == "AssumeRole":
            assert answer.code == "MissingRoleArn"
        elif name == "GetServiceToken":  # everybody may ask for the one that is theirs
            assert answer.code == "MissingServiceName"
        else:
            assert answer.code == "NoPermission", name
            assert answer.body["AccessDeniedDetail"]["AuthAction"] == operation.action


def test_each_thing_that_a_call_is_about_must_be_allowed(world: World) -> None:
    everything = f"acs:ram:*:{ACCOUNT}"
    allowed = {
        "Effect": "Allow",
        "Action": ["ram:AddUserToGroup", "ram:AttachPolicyToUser", "ram:GetPolicy"],
        "Resource": [
            f"{everything}:user/bob",
            f"{everything}:group/crew",
            f"{everything}:policy/*",
        ],
    }
    root, alice = world.new_sdk(), world.new_sdk(world.user("alice", allowed))
    for name in ("bob", "carl"):
        root("CreateUser", UserName=name)
    for name in ("crew", "club"):
        root("CreateGroup", GroupName=name)
    alice("AddUserToGroup", UserName="bob", GroupName="crew")
    assert refusal(alice, "AddUserToGroup", UserName="bob", GroupName="club") == "NoPermission"
    assert refusal(alice, "AddUserToGroup", UserName="carl", GroupName="crew") == "NoPermission"
    custom = {"PolicyName": "of-alice", "PolicyType": "Custom"}
    alice("AttachPolicyToUser", UserName="bob", **custom)
    shipped = {"PolicyName": "AdministratorAccess", "PolicyType": "System"}
    assert refusal(alice, "AttachPolicyToUser", UserName="bob", **shipped) == "NoPermission"
    assert refusal(alice, "GetPolicy", **shipped) == "NoPermission"


def test_another_spelling_is_no_way_around_a_denial(world: World) -> None:
    """Law: a policy that speaks of a name speaks of the thing."""
    denied = {"Effect": "Deny", "Action": "*", "Resource": f"acs:ram:*:{ACCOUNT}:user/boss"}
    root, alice = world.new_sdk(), world.new_sdk(world.user("alice", ALLOW, denied))
    root("CreateUser", UserName="boss")
    assert refusal(alice, "DeleteUser", UserName="boss") == "NoPermission"
    assert refusal(alice, "DeleteUser", UserName="BOSS") == "EntityNotExist.User"
    assert root("GetUser", UserName="boss")["User"]["UserName"] == "boss"


def test_a_denial_says_that_it_is_one(world: World) -> None:
    denied = {"Effect": "Deny", "Action": "ram:Delete*", "Resource": "*"}
    alice = world.new_sdk(world.user("alice", ALLOW, denied))
    with pytest.raises(Refused) as caught:
        alice("DeleteUser", UserName="alice")
    assert caught.value.denied["NoPermissionType"] == "ExplicitDeny"
    assert caught.value.denied["AuthPrincipalType"] == "SubUser"


def test_conditions_see_where_a_call_comes_from(world: World) -> None:
    here = {**ALLOW, "Condition": {"IpAddress": {"acs:SourceIp": "127.0.0.0/8"}}}
    there = {**ALLOW, "Condition": {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}}
    secure = {**ALLOW, "Condition": {"Bool": {"acs:SecureTransport": "true"}}}
    assert world.v3("ListUsers", key=as_key(world.user("alice", here))).status == 200
    for name, statement in (("bob", there), ("carl", secure)):
        key = as_key(world.user(name, statement))
        assert world.v3("ListUsers", key=key).code == "NoPermission"
        forged = world.v3("ListUsers", key=key, headers={"x-forwarded-for": "10.0.0.1"})
        assert forged.code == "NoPermission"


def test_whoever_may_not_is_not_told_what_is_wrong(world: World) -> None:
    key = as_key(world.user("alice"))
    assert world.v3("CreateUser", {"UserName": "{bad}"}, key=key).code == "NoPermission"
    assert world.v3("GetUser", {"UserName": "nobody"}, key=key).code == "NoPermission"


def test_a_user_manages_its_own_keys_without_naming_itself(world: World) -> None:
    own = {
        "Effect": "Allow",
        "Action": "ram:*AccessKey*",
        "Resource": "acs:ram:*:*:user/alice",
    }
    alice = world.new_sdk(world.user("alice", own))
    world.user("bob")
    made = alice("CreateAccessKey")["AccessKey"]
    assert len(alice("ListAccessKeys")["AccessKeys"]["AccessKey"]) == 2
    alice("UpdateAccessKey", UserAccessKeyId=made["AccessKeyId"], Status="Inactive")
    alice("DeleteAccessKey", UserAccessKeyId=made["AccessKeyId"])
    assert refusal(alice, "CreateAccessKey", UserName="bob") == "NoPermission"
    assert refusal(alice, "ListAccessKeys", UserName="bob") == "NoPermission"
    assert refusal(alice, "UpdateAccessKey", UserAccessKeyId=KEY.id, Status="Inactive") == (
        "EntityNotExist.User.AccessKey"
    )


def test_a_policy_bounded_to_a_workspace(world: World) -> None:
    """`Workspace` is our extension; SDKs send it as an extra query parameter."""
    root = world.new_sdk()
    keys = world.user("alice")
    look = {"UserName": "alice", "PolicyName": "AliyunRAMReadOnlyAccess", "PolicyType": "System"}
    root.extended("AttachPolicyToUser", {"Workspace": "team-a"}, **look)
    (listed,) = world.v3("ListPoliciesForUser", {"UserName": "alice"}).body["Policies"]["Policy"]
    assert listed["Workspace"] == "team-a"
    assert refusal(world.new_sdk(keys), "ListUsers") == "NoPermission"  # users are in none
    root("AttachPolicyToUser", **look)
    assert world.new_sdk(keys)("ListUsers")
    with pytest.raises(Refused, match=r"EntityNotExist\.User\.Policy"):
        root.extended("DetachPolicyFromUser", {"Workspace": "team-b"}, **look)
    unset = world.v3("AttachPolicyToUser", {**look, "Workspace": ""})  # a script's empty variable
    assert unset.code == "InvalidParameter.Workspace.Empty"
    root("DetachPolicyFromUser", **look)
    root.extended("DetachPolicyFromUser", {"Workspace": "team-a"}, **look)
    assert root("ListPoliciesForUser", UserName="alice")["Policies"]["Policy"] == []


# ---- keys and STS ----------------------------------------------------------------------------------


def role_keys(world: World, **more: str) -> Keys:
    sdk = world.new_sdk()
    sdk("CreateRole", RoleName="reader", AssumeRolePolicyDocument=TRUST)
    look = {"PolicyName": "AliyunRAMFullAccess", "PolicyType": "System"}
    sdk("AttachPolicyToRole", RoleName="reader", **look)
    alice = world.new_sdk(world.user("alice", ALLOW))
    asked = {"RoleArn": ROLE, "RoleSessionName": "al", "DurationSeconds": 900, **more}
    return keys_of(alice("AssumeRole", **asked)["Credentials"])


def test_temporary_keys_end(world: World) -> None:
    """Law: what was lent comes back."""
    keys = role_keys(world)
    key = as_key(keys)
    assert world.v3("ListUsers", key=key).status == 200
    assert world.rpc("ListUsers", key=key).status == 200
    bare = AccessKey(keys.id, keys.secret, ROOT)
    assert world.v3("ListUsers", key=bare).code == "MissingSecurityToken"
    assert world.rpc("ListUsers", key=bare).code == "MissingSecurityToken"
    world.clock.offset = 901
    assert world.v3("ListUsers", key=key).code == "InvalidSecurityToken.Expired"
    assert world.rpc("ListUsers", key=key).code == "InvalidSecurityToken.Expired"


def test_a_session_policy_narrows(world: World) -> None:
    document = {"Version": "1", "Statement": [{**ALLOW, "Action": "ram:List*"}]}
    sdk = world.new_sdk(role_keys(world, Policy=json.dumps(document)))
    assert sdk("ListUsers")
    assert refusal(sdk, "CreateUser", UserName="bob") == "NoPermission"


def test_temporary_keys_end_with_their_role(world: World) -> None:
    sdk = world.new_sdk(role_keys(world))
    assert sdk("ListUsers")
    root = world.new_sdk()
    look = {"PolicyName": "AliyunRAMFullAccess", "PolicyType": "System"}
    root("DetachPolicyFromRole", RoleName="reader", **look)
    assert refusal(sdk, "ListUsers") == "NoPermission"
    root("DeleteRole", RoleName="reader")
    assert refusal(sdk, "GetCallerIdentity") == "InvalidAccessKeyId.NotFound"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"RoleArn": "reader"}, "InvalidParameter.RoleArn"),
        ({"RoleArn": f"acs:ram::{ACCOUNT}:role/nobody"}, "EntityNotExist.Role"),
        ({"RoleArn": "acs:ram::9999999999999999:role/reader"}, "EntityNotExist.Role"),
        ({"RoleSessionName": "a"}, "InvalidParameter.RoleSessionName"),
        ({"RoleSessionName": "a/b"}, "InvalidParameter.RoleSessionName"),
        ({"DurationSeconds": "899"}, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "3601"}, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "x"}, "InvalidParameter.DurationSeconds"),
        ({"Policy": "{}"}, "InvalidParameter.PolicyGrammar"),
        ({"Policy": "x" * 7000}, "InvalidParameter.PolicyGrammar"),
    ],
)
def test_what_sts_refuses(world: World, wrong: dict[str, str], code: str) -> None:
    world.new_sdk()("CreateRole", RoleName="reader", AssumeRolePolicyDocument=TRUST)
    key = as_key(world.user("alice", ALLOW))
    parameters = {"RoleArn": ROLE, "RoleSessionName": "al", **wrong}
    answer = world.v3("AssumeRole", parameters, key=key)
    assert answer.code == code
    is_refusal(answer, code)


def test_a_key_that_is_off(world: World) -> None:
    keys = world.user("alice")
    root = world.new_sdk()
    root("UpdateAccessKey", UserName="alice", UserAccessKeyId=keys.id, Status="Inactive")
    answer = world.v3("GetCallerIdentity", key=as_key(keys))
    assert answer.code == "InvalidAccessKeyId.Inactive"
    is_refusal(answer, "InvalidAccessKeyId.Inactive")


# ---- other ways --------------------------------------------------------------------------------


def test_cascading_deletion_spares_a_policy_in_use(world: World) -> None:
    root = world.new_sdk()
    world.user("alice", ALLOW)
    root("CreatePolicyVersion", PolicyName="of-alice", PolicyDocument=ANYTHING)
    deletion = {"PolicyName": "of-alice", "CascadingDelete": True}
    assert refusal(root, "DeletePolicy", **deletion) == "DeleteConflict.Policy.User"
    custom = {"PolicyName": "of-alice", "PolicyType": "Custom"}
    assert len(root("ListPolicyVersions", **custom)["PolicyVersions"]["PolicyVersion"]) == 2
    root("DetachPolicyFromUser", UserName="alice", **custom)
    root("DeletePolicy", **deletion)
    assert refusal(root, "GetPolicy", **custom) == "EntityNotExist.Policy"


def test_rotating_versions(world: World) -> None:
    root = world.new_sdk()
    root("CreatePolicy", PolicyName="p", PolicyDocument=ANYTHING)
    new = {"PolicyName": "p", "PolicyDocument": ANYTHING}
    for _ in range(4):
        root("CreatePolicyVersion", **new)
    assert refusal(root, "CreatePolicyVersion", **new, RotateStrategy="None") == (
        "LimitExceeded.Policy.Version"
    )
    rotate = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
    made = root("CreatePolicyVersion", **new, RotateStrategy=rotate, SetAsDefault=True)
    assert made["PolicyVersion"]["VersionId"] == "v6"
    shown = root("ListPolicyVersions", PolicyName="p", PolicyType="Custom")
    left = [one["VersionId"] for one in shown["PolicyVersions"]["PolicyVersion"]]
    assert left == ["v1", "v3", "v4", "v5", "v6"]


def test_calls_are_counted_by_operation(world: World) -> None:
    world.v3("ListUsers")
    world.v3("GetUser", {"UserName": "nobody"})
    world.v3("Nothing")
    assert world.answered[-3:] == [
        ("ram:ListUsers", "OK"),
        ("ram:GetUser", "EntityNotExist.User"),
        ("", "InvalidAction.NotFound"),
    ]


def test_the_audit_trail_tells_what_was_done_and_no_secret(world: World) -> None:
    """Law: secrets go to whom they belong, and nowhere else."""
    root = world.new_sdk()
    root("CreateUser", UserName="alice", DisplayName="Alice")
    password = "correct horse battery staple"
    root("CreateLoginProfile", UserName="alice", Password=password)
    made = root("CreateAccessKey", UserName="alice")["AccessKey"]
    root("ListUsers")
    alice = world.v3("DeleteUser", {"UserName": "alice"}, key=as_key(keys_of(made)))
    assert alice.code == "NoPermission"
    world.rpc("DeleteUser", {"UserName": "alice"}, changed={"Signature": "AAAA"})
    role = world.v3("AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "al"})
    assert role.code == "NoPermission"

    found = [audit.entry(act, who, source, 0.0) for act, who, source in world.acts]
    user = f"acs:ram:*:{ACCOUNT}:user/alice"
    assert [(one.door, one.action, one.resource, one.outcome, one.code) for one in found] == [
        ("ram", "ram:CreateUser", user, "Success", "OK"),
        ("ram", "ram:CreateLoginProfile", user, "Success", "OK"),
        ("ram", "ram:CreateAccessKey", user, "Success", "OK"),
        ("ram", "ram:DeleteUser", user, "Denied", "NoPermission"),
        ("ram", "ram:DeleteUser", "", "Denied", "SignatureDoesNotMatch"),
        ("sts", "sts:AssumeRole", ROLE, "Denied", "NoPermission"),
    ]
    assert found[0].source_ip == "127.0.0.1"
    assert found[0].user_agent.startswith("AlibabaCloud")
    assert json.loads(found[0].detail)["DisplayName"] == "Alice"
    assert found[3].actor_arn == f"acs:ram::{ACCOUNT}:user/alice"
    assert (found[4].actor, json.loads(found[4].detail)) == ("", {"AccessKeyId": KEY.id})
    told = "".join(one.detail for one in found)
    assert password not in told
    assert made["AccessKeySecret"] not in told


def test_guessing_a_signature_is_slowed_down(world: World) -> None:
    """Law: whoever guesses is refused for a while, in either scheme and whatever comes then."""
    codes = {world.rpc("ListUsers", changed={"Signature": "AAAA"}).code for _ in range(30)}
    assert codes == {"SignatureDoesNotMatch", "Throttling.User"}
    assert world.v3("ListUsers").code == "Throttling.User"


def test_where_calls_go(furnished: World) -> None:
    def answered(method: str, target: str, *headers: tuple[str, str]) -> str:
        answer = furnished.send(method, target, [("host", "h"), *headers])
        return answer.body.get("Text", "ram")

    assert answered("GET", "/") == "eas"
    assert answered("GET", "/?") == "eas"
    assert answered("GET", "/?action=x") == "eas"
    assert answered("GET", "/?Action") == "ram"
    assert answered("GET", "/?x=1&Action=ListUsers") == "ram"
    assert answered("POST", "/") == "ram"
    assert answered("GET", "/", ("x-acs-action", "ListUsers")) == "ram"
    assert answered("POST", "/api/v2/services?Action=ListUsers") == "eas"
    assert answered("POST", "/zstack/?Action=ListUsers") == "zstack"
    assert answered("PUT", "/x") == "eas"
