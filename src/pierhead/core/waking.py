"""How far a service is that somebody waits for: what a gateway tells those whose requests it holds. Pure.

Who waits has a token of the service and nothing more, so it is a word and numbers: no path, no name of a
quota or a host, which the sentences of `status.py` may hold.
"""

from dataclasses import dataclass
from enum import StrEnum

from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.services import Hold, Seen, Service


class Phase(StrEnum):
    """What goes on until a replica takes requests."""

    STARTING = "starting"  #: it was accepted, or a process is being launched
    WAITING = "waiting"  #: others have the machine or the quota that it needs
    FETCHING = "fetching"  #: its files are on their way
    CONVERTING = "converting"  #: its weights are brought into another form
    INSTALLING = "installing"  #: its Python environment is being made
    LOADING = "loading"  #: its engine runs and loads the model
    READY = "ready"  #: a replica takes requests
    FAILING = "failing"  #: something is wrong; it is tried again, or waits for somebody to mend it


_HELD = {
    "FetchingWeights": Phase.FETCHING,
    "ReadingHeaders": Phase.FETCHING,
    "ConvertingWeights": Phase.CONVERTING,
    "InstallingEnvironment": Phase.INSTALLING,
}


@dataclass(frozen=True, slots=True)
class Waking:
    """How far a service is."""

    phase: Phase
    percent: int | None  #: of the phase, where bytes are counted; else None
    seconds: float | None  #: expected until a replica is ready; None = nobody knows
    replicas: int  #: that it is to have


def waking(service: Service, seen: Seen, usual: float, now: float) -> Waking:
    """How far it is on its way to a replica that is ready.

    Args:
        service: what is wanted.
        seen: what is there.
        usual: seconds from launch to ready, as a former replica took; 0 = not known.
        now: epoch seconds.
    """
    current = [one for one in seen.of(service.rollout) if one.state not in LEAVING]
    phase = _phase(seen, current)
    percent = _percent(seen.hold) if phase in {Phase.FETCHING, Phase.CONVERTING} else None
    seconds = _seconds(phase, current, usual, now)
    if percent and seen.hold is not None and seen.hold.since and usual:
        seconds = (now - seen.hold.since) * (100 - percent) / percent + usual
    return Waking(phase, percent, seconds and round(seconds, 1), service.replicas)


def rise(seen: Seen) -> float:
    """Seconds from launch to ready of those that are ready, the longest; 0 = none is."""
    ready = (one for one in seen.replicas if one.state is ReplicaState.READY)
    took = (one.ready_at - one.started for one in ready if one.ready_at and one.started)
    return max(took, default=0.0)


def _phase(seen: Seen, current: list[ReplicaStatus]) -> Phase:
    states = {one.state for one in current}
    if any(one.state is ReplicaState.READY for one in seen.replicas):
        return Phase.READY
    if ReplicaState.STARTING in states:
        return Phase.LOADING
    if seen.hold is not None:
        known = _HELD.get(seen.hold.reason)
        waits = Phase.WAITING if seen.hold.progressing or seen.hold.placement else Phase.FAILING
        return known or waits
    if states & {ReplicaState.CRASHED, ReplicaState.UNREADY}:
        return Phase.FAILING
    return Phase.STARTING


def _percent(hold: Hold | None) -> int | None:
    if hold is None or not hold.bytes:
        return None
    return max(0, min(100, 100 * hold.done // hold.bytes))


def _seconds(phase: Phase, current: list[ReplicaStatus], usual: float, now: float) -> float | None:
    """Of a start that goes as the former one did; None when it takes longer than that."""
    if phase is Phase.READY:
        return 0.0
    if not usual or phase not in {Phase.STARTING, Phase.LOADING}:
        return None
    launched = [one.started for one in current if one.started is not None]
    left = usual - (now - min(launched)) if launched else usual
    return left if left > 0 else None
