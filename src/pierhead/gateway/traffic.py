"""The endpoint of a group: which of its services takes a request that names the group alone. Pure.

A group shares its requests out by weight. Who may send is decided by service: among the members that
the shown token opens, and no others, one is picked, and their weights count among themselves. So a
group's endpoint opens nothing that the token does not open under the service's own name.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf, log
from random import Random
from typing import Self

from pierhead.core.routes import RouteToken
from pierhead.core.shares import PER_REPLICA
from pierhead.gateway.served import Change, Gate
from pierhead.gateway.tokens import Credential

_HASHED = 8  #: bytes of a digest: enough to tell apart what a session is near to
_SPAN = 1 << (8 * _HASHED)


@dataclass(frozen=True, slots=True)
class Opened:
    """A member, and the token that opened it; None = it asks for none."""

    gate: Gate
    token: RouteToken | None


@dataclass(frozen=True, slots=True)
class Group:
    """The services that answer at one endpoint, by one revision of the route table."""

    name: str
    members: tuple[Gate, ...]

    def without(self, services: Collection[str]) -> list[Gate]:
        """The members but for these services, by id."""
        return [gate for gate in self.members if gate.route.service not in services]

    def opened(self, shown: Credential | None, now: float) -> tuple[Opened, ...]:
        """The members that a credential opens; `now`: epoch seconds, by which tokens end."""
        found: list[Opened] = []
        for gate in self.members:
            if gate.route.open:
                found.append(Opened(gate, None))
            elif shown is not None:
                token = shown.opens(gate.locks, now)
                if token is not None:
                    found.append(Opened(gate, token))
        return tuple(found)


class Groups:
    """All groups of one revision, by name. Never changed: `after` makes those of the next one."""

    def __init__(self, gates: Iterable[Gate] = ()) -> None:
        """`gates`: of all services, each once."""
        self._groups = _grouped(gates)

    def after(self, change: Change) -> Self:
        """The groups after a change; of groups that it leaves alone nothing is looked at."""
        fresh = _grouped(change.after.values())
        gates = (*change.before.values(), *change.after.values())
        touched = {gate.route.group for gate in gates} - {""}
        if not touched:
            return self
        made = type(self)()
        made._groups = {name: one for name, one in self._groups.items() if name not in touched}
        for name in touched:
            old, new = self._groups.get(name), fresh.get(name)
            stay = [] if old is None else old.without(change.services)
            members = _sorted([*stay, *(new.members if new else ())])
            if members:
                made._groups[name] = Group(name, members)
        return made

    def of(self, name: str) -> Group | None:
        """The group of this name. A service of the same name goes before it: ask for that first."""
        return self._groups.get(name)

    @property
    def all(self) -> Mapping[str, Group]:
        """Every group by its name."""
        return self._groups


def pick(opened: Sequence[Opened], rng: Random, session: bytes = b"") -> Opened | None:
    """One of the opened members by weight; None if all of them have the weight 0.

    Without a ready replica a member gets nothing as long as another one has some; where none has any,
    one that a request wakes goes first. With `session` (any bytes, b"" = none) the same session comes
    to the same member as long as that has its weight, and as few as possible move when weights change.
    """
    found = _weighed(opened)
    if not found:
        return None
    if len(found) == 1:
        return found[0][0]
    if session:
        return max(found, key=lambda each: _nearness(session, *each))[0]
    return rng.choices([one for one, _ in found], [weight for _, weight in found])[0]


def _weighed(opened: Sequence[Opened]) -> list[tuple[Opened, int]]:
    """Who may be picked, with the weight that counts among them; none of these is 0."""
    wanted = [(one, weight) for one in opened if (weight := _weight(one.gate)) != 0]
    ready = [pair for pair in wanted if pair[0].gate.route.targets]
    return ready or [pair for pair in wanted if pair[0].gate.route.wakes] or wanted


def _weight(gate: Gate) -> int:
    """The weight that was set, else by the number of its ready replicas."""
    route = gate.route
    return max(1, len(route.targets)) * PER_REPLICA if route.weight < 0 else route.weight


def _nearness(session: bytes, one: Opened, weight: int) -> float:
    """Weighted rendezvous hashing: the highest one wins, in proportion to the weights."""
    digest = blake2b(session, digest_size=_HASHED, key=one.gate.route.service.encode()).digest()
    share = (int.from_bytes(digest) + 0.5) / _SPAN
    return -weight / log(share) if share < 1.0 else inf


def _grouped(gates: Iterable[Gate]) -> dict[str, Group]:
    members: dict[str, list[Gate]] = {}
    for gate in gates:
        if gate.route.group:
            members.setdefault(gate.route.group, []).append(gate)
    return {name: Group(name, _sorted(found)) for name, found in members.items()}


def _sorted(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    return tuple(sorted(gates, key=lambda gate: gate.route.service))
