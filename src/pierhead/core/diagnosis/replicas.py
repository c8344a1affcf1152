"""Why one replica is not ready, from what its runtime tells of it."""

from collections.abc import Mapping

from pierhead.core.causes import Cause, Facts
from pierhead.core.diagnosis.ends import crash
from pierhead.core.diagnosis.explaining import worded
from pierhead.core.ejections import EJECTED, is_ejected
from pierhead.core.replicas import ReplicaState, ReplicaStatus

#: What is said where the runtime tells no reason.
UNTOLD: Mapping[ReplicaState, str] = {
    ReplicaState.PENDING: "ReplicaPending",
    ReplicaState.STARTING: "NotReadyYet",
    ReplicaState.UNREADY: "ProbeFailed",
    ReplicaState.CRASHED: "Crashed",
    ReplicaState.DRAINING: "ReplicaDraining",
    ReplicaState.STOPPING: "ReplicaStopping",
    ReplicaState.STOPPED: "ReplicaStopping",
}


def replica_cause(replica: ReplicaStatus) -> Cause | None:
    """Why it is not ready, or gets no requests; None when it does. What ended its runs goes before "not yet"."""
    if replica.state is ReplicaState.READY:
        return Cause(EJECTED, replica.message, _problem(replica)) if is_ejected(replica) else None
    looping = replica.failures > 0 and replica.state is ReplicaState.STARTING
    if replica.state is ReplicaState.CRASHED or looping:
        return last_end(replica)
    if not replica.reason:
        return worded(UNTOLD[replica.state], _problem(replica))
    return Cause(replica.reason, replica.message, _problem(replica))


def last_end(replica: ReplicaStatus) -> Cause:
    """Why its last run ended, also while the next one is being tried and says only "not yet"."""
    end = replica.last_exit
    crashed = replica.state is ReplicaState.CRASHED
    if end is None:
        return Cause(replica.reason or "Crashed", replica.message)
    found = crash(end, replica.last_lines)
    facts = {**found.facts, **_circumstances(replica)}
    if crashed and replica.reason and replica.reason != found.reason:
        # It was told from more lines than are shown here, or nobody is to blame.
        return Cause(replica.reason, replica.message, _circumstances(replica))
    message = replica.message if crashed and replica.message else found.message
    return Cause(found.reason, message, facts)


def _problem(replica: ReplicaStatus) -> Facts:
    """What is said of it, and how long its start may take, which depends on its weights."""
    facts = {"problem": replica.message} if replica.message else {}
    starts = replica.state is ReplicaState.STARTING and replica.deadline is not None
    return facts | ({"deadline": f"{replica.deadline:.0f}"} if starts else {})


def _circumstances(replica: ReplicaStatus) -> dict[str, str]:
    told = {"limits": replica.limits} if replica.limits not in {"", "none"} else {}
    return told | ({"crashes": str(replica.failures)} if replica.failures > 1 else {})
