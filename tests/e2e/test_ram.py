"""Identities as their users meet them: the official RAM and STS SDKs make them, the EAS SDK is bound by them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from alibabacloud_eas20210701 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from clients import Json, PythonSdk, python_client
from documents import app
from lifecycle import Service
from running_platform import Platform, until

import ram_clients
from ram_clients import Keys, NewSdk, OldSdk

USER, ROLE, SERVICE = "e2e-tenant", "e2e-reader", "e2e_tenant_service"
POLICIES = ("e2e-make", "e2e-never", "e2e-look")


@dataclass(frozen=True, slots=True)
class Account:
    """The account's own RAM client, and what it knows of the account."""

    sdk: NewSdk
    id: str

    def allow(self, policy: str, effect: str, *actions: str) -> None:
        """Make a policy about all services, and give it to the user."""
        statement = {"Effect": effect, "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "1", "Statement": [statement]})
        self.sdk("CreatePolicy", PolicyName=policy, PolicyDocument=document)
        self.sdk("AttachPolicyToUser", UserName=USER, PolicyName=policy, PolicyType="Custom")


def keys_of(shown: Json) -> Keys:
    return Keys(shown["AccessKeyId"], shown["AccessKeySecret"], shown.get("SecurityToken", ""))


@pytest.fixture
def account(platform: Platform) -> Iterator[Account]:
    """What a test makes is taken away after it."""
    given = platform.credentials
    keys = Keys(given["access_key_id"], given["access_key_secret"])
    found = Account(NewSdk(platform.address, keys), given["account_id"])
    yield found
    for kind, name in (("User", USER), ("Role", ROLE)):
        _remove(found.sdk, kind, name)
    for policy in POLICIES:
        _tried(found.sdk, "DeletePolicy", PolicyName=policy)


def _remove(sdk: NewSdk, kind: str, name: str) -> None:
    target = {f"{kind}Name": name}
    listed = _tried(sdk, f"ListPoliciesFor{kind}", **target)
    for one in listed.get("Policies", {}).get("Policy", []):
        which = {"PolicyName": one["PolicyName"], "PolicyType": one["PolicyType"]}
        sdk(f"DetachPolicyFrom{kind}", **target, **which)
    if kind == "User":
        keys = _tried(sdk, "ListAccessKeys", **target)
        for one in keys.get("AccessKeys", {}).get("AccessKey", []):
            sdk("DeleteAccessKey", **target, UserAccessKeyId=one["AccessKeyId"])
    _tried(sdk, f"Delete{kind}", **target)


def _tried(sdk: NewSdk, action: str, **parameters: Any) -> Json:
    try:
        return sdk(action, **parameters)
    except ram_clients.Refused as error:
        assert error.code.startswith("EntityNotExist")
        return {}


def eas_of(platform: Platform, keys: Keys) -> Any:
    """The EAS client of somebody else than the account."""
    return python_client(
        platform,
        access_key_id=keys.id,
        access_key_secret=keys.secret,
        security_token=keys.token or None,
    )


def create(client: Any) -> Any:
    request = models.CreateAppServiceRequest().from_map(app(SERVICE, "smollm2_135m_q4"))
    return client.create_app_service(request).body


def denied(error: ClientException) -> Json:
    """The refusal, as far as it is the same for everybody."""
    assert (error.statusCode, error.code) == (403, "Forbidden.RAM")
    detail = dict(error.accessDeniedDetail)
    assert detail["PolicyType"] == "AccountLevelIdentityBasedPolicy"
    return {name: detail[name] for name in ("AuthAction", "AuthPrincipalType", "NoPermissionType")}


def test_a_user_may_what_its_policies_say(
    platform: Platform, account: Account, eas: PythonSdk
) -> None:
    made = account.sdk("CreateUser", UserName=USER)["User"]
    keys = keys_of(account.sdk("CreateAccessKey", UserName=USER)["AccessKey"])
    who = OldSdk(platform.address, keys)("GetCallerIdentity")
    assert (who["UserId"], who["Arn"]) == (
        made["UserId"],
        f"acs:ram::{account.id}:user/{USER}",
    )
    tenant = eas_of(platform, keys)

    with pytest.raises(ClientException) as caught:
        create(tenant)
    assert denied(caught.value) == {
        "AuthAction": "eas:CreateAppService",
        "AuthPrincipalType": "SubUser",
        "NoPermissionType": "ImplicitDeny",
    }
    assert SERVICE not in {item["ServiceName"] for item in eas("ListServices")["Services"]}

    account.allow("e2e-make", "Allow", "eas:CreateAppService", "eas:Describe*", "eas:DeleteService")
    assert create(tenant).service_name == SERVICE
    service = Service(eas, SERVICE)
    service.until("Running")
    assert tenant.describe_service(platform.region, SERVICE).body.status == "Running"

    account.allow("e2e-never", "Deny", "eas:Create*", "eas:Delete*")
    for act in (lambda: create(tenant), lambda: tenant.delete_service(platform.region, SERVICE)):
        with pytest.raises(ClientException) as caught:
            act()
        assert denied(caught.value)["NoPermissionType"] == "ExplicitDeny"
    assert service.describe()["Status"] == "Running"

    never = {"UserName": USER, "PolicyName": "e2e-never", "PolicyType": "Custom"}
    account.sdk("DetachPolicyFromUser", **never)
    tenant.delete_service(platform.region, SERVICE)
    service.gone()


def test_sts_credentials_work_and_expire(platform: Platform, account: Account) -> None:
    account.sdk("CreateUser", UserName=USER)
    keys = keys_of(account.sdk("CreateAccessKey", UserName=USER)["AccessKey"])
    account.allow("e2e-look", "Allow", "sts:AssumeRole")
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"RAM": [f"acs:ram::{account.id}:user/{USER}"]},
    }
    trust = json.dumps({"Version": "1", "Statement": [statement]})
    role = account.sdk("CreateRole", RoleName=ROLE, AssumeRolePolicyDocument=trust)["Role"]
    reader = {"PolicyName": "AliyunPAIEASReadOnlyAccess", "PolicyType": "System"}
    account.sdk("AttachPolicyToRole", RoleName=ROLE, **reader)

    asked = {"RoleArn": role["Arn"], "RoleSessionName": "e2e", "DurationSeconds": 900}
    lent = keys_of(NewSdk(platform.address, keys)("AssumeRole", **asked)["Credentials"])
    for algorithm in ("", "v2"):
        client = python_client(
            platform,
            access_key_id=lent.id,
            access_key_secret=lent.secret,
            security_token=lent.token,
            **({"signature_algorithm": algorithm} if algorithm else {}),
        )
        assert client.list_services(models.ListServicesRequest()).body.services == []
        with pytest.raises(ClientException) as caught:
            create(client)
        assert denied(caught.value)["AuthPrincipalType"] == "AssumedRoleUser"

    _end_now(platform, lent)

    def refused() -> str:
        try:
            eas_of(platform, lent).list_services(models.ListServicesRequest())
        except ClientException as error:
            return str(error.code)
        return ""

    assert until(refused, 5, "the lent keys are refused") == "InvalidSecurityToken.Expired"


def _end_now(platform: Platform, keys: Keys) -> None:
    """Shorten the lease where it is written down: a test cannot wait the 15 minutes of the shortest."""
    with closing(sqlite3.connect(platform.folder / "pierhead.db", timeout=10)) as database:
        with database:
            changed = database.execute(
                "UPDATE access_keys SET expires = 1 WHERE id = ?", (keys.id,)
            )
        assert changed.rowcount == 1
