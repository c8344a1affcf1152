"""What a look at a service says: what is known of it now, and when to look again. Pure."""

from dataclasses import replace

from pierhead.core.quotas import EXCEEDED
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.services import Hold, Seen, Service, Wanted
from pierhead.core.status import HOPELESS, reached

#: How long until the next look, in seconds, while something is on its way (hints come sooner).
UNSETTLED, HELD, FETCHING = 1.0, 30.0, 2.0

#: States of a replica that needs nothing more to be started.
UP = frozenset({ReplicaState.STARTING, ReplicaState.READY, ReplicaState.UNREADY})


def looked(
    service: Service, seen: Seen, replicas: tuple[ReplicaStatus, ...], hold: Hold | None, now: float
) -> Seen:
    """What is known of a service after a look at it."""
    fresh = seen.revision != service.revision
    current = [replica for replica in replicas if replica.rollout == service.rollout]
    ready = any(replica.state is ReplicaState.READY for replica in replicas)
    after = Seen(
        revision=service.revision,
        settled=seen.settled,
        since=now if fresh else seen.since,
        hold=_dated(hold, seen.hold, now),
        replicas=replicas,
        failed_roll=_failed_roll(service, current, replicas, hold),
        served=ready or (seen.served and service.wanted is Wanted.RUNNING),
    )
    return (
        replace(after, settled=service.revision)
        if hold is None and reached(service, after)
        else after
    )


def _dated(hold: Hold | None, before: Hold | None, now: float) -> Hold | None:
    """With the time since when it is held for this reason, or waits for a machine, whatever is said of that."""
    if hold is None or hold.since:
        return hold
    lasting = before is not None and (
        before.reason == hold.reason or (before.placement and hold.placement)
    )
    return replace(hold, since=(before.since if before is not None and lasting else 0.0) or now)


def _failed_roll(
    service: Service,
    current: list[ReplicaStatus],
    replicas: tuple[ReplicaStatus, ...],
    hold: Hold | None,
) -> bool:
    """Does an older version serve because the newest one cannot come up?"""
    older_serves = any(
        r.state is ReplicaState.READY and r.rollout != service.rollout for r in replicas
    )
    hopeless = any(replica.failures >= HOPELESS for replica in current) or (
        hold is not None and hold.permanent
    )
    return (
        older_serves
        and hopeless
        and not any(replica.state is ReplicaState.READY for replica in current)
    )


def complete(current: list[ReplicaStatus], wanted: int) -> bool:
    """Do as many replicas run as are wanted?"""
    up = all(replica.state in UP for replica in current)
    return wanted == 0 or (len(current) >= wanted and up)


def engine_of(replicas: list[ReplicaStatus]) -> str:
    """What those that came up run; "" when none has, or none tells."""
    return next((replica.engine for replica in replicas if replica.state in UP), "")


def next_look(service: Service, seen: Seen, now: float) -> float | None:
    """Seconds until the next look, if nothing hints at one sooner; None = none is needed."""
    # Beside what a quota holds, what it granted comes up.
    busy = any(replica.state is not ReplicaState.READY for replica in seen.replicas)
    if seen.hold is not None and not (seen.hold.reason == EXCEEDED and busy):
        return HELD if seen.hold.permanent or seen.hold.placement else FETCHING
    crashed = [replica.retry_at - now for replica in seen.replicas if replica.retry_at is not None]
    if crashed:
        return max(0.01, min(*crashed, UNSETTLED))
    return None if seen.settled >= service.revision and reached(service, seen) else UNSETTLED
