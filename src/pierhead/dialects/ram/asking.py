"""What policies are asked about a call: its action, and the ARNs of what it is about.

Calls of the vendor's APIs are about users, groups, roles and policies, which no policy knows by other
names. Those of our own are also about services, which have many, and about workspaces.
"""

import re
from collections.abc import Mapping

from pierhead.core.aliases import Noun
from pierhead.core.names import by_id
from pierhead.core.permits import Deed, Target
from pierhead.core.policy import Request
from pierhead.core.principals import USER, Principal
from pierhead.dialects.ram.catalog import Operation

_PLACE = re.compile(r"\{(\w+)\}")
_SERVICE, _WORKSPACE = "service/", "workspace/"
_ID = "eas-m-"  #: how the id of a service begins


def requests(
    operation: Operation, given: Mapping[str, str], principal: Principal, context: Mapping[str, str]
) -> list[Request]:
    """One request for each thing that the call is about; all must be allowed.

    `given` are the parameters as they came: who may not call is not told what is wrong with them.
    """
    names = dict(given)
    if not names.get("UserName"):  # who asks is meant; a role has no such things
        names["UserName"] = principal.name if principal.kind == USER else ""
    return [
        Request((operation.action,), _arns(template, names, principal.account), context)
        for template in operation.resources
    ]


def _arns(template: str, names: Mapping[str, str], account: str) -> tuple[str, ...]:
    """The names of one thing; RAM has no regions, so policies say `*` or nothing in that place."""
    noun = _PLACE.sub(lambda place: names.get(place[1], ""), template)
    shipped = template.startswith("policy/") and names.get("PolicyType") == "System"
    owner = "system" if shipped else account
    return (f"acs:ram:*:{owner}:{noun}", f"acs:ram::{owner}:{noun}")


def deed(operation: Operation, given: Mapping[str, str], context: Mapping[str, str]) -> Deed:
    """What a call of our own API is about to do; each of its targets must be allowed.

    `service/...` is a service under all its names, `workspace/...` is judged in that workspace.
    """
    actions = (operation.action, *operation.also)
    targets = (_target(one, given, operation.lists) for one in operation.resources)
    return Deed(actions, tuple(targets), context)


def told(target: Target, account: str) -> str:
    """A target as the audit trail names it."""
    return f"acs:{target.told[0]}:*:{account}:{target.told[1]}"


def service_name(text: str) -> str:
    """What a service is found by: its name, or its id as EAS has it."""
    return by_id(text.removeprefix(_ID)) if text.startswith(_ID) else text


def _target(template: str, given: Mapping[str, str], lists: tuple[str, ...]) -> Target:
    noun = _PLACE.sub(lambda place: given.get(place[1], ""), template)
    own: Noun = ("pierhead", noun)
    if noun.startswith(_SERVICE):
        called = service_name(noun.removeprefix(_SERVICE))
        return Target(("eas", noun), service=called, lists=lists)
    within = noun.removeprefix(_WORKSPACE) if noun.startswith(_WORKSPACE) else ""
    return Target(own, workspace="" if within == "*" else within, lists=lists)
