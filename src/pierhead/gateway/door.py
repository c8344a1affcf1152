"""The door of the services: what a credential opens, and whether its limits let one more request in."""

from random import Random

from pierhead.core.ids import Clock
from pierhead.core.routes import RouteToken
from pierhead.gateway import answers
from pierhead.gateway.answers import NoUpstream
from pierhead.gateway.asking import Asked
from pierhead.gateway.call import Call
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.ledger import Ledger
from pierhead.gateway.table import Change, Gate, LiveTable, Served
from pierhead.gateway.tokens import Credential, bare, credential
from pierhead.gateway.traffic import Groups, pick


class Door:
    """Judges by the newest table."""

    def __init__(self, live: LiveTable, ledger: Ledger, clock: Clock, chance: Random) -> None:
        """`clock`: epoch seconds, by which tokens end; `chance` shares out the traffic of groups."""
        self.live = self._live = live  #: the tables that it judges by
        self._ledger, self._clock, self._chance = ledger, clock, chance
        self._groups = Groups(live.served.services.values() if live.served else ())
        live.watchers.append(self._follow)

    def _follow(self, served: Served, change: Change) -> None:
        del served
        self._groups = self._groups.after(change)

    def member(
        self, name: str, shown: Credential | None, session: bytes
    ) -> tuple[Gate, RouteToken | None]:
        """A member of the group of this name that the credential opens, with the token that did.

        `session`: what the client wants to stay together; b"" = nothing.

        Raises:
            Refusal: there is no such group, or the credential opens none of its members.
            NoUpstream: none of these takes part in its traffic.
        """
        group = self._groups.of(name)
        if group is None:
            raise answers.no_service(name)
        opened = group.opened(shown, self._clock())
        if not opened:
            raise answers.bad_token()
        picked = pick(opened, self._chance, session)
        if picked is None:
            raise NoUpstream
        return picked.gate, picked.token

    @property
    def served(self) -> Served:
        """The newest table.

        Raises:
            NoUpstream: just started, and never yet heard of any service.
        """
        if self._live.served is None:
            raise NoUpstream
        return self._live.served

    def gate(self, name: str) -> Gate:
        """The service of this name or alias.

        Raises:
            Refusal: there is none.
        """
        gate = self.served.gates.get(name)
        if gate is None:
            raise answers.no_service(name)
        return gate

    def token(self, gate: Gate, shown: Credential | None) -> RouteToken | None:
        """What was shown, as the token of a service; None for one that asks for none.

        Raises:
            Refusal: it does not open this service.
        """
        if gate.route.open:
            return None
        token = shown.opens(gate.locks, self._clock()) if shown else None
        if token is None:
            raise answers.bad_token()
        return token

    def opened(self, shown: Credential | None) -> dict[str, RouteToken | None]:
        """Ids of the services that a credential opens, each with its token; None = it asks for none.

        Raises:
            Refusal: it opens none.
        """
        opened = self.served.opened(shown, self._clock())
        if not opened:
            raise answers.bad_token()
        return opened

    def demand_any(self, shown: Credential | None) -> None:
        """Raises Refusal if a credential opens no service."""
        if not self.served.opens_any(shown, self._clock()):
            raise answers.bad_token()

    def model(
        self, name: str, shown: Credential | None, session: bytes = b""
    ) -> tuple[Gate, RouteToken | None]:
        """The service that a model's name means, with the token that opens it; None = it asks for none.

        A group's name means one of its members, by their weights; `session`: see `member`.

        Raises:
            Refusal: the credential opens none of this name, or none at all.
            NoUpstream: it is a group's, and none of its members takes part in its traffic.
        """
        gate = self.served.gates.get(name)
        if gate is not None and gate.route.listed:
            if gate.route.open:
                return gate, None
            token = shown.opens(gate.locks, self._clock()) if shown else None
            if token is not None:
                return gate, token
        self.demand_any(shown)
        group = self._groups.of(name) if gate is None else None
        opened = group.opened(shown, self._clock()) if group is not None else ()
        speaking = [one for one in opened if one.gate.route.listed]
        if not speaking:
            raise answers.no_model(name)
        picked = pick(speaking, self._chance, session)
        if picked is None:
            raise NoUpstream
        return picked.gate, picked.token

    def awake(self, gate: Gate) -> Gate:
        """What the newest table says of it.

        Raises:
            NoUpstream: no replica is ready, and no request wakes one.
        """
        newest = self.current(gate.route.service)
        if newest is None or not (newest.route.targets or newest.route.wakes):
            raise NoUpstream
        return newest

    def current(self, service: str) -> Gate | None:
        """What the newest table says of a service, by its id; None once it is gone."""
        served = self._live.served
        return served.services.get(service) if served is not None else None

    def let_in(
        self, exchange: Exchange, gate: Gate, token: RouteToken | None, asked: Asked
    ) -> Call:
        """A request that goes to a replica; the caller ends its entry.

        Raises:
            Refusal: a limit of the token stands against it.
        """
        route = gate.route
        entry = self._ledger.enter(route, token, asked)
        legible = route.api == "openai"
        if not legible and token is not None:
            limits = token.limits
            legible = limits.tpm is not None or limits.monthly_tokens is not None
        return Call(exchange, route, asked, entry, legible=legible)


def shown(exchange: Exchange) -> Credential | None:
    """What the request shows; None without a usable `Authorization`, or what stands for it."""
    token = exchange.head.token
    if token is not None:
        return bare(token)
    return credential(exchange.method, exchange.head.path, exchange.head.headers)
