"""The door of the services: what a credential opens, and whether its limits let one more request in."""

from pierhead.core.ids import Clock
from pierhead.core.routes import RouteToken
from pierhead.gateway import answers
from pierhead.gateway.answers import NoUpstream
from pierhead.gateway.asking import Asked
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.ledger import Ledger
from pierhead.gateway.table import Gate, LiveTable, Served
from pierhead.gateway.tokens import Credential, credential
from pierhead.gateway.upstream import Call


class Door:
    """Judges by the newest table."""

    def __init__(self, live: LiveTable, ledger: Ledger, clock: Clock) -> None:
        """`clock`: epoch seconds, by which tokens end."""
        self._live, self._ledger, self._clock = live, ledger, clock

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

    def require_upstream(self, gate: Gate) -> None:
        """Raises NoUpstream if no replica is ready."""
        if not self._live.targets(gate.route.service):
            raise NoUpstream

    def let_in(
        self, exchange: Exchange, gate: Gate, token: RouteToken | None, asked: Asked
    ) -> Call:
        """A request that goes to a replica; the caller ends its entry.

        Raises:
            Refusal: a limit of the token stands against it.
        """
        entry = self._ledger.enter(gate.route, token, asked)
        limits = token.limits if token else None
        bounded = limits is not None and not (limits.tpm is None and limits.monthly_tokens is None)
        legible = bounded or gate.route.api == "openai"
        return Call(exchange, gate.route, asked, entry, legible=legible)


def shown(exchange: Exchange) -> Credential | None:
    """What the request shows; None without a usable `Authorization`."""
    return credential(exchange.method, exchange.raw_path.decode("latin-1"), exchange.headers)
