"""What the domain knows, in RAM's words; an operation shows of it what its shape in the catalog has."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from pierhead.core.identities import Group, LoginProfile, PolicyRecord, PolicyVersion, Role, User
from pierhead.core.principals import ROLE, USER, AccessKey, Principal
from pierhead.core.quotas import Amount
from pierhead.dialects.ram.catalog import Shape
from pierhead.operations.quotas import Use
from pierhead.operations.workspaces import Room

Json = dict[str, Any]


def fit(shape: Shape, value: Mapping[str, Any]) -> Json:
    """The fields of `value` that the shape has, in the shape's order."""
    return {name: _fit(inner, value[name]) for name, inner in shape.items() if name in value}


def _fit(shape: object, value: Any) -> Any:
    if isinstance(shape, dict):
        return fit(cast(Shape, shape), value)
    if isinstance(shape, list):
        (item,) = cast("list[object]", shape)
        return [_fit(item, each) for each in value]
    return value


def moment(at: float | None) -> str:
    """Epoch seconds as `2026-11-21T19:27:22Z`; "" for never."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user(one: User) -> Json:
    """A user."""
    return {
        "UserId": one.id,
        "UserName": one.name,
        "DisplayName": one.display_name,
        "MobilePhone": one.mobile,
        "Email": one.email,
        "Comments": one.comments,
        "CreateDate": moment(one.created),
        "UpdateDate": moment(one.updated),
        "LastLoginDate": moment(one.last_login),
    }


def group(one: Group) -> Json:
    """A group."""
    return {
        "GroupId": one.id,
        "GroupName": one.name,
        "Comments": one.comments,
        "CreateDate": moment(one.created),
        "UpdateDate": moment(one.updated),
    }


def role(one: Role, account: str) -> Json:
    """A role."""
    return {
        "RoleId": one.id,
        "RoleName": one.name,
        "Arn": f"acs:ram::{account}:role/{one.name}",
        "Description": one.description,
        "AssumeRolePolicyDocument": one.trust,
        "MaxSessionDuration": one.max_session,
        "AllowConsoleLogin": False,
        "CreateDate": moment(one.created),
        "UpdateDate": moment(one.updated),
    }


def policy(one: PolicyRecord) -> Json:
    """A policy."""
    return {
        "PolicyName": one.name,
        "PolicyType": one.kind,
        "Description": one.description,
        "DefaultVersion": one.default_version,
        "PolicyDocument": one.document,
        "AttachmentCount": one.attachments,
        "CreateDate": moment(one.created),
        "UpdateDate": moment(one.updated),
    }


def version(one: PolicyVersion) -> Json:
    """A version of a policy."""
    return {
        "VersionId": one.id,
        "IsDefaultVersion": one.default,
        "PolicyDocument": one.document,
        "CreateDate": moment(one.created),
    }


def login_profile(one: LoginProfile) -> Json:
    """That a user may log in."""
    return {
        "UserName": one.user,
        "CreateDate": moment(one.created),
        "PasswordResetRequired": False,
        "MFABindRequired": False,
    }


def access_key(one: AccessKey) -> Json:
    """An access key; its secret is shown where the shape has it: when it is made."""
    return {
        "AccessKeyId": one.id,
        "AccessKeySecret": one.secret,
        "Status": "Active" if one.active else "Inactive",
        "CreateDate": moment(one.created),
    }


def credentials(one: AccessKey) -> Json:
    """What AssumeRole gives."""
    return {
        "Credentials": {
            "AccessKeyId": one.id,
            "AccessKeySecret": one.secret,
            "SecurityToken": one.session_token,
            "Expiration": moment(one.expires),
        },
        "AssumedRoleUser": {"Arn": one.principal.arn, "AssumedRoleId": one.principal.id},
    }


def identity(one: Principal) -> Json:
    """Who asks."""
    shown = {"AccountId": one.account, "Arn": one.arn, "PrincipalId": one.id}
    if one.kind == ROLE:
        role_id = one.id.partition(":")[0]
        return {**shown, "IdentityType": "AssumedRoleUser", "RoleId": role_id}
    kind = "RAMUser" if one.kind == USER else "Account"
    return {**shown, "IdentityType": kind, "UserId": one.id}


def quota(one: Use) -> Json:
    """A quota and what counts against it; a bound that there is none of is left out."""
    limits = {name: getattr(one.quota, field) for name, field in _AMOUNTS.items()}
    return {
        "QuotaId": one.quota.id,
        "Limit": {name: _number(bound) for name, bound in limits.items() if bound is not None},
        "Used": _amount(one.used),
        "Wanted": _amount(one.wanted),
        "Services": one.services,
        "Workspaces": list(one.workspaces),
        "CreateDate": moment(one.quota.created),
        "UpdateDate": moment(one.quota.updated),
    }


_AMOUNTS = {"Cpu": "cpu", "Memory": "memory", "Gpus": "gpus", "Replicas": "replicas"}


def _amount(one: Amount) -> Json:
    return {name: _number(getattr(one, field)) for name, field in _AMOUNTS.items()}


def _number(value: float) -> float:
    """Without what sums of fractions leave behind."""
    return value if isinstance(value, int) else round(value, 6)


def workspace(one: Room) -> Json:
    """A workspace."""
    return {
        "WorkspaceId": one.workspace.id,
        "Name": one.workspace.name,
        "QuotaId": one.workspace.quota,
        "Services": one.services,
        "CreateDate": moment(one.workspace.created),
        "UpdateDate": moment(one.workspace.updated),
    }


def page(name: str, item: str, found: Sequence[Json], marker: str) -> Json:
    """A page of a list; `marker` names the next one, "" = that was all."""
    truncated = {"IsTruncated": True, "Marker": marker} if marker else {"IsTruncated": False}
    return {name: {item: found}, **truncated}
