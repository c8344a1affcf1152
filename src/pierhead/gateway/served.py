"""One revision of the route table, indexed for requests; and what differs between two of them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pierhead.core.routes import Route, RouteTable, RouteToken, Target
from pierhead.gateway.bounds import Bounds
from pierhead.gateway.tokens import Credential, Lock, Plain

_NO_NAMES: Final[Mapping[str, frozenset[str]]] = {}
_NO_LINES: Final[Mapping[str, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Gate:
    """A route with its tokens made ready for comparison."""

    route: Route
    locks: tuple[Lock, ...]
    bounds: Mapping[str, Bounds] = field(default_factory=dict[str, Bounds])  #: by name of token
    is_plain: bool = True  #: no request waits for its turn, or for a second to pass

    def opens(self, name: str) -> bool:
        """Is there still a token of this name? "" = none was shown."""
        return self.route.open or any(each.name == name for each in self.route.tokens)


@dataclass(frozen=True, slots=True)
class Served:
    """One revision, indexed. Never changed: requests in flight may hold an older one."""

    table: RouteTable
    gates: dict[str, Gate]  #: by name and alias
    services: dict[str, Gate]  #: by service id
    #: By SHA-256 of a token. Looking up a digest tells a prober nothing about any token.
    keys: dict[bytes, tuple[Gate, ...]] = field(repr=False)
    unlocked: tuple[Gate, ...] = ()  #: those that ask for no token
    #: Names that several services answer to -> their ids.
    contested: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NO_NAMES)
    #: The lines that routes came as, by service id; none of those that came otherwise.
    lines: Mapping[str, bytes] = field(default_factory=lambda: _NO_LINES, repr=False)

    def opened(self, shown: Credential | None, now: float) -> dict[str, RouteToken | None]:
        """Ids of the services that a credential opens, with its token, and of those that need none.

        `now`: epoch seconds.
        """
        found: dict[str, RouteToken | None] = {}
        if shown is not None:
            for gate in self._near(shown):
                token = shown.opens(gate.locks, now)
                if token is not None:
                    found[gate.route.service] = token
        return found | {gate.route.service: None for gate in self.unlocked}

    def opens_any(self, shown: Credential | None, now: float) -> bool:
        """Does a credential open any service, or is there one that asks for none?"""
        if self.unlocked:
            return True
        near = () if shown is None else self._near(shown)
        return shown is not None and any(shown.opens(gate.locks, now) for gate in near)

    def _near(self, shown: Credential) -> Iterable[Gate]:
        """Those that are worth a comparison."""
        if isinstance(shown, Plain):
            return [gate for key in shown.digests for gate in self.keys.get(key, ())]
        return self.services.values()

    def targets(self, service: str) -> tuple[Target, ...]:
        """The replicas of a service by its id; none once it is gone."""
        gate = self.services.get(service)
        return gate.route.targets if gate else ()

    def tokens(self) -> Iterator[tuple[str, str]]:
        """Every token: service id and name."""
        for gate in self.services.values():
            yield from ((gate.route.service, each.name) for each in gate.route.tokens)

    def replicas(self) -> Iterator[str]:
        """Every replica that is routed or draining."""
        yield from self.table.draining
        for gate in self.services.values():
            yield from (target.replica for target in gate.route.targets)


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between two tables that were served one after the other."""

    before: Mapping[str, Gate]  #: service id -> gate, of services that changed or went
    after: Mapping[str, Gate]  #: of services that changed or came
    drained: frozenset[str] = frozenset()  #: replicas that drained before
    draining: frozenset[str] = frozenset()  #: those that drain now

    @property
    def services(self) -> frozenset[str]:
        """Ids of all services that came, changed or went."""
        return frozenset(self.before.keys() | self.after.keys())

    @property
    def names_come(self) -> frozenset[str]:
        """Names of services that were not routed before."""
        return _names(self.after) - _names(self.before)

    @property
    def names_gone(self) -> frozenset[str]:
        """Names of services that are routed no more."""
        return _names(self.before) - _names(self.after)

    @property
    def tokens_gone(self) -> frozenset[tuple[str, str]]:
        """Service id and name of each token that is no more."""
        return _tokens(self.before) - _tokens(self.after)

    @property
    def replicas_gone(self) -> frozenset[str]:
        """Replicas that neither take requests nor drain any more."""
        before, after = _replicas(self.before), _replicas(self.after)
        return (before | self.drained) - after - self.draining


def _names(gates: Mapping[str, Gate]) -> frozenset[str]:
    return frozenset(gate.route.name for gate in gates.values())


def _tokens(gates: Mapping[str, Gate]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (service, token.name) for service, gate in gates.items() for token in gate.route.tokens
    )


def _replicas(gates: Mapping[str, Gate]) -> frozenset[str]:
    return frozenset(target.replica for gate in gates.values() for target in gate.route.targets)
