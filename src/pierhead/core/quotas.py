"""Quotas: how much the services that name one may hold at the same time. Pure.

A quota bounds what exists, not what is wished for: each replica counts from its start until it has
gone, with what quota_sizes.py says of its version.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import floor, inf

from pierhead.core.resources import human_bytes

#: What is woken, as a service is by its id, when a quota, or the quota of a workspace, was changed.
CHANGED = "quotas:"
#: Reason of a hold: a quota has no room for (more of) a service.
EXCEEDED = "QuotaExceeded"
#: And: it bounds something of which a template does not tell how much it takes.
UNSAID = "QuotaNeedsLimits"


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

    def __sub__(self, other: "Amount") -> "Amount":
        return self + other.times(-1)

    def times(self, count: int) -> "Amount":
        """Of `count` replicas."""
        return Amount(
            self.cpu * count, self.memory * count, self.gpus * count, self.replicas * count
        )

    def most(self, other: "Amount") -> "Amount":
        """The larger one of each."""
        return Amount(
            max(self.cpu, other.cpu),
            max(self.memory, other.memory),
            max(self.gpus, other.gpus),
            max(self.replicas, other.replicas),
        )


NOTHING = Amount()


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

    def takes(self, used: Amount, more: Amount) -> bool:
        """Does `more` fit beside `used`? What it has none of is no matter, however much is used."""
        return all(
            not getattr(more, name)
            or not _beyond(getattr(self, name), getattr(used, name) + getattr(more, name))
            for name in BOUNDS
        )

    def lowered(self, to: Amount) -> "Quota":
        """With no bound above `to`; what has none stays without."""
        low = {
            name: min(getattr(self, name), getattr(to, name))
            for name in BOUNDS
            if getattr(self, name) is not None
        }
        return replace(self, **low)


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


# ---- who gets what ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """What a service has of its quotas."""

    quotas: tuple[str, ...]  #: ids of all that bound it
    held: Amount  #: by its replicas that exist, and by those that it has a right to


@dataclass(frozen=True, slots=True)
class Claim:
    """What a service waits for. One that asked for more meanwhile has one claim for each time."""

    service: str  #: service id
    one: Amount  #: a replica more
    missing: int = 0  #: replicas that it wants
    since: float = 0.0  #: since when, epoch seconds
    #: What the replicas that it has hold after an update, which begins only when all of that fits.
    updated: Amount = NOTHING


@dataclass(slots=True)
class Grant:
    """What a service gets now."""

    more: int = 0  #: replicas
    update: bool = True  #: may it begin?
    never: bool = False  #: not even if it were alone: nothing is kept free for it


@dataclass(slots=True)
class Granted:
    """What everybody gets, and how quotas stand afterwards."""

    of: dict[str, Grant]  #: by service id
    used: dict[str, Amount]  #: by quota: what is held and what was given
    kept: dict[str, Amount]  #: besides, what is kept free for those who wait


def grants(
    quotas: Mapping[str, Quota], shares: Mapping[str, Share], claims: Sequence[Claim]
) -> Granted:
    """Who gets what now; first come, first served.

    Who waits is kept free what it waits for, in each of its quotas: so nobody overtakes it who
    takes something that it needs. Not kept free is what it could not have if it were alone.
    The claims of one service must be such that its update comes first (see quota_steps.claims).
    """
    used = dict.fromkeys(quotas, NOTHING)
    for share in shares.values():
        for id_ in share.quotas:
            used[id_] += share.held
    found = Granted({}, used, dict(used))
    own = {service: share.held for service, share in shares.items()}
    for claim in sorted(claims, key=lambda one: (one.since, one.service)):
        mine = [quotas[id_] for id_ in shares[claim.service].quotas]
        grant = found.of.setdefault(claim.service, Grant())
        if claim.updated != NOTHING:
            grant.never = any(quota.exceeded(claim.updated) for quota in mine)
            grant.update = _updates(claim, mine, own, found)
        if not grant.never:
            _gives(claim, mine, own, found)
    return found


def _updates(claim: Claim, mine: Sequence[Quota], own: dict[str, Amount], found: Granted) -> bool:
    """Does what an update needs fit? If not now, it is kept free, if it ever could."""
    has = own[claim.service]
    more = has.most(claim.updated) - has
    fits = all(
        quota.takes(found.used[quota.id] - has, claim.updated)
        and quota.takes(found.kept[quota.id], more)
        for quota in mine
    )
    if fits or not found.of[claim.service].never:
        own[claim.service] = has + more
        for quota in mine:
            found.kept[quota.id] += more
            if fits:
                found.used[quota.id] += more
    return fits


def _gives(claim: Claim, mine: Sequence[Quota], own: dict[str, Amount], found: Granted) -> None:
    grant, has = found.of[claim.service], own[claim.service]
    now = least(claim.missing, (quota.room(found.kept[quota.id], claim.one) for quota in mine))
    ever = least(claim.missing, (quota.room(has, claim.one) for quota in mine))
    given = now if grant.update else 0
    grant.more += given
    own[claim.service] = has + claim.one.times(max(ever, given))
    for quota in mine:
        found.used[quota.id] += claim.one.times(given)
        found.kept[quota.id] += claim.one.times(max(ever, given))


def least(count: int, rooms: Iterator[int | None]) -> int:
    """`count`, or the smallest room if that is less."""
    return min([count, *(room for room in rooms if room is not None)])
