"""What one call is about to do, what its principal may, and the permit that the call goes on with.

A door says the deed; `operations/permission.py` looks its objects up and asks; what comes of it is a
`Permit`, by which the use cases decide again on what they find at the moment they act: a list shows
only what its reader may see, and an object that changed hands meanwhile is not touched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pierhead.core.aliases import Noun, Realm, tags
from pierhead.core.conditions import Context
from pierhead.core.errors import Forbidden
from pierhead.core.policy import Decision, Request, Rules, Spoken
from pierhead.core.registry import ResourceType
from pierhead.core.services import Seen, Service
from pierhead.core.twins import CHANGE, LIST, LOOK, LOOK_AT_GROUPS

#: Kind of a target that only a uuid is known of.
ANY = "*"
#: What shows an object of a kind in lists.
QUERIES: Mapping[ResourceType, str] = {
    ResourceType.MODEL: "zstack:QueryModel",
    ResourceType.TEMPLATE: "zstack:QueryModelService",
    ResourceType.DATASET: "zstack:QueryDataset",
    ResourceType.CENTER: "zstack:QueryModelCenter",
    ResourceType.GROUP: LOOK_AT_GROUPS,
}
#: Names that nobody has, of two lengths: a pattern that fits both fits every name.
_ANY_NAME = ("\x01", "\x01\x02\x01")
_LISTED = (LIST, LOOK_AT_GROUPS)
_TOLD = (LOOK, LOOK_AT_GROUPS)
_LOOK = (LOOK,)


@dataclass(frozen=True, slots=True)
class Target:
    """One object of a deed. Each of a deed's targets must be allowed by itself."""

    told: Noun  #: what the call calls it: so a refusal names it, and so it is known if it is not there
    nouns: tuple[Noun, ...] = ()  #: further names that count whatever is found
    service: str = ""  #: what a service may be found by; if there is one, all its aliases count
    kind: str = ""  #: of a registered object or a group, with its uuid: its name counts, too
    uuid: str = ""
    tag: str = ""  #: uuid of a tag: the object that it hangs on is meant
    workspace: str = ""  #: in which something is to be made
    labels: Mapping[str, str] = field(default_factory=dict[str, str])  #: that it is to have
    actions: tuple[str, ...] = ()  #: instead of the deed's
    on_service: tuple[str, ...] = ()  #: further names of the deed where the object is a service
    #: Of a list: what lets an object be in it. It is enough that a policy allows one of these for
    #: anything at all; what may not be seen is left out of the answer.
    lists: tuple[str, ...] = ()
    makes: bool = False  #: a service is made


@dataclass(frozen=True, slots=True)
class Deed:
    """What a call is about to do, as its door understood it."""

    actions: tuple[str, ...]  #: the door's own name of it, and its twin of the other dialect
    targets: tuple[Target, ...]
    #: acs:SourceIp, acs:SecureTransport, acs:CurrentTime, acs:MFAPresent
    circumstances: Context = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Powers:
    """A principal's rules at one revision of all identities."""

    revision: int
    everywhere: Rules
    #: Workspace -> what counts in it, what counts everywhere included.
    within: Mapping[str, Rules] = field(default_factory=dict[str, Rules])
    session: Rules | None = None  #: of an assumed role: both must allow

    def decide(self, request: Request, workspace: str = "") -> Decision:
        """May they do it to an object of a workspace ("" = of none)?"""
        decision = self._of(workspace).decide(request)
        if not decision.allowed or self.session is None:
            return decision
        narrowed = self.session.decide(request)
        return decision if narrowed.allowed else narrowed

    def mention(self, actions: tuple[str, ...], context: Context) -> bool:
        """Is there anything that a policy lets them do so to, under these circumstances?"""
        if self.session is not None and not self.session.mention(actions, context):
            return False
        return self.everywhere.mention(actions, context) or any(
            rules.mention(actions, context) for rules in self.within.values()
        )

    def reach(self, actions: tuple[str, ...], context: Context) -> tuple[str, ...] | None:
        """The workspaces in which alone they may do so to anything; None = anywhere."""
        if self.everywhere.mention(actions, context):
            return None
        known = self.within.items()
        return tuple(workspace for workspace, rules in known if rules.mention(actions, context))

    def sweeping(self, request: Request) -> bool:
        """Is the answer the same for whatever the request's resources stand for, wherever it is?"""
        return (
            not self.within
            and self.everywhere.sweeping(request)
            and (self.session is None or self.session.sweeping(request))
        )

    def spoken(self, request: Request, workspace: str = "") -> Iterator[Spoken]:
        """Every statement that speaks of the actions."""
        yield from self._of(workspace).spoken(request)
        if self.session is not None:
            yield from self.session.spoken(request)

    def _of(self, workspace: str) -> Rules:
        return self.within.get(workspace, self.everywhere) if workspace else self.everywhere


