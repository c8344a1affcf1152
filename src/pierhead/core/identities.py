"""Users, groups and roles of an account, policies, and who has which: the nouns of RAM.

Wire facts: Alibaba Cloud RAM 2015-05-01. Names are unique per kind and account and compared without
regard to case where RAM does so (policies and roles keep their spelling).
"""

import re
from dataclasses import dataclass
from typing import Literal

from pierhead.core.errors import Invalid

PolicyKind = Literal["Custom", "System"]
TargetKind = Literal["User", "Group", "Role"]

_USER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GROUP = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ROLE = re.compile(r"[A-Za-z0-9.-]{1,64}")
_POLICY = re.compile(r"[A-Za-z0-9-]{1,128}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # of quotas, workspaces and tokens
_SESSION = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
#: Versions of a policy that are kept; the default one among them.
MOST_VERSIONS = 5
#: Seconds that STS credentials may live, at the least and the most, and when nothing is said.
SHORTEST_SESSION, LONGEST_SESSION, USUAL_SESSION = 900, 43200, 3600


@dataclass(frozen=True, slots=True)
class User:
    """A RAM user; ZStack knows it as a user of the account."""

    id: str  #: 18 digits
    name: str
    display_name: str = ""
    comments: str = ""
    email: str = ""
    mobile: str = ""
    created: float = 0.0
    updated: float = 0.0
    last_login: float | None = None  #: with a password


@dataclass(frozen=True, slots=True)
class Group:
    """Users that share policies."""

    id: str
    name: str
    comments: str = ""
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class Role:
    """What somebody may become for a while."""

    id: str  #: 18 digits
    name: str
    trust: str  #: AssumeRolePolicyDocument: who may
    description: str = ""
    max_session: int = USUAL_SESSION  #: seconds
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One document of a policy."""

    id: str  #: `v1`, `v2`, ...
    document: str
    created: float
    default: bool


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A policy as it is managed; `core.policy.Policy` is what is evaluated."""

    name: str
    kind: PolicyKind
    description: str = ""
    document: str = ""  #: of the default version
    default_version: str = "v1"
    attachments: int = 0
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class Attachment:
    """Who has a policy; `workspace` bounds it to the objects of one workspace ("" = all)."""

    policy: str
    policy_kind: PolicyKind
    target: str  #: name of the user, group or role
    target_kind: TargetKind
    workspace: str = ""
    created: float = 0.0


@dataclass(frozen=True, slots=True)
class LoginProfile:
    """That a user may log in with a password."""

    user: str  #: name
    created: float


@dataclass(frozen=True, slots=True)
class Attached:
    """A policy as it is listed with its target: since when, where, and what it is."""

    attachment: Attachment
    policy: PolicyRecord


def check_name(kind: str, text: str) -> str:
    """The name of a `User`, `Group`, `Role`, `Policy`, `Session`, `Quota` or `Workspace`, if it is legal.

    Raises:
        Invalid: it is not.
    """
    rules = {"User": _USER, "Group": _GROUP, "Role": _ROLE, "Policy": _POLICY, "Session": _SESSION}
    rules |= {"Quota": _ID, "Workspace": _ID, "ServiceToken": _ID}
    legal = {
        "User": "1 to 64 letters, digits, `.`, `_`, `-`",
        "Group": "1 to 64 letters, digits, `.`, `-`",
        "Role": "1 to 64 letters, digits, `.`, `-`",
        "Policy": "1 to 128 letters, digits, `-`",
        "Session": "2 to 64 letters, digits, `.`, `@`, `_`, `-`",
        "Quota": "1 to 64 letters, digits, `.`, `_`, `-`",
        "Workspace": "1 to 64 letters, digits, `.`, `_`, `-`",
        "ServiceToken": "1 to 64 letters, digits, `.`, `_`, `-`",
    }
    fields = {"Session": "RoleSessionName", "Quota": "QuotaId", "Workspace": "WorkspaceId"}
    fields["ServiceToken"] = "TokenName"
    field = fields.get(kind, f"{kind}Name")
    if rules[kind].fullmatch(text) is None:
        raise Invalid(field, f"[{text[:80]}]", legal[kind])
    return text
