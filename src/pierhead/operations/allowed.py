"""May somebody do this and that? Asked ahead of the deed, so that pages offer what will be done.

It is no promise: the door asks again when the deed is done, with all that is known by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pierhead.core.permits import Deed
from pierhead.core.principals import Principal
from pierhead.operations.permission import Explained, Permission
from pierhead.operations.simulate import target_of

#: Resource that stands for anything at all: allowed if there is something that a policy allows it on.
ANYTHING = "*"


@dataclass(frozen=True, slots=True)
class Asked:
    """One deed."""

    action: str  #: such as `eas:StopService`
    resource: str  #: an ARN, or `*` for anything at all


@dataclass(frozen=True, slots=True)
class Answer:
    """What policies say of it."""

    asked: Asked
    allowed: bool
    reason: str  #: one sentence, which names the action


async def allowed(
    permission: Permission,
    principal: Principal,
    asked: Sequence[Asked],
    circumstances: Mapping[str, str],
) -> list[Answer]:
    """An answer to each, in order, as of one moment. `circumstances`: acs:SourceIp and so on.

    Raises:
        Invalid: an action or a resource is none.
        Unavailable: the database does not answer.
    """
    targets = [target_of(one.action, one.resource) for one in asked]
    if principal.admin:
        because = "The account itself may do everything, {} too."
        return [Answer(one, allowed=True, reason=because.format(one.action)) for one in asked]
    if not asked:
        return []
    deed = Deed((asked[0].action,), tuple(targets), dict(circumstances))
    found = await permission.explain(principal, deed)
    return [_answer(one, said) for one, said in zip(asked, found, strict=True)]


def _answer(asked: Asked, said: Explained) -> Answer:
    decision, action = said.decision, asked.action
    where = "" if asked.resource == ANYTHING else f" on {asked.resource}"
    by = f"policy {decision.policy}, statement {decision.statement}"
    if decision.allowed:
        return Answer(asked, allowed=True, reason=f"{action} is allowed{where}: {by}.")
    if decision.explicit:
        return Answer(asked, allowed=False, reason=f"{action} is denied{where}: {by}.")
    if asked.resource == ANYTHING and said.somewhere:
        return Answer(asked, allowed=True, reason=f"{action} is allowed on some objects.")
    return Answer(asked, allowed=False, reason=f"No policy allows {action}{where}.")
