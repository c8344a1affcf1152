"""Policies and their versions. Shipped ones are listed with the others and nobody's to change."""

import re
from typing import Literal

from sqlalchemy import Connection

from pierhead.core.errors import Conflict, Duplicate, Forbidden, NotFound, TooMany
from pierhead.core.identities import (
    MOST_VERSIONS,
    PolicyKind,
    PolicyRecord,
    PolicyVersion,
    check_name,
)
from pierhead.core.policy import parse
from pierhead.core.principals import Principal
from pierhead.core.system_policies import DOCUMENTS
from pierhead.operations.iam import common
from pierhead.operations.iam.users import check_text, refuse_in_use
from pierhead.operations.platform import Platform
from pierhead.store import grants
from pierhead.store import policies as rows

_DESCRIPTION = 1024  #: characters
_VERSION = re.compile(r"v([1-9]\d{0,8})")


async def create_policy(
    platform: Platform, actor: Principal, name: str, document: str, description: str = ""
) -> PolicyRecord:
    """Make a policy with this document as version v1.

    Raises:
        Invalid: name, document or description are not legal; of a document the message names the place.
        Duplicate: there is one of that name, or a shipped one.
        Unavailable: the database does not answer.
    """
    check_name("Policy", name)
    check_text("description", description, _DESCRIPTION)
    parse(name, document)
    if name in DOCUMENTS:  # a denial names a policy; it must be clear which
        raise Duplicate("Policy", name, "exists already: it is shipped")
    now = platform.clock()
    made = PolicyRecord(name, "Custom", description, document, created=now, updated=now)
    await common.write(platform, rows.add, made)
    return made


async def get_policy(
    platform: Platform, actor: Principal, kind: PolicyKind, name: str
) -> PolicyRecord:
    """A policy with its default version's document.

    Raises:
        NotFound: there is none of that kind and name.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(common.policy, kind, name)


async def list_policies(
    platform: Platform,
    actor: Principal,
    kind: PolicyKind | Literal[""] = "",
    marker: str = "",
    max_items: int = common.USUAL_ITEMS,
) -> tuple[list[PolicyRecord], str]:
    """Policies of a kind ("" = both) by name, and the marker of the next page; "" = that was all.

    Raises:
        Invalid: `max_items` is not 1 to 1000.
        Unavailable: the database does not answer.
    """
    common.check_page(max_items)
    found = await platform.db.read(_page, kind, marker, max_items + 1)
    return common.cut(found, max_items, lambda policy: policy.name)


async def delete_policy(platform: Platform, actor: Principal, name: str) -> None:
    """Delete a policy.

    Raises:
        NotFound: there is none.
        InUse: somebody has it, or it has versions besides the default one; the message names them.
        Forbidden: it is a shipped one.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _delete, name)


async def create_policy_version(
    platform: Platform, actor: Principal, name: str, document: str, *, default: bool = False
) -> PolicyVersion:
    """Add a document to a policy; `default`: it is the one that counts from now on.

    Raises:
        NotFound: there is no such policy.
        Invalid: the document is not legal; the message names the place.
        TooMany: it has 5 versions.
        Forbidden: it is a shipped one.
        Unavailable: the database does not answer.
    """
    parse(name, document)
    return await common.write(
        platform, _add_version, name, document, platform.clock(), default=default
    )


async def get_policy_version(
    platform: Platform, actor: Principal, kind: PolicyKind, name: str, version: str
) -> PolicyVersion:
    """One version (`v1`, `v2`, ...) of a policy.

    Raises:
        NotFound: there is no such policy or version.
        Unavailable: the database does not answer.
    """
    found = await list_policy_versions(platform, actor, kind, name)
    return _one(found, version)


async def list_policy_versions(
    platform: Platform, actor: Principal, kind: PolicyKind, name: str
) -> list[PolicyVersion]:
    """The versions that are kept, oldest first; a shipped policy has one.

    Raises:
        NotFound: there is no such policy.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(_versions, kind, name)


async def set_default_policy_version(
    platform: Platform, actor: Principal, name: str, version: str
) -> None:
    """Let another version be the one that counts.

    Raises:
        NotFound: there is no such policy or version.
        Forbidden: it is a shipped one.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _set_default, name, version, platform.clock())


async def delete_policy_version(
    platform: Platform, actor: Principal, name: str, version: str
) -> None:
    """Forget a version; its number is not used again.

    Raises:
        NotFound: there is no such policy or version.
        Conflict: it is the default one.
        Forbidden: it is a shipped one.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _delete_version, name, version)


def _page(
    tx: Connection, kind: PolicyKind | Literal[""], marker: str, limit: int
) -> list[PolicyRecord]:
    custom = rows.page(tx, marker, limit) if kind != "System" else []
    names = sorted(DOCUMENTS) if kind != "Custom" else []
    shipped = [common.policy(tx, "System", name) for name in names if name > marker]
    return sorted(custom + shipped, key=lambda policy: policy.name)[:limit]


def _delete(tx: Connection, name: str) -> None:
    _mine(tx, "DeletePolicy", name)
    attached = grants.of_policy(tx, "Custom", name)
    having = {
        kind: [one.target for one in attached if one.target_kind == kind]
        for kind in ("User", "Group", "Role")
    }
    having["Version"] = [version.id for version in rows.versions(tx, name) if not version.default]
    refuse_in_use("Policy", name, having)
    rows.remove(tx, name)


def _versions(tx: Connection, kind: PolicyKind, name: str) -> list[PolicyVersion]:
    known = common.policy(tx, kind, name)
    if kind == "System":
        return [PolicyVersion("v1", known.document, known.created, default=True)]
    return rows.versions(tx, name)


def _add_version(
    tx: Connection, name: str, document: str, now: float, *, default: bool
) -> PolicyVersion:
    _mine(tx, "CreatePolicyVersion", name)
    if len(rows.versions(tx, name)) >= MOST_VERSIONS:
        raise TooMany("Policy", name, "Version", MOST_VERSIONS)
    return rows.add_version(tx, name, document, now, default=default)


def _set_default(tx: Connection, name: str, version: str, now: float) -> None:
    _mine(tx, "SetDefaultPolicyVersion", name)
    rows.set_default(tx, name, _number(rows.versions(tx, name), version), now)


def _delete_version(tx: Connection, name: str, version: str) -> None:
    _mine(tx, "DeletePolicyVersion", name)
    found = rows.versions(tx, name)
    number = _number(found, version)
    if _one(found, version).default:
        problem = f"{version} is the default one: let another one be it first"
        raise Conflict("Policy.Version", name, problem)
    rows.remove_version(tx, name, number)


def _mine(tx: Connection, action: str, name: str) -> PolicyRecord:
    """The custom policy of that name."""
    if name in DOCUMENTS:
        raise Forbidden(f"ram:{action}", f"policy {name}", because="it is shipped")
    return common.policy(tx, "Custom", name)


def _one(found: list[PolicyVersion], version: str) -> PolicyVersion:
    for one in found:
        if one.id == version:
            return one
    raise NotFound("Policy.Version", version)


def _number(found: list[PolicyVersion], version: str) -> int:
    """The number of a version that is there."""
    shape = _VERSION.fullmatch(_one(found, version).id)
    if shape is None:
        raise NotFound("Policy.Version", version)
    return int(shape[1])
