"""Trust documents: who may become a role.

`{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":[ARN...]}}]}`.
`acs:ram::<account>:root` stands for the account and all its users and roles, which still need a
policy that allows `sts:AssumeRole`; `.../user/<name>` and `.../role/<name>` for one of them.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from pierhead.core.errors import Invalid
from pierhead.core.principals import Principal

FIELD = "AssumeRolePolicyDocument"
MOST_BYTES = 4096
_ARN = re.compile(r"\*|acs:ram::(\d{16}):(root|user/[A-Za-z0-9._-]+|role/[A-Za-z0-9.-]+)")


def check(text: str) -> str:
    """The document, if it is one.

    Raises:
        Invalid: it is not, or names principals of a kind that there is not here.
    """
    _statements(text)
    return text


def trusts(text: str, principal: Principal) -> bool:
    """May `principal` become the role with this document?"""
    names = {f"acs:ram::{principal.account}:root", principal.arn}
    if principal.kind == "assumed-role":
        role = principal.name.partition("/")[0]
        names.add(f"acs:ram::{principal.account}:role/{role}")
    effects = {
        effect for effect, trusted in _statements(text) if "*" in trusted or names & set(trusted)
    }
    return effects == {"Allow"}


def _statements(text: str) -> list[tuple[str, list[str]]]:
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise Invalid(FIELD, f"it is longer than {MOST_BYTES} bytes")
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(FIELD, f"it is no JSON: {str(error)[:120]}") from None
    if not isinstance(document, dict):
        raise Invalid(FIELD, "it is no JSON object")
    table = cast("dict[str, Any]", document)
    entries = _several(table.get("Statement"))
    if table.get("Version") != "1" or not entries:
        raise Invalid(FIELD, "it has no Version 1 or no Statement")
    return [_statement(entry) for entry in entries]


def _statement(entry: object) -> tuple[str, list[str]]:
    if not isinstance(entry, dict):
        raise Invalid(f"{FIELD}.Statement", "it is no JSON object")
    table = cast("Mapping[str, Any]", entry)
    effect, action = table.get("Effect"), table.get("Action")
    if effect not in {"Allow", "Deny"}:
        raise Invalid(f"{FIELD}.Statement.Effect", f"[{str(effect)[:20]}]", "Allow, Deny")
    if any(str(one).lower() != "sts:assumerole" for one in _several(action)):
        raise Invalid(f"{FIELD}.Statement.Action", f"[{str(action)[:80]}]", "sts:AssumeRole")
    if table.get("Condition"):
        raise Invalid(f"{FIELD}.Statement.Condition", "conditions on trust are not supported here")
    return str(effect), _trusted(table.get("Principal"))


def _trusted(principal: object) -> list[str]:
    table = cast("dict[str, object]", principal) if isinstance(principal, dict) else {}
    strange = set(table) - {"RAM"}
    if strange or "RAM" not in table:
        problem = f"[{', '.join(sorted(strange))[:80] or 'nothing'}]"
        raise Invalid(f"{FIELD}.Statement.Principal", problem, '{"RAM": [ARN, ...]}')
    several = _several(table["RAM"])
    for one in several:
        if not isinstance(one, str) or _ARN.fullmatch(one) is None:
            legal = "like acs:ram::<account>:root, .../user/<name>, .../role/<name>"
            raise Invalid(f"{FIELD}.Statement.Principal.RAM", f"[{str(one)[:80]}]", legal)
    return [str(one) for one in several]


def _several(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else [value]
