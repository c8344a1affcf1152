"""The reference pages of RAM and STS, from their catalog."""

from collections.abc import Mapping
from typing import Any

from markdown_text import code, table

_HEAD = ("Name", "Type", "Required", "Meaning")
_NOTES = {
    "MFABindRequired": "`true` is refused: there are no MFA devices here",
    "PasswordResetRequired": "`true` is refused: users cannot change their passwords here",
    "DurationSeconds": "900 to the longest session of the role; default 3600",
    "Policy": "a session policy: what may be done is what the role and it allow",
    "RoleArn": "`acs:ram::ACCOUNT:role/NAME`",
    "RoleSessionName": "2 to 64 letters, digits, `.`, `@`, `_`, `-`",
    "Cpu": "cores of all replicas together",
    "Memory": "bytes of all replicas together",
    "Gpus": "accelerators of all replicas together",
    "Replicas": "replicas that may exist at the same time",
    "Force": "also what services and workspaces name; it binds nothing any more",
    "NoQuota": "takes the quota away; not together with `QuotaId`",
    "CascadingDelete": "its other versions go, too, if nobody has the policy",
}
_VENDOR = {"2015-05-01": "RAM 2015-05-01", "2015-04-01": "STS 2015-04-01"}
_NATIVE = "2026-11-01"
_APIS = {**_VENDOR, _NATIVE: f"Pierhead {_NATIVE}"}
_MEANINGS = {
    "secret": "8 to 128 printable characters",
    "document": "JSON",
    "phone": "like `86-13800000000`",
    "email": "like `alice@example.com`",
    "version": "like `v1`",
    "bound": "a number, or `none`: without a limit",
    "whole": "a whole number, or `none`: without a limit",
}


def operations() -> str:
    """Every operation of RAM and STS that does real work."""
    from pierhead.dialects.ram import catalog

    known = catalog.load()
    parts = [
        "# RAM operations\n",
        f"{len(known.operations)} operations in RPC style, those of Alibaba Cloud RAM and STS and our "
        f"own, whose `Version` is `{_NATIVE}` and which no SDK knows: `GET` or `POST` "
        "on `/` of the control plane, parameters in the query string or in a form. `Action` and "
        "`Version` stand among the parameters, or in the headers `x-acs-action` and `x-acs-version`. "
        "A call is signed with ACS3-HMAC-SHA256, or with HMAC-SHA1 over its parameters unless the "
        "setting `ram.hmac_sha1` is off. Every answer is JSON with a `RequestId`; `Format=XML` is "
        "refused. Parameters that are not listed are ignored, `Tag` among them; an empty one counts as "
        "absent.\n",
        "Each operation names what policies are asked about: its action, and one ARN for each thing "
        "that it is about, all of which must be allowed. `ACCOUNT` is the account's id; of a shipped "
        "policy (`PolicyType` is `System`) it is the word `system`. Policies may write `acs:ram:*:...` or "
        "`acs:ram::...`. Of our own operations the ARNs are `acs:pierhead:REGION:ACCOUNT:...`, those of "
        "services as EAS has them. The account itself is never asked. The names of users, groups and roles are "
        "taken as they are spelled, and no two differ by case only.\n",
    ]
    for version, title in _APIS.items():
        parts.append(f"## {title}\n")
        parts += [_operation(one) for one in known.operations.values() if one.version == version]
    return "\n".join(parts)


def _operation(operation: Any) -> str:
    arns = ", ".join(code(_arn(operation, noun)) for noun in operation.resources)
    names = " or ".join(map(code, (operation.action, *operation.also)))
    asked = f"{names} ({operation.access})" + (f" on {arns}" if arns else "")
    rule = {
        "AssumeRole": f"{asked} on the role that `RoleArn` names, and the role's trust document.",
        "GetCallerIdentity": "Everybody may.",
    }.get(operation.id, f"{asked}.")
    parts = [f"### {operation.id}\n", f"{rule}\n"]
    if operation.parameters:
        parts.append(table(_HEAD, map(_parameter, operation.parameters)))
    parts.append(f"Answer: {_shape(operation.response)}.\n")
    return "\n".join(parts)


