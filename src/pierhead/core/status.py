"""A service's status: one pure function of wanted and seen. Nothing anywhere sets a status.

    Creating/Cloning -> Waiting -> Running        Updating -> (Waiting) -> Running | Failed (old version serves)
    Scaling -> Running        Starting -> Waiting -> Running        Stopping -> Stopped        Deleting -> gone

Owner and deadline of every status that is not an end: `deadlines.py`. For what has to load, the
template's start deadline or what its engine needs for so many bytes, whichever is longer, counted
from the moment the reconciler took up the change.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from pierhead.core.deadlines import overrun
from pierhead.core.diagnosis import Cause, Facts, last_end, replica_cause
from pierhead.core.quotas import EXCEEDED
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.services import Change, Hold, Seen, Service, Wanted


class Status(StrEnum):
    """Statuses a service can have."""

    CREATING = "Creating"
    CLONING = "Cloning"
    WAITING = "Waiting"
    PENDING = "Pending"
    RUNNING = "Running"
    UPDATING = "Updating"
    SCALING = "Scaling"
    STARTING = "Starting"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    DELETING = "Deleting"
    DELETE_FAILED = "DeleteFailed"


#: What a change is called while it is on its way.
UNDER_WAY = {
    Change.CREATE: Status.CREATING,
    Change.CLONE: Status.CLONING,
    Change.UPDATE: Status.UPDATING,
    Change.RESTART: Status.UPDATING,
    Change.SCALE: Status.SCALING,
    Change.START: Status.STARTING,
    Change.STOP: Status.STOPPING,
    Change.DELETE: Status.DELETING,
}

#: Changes of a service that ran nothing before: nobody is served until they are done.
_FROM_NOTHING = {Change.CREATE, Change.CLONE, Change.START}

#: Crashes in a row after which a replica that never came up counts as failed, not as starting.
HOPELESS = 3

#: The reason of a service that a scaler set to no replicas: it is as wanted.
ASLEEP = "ScaledToZero"
_ASLEEP = (
    "No replica runs, because a scaler set the service to none; the next request wakes it, and so does "
    "any number of replicas that it is scaled to."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to show of a service: status, one word why, one sentence with cause and advice."""

    status: Status
    reason: str
    message: str
    facts: Facts = field(default_factory=dict[str, str])  #: what is behind the message
    #: What lies under a reason that only says how far it is; its message is a part of this message.
    because: Cause | None = None


def verdict(service: Service, seen: Seen, now: float) -> Verdict:
    """The one place where a service's status is decided."""
    if service.wanted is Wanted.DELETED:
        return _late(service, seen, now) or _deleting(seen)
    if service.wanted is Wanted.STOPPED:
        return _late(service, seen, now) or _stopping(service, seen)
    if seen.revision < service.revision:
        status = UNDER_WAY[service.change]
        return _late(service, seen, now) or Verdict(
            status,
            str(status),
            f"The change ({service.change}) was accepted and is being taken up.",
        )
    if service.replicas == 0:
        return Verdict(Status.RUNNING, ASLEEP, _ASLEEP)
    return _running(service, seen, now)


def _late(service: Service, seen: Seen, now: float) -> Verdict | None:
    """Of what should be over by now: it is not what it was, although its status is."""
    late = overrun(service, seen, now)
    if late is None or seen.broken:
        return None
    status = UNDER_WAY[service.change]
    if service.wanted is not Wanted.RUNNING:
        status = Status.DELETING if service.wanted is Wanted.DELETED else Status.STOPPING
    return Verdict(status, late.reason, late.message, late.facts)


def _deleting(seen: Seen) -> Verdict:
    if seen.broken:
        facts = {"problem": seen.broken}
        return Verdict(Status.DELETE_FAILED, "DeleteFailed", seen.broken, facts)
    left = len(seen.replicas)
    return Verdict(
        Status.DELETING,
        "Deleting",
        f"{left} replica(s) are still to go." if left else "The service is being removed.",
        {"left": str(left)} if left else {},
    )


def _stopping(service: Service, seen: Seen) -> Verdict:
    taken_up = seen.revision >= service.revision or service.change is not Change.STOP
    if seen.replicas or not taken_up:
        return Verdict(
            Status.STOPPING,
            "Stopping",
            f"{len(seen.replicas)} replica(s) end their requests and stop.",
            {"left": str(len(seen.replicas))},
        )
    return Verdict(Status.STOPPED, "Stopped", "The service is stopped; start it to serve again.")


def _running(service: Service, seen: Seen, now: float) -> Verdict:
    ready = [replica for replica in seen.replicas if replica.state is ReplicaState.READY]
    current = seen.of(service.rollout)
    up = [replica for replica in ready if replica in current]
    # What a quota lets it have serves: it need not come to more.
    granted = seen.hold is not None and seen.hold.reason == EXCEEDED and len(up) == len(ready)
    if ready and (seen.settled >= service.revision or granted):
        return _serving(service, seen, ready)
    if seen.failed_roll or (ready and not up and _stuck(service, seen, now)):
        number = service.current.number
        text = f"Version {number} did not come up; the one before it serves on."
        why = _why(current, seen)
        return Verdict(
            Status.FAILED, "UpdateFailed", _with(text, why), {"version": str(number)}, why
        )
    if up and _overdue(service, seen, now):
        return _serving(service, seen, up)
    if _hopeless(service, seen, current, now) and not ready:
        return _failed(service, seen, current)
    if seen.hold is not None:
        status = _on_the_way(service, seen, serves=bool(ready))
        if seen.hold.placement and not ready:
            status = Status.PENDING
        return _held(status, seen.hold)
    return _coming(service, seen, current, serves=bool(ready))


