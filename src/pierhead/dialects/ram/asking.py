"""What policies are asked about a call: its action, and the ARNs of what it is about."""

import re
from collections.abc import Mapping

from pierhead.core.policy import Request
from pierhead.core.principals import USER, Principal
from pierhead.dialects.ram.catalog import Operation

_PLACE = re.compile(r"\{(\w+)\}")


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