@dataclass(frozen=True, slots=True)
class Permit:
    """What a call may touch. The account's calls carry none: they may touch everything."""

    realm: Realm
    powers: Powers
    deed: tuple[str, ...]  #: what it does, under all names
    on_service: tuple[str, ...]  #: the same, done to a service
    circumstances: Context
    made: tuple[
        str, ...
    ] = ()  #: resources under which making a service was allowed; () = it makes none
    #: What was looked at to decide, by the name that the call gives: nobody needs to read it again.
    looked: tuple[str, tuple[Service, Seen]] | None = None

    def touches(self, service: Service) -> bool:
        """May this call do what it does to this service, as it is now?"""
        return self._decide(self.on_service, service).allowed

    def demand(self, service: Service) -> None:
        """Let it be done to this service, as it is now.

        Raises:
            Forbidden: it may not be done.
        """
        decision = self._decide(self.on_service, service)
        if not decision.allowed:
            raise refusal(self.on_service[0], self.realm.names(service.name)[0], decision)

    def demand_made(self, service: Service) -> None:
        """Let this service be made.

        Raises:
            Forbidden: it may not be made so, or in that workspace.
        """
        context = {**self.circumstances, **tags(service.labels)}
        decision = self.powers.decide(Request(self.deed, self.made, context), service.workspace)
        if not decision.allowed:
            raise refusal(self.deed[0], self.made[0] if self.made else "*", decision)

    def is_bounded(self, service: Service) -> bool:
        """Is what this call does allowed only because of the workspace that the service is in?"""
        actions = self.deed if self.made else self.on_service
        resources = self.made or self.realm.service(service)
        context = {**self.circumstances, **tags(service.labels)}
        return not self.powers.decide(Request(actions, resources, context)).allowed

    def asked(self, actions: tuple[str, ...], noun: Noun, workspace: str = "") -> Decision:
        """What policies say of something else that the call comes to, in a workspace ("" = in none)."""
        request = Request(actions, (self.realm.arn(noun),), self.circumstances)
        return self.powers.decide(request, workspace)

    def sees(self, service: Service) -> bool:
        """May the service be in a list? By a right to list it, or to look at it."""
        decision = self._decide(_LISTED, service)
        return decision.allowed if decision.explicit else self._decide(_LOOK, service).allowed

    def reads(self, service: Service) -> bool:
        """May its token and its inner addresses be told?"""
        return self._decide(_TOLD, service).allowed

    def changes(self, service: Service) -> bool:
        """May this service be updated, whatever the call itself does?"""
        return self._decide(CHANGE, service).allowed

    @property
    def sees_all(self) -> bool:
        """Does it see every service, whatever its name, labels and workspace?"""
        names = tuple(name for each in _ANY_NAME for name in self.realm.names(each)[:1])
        request = Request(_LISTED, names, self.circumstances)
        return self.powers.sweeping(request) and self.powers.decide(request).allowed

    @property
    def reach(self) -> tuple[str, ...] | None:
        """The workspaces of all services that it can see at all; None = any."""
        found = [self.powers.reach(actions, self.circumstances) for actions in (_LISTED, _LOOK)]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        return tuple(dict.fromkeys(workspace for each in known for workspace in each))

    def admits(self, kind: ResourceType, uuid: str, name: str) -> bool:
        """May a registered object be in a list, as far as policies go?"""
        return self._listed(kind, uuid, name).allowed

    def hides(self, kind: ResourceType, uuid: str, name: str) -> bool:
        """Does a policy say that this object is not to be seen?"""
        decision = self._listed(kind, uuid, name)
        return decision.explicit and not decision.allowed

    def admits_all(self, kind: ResourceType) -> bool:
        """Are all objects of a kind admitted, whatever they are called?"""
        names = tuple(self.realm.arn(("zstack", f"{kind}/{name}")) for name in _ANY_NAME)
        request = Request((QUERIES[kind],), names, self.circumstances)
        return self.powers.sweeping(request) and self.powers.decide(request).allowed

    def _listed(self, kind: ResourceType, uuid: str, name: str) -> Decision:
        resources = [self.realm.arn(("zstack", f"{kind}/{each}")) for each in (uuid, name)]
        request = Request((QUERIES[kind],), tuple(resources), self.circumstances)
        return self.powers.decide(request)

    def _decide(self, actions: tuple[str, ...], service: Service) -> Decision:
        context = self.circumstances
        if service.labels:
            context = {**context, **tags(service.labels)}
        request = Request(actions, self.realm.service(service), context)
        return self.powers.decide(request, service.workspace)


def refusal(action: str, resource: str, decision: Decision) -> Forbidden:
    """What is told of a denial: the deed, the object, and which policy said so."""
    why = f"policy {decision.policy}, statement {decision.statement}" if decision.explicit else ""
    return Forbidden(action, resource, explicit=decision.explicit, because=why)
