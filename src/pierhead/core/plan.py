"""The planner: from (wanted, seen) to the next safe actions. Pure; the process runtime acts.

Rules, in the order they are applied:
  1. A replica on its way out is helped along: DRAINING stops once drained or overdue, STOPPED is forgotten.
  2. Nothing wanted: everything leaves (those that take requests drain first).
  3. Too many of the current rollout: not-ready ones leave first, then the youngest.
  4. Replicas of an older rollout leave only as far as `max_unavailable` allows, not-ready ones at once;
     while nobody at all is ready, those stay that the bounds have room for.
  5. New ones start up to `replicas`, never more than `replicas + max_surge` in all.
  6. A crashed replica runs again when its back-off is over; at once where that is further away than any
     back-off lasts: the clock was set back since.
  7. A target that is held starts nothing; what runs of it runs on.
  8. Where a new replica finds no devices beside the old ones (`crowded`), old ones leave first: as few
     as must, whatever `max_unavailable` says. Else the update would wait for ever.
  9. No more new ones start than a quota has `room` for. Has it no room for the rollout as a whole
     (`frozen`), nothing of it starts and nothing older leaves for it.
Because every call starts from what is seen, it can be called at any time, any number of times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from pierhead.core.backoff import LONGEST
from pierhead.core.replicas import LEAVING, ReplicaState
from pierhead.core.templates import Rolling

#: No replica waits so many seconds for its next run; one more than it may, for what rounding adds.
TOO_LONG = LONGEST + 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One replica, as much of it as the planner needs."""

    id: str
    rollout: str
    state: ReplicaState
    created: float
    retry_at: float | None = None  #: CRASHED: when it may run again
    leave_by: float | None = None  #: DRAINING: when patience ends


@dataclass(frozen=True, slots=True)
class Start:
    """Make a new replica of the wanted rollout."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """Run a crashed (or never launched) replica again."""

    id: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Take it out of traffic; it ends the requests it has."""

    id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """TERM now, KILL after the grace."""

    id: str


@dataclass(frozen=True, slots=True)
class Forget:
    """It is gone: remove its record."""

    id: str


Action = Start | Rerun | Drain | Stop | Forget


@dataclass(frozen=True, slots=True)
class Target:
    """How many replicas of which rollout."""

    replicas: int
    rollout: str
    rolling: Rolling = Rolling()
    drained: frozenset[str] = frozenset()
    held: bool = False  #: what a replica of this rollout needs is not there: none is started
    #: Old replicas that hold the devices without which no new one starts; 0 = there is room.
    crowded: int = 0
    room: int | None = None  #: new replicas that may be started now; None = any number
    frozen: bool = False  #: this rollout may not begin, or go on, now


def plan(target: Target, seen: Sequence[Seen], now: float) -> list[Action]:
    """The next safe actions toward `target`; empty when nothing can be done now."""
    actions: list[Action] = list(_help_along(target, seen, now))
    live = [replica for replica in seen if replica.state not in LEAVING]
    current = [replica for replica in live if replica.rollout == target.rollout]
    old = [replica for replica in live if replica.rollout != target.rollout]
    leaving = _excess(current, target.replicas)
    current = [replica for replica in current if replica not in leaving]
    surge, unavailable = bounds(target.rolling, target.replicas)
    if target.crowded and len(current) < target.replicas:
        surge, unavailable = 0, max(unavailable, target.crowded)
    if target.frozen:
        leaving += _excess(old, max(0, target.replicas - len(current)))
    else:
        leaving += _replaceable(old, current, target.replicas, (surge, unavailable))
    actions += [_leave(replica) for replica in leaving]
    staying = len(current) + sum(replica not in leaving for replica in old)
    room = target.replicas + (surge if old else 0) - staying
    if not target.held:
        allowed = room if target.room is None else min(room, target.room)
        allowed = 0 if target.frozen else allowed
        actions += [Start()] * max(0, min(target.replicas - len(current), allowed))
        actions += [Rerun(replica.id) for replica in current if _due(replica, now)]
    # An older rollout that still serves is kept alive too: a roll may fail, and then it must carry on.
    actions += [
        Rerun(replica.id) for replica in old if replica not in leaving and _due(replica, now)
    ]
    return actions


def bounds(rolling: Rolling, replicas: int) -> tuple[int, int]:
    """(max_surge, max_unavailable) as counts; both zero would never move, so surge is then 1."""
    surge = _share(rolling.max_surge, replicas, up=True)
    unavailable = min(_share(rolling.max_unavailable, replicas, up=False), replicas)
    return (1, 0) if surge == 0 and unavailable == 0 else (surge, unavailable)


def _share(value: int | str, whole: int, *, up: bool) -> int:
    if isinstance(value, int):
        return max(0, value)
    part = float(value.rstrip("%")) / 100 * whole
    return max(0, ceil(part) if up else floor(part))


def _help_along(target: Target, seen: Iterable[Seen], now: float) -> Iterable[Action]:
    for replica in seen:
        if replica.state is ReplicaState.STOPPED:
            yield Forget(replica.id)
        elif replica.state is ReplicaState.DRAINING and _let_go(replica, target, now):
            yield Stop(replica.id)


def _let_go(replica: Seen, target: Target, now: float) -> bool:
    return replica.id in target.drained or (
        replica.leave_by is not None and now >= replica.leave_by
    )


def _excess(current: Sequence[Seen], wanted: int) -> list[Seen]:
    """Which of too many leave: those that serve nobody first, then the youngest."""
    order = sorted(
        current, key=lambda replica: (replica.state is ReplicaState.READY, -replica.created)
    )
    return order[: max(0, len(current) - wanted)]


def _replaceable(
    old: Sequence[Seen], current: Sequence[Seen], wanted: int, room: tuple[int, int]
) -> list[Seen]:
    """Which replicas of older rollouts may leave now; `room` = (max_surge, max_unavailable)."""
    if wanted == 0:
        return list(old)
    ready_old = [replica for replica in old if replica.state is ReplicaState.READY]
    idle = [replica for replica in old if replica.state is not ReplicaState.READY]
    ready = len(ready_old) + sum(replica.state is ReplicaState.READY for replica in current)
    if ready == 0:
        return _superfluous(idle, len(current), wanted, room)
    spare = max(0, ready - max(0, wanted - room[1]))
    oldest_first = sorted(ready_old, key=lambda replica: replica.created)
    return idle + oldest_first[:spare]


def _superfluous(
    idle: Sequence[Seen], current: int, wanted: int, room: tuple[int, int]
) -> list[Seen]:
    """Nobody is ready: which old ones leave, so that new ones find room within the bounds.

    The others stay: they are all there is to come back while the new rollout is not up yet.
    """
    surge, unavailable = room
    given_up = max(0, current - surge) if surge else max(unavailable, current)
    youngest_first = sorted(idle, key=lambda replica: -replica.created)
    return youngest_first[: max(0, len(idle) - max(0, wanted - given_up))]


def _leave(replica: Seen) -> Action:
    serves = replica.state in {ReplicaState.READY, ReplicaState.UNREADY}
    return Drain(replica.id) if serves else Stop(replica.id)


def _due(replica: Seen, now: float) -> bool:
    if replica.state is ReplicaState.PENDING:
        return True
    return replica.state is ReplicaState.CRASHED and (
        replica.retry_at is None or not now < replica.retry_at <= now + TOO_LONG
    )
