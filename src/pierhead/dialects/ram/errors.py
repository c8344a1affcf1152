"""Wire codes of RAM and STS: which core error becomes which code and status, and the envelope.

{"RequestId", "HostId", "Code", "Message", "Recommend" [, "AccessDeniedDetail"]}
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pierhead.core import errors
from pierhead.core.principals import Principal
from pierhead.dialects import denial
from pierhead.dialects.ram.catalog import Parameter, load
from pierhead.dialects.signing.codes import CODES as SIGNATURE_CODES
from pierhead.dialects.signing.codes import PLATFORM_CODES, SignError

#: Where each code is explained, relative to the project; the anchor is the code without its dots.
REFERENCE = "docs/reference/ram-errors.md"

_THINGS = {
    "User": "user",
    "User.AccessKey": "access key of the user",
    "User.LoginProfile": "password of the user",
    "User.Group": "membership of the user in the group",
    "User.Policy": "policy at the user",
    "Group": "group",
    "Group.Policy": "policy at the group",
    "Policy": "policy",
    "Policy.Version": "version of the policy",
    "Role": "role",
    "Role.Policy": "policy at the role",
    "Quota": "quota",
    "Workspace": "workspace",
    "Service": "service",
    "ServiceToken": "token of the service",
    "StorageConnection": "storage connection",
}
_HOLDERS = {
    "User.AccessKey": "The user has access keys.",
    "User.Group": "The user is in groups.",
    "User.Policy": "The user has policies.",
    "Group.User": "The group has members.",
    "Group.Policy": "The group has policies.",
    "Role.Policy": "The role has policies.",
    "Policy.User": "Users have the policy.",
    "Policy.Group": "Groups have the policy.",
    "Policy.Role": "Roles have the policy.",
    "Policy.Version": "The policy has versions besides the default one.",
    "Quota.Service": "Services name the quota.",
    "Quota.Workspace": "Workspaces have the quota.",
    "Workspace.Service": "Services are in the workspace.",
    "Workspace.Policy": "Policies are bounded to the workspace.",
    "Workspace.Connection": "Storage connections are bounded to the workspace.",
    "StorageConnection.Service": "Services need the storage connection.",
    "Policy.Version.Default": "It is the default version of the policy.",
}
#: Code -> (HTTP status, what it means), besides those of signatures and of single parameters.
_CODES: dict[str, tuple[int, str]] = {
    "NoPermission": (403, "No policy allows it, or one denies it; AccessDeniedDetail says which."),
    **{f"EntityNotExist.{kind}": (404, f"There is no such {_THINGS[kind]}.") for kind in _THINGS},
    **{
        f"EntityAlreadyExists.{kind}": (409, f"There is such a {thing} already.")
        for kind, thing in _THINGS.items()
        if kind not in {"User.AccessKey", "Policy.Version", "Service"}
    },
    **{f"DeleteConflict.{kind}": (409, meaning) for kind, meaning in _HOLDERS.items()},
    "LimitExceeded.User.AccessKey": (409, "The user has two access keys."),
    "LimitExceeded.Policy.Version": (409, "The policy has five versions."),
    "LimitExceeded.Service.Token": (409, "The service has a thousand tokens."),
    "MalformedPolicyDocument": (
        400,
        "A policy's document, or a role's trust document, is not legal; the message names the place.",
    ),
    "InvalidParameter.Password.TooWeak": (
        400,
        "The password is not 8 to 128 printable characters.",
    ),
    "InvalidParameter.PolicyGrammar": (400, "The session policy is not legal."),
    "InvalidParameter.RoleArn": (400, "RoleArn is not acs:ram::<account>:role/<name>."),
    "InvalidParameter.RoleSessionName": (400, "RoleSessionName is not 2 to 64 legal characters."),
    "InvalidParameter.DurationSeconds": (
        400,
        "DurationSeconds is not from 900 to the longest session of the role.",
    ),
    "InvalidParameter.Format": (400, "Format is not JSON."),
    "InvalidParameter": (
        400,
        "A parameter is given twice or is not UTF-8, or the body is no form.",
    ),
    "NotSupported": (400, "There is no such feature here; the message says what to do instead."),
    "Throttling.User": (
        429,
        "Too many calls, or too many failed signatures from there; Retry-After says how long to wait.",
    ),
    "OperationConflict": (409, "Another change was faster, or the credentials file holds the key."),
    "InvalidAction.NotFound": (404, "The operation does not exist, or not here."),
    "InvalidAction.Mismatch": (400, "The header x-acs-action names another operation than Action."),
    "MissingAction": (400, "The call names no operation."),
    "MissingVersion": (400, "The call names no version."),
    "InvalidVersion": (400, "The version is none of RAM, STS and Pierhead."),
    "UnsupportedHTTPMethod": (405, "The method is neither GET nor POST."),
    **PLATFORM_CODES,
}
#: Codes that are ours: the vendor's documents name none for these cases.
OURS = frozenset(
    {
        "NotSupported", "OperationConflict", "InvalidAction.Mismatch", "InvalidParameter",
        "InvalidParameter.Format", "RequestTimeout", "RequestEntityTooLarge",
        "DeleteConflict.Policy.Role", "MissingAction", "MissingVersion",
        "EntityNotExist.Quota", "EntityNotExist.Workspace", "EntityAlreadyExists.Quota",
        "EntityAlreadyExists.Workspace", "DeleteConflict.Quota.Service",
        "DeleteConflict.Quota.Workspace", "DeleteConflict.Workspace.Service",
        "DeleteConflict.Workspace.Policy",
        "DeleteConflict.Workspace.Connection", "EntityNotExist.Service",
        "EntityNotExist.ServiceToken", "EntityAlreadyExists.ServiceToken",
        "LimitExceeded.Service.Token", "EntityNotExist.StorageConnection",
        "EntityAlreadyExists.StorageConnection", "DeleteConflict.StorageConnection.Service",
    }
)  # fmt: skip
_NOUNS = {"bound": "number, nor none", "whole": "whole number, nor none"}
NUMBERS = frozenset({"integer", "bound", "whole"})
#: Fields of documents -> the code of whatever is wrong inside.
_DOCUMENTS = ("PolicyDocument", "AssumeRolePolicyDocument")


class RamError(errors.Refused):
    """A refusal that only this wire knows; `code` is one of `codes()`."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@cache
