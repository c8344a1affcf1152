"""What principals may do: their policies, looked up, made ready and asked.

The account itself is never asked. A policy that is bounded to a workspace counts only for objects of
that workspace. Rules are kept per principal until anything about identities changes.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from pierhead.core.errors import Invalid
from pierhead.core.permits import Powers, refusal
from pierhead.core.policy import Decision, Policy, Request, Rules, parse
from pierhead.core.principals import Principal
from pierhead.core.system_policies import SYSTEM
from pierhead.operations.platform import Platform
from pierhead.store import grants

__all__ = ["MOST", "Authority", "powers_of", "refusal"]

T = TypeVar("T")
#: Principals whose rules are kept: temporary ones come and go.
MOST = 512
_SESSION_POLICY = "(policy of the assumption)"


@dataclass(slots=True)
class Authority:
    """Decides. The revision is read at each decision, so a change counts from the next call on."""

    platform: Platform
    _held: OrderedDict[str, Powers] = field(default_factory=OrderedDict[str, Powers])

    async def demand(self, principal: Principal, request: Request, workspace: str = "") -> None:
        """Let it pass, or refuse it.

        Raises:
            Forbidden: no policy allows it, or one denies it; says which of the two.
            Unavailable: the database does not answer.
        """
        decision = await self.decide(principal, request, workspace)
        if not decision.allowed:
            raise refusal(request.actions[0], request.resources[0], decision)

    async def decide(self, principal: Principal, request: Request, workspace: str = "") -> Decision:
        """May `principal` do it to an object of `workspace`?

        Raises:
            Unavailable: the database does not answer.
        """
        (found,) = await self.decide_all(principal, [(request, workspace)])
        return found

    async def decide_all(
        self, principal: Principal, asked: Sequence[tuple[Request, str]]
    ) -> list[Decision]:
        """As `decide`, for several objects at once: a list, say.

        Raises:
            Unavailable: the database does not answer.
        """
        if principal.account != self.platform.account:
            return [Decision(allowed=False) for _ in asked]
        if principal.admin:
            return [Decision(allowed=True) for _ in asked]
        powers, _nothing = await self.powers(principal, _nothing_else)
        return [powers.decide(request, workspace) for request, workspace in asked]

    async def powers(
        self, principal: Principal, look: Callable[[Connection], T]
    ) -> tuple[Powers, T]:
        """The rules of a principal who is not the account, and what `look` finds in the same moment.

        Raises:
            Unavailable: the database does not answer.
        """
        key = f"{principal.kind}\n{principal.id}\n{principal.name}\n{principal.session_policy}"
        known = self._held.get(key)
        revision, granted, found = await self.platform.db.read(
            _granted, principal, known.revision if known is not None else None, look
        )
        if known is not None and granted is None:
            if key in self._held:  # it may have been dropped while the database was asked
                self._held.move_to_end(key)
            return known, found
        powers = self._held[key] = powers_of(revision, granted or [], principal.session_policy)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return powers, found


def powers_of(revision: int, granted: Sequence[grants.Granted], session: str = "") -> Powers:
    """The rules that a principal's policies come to."""
    of: dict[str, list[Policy]] = {"": []}
    for one in granted:
        of.setdefault(one.workspace, []).append(_policy(one))
    everywhere = of.pop("")
    return Powers(
        revision,
        Rules(everywhere),
        {workspace: Rules(everywhere + policies) for workspace, policies in of.items()},
        Rules([_parsed(_SESSION_POLICY, session)]) if session else None,
    )


def _granted(
    tx: Connection, principal: Principal, known: int | None, look: Callable[[Connection], T]
) -> tuple[int, list[grants.Granted] | None, T]:
    """(revision, everything granted, what `look` finds); what is granted only if it is not known."""
    revision = grants.revision(tx)
    granted = None if revision == known else grants.documents(tx, principal)
    return revision, granted, look(tx)


def _nothing_else(_tx: Connection) -> None:
    """Looks at nothing."""


def _policy(granted: grants.Granted) -> Policy:
    if granted.kind == "System":
        return SYSTEM.get(granted.name) or Policy(granted.name, ())
    return _parsed(granted.name, granted.document)


def _parsed(name: str, document: str) -> Policy:
    """Ready to be evaluated; one that an older release let pass and this one does not denies everything."""
    try:
        return parse(name, document)
    except Invalid:
        return _DENIES_ALL


_DENIES_ALL = parse(
    "(unreadable policy)",
    '{"Version":"1","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}',
)
