"""How long a state may last, who moves it on, and what is said when it lasts longer.

Every status that is not an end has a stage here, and every hold has one by its reason; a test walks
both. What depends on bytes gets its time by the byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.core.diagnosis import Cause, worded
from pierhead.core.replicas import ReplicaState
from pierhead.core.resources import GIB
from pierhead.core.services import Change, Hold, Seen, Service, Wanted

#: Seconds in which an accepted change is taken up by the reconciler.
TAKEN_UP = 30.0
#: Seconds that an end may take beyond twice the grace: once to drain, once until TERM turns to KILL.
ENDING = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Whose turn it is, and for how long."""

    owner: str  #: who moves it on
    overrun: str  #: reason of the diagnosis when it lasts longer
    seconds: float | None = None  #: that it may last; None = as its service's template says
    per_gib: float = 0.0  #: seconds more for each GiB
    graces: int = 0  #: how many times the template's grace comes on top

    def limit(self, service: Service, size: int = 0) -> float:
        """Seconds that it may last for this service and so many bytes."""
        template = service.current.template
        base = template.start_deadline if self.seconds is None else self.seconds
        return base + self.per_gib * size / GIB + self.graces * template.stop_grace


#: Status -> its stage, where nothing holds it up. All that are missing are ends.
STATUSES: Mapping[str, Stage] = {
    "Creating": Stage("reconciler", "NotTakenUp", TAKEN_UP),
    "Cloning": Stage("reconciler", "NotTakenUp", TAKEN_UP),
    "Updating": Stage("reconciler", "StartDeadlineExceeded"),
    "Scaling": Stage("reconciler", "StartDeadlineExceeded"),
    "Starting": Stage("reconciler", "NotTakenUp", TAKEN_UP),
    "Waiting": Stage("runtime: the engine loads its weights", "StartDeadlineExceeded"),
    "Pending": Stage("whoever has what it needs", "WaitOverdue", 3600.0),
    "Stopping": Stage("runtime: replicas end", "StopOverdue", ENDING, graces=2),
    "Deleting": Stage("runtime: replicas end", "DeleteOverdue", ENDING, graces=2),
    "DeleteFailed": Stage("reconciler: it is tried again", "DeleteOverdue", ENDING, graces=2),
}

_WAITS = STATUSES["Pending"]
_FETCH = Stage("the fetch", "FetchOverdue", 600.0, per_gib=120.0)
#: Reason of a hold that goes on by itself -> its stage.
GOING_ON: Mapping[str, Stage] = {
    "FetchingWeights": _FETCH,
    "ConvertingWeights": Stage("the conversion", "ConversionOverdue", 300.0, per_gib=120.0),
    "InstallingEnvironment": Stage("the builder of environments", "EnvironmentOverdue", 1800.0),
    "ReadingHeaders": Stage("the reader of headers", "HeadersOverdue", 60.0),
}
_TRIED_AGAIN = Stage("reconciler: it is tried again", "RetryOverdue")


_LOADING = Stage("runtime: the engine loads its weights", "StartDeadlineExceeded", per_gib=20.0)
#: State of a replica that is no end -> its stage; what its runtime says goes before it.
PHASES: Mapping[ReplicaState, Stage] = {
    ReplicaState.PENDING: Stage("runtime: it is launched", "StartDeadlineExceeded"),
    ReplicaState.STARTING: _LOADING,
    ReplicaState.UNREADY: Stage("runtime: its probes go on", "UnreadyOverdue"),
    ReplicaState.CRASHED: Stage("runtime: it runs again after its back-off", "RetryOverdue", 60.0),
    ReplicaState.DRAINING: Stage("runtime: it ends what it has", "DrainOverdue", 0.0, graces=1),
    ReplicaState.STOPPING: Stage("runtime: TERM, then KILL", "StopOverdue", ENDING, graces=1),
}


def stage_of(hold: Hold) -> Stage | None:
    """The stage of a hold; None of one that only its owner can end, which counts as an end."""
    if hold.placement:
        return _WAITS
    if hold.permanent:
        return None
    return GOING_ON.get(hold.reason, _TRIED_AGAIN)


def overrun(service: Service, seen: Seen, now: float) -> Cause | None:
    """What lasts longer than it may, beside engines, whose runs have a deadline of their own."""
    if service.wanted is not Wanted.RUNNING:
        return _ending(service, seen, now)
    if seen.revision < service.revision:
        return _late("NotTakenUp", now - service.updated - TAKEN_UP, TAKEN_UP)
    hold = seen.hold
    if hold is None:
        return _unready(service, seen, now)
    stage = stage_of(hold)
    if stage is None or not hold.since:
        return None
    limit = stage.limit(service, hold.bytes)
    return _late(stage.overrun, now - hold.since - limit, 0.0, hold.facts)


def _unready(service: Service, seen: Seen, now: float) -> Cause | None:
    """Of replicas whose probe fails for longer than a start may take, the longest."""
    since = min((one.unready_at for one in seen.replicas if one.unready_at), default=now)
    stage = PHASES[ReplicaState.UNREADY]
    return _late(stage.overrun, now - since - stage.limit(service), stage.limit(service))


def _ending(service: Service, seen: Seen, now: float) -> Cause | None:
    """Of a service that is to stop or to go."""
    status = "Deleting" if service.wanted is Wanted.DELETED else "Stopping"
    asked = service.change in {Change.STOP, Change.DELETE}
    if seen.revision < service.revision and asked:
        return _late("NotTakenUp", now - service.updated - TAKEN_UP, TAKEN_UP)
    if not seen.replicas and status == "Stopping":
        return None
    stage = STATUSES[status]
    late = now - max(seen.since, service.updated) - stage.limit(service)
    return _late(stage.overrun, late, 0.0, {"left": str(len(seen.replicas))})


def _late(
    reason: str, late: float, limit: float, facts: Mapping[str, str] | None = None
) -> Cause | None:
    """The overrun, if it is one; it tells the seconds beyond the limit, or all of them."""
    if late <= 0:
        return None
    told = {**(facts or {}), "seconds": f"{late + limit:.0f}"}
    return worded(reason, told)
