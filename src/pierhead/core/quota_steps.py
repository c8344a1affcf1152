"""The next step of one service within its quotas: how many replicas it may have, start, or must let go. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pierhead.core.quotas import NOTHING, Amount, Claim, Grant, Granted, Quota, Share, least


@dataclass(frozen=True, slots=True)
class Stand:
    """How a service stands."""

    one: Amount  #: a replica of the rollout that is wanted
    wanted: int  #: replicas
    right: int  #: replicas that it had and still wants: they are replaced whoever waits
    size: Amount  #: what each of those holds at most
    current: int = 0  #: replicas of the wanted rollout that are not leaving
    older: tuple[Amount, ...] = ()  #: those of other rollouts, in the order in which they leave
    leaving: Amount = NOTHING

    @property
    def exists(self) -> Amount:
        """What all of its replicas hold."""
        return sum(self.older, self.one.times(self.current) + self.leaving)

    @property
    def held(self) -> Amount:
        """What nobody else may have."""
        return self.exists.most(self.size.times(self.right))

    @property
    def updated(self) -> Amount:
        """What its replicas hold once all of them are of the wanted rollout; nothing: they are."""
        return self.one.times(self.right) if self.older else NOTHING


@dataclass(frozen=True, slots=True)
class Step:
    """What may be done now."""

    stand: Stand  #: as it is with what was granted
    room: int = 0  #: replicas that may start now
    crowded: int = 0  #: older ones that must leave before any may
    frozen: bool = False  #: the update may not begin: older ones serve on

    @property
    def missing(self) -> int:
        """Replicas that it does not get."""
        return self.stand.wanted - self.stand.right


def entitled(stand: Stand, quotas: Sequence[Quota], others: Mapping[str, Amount]) -> Stand:
    """With a right to no more than what it held before, where no older replica is left to say so.

    `others`: what is used of each quota by all others.
    """
    if stand.older:
        return stand
    bounds = [quota.lowered(others[quota.id] + stand.held) for quota in quotas]
    fitting = least(stand.right, (one.room(others[one.id], stand.one) for one in bounds))
    return replace(stand, right=max(stand.current, fitting), size=stand.one)


def step(
    stand: Stand, share: Share, quotas: Mapping[str, Quota], granted: Granted, id_: str
) -> Step:
    """What the service `id_` may do after `granted`, to which `share` went in as its own."""
    grant = granted.of.get(id_, Grant())
    own = share.held + stand.one.times(grant.more)
    if stand.older and not grant.update:
        return Step(stand, frozen=True)
    if stand.older:
        own += share.held.most(stand.updated) - share.held
    size = stand.size.most(stand.one) if stand.older else stand.one
    now = replace(stand, right=stand.right + grant.more, size=size)
    bounds: list[tuple[Quota, Amount]] = []
    for quota in map(quotas.__getitem__, share.quotas):
        used = granted.used[quota.id]
        # What is free may be used beside the old ones while nobody waits for it.
        waiting = granted.kept[quota.id] != used
        others = used - own
        mine = size.times(now.right)
        bounds.append((quota.lowered(others + mine) if waiting else quota, others))
    room = _room(now, bounds, NOTHING)
    return Step(now, room, 0 if room else _crowded(now, bounds))


def asked(
    before: Sequence[tuple[float, int]], right: int, wanted: int, now: float
) -> tuple[tuple[float, int], ...]:
    """Since when it wants how many replicas: what it asks for later does not go before others."""
    found: list[tuple[float, int]] = []
    reached = right
    for since, count in before:
        if min(count, wanted) > reached:
            reached = min(count, wanted)
            found.append((since, reached))
    if wanted > reached:
        found.append((now, wanted))
    return tuple(found)


def claims(
    service: str, stand: Stand, waits: Sequence[tuple[float, int]], since: float
) -> tuple[Claim, ...]:
    """What a service asks of its quotas: its update, if there is one, since `since`, and then more.

    An update that needs no more than the service has takes nothing from anybody: its turn is at once.
    """
    found: list[Claim] = []
    first = 0.0
    if stand.older:
        first = 0.0 if stand.held.most(stand.updated) == stand.held else since
        found.append(Claim(service, stand.one, 0, first, stand.updated))
    reached = stand.right
    for began, count in waits:
        found.append(Claim(service, stand.one, count - reached, max(began, first)))
        reached = count
    return tuple(found)


def _room(stand: Stand, bounds: Sequence[tuple[Quota, Amount]], gone: Amount) -> int:
    """How many may start once `gone` of its own has left."""
    exists = stand.exists - gone
    rooms = (quota.room(others + exists, stand.one) for quota, others in bounds)
    return least(max(0, stand.right - stand.current), rooms)


def _crowded(stand: Stand, bounds: Sequence[tuple[Quota, Amount]]) -> int:
    gone = stand.leaving
    for count in range(len(stand.older) + 1):
        if _room(stand, bounds, gone):
            return count
        gone += stand.older[count] if count < len(stand.older) else NOTHING
    return 0