def _serving(service: Service, seen: Seen, ready: list[ReplicaStatus]) -> Verdict:
    if len(ready) >= service.replicas:
        facts = {"wanted": str(service.replicas)}
        return Verdict(Status.RUNNING, "Running", "Service is now running.", facts)
    why = _why(seen.replicas, seen)
    facts = _count(len(ready), service)
    return Verdict(Status.RUNNING, "PartlyReady", _with(_counted(facts), why), facts, why)


def _failed(service: Service, seen: Seen, current: tuple[ReplicaStatus, ...]) -> Verdict:
    if seen.hold is not None:
        return _held(Status.PENDING if seen.hold.placement else Status.FAILED, seen.hold)
    crashed = _worst(current)
    if crashed is not None:
        end = last_end(crashed)
        message = f"{end.message} It is tried again, later each time.".strip()
        return Verdict(Status.FAILED, end.reason, message, end.facts)
    seconds = _start_deadline(service, seen)
    why = _why(current, seen)
    text = f"No replica became ready within {seconds / 60:g} minutes."
    facts = {"seconds": f"{seconds:g}"} | ({"problem": why.message} if why else {})
    return Verdict(Status.FAILED, "StartDeadlineExceeded", _with(text, why), facts)


def _held(status: Status, hold: Hold) -> Verdict:
    cause = hold.cause
    return Verdict(status, cause.reason, cause.message, cause.facts)


def _coming(
    service: Service, seen: Seen, current: tuple[ReplicaStatus, ...], *, serves: bool
) -> Verdict:
    status = _on_the_way(service, seen, serves=serves)
    up = sum(replica.state is ReplicaState.READY for replica in current)
    why = _why(current, seen)
    facts = _count(up, service)
    return Verdict(status, str(status), _with(_counted(facts), why), facts, why)


def _count(ready: int, service: Service) -> Facts:
    return {"ready": str(ready), "wanted": str(service.replicas)}


def _counted(facts: Facts) -> str:
    return f"{facts['ready']} of {facts['wanted']} replicas are ready."


def _with(text: str, why: Cause | None) -> str:
    return text if why is None else f"{text} {why.message}"


def _on_the_way(service: Service, seen: Seen, *, serves: bool) -> Status:
    """Waiting once something was launched, unless an older state serves on; else the change's own name."""
    if seen.settled >= service.revision:
        return Status.WAITING
    launched = any(replica.runs for replica in seen.of(service.rollout))
    alone = not serves or service.change in _FROM_NOTHING
    return Status.WAITING if launched and alone else UNDER_WAY[service.change]


def _hopeless(service: Service, seen: Seen, current: tuple[ReplicaStatus, ...], now: float) -> bool:
    if seen.hold is not None and seen.hold.permanent:
        return True
    if any(replica.failures >= HOPELESS for replica in current):
        return True
    # One that came up and lost its readiness has kept the deadline; its probes decide now.
    came_up = any(replica.state is ReplicaState.UNREADY for replica in current)
    return not came_up and _stuck(service, seen, now)


def _stuck(service: Service, seen: Seen, now: float) -> bool:
    """Out of time, and not because something goes on at a pace of its own."""
    going_on = seen.hold is not None and seen.hold.progressing
    return not going_on and _overdue(service, seen, now)


def _overdue(service: Service, seen: Seen, now: float) -> bool:
    settled = seen.settled >= service.revision
    began = [_began(replica, settled=settled) for replica in seen.of(service.rollout)]
    return now - max(seen.since, *began, 0.0) > _start_deadline(service, seen)


def _start_deadline(service: Service, seen: Seen) -> float:
    """Seconds that it may take to come up; an engine that loads much may take its own time."""
    own = (replica.deadline or 0.0 for replica in seen.of(service.rollout))
    return max(service.current.template.start_deadline, *own, 0.0)


def _began(replica: ReplicaStatus, *, settled: bool) -> float:
    """When its time began: at its birth; after good days, at the crash that ended them."""
    crashed = replica.last_exit.at if settled and replica.last_exit is not None else 0.0
    return max(replica.created, replica.ready_at or 0.0, crashed)


def _worst(replicas: tuple[ReplicaStatus, ...]) -> ReplicaStatus | None:
    crashed = [replica for replica in replicas if replica.failures]
    return max(crashed, key=lambda replica: replica.failures) if crashed else None


def _why(replicas: tuple[ReplicaStatus, ...], seen: Seen) -> Cause | None:
    """The first reason in sight why not all is well; None when there is none."""
    if seen.hold is not None:
        return seen.hold.cause
    unwell = (r for r in replicas if r.state is not ReplicaState.READY and r.state not in LEAVING)
    told = (replica_cause(replica) for replica in unwell if replica.message or replica.failures)
    return next((cause for cause in told if cause is not None and cause.message), None)


def reached(service: Service, seen: Seen) -> bool:
    """Is everything as wanted: the right number of ready replicas of the right rollout, no others?"""
    current = [
        replica for replica in seen.of(service.rollout) if replica.state is ReplicaState.READY
    ]
    return len(seen.replicas) == len(current) == service.wanted_replicas