def _arn(operation: Any, noun: str) -> str:
    if operation.version != _NATIVE:
        return f"acs:ram:*:ACCOUNT:{noun}"
    door = "eas" if noun.startswith("service/") else "pierhead"
    return f"acs:{door}:*:ACCOUNT:{noun}"


def _parameter(item: Any) -> tuple[str, ...]:
    parts = [_MEANINGS.get(item.type, ""), _NOTES.get(item.name, "")]
    parts += [f"one of {', '.join(map(code, item.values))}"] if item.values else []
    if item.type in {"integer", "bound", "whole"}:
        parts += [f"{item.minimum or 0:,} to {item.maximum:,}"] if item.maximum else []
    elif item.maximum is not None:
        parts += [
            f"at most {item.maximum:,} {'bytes' if item.type == 'document' else 'characters'}"
        ]
    parts += [f"default {item.default}"] if item.default is not None else []
    parts += [_OURS.get(item.name, "**ours**")] if item.extension else []
    kinds = {"boolean": "boolean", "integer": "integer", "bound": "number", "whole": "integer"}
    kind = kinds.get(item.type, "string")
    required = "yes" if item.required else ""
    return code(item.name), kind, required, "; ".join(part for part in parts if part)


#: What a parameter of ours is for, where its operation does not say it.
_OURS = {"Workspace": "**ours**: the policy counts only in this workspace"}


def _shape(shape: Mapping[str, Any]) -> str:
    """The fields of an answer, nested."""
    shown: list[str] = []
    for name, inner in shape.items():
        if isinstance(inner, dict):
            shown.append(f"{code(name)} ({_shape(inner)})")
        elif isinstance(inner, list):
            each = f"({_shape(inner[0])})" if isinstance(inner[0], dict) else "texts"
            shown.append(f"{code(name)}, a list of {each}")
        else:
            shown.append(code(name))
    return ", ".join(shown) or "nothing but the request id"


def coverage() -> str:
    """What of both APIs is here, and what is not."""
    from pierhead.dialects.ram import catalog

    known = catalog.load()
    served = [one for one in known.operations.values() if one.version in _VENDOR]
    total = len(served) + len(known.refused)
    parts = [
        "# RAM coverage\n",
        f"Of the {total} operations that the official SDKs of RAM and STS know, "
        f"**{len(served)} do real work**; {len(known.refused)} are answered "
        "`InvalidAction.NotFound` (404) with the reason below.\n",
    ]
    for version, title in _VENDOR.items():
        real = [one.id for one in known.operations.values() if one.version == version]
        links = ", ".join(f"[{code(name)}](ram-operations.md#{name.lower()})" for name in real)
        left = [one for one in known.refused.values() if one.version == version]
        parts += [
            f"## {title}\n",
            f"{links}.\n",
            table(("Not here", "Why"), ((code(one.id), one.reason) for one in left)),
        ]
    return "\n".join(parts)


def errors() -> str:
    """Every error code of RAM and STS, as refusals link to it."""
    from pierhead.dialects.ram.errors import OURS, codes

    parts = [
        "# RAM error codes\n",
        "The code of a parameter is `Missing<Name>`, `InvalidParameter.<Name>`, or the latter with "
        "`.Length`, `.InvalidChars` or `.Format`; the vendor documents that form and many of them, not "
        "all. Codes that are ours, because the vendor documents none for the case, say so.\n",
    ]
    for name, (status, meaning) in sorted(codes().items()):
        ours = " *Ours.*" if name in OURS else ""
        parts.append(f"## {name}\n\nHTTP {status}. {meaning}{ours}\n")
    return "\n".join(parts)
