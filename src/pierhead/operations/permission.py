"""May this call do what it is about to do? Asked once per call, before anything else is done for it.

The account itself may, at no cost. For everybody else the objects of the deed are looked up, so that
policies are asked under every name that an object has, with its labels, in its workspace; what is not
there is judged by the name that the call gives. All of that is one read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from pierhead.core.aliases import Realm, tags
from pierhead.core.errors import Forbidden
from pierhead.core.names import by_id
from pierhead.core.permits import ANY, Deed, Permit, Powers, Target, refusal
from pierhead.core.policy import Decision, Request, Spoken
from pierhead.core.principals import Principal
from pierhead.core.registry import ResourceType
from pierhead.core.services import Seen, Service
from pierhead.core.twins import Twins
from pierhead.operations.authority import Authority
from pierhead.operations.platform import Platform
from pierhead.store import centers, datasets, models, patterns, templates, zones
from pierhead.store import services as service_rows
from pierhead.store import tags as tag_rows

#: Names of registered objects, by what the wire calls their kind.
_NAMED: Mapping[str, Callable[[Connection, str], Any]] = {
    ResourceType.MODEL: models.load,
    ResourceType.TEMPLATE: templates.load,
    ResourceType.DATASET: datasets.load,
    ResourceType.CENTER: centers.load,
    "ZoneVO": zones.load,
    "TagPatternVO": patterns.load,
}


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found of a target."""

    target: Target
    service: tuple[Service, Seen] | None = None
    #: (kind, uuid, name) of registered objects that are meant, besides what the call names itself.
    things: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """What policies were asked of one object, and what each said."""

    request: Request
    workspace: str
    decision: Decision
    spoken: tuple[Spoken, ...]
    somewhere: bool  #: is there anything at all that a policy allows it on?


@dataclass(slots=True)
class Permission:
    """Asks for calls of every door."""

    platform: Platform
    authority: Authority
    twins: Twins = field(default_factory=Twins)
    _realm: Realm = field(init=False)

    def __post_init__(self) -> None:
        self._realm = Realm(self.platform.region, self.platform.account)

    async def ask(self, principal: Principal, deed: Deed) -> Principal:
        """The principal with what this call may touch; the account as it is.

        Raises:
            Forbidden: an object of the deed is not allowed; the message names the first.
            Unavailable: the database does not answer.
        """
        if principal.account != self.platform.account:
            raise Forbidden(deed.actions[0], self._realm.arn(deed.targets[0].told))
        if principal.admin:
            return principal
        powers, looked = await self.authority.powers(
            principal, lambda tx: [_look(tx, target) for target in deed.targets]
        )
        for one in looked:
            self._judge(powers, deed, one)
        return replace(principal, permit=self._permit(powers, deed, looked))

    async def explain(self, principal: Principal, deed: Deed) -> list[Explained]:
        """What policies say of each object of a deed of somebody who is not the account, and why.

        Raises:
            Unavailable: the database does not answer.
        """
        powers, looked = await self.authority.powers(
            principal, lambda tx: [_look(tx, target) for target in deed.targets]
        )
        asked = [self._request(deed, one) for one in looked]
        return [
            Explained(
                request,
                workspace,
                powers.decide(request, workspace),
                tuple(powers.spoken(request, workspace)),
                powers.mention(request.actions, request.context),
            )
            for request, workspace in asked
        ]

    def _judge(self, powers: Powers, deed: Deed, looked: _Looked) -> None:
        request, workspace = self._request(deed, looked)
        decision = powers.decide(request, workspace)
        if decision.allowed:
            return
        something = (powers.mention((each,), request.context) for each in looked.target.lists)
        if not decision.explicit and any(something):
            return  # a list in which there may be something
        named = looked.target.actions or deed.actions
        raise refusal(named[0], self._realm.arn(looked.target.told), decision)

    def _request(self, deed: Deed, looked: _Looked) -> tuple[Request, str]:
        target, found = looked.target, looked.service
        actions = target.actions or deed.actions
        arns = [self._realm.arn(noun) for noun in target.nouns]
        workspace, labels = target.workspace, target.labels
        if found is not None:
            # Not by what the call calls it: of a thing that is there only its own names count.
            actions = (*actions, *target.on_service)
            arns = [*self._realm.service(found[0]), *arns]
            workspace, labels = found[0].workspace, found[0].labels
        else:
            name = target.service or (target.uuid if target.kind == ResourceType.GROUP else "")
            more = self._realm.names(name) if name else ()
            arns = [self._realm.arn(target.told), *more, *arns]
        for kind, uuid, name in looked.things:
            arns += [self._realm.arn(("zstack", f"{kind}/{each}")) for each in (uuid, name)]
        context = {**deed.circumstances, **tags(labels)} if labels else deed.circumstances
        names = self.twins.all_of(actions)
        return Request(names, tuple(dict.fromkeys(arns)), context), workspace

    def _permit(self, powers: Powers, deed: Deed, looked: Sequence[_Looked]) -> Permit:
        on_service = dict.fromkeys(name for one in looked for name in one.target.on_service)
        made = next((one for one in looked if one.target.makes), None)
        found = next((one for one in looked if one.service is not None), None)
        return Permit(
            realm=self._realm,
            powers=powers,
            deed=self.twins.all_of(deed.actions),
            on_service=self.twins.all_of((*deed.actions, *on_service)),
            circumstances=deed.circumstances,
            made=() if made is None else self._request(deed, made)[0].resources,
            looked=_pair(found) if found is not None else None,
        )


def _pair(looked: _Looked) -> tuple[str, tuple[Service, Seen]] | None:
    """What was looked at, by the name that use cases find it by."""
    if looked.service is None or looked.target.kind == ANY:
        return None
    return looked.target.service or by_id(looked.target.uuid), looked.service


def _look(tx: Connection, target: Target) -> _Looked:
    if target.service:
        return _Looked(target, service_rows.find(tx, target.service))
    kind, uuid = target.kind, target.uuid
    tag = tag_rows.load(tx, target.tag) if target.tag else None
    if tag is not None:
        kind, uuid = str(tag.resource_type), tag.resource
    if not uuid:
        return _Looked(target)
    if kind in {ResourceType.GROUP, ANY}:
        found = service_rows.load(tx, uuid)
        if found is not None or kind != ANY:
            return _Looked(target, found)
    for each in _NAMED if kind == ANY else (kind,):
        thing = _NAMED[each](tx, uuid) if each in _NAMED else None
        if thing is not None:
            return _Looked(target, things=((each, uuid, thing.name),))
    return _Looked(target)
