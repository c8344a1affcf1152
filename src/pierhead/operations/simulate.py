"""What would policies say? The decision about a deed that nobody does, and everything that spoke of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core.errors import Invalid, NotFound
from pierhead.core.names import by_id
from pierhead.core.permits import Deed, Target
from pierhead.core.policy import Decision, Spoken
from pierhead.core.principals import ROLE, USER, Principal
from pierhead.core.registry import ResourceType
from pierhead.operations.permission import Permission
from pierhead.store import roles, users


@dataclass(frozen=True, slots=True)
class Question:
    """Who does what to which object, under which circumstances."""

    principal: (
        str  #: `root`, a user's name, `user/<name>`, `role/<name>`, or the ARN of one of these
    )
    action: str  #: such as `eas:DescribeService`
    #: An ARN, or what follows region and account in one: `service/chat`. A service that is there is
    #: judged by all its names.
    resource: str
    context: Mapping[str, str] = field(default_factory=dict[str, str])  #: acs:SourceIp and so on
    workspace: str = ""  #: of an object that is not there, or is still to be made


@dataclass(frozen=True, slots=True)
class Simulation:
    """The answer, and what it comes from."""

    principal: Principal
    actions: tuple[str, ...]  #: all names of the deed: a Deny of any denies it
    resources: tuple[str, ...]  #: all names of the object
    workspace: str
    context: Mapping[str, str]  #: with the labels of the object
    decision: Decision
    spoken: tuple[Spoken, ...]  #: every statement that speaks of the actions


async def simulate(permission: Permission, question: Question) -> Simulation:
    """What policies say.

    Raises:
        NotFound: there is no such user or role.
        Invalid: action or resource is none.
        Unavailable: the database does not answer.
    """
    target = target_of(question.action, question.resource, question.workspace)
    principal = await permission.platform.db.read(_principal, permission, question.principal)
    deed = Deed((question.action,), (target,), dict(question.context))
    if principal.admin:
        return Simulation(
            principal, deed.actions, (), question.workspace, question.context, _MAY, ()
        )
    (found,) = await permission.explain(principal, deed)
    request = found.request
    return Simulation(
        principal,
        request.actions,
        request.resources,
        found.workspace,
        request.context,
        found.decision,
        found.spoken,
    )


def target_of(action: str, resource: str, workspace: str = "") -> Target:
    """The object that an action is done to; `workspace` counts if it is not there, or is to be made.

    Raises:
        Invalid: action or resource is none.
    """
    noun = _noun(action, resource)
    head, _, last = noun[1].rpartition("service/")
    if noun[0] == "eas" and last and "*" not in last and (not head or head.startswith("resource/")):
        name = by_id(last.removeprefix(_ID)) if last.startswith(_ID) else last
        return Target(noun, service=name, workspace=workspace, actions=(action,))
    kind, _, uuid = noun[1].partition("/")
    known = kind in set(ResourceType) and "*" not in uuid
    return Target(
        noun,
        kind=kind if known else "",
        uuid=uuid if known else "",
        workspace=workspace,
        actions=(action,),
    )


def _noun(action: str, resource: str) -> tuple[str, str]:
    """What the target is called."""
    service, _, name = action.partition(":")
    if not service or not name or "*" in action:
        raise Invalid("action", f"[{action[:80]}]", "one action, such as eas:StopService")
    parts = resource.split(":", 4)
    if resource == "*":
        return service, "*"
    if parts[0] == "acs" and len(parts) == 5:
        return parts[1], parts[4]
    if ":" not in resource and resource:
        return service, resource
    raise Invalid("resource", f"[{resource[:80]}]", "an ARN, or like service/chat")


def _principal(tx: Connection, permission: Permission, text: str) -> Principal:
    account = permission.platform.account
    name = text.removeprefix(f"acs:ram::{account}:")
    if name in {"root", account}:
        return Principal(account, account)
    kind, slash, rest = name.partition("/")
    if kind == "role" and slash:
        role = roles.find(tx, rest)
        if role is None:
            raise NotFound("Role", rest)
        return Principal(account, f"{role.id}:simulated", ROLE, f"{role.name}/simulated")
    user = users.find(tx, rest if kind == "user" and slash else name)
    if user is None:
        raise NotFound("User", name)
    return Principal(account, user.id, USER, user.name)


_MAY = Decision(allowed=True)
_ID = "eas-m-"  #: how an id begins in an ARN