def codes() -> Mapping[str, tuple[int, str]]:
    """Every code that an answer may carry: its HTTP status and what it means."""
    parameters = {
        code: (400, meaning)
        for operation in load().operations.values()
        for item in operation.parameters
        for code, meaning in of_parameter(item)
    }
    return {**parameters, **SIGNATURE_CODES, **_CODES}


def of_parameter(item: Parameter) -> Iterator[tuple[str, str]]:
    name = f"InvalidParameter.{item.name}"
    if item.required:
        yield f"Missing{item.name}", f"{item.name} is absent or empty."
    elif item.extension:
        yield f"{name}.Empty", f"{item.name} is empty; leave it out for none."
    if item.maximum is not None and item.type not in NUMBERS:
        unit = "bytes" if item.type == "document" else "characters"
        yield f"{name}.Length", f"{item.name} is longer than {item.maximum} {unit}."
    if item.type in {"name", "text"}:
        yield f"{name}.InvalidChars", f"{item.name} holds a character that is not legal."
    elif item.type in {"phone", "email", "version"}:
        yield f"{name}.Format", f"{item.name} is not a {item.type}."
    elif item.type == "choice":
        yield name, f"{item.name} is none of {', '.join(item.values)}."
    elif item.type in {"boolean", "integer", "bound", "whole"}:
        yield name, f"{item.name} is not a legal {_NOUNS.get(item.type, item.type)}."


def code_of(error: errors.PierheadError) -> str:
    """The wire code of an error raised on purpose."""
    code = _code_of(error)
    return code if code in codes() else _fallback(error)


def _code_of(error: errors.PierheadError) -> str:
    if isinstance(error, RamError | SignError):
        return error.code
    if isinstance(error, errors.Missing):
        return f"Missing{error.field}"
    if isinstance(error, errors.Invalid):
        return _of_field(error.field)
    if isinstance(error, errors.NotFound):
        return f"EntityNotExist.{_kind(error.kind)}"
    return _of_conflict(error)


def _of_conflict(error: errors.PierheadError) -> str:
    if isinstance(error, errors.InUse):
        return f"DeleteConflict.{_kind(error.kind)}.{error.by}"
    if isinstance(error, errors.TooMany):
        return f"LimitExceeded.{_kind(error.kind)}.{error.what}"
    if isinstance(error, errors.Duplicate):
        return f"EntityAlreadyExists.{_kind(error.kind)}"
    if isinstance(error, errors.Conflict) and error.kind == "Policy.Version":
        return "DeleteConflict.Policy.Version.Default"
    return ""


def _of_field(field: str) -> str:
    top = field.partition(".")[0]
    if top in _DOCUMENTS:
        return "MalformedPolicyDocument"
    return {"Password": "InvalidParameter.Password.TooWeak"}.get(top, f"InvalidParameter.{top}")


def _kind(kind: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in kind.split(" "))


_BY_CLASS: tuple[tuple[type[errors.PierheadError], str], ...] = (
    (errors.Missing, "InvalidParameter"),
    (errors.Invalid, "InvalidParameter"),
    (errors.Forbidden, "NoPermission"),
    (errors.Unsupported, "NotSupported"),
    (errors.Conflict, "OperationConflict"),
    (errors.Stale, "OperationConflict"),
    (errors.Throttled, "Throttling.User"),
    (errors.Unavailable, "ServiceUnavailable"),
)


def _fallback(error: errors.PierheadError) -> str:
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), "InternalError")


def status_of(code: str) -> int:
    """The HTTP status that goes with a code."""
    return codes()[code][0]


def envelope(
    error: errors.PierheadError, request_id: str, host: str, principal: Principal | None = None
) -> dict[str, Any]:
    """The body of a refusal."""
    code = code_of(error)
    body: dict[str, Any] = {
        "RequestId": request_id,
        "HostId": host,
        "Code": code,
        "Message": error.message if code != "InternalError" else codes()[code][1],
        "Recommend": f"{REFERENCE}#{anchor(code)}",
    }
    if isinstance(error, errors.Forbidden):
        body["AccessDeniedDetail"] = denial.detail(error, principal)
    if isinstance(error, SignError):
        body |= error.shown
    return body


def anchor(code: str) -> str:
    """The anchor of a code's heading: lower case, no dots."""
    return code.lower().replace(".", "")
