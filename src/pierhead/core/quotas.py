"""Quotas: how much the services that name one may hold at the same time. Pure.

A quota bounds what exists, not what is wished for: each replica counts from its start until it has
gone, with what its template asks for. What a template leaves open counts as nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import floor, inf

from pierhead.core.resources import Resources, human_bytes


@dataclass(frozen=True, slots=True)
class Amount:
    """So much of everything that a quota bounds."""

    cpu: float = 0.0  #: cores
    memory: int = 0  #: bytes
    gpus: float = 0.0  #: devices; of a part of one, its share
    replicas: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.cpu + other.cpu,
            self.memory + other.memory,
            self.gpus + other.gpus,
            self.replicas + other.replicas,
        )

    def times(self, count: int) -> "Amount":
        """Of `count` replicas."""
        return Amount(
            self.cpu * count, self.memory * count, self.gpus * count, self.replicas * count
        )


NOTHING = Amount()


def of_replica(resources: Resources) -> Amount:
    """What one replica counts for: its limits, since they are what it may come to hold."""
    return Amount(resources.cpu or 0.0, resources.memory or 0, float(resources.devices), 1)


@dataclass(frozen=True, slots=True)
class Quota:
    """What the services that name `id` may hold together; None = without a bound."""

    id: str
    cpu: float | None = None  #: cores
    memory: int | None = None  #: bytes
    gpus: float | None = None
    replicas: int | None = None
    created: float = 0.0
    updated: float = 0.0

    def room(self, used: Amount, one: Amount) -> int | None:
        """How many more of `one` fit beside `used`; None = any number."""
        rooms = [
            _room(getattr(self, name), getattr(used, name), getattr(one, name)) for name in BOUNDS
        ]
        least = min(rooms)
        return None if least == inf else max(0, int(least))

    def exceeded(self, wanted: Amount) -> tuple[str, ...]:
        """Which bounds `wanted` is beyond, as `BOUNDS` names them."""
        return tuple(name for name in BOUNDS if _beyond(getattr(self, name), getattr(wanted, name)))


BOUNDS = tuple(field.name for field in fields(Amount))


def told(name: str, value: float) -> str:
    """An amount for people: `told("memory", 2 ** 30)` -> `1.0 GiB memory`."""
    if name == "memory":
        return f"{human_bytes(value)} memory"
    unit = {"cpu": "CPU", "gpus": "GPU", "replicas": "replica(s)"}[name]
    return f"{value:g} {unit}"


# Sums of shares such as 0.1 are not exact.
_SLACK = 1e-9


def _room(bound: float | None, used: float, one: float) -> float:
    if bound is None or not one:
        return inf
    return floor((bound - used) / one + _SLACK)


def _beyond(bound: float | None, wanted: float) -> bool:
    return bound is not None and wanted > bound + _SLACK


@dataclass(frozen=True, slots=True)
class Claim:
    """What one service of a quota holds, and what it still wants."""

    service: str  #: service id
    held: Amount  #: by its replicas that exist, or that it was just granted
    one: Amount  #: a replica more
    missing: int = 0  #: replicas it still wants
    since: float = 0.0  #: since when it wants them, epoch seconds


def grants(quota: Quota, claims: Sequence[Claim]) -> Mapping[str, int | None]:
    """How many replicas more each service may start now (None = any number); first come, first served.

    Nobody overtakes who has waited longer: what one frees goes to the longest wait, however little it
    is of what that one needs. Who could not have more even if it were alone keeps nobody waiting.
    """
    used = NOTHING
    for claim in claims:
        used += claim.held
    found: dict[str, int | None] = {}
    blocked = False
    for claim in sorted(claims, key=lambda one: (one.since, one.service)):
        room = quota.room(used, claim.one)
        if blocked and claim.missing:
            room = 0 if quota.room(NOTHING, claim.one) is not None else None
        given = claim.missing if room is None else min(room, claim.missing)
        found[claim.service] = room if room is None else given
        used += claim.one.times(given)
        alone = quota.room(claim.held, claim.one)
        if given < claim.missing and (alone is None or given < alone):
            blocked = True
    return found
