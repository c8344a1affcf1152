"""What principals may do: their policies, looked up, made ready and asked.

The account itself is never asked. A policy that is bounded to a workspace counts only for objects of
that workspace. Rules are kept per principal until anything about identities changes.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core.errors import Forbidden, Invalid
from pierhead.core.policy import Decision, Policy, Request, Rules, parse
from pierhead.core.principals import Principal
from pierhead.core.system_policies import SYSTEM
from pierhead.operations.platform import Platform
from pierhead.store import grants

#: Principals whose rules are kept: temporary ones come and go.
MOST = 512
_SESSION_POLICY = "(session policy)"


@dataclass(frozen=True, slots=True)
class _Held:
    """A principal's rules at one revision of all identities."""

    revision: int
    everywhere: Rules
    #: Workspace -> what counts in it, what counts everywhere included.
    within: dict[str, Rules]
    session: Rules | None = None

    def of(self, workspace: str) -> Rules:
        """The rules for an object of a workspace."""
        return self.within.get(workspace, self.everywhere) if workspace else self.everywhere


@dataclass(slots=True)
class Authority:
    """Decides; `revision` is asked at each decision, so a change counts from the next call on."""

    platform: Platform
    _held: OrderedDict[str, _Held] = field(default_factory=OrderedDict[str, _Held])

    async def demand(self, principal: Principal, request: Request, workspace: str = "") -> None:
        """Let it pass, or refuse it.

        Raises:
            Forbidden: no policy allows it, or one denies it; says which of the two.
            Unavailable: the database does not answer.
        """
        decision = await self.decide(principal, request, workspace)
        if not decision.allowed:
            raise refusal(request, decision)

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
        held = await self._rules(principal)
        return [_decided(held, request, workspace) for request, workspace in asked]

    async def _rules(self, principal: Principal) -> _Held:
        key = f"{principal.kind}\n{principal.id}\n{principal.name}\n{principal.session_policy}"
        known = self._held.get(key)
        revision, granted = await self.platform.db.read(
            _granted, principal, known.revision if known is not None else None
        )
        if known is not None and granted is None:
            self._held.move_to_end(key)
            return known
        found = self._held[key] = _ready(revision, granted or [], principal.session_policy)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return found


def refusal(request: Request, decision: Decision) -> Forbidden:
    """What is told of a denial: the deed, the object's first name, and which policy said so."""
    why = f"policy {decision.policy}, statement {decision.statement}" if decision.explicit else ""
    return Forbidden(
        request.actions[0], request.resources[0], explicit=decision.explicit, because=why
    )


def _granted(
    tx: Connection, principal: Principal, known: int | None
) -> tuple[int, list[grants.Granted] | None]:
    """(revision, everything granted), or without the latter when that is known already."""
    revision = grants.revision(tx)
    return revision, None if revision == known else grants.documents(tx, principal)


def _ready(revision: int, granted: Sequence[grants.Granted], session: str) -> _Held:
    of: dict[str, list[Policy]] = {"": []}
    for one in granted:
        of.setdefault(one.workspace, []).append(_policy(one))
    everywhere = of.pop("")
    return _Held(
        revision,
        Rules(everywhere),
        {workspace: Rules(everywhere + policies) for workspace, policies in of.items()},
        Rules([parse(_SESSION_POLICY, session)]) if session else None,
    )


def _policy(granted: grants.Granted) -> Policy:
    """Ready to be evaluated; one that an older release let pass and this one does not denies everything."""
    if granted.kind == "System":
        return SYSTEM.get(granted.name) or Policy(granted.name, ())
    try:
        return parse(granted.name, granted.document)
    except Invalid:
        return _DENIES_ALL


def _decided(held: _Held, request: Request, workspace: str) -> Decision:
    decision = held.of(workspace).decide(request)
    if not decision.allowed or held.session is None:
        return decision
    narrowed = held.session.decide(request)
    return decision if narrowed.allowed else narrowed


_DENIES_ALL = parse(
    "(unreadable policy)",
    '{"Version":"1","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}',
)
