"""What to write down when a service looks different than at the last look. Pure."""

from collections.abc import Iterable, Iterator

from pierhead.core.deadlines import overrun
from pierhead.core.diagnosis import Cause, crash
from pierhead.core.ejections import EJECTED, is_ejected
from pierhead.core.events import PLATFORM, Event, Notice
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.services import Hold, Seen, Service
from pierhead.core.status import Status, verdict

CUT = "DrainOverdue"  #: of a replica that was ended with requests
_UNWELL = frozenset({ReplicaState.CRASHED, ReplicaState.UNREADY})


def events(
    service: Service, before: Seen, after: Seen, now: float, *, last: float | None = None
) -> list[Event]:
    """The events between two looks, oldest first; `last` = when the look before was (None = now)."""
    noted = [
        *_hold_events(service, before, after, now),
        *_replica_events(service, before, after, now),
    ]
    looked = now if last is None else last
    late = overrun(service, after, now)
    if late is not None and overrun(service, before, looked) is None:
        noted.append(_event(service, now, late.reason, late.message, warning=True))
    was = verdict(service, before, looked)
    is_now = verdict(service, after, now)
    if is_now.status is Status.FAILED and (was.status, was.reason) != (
        is_now.status,
        is_now.reason,
    ):
        noted.append(_event(service, now, is_now.reason, is_now.message, warning=True))
    elif is_now.status in {Status.RUNNING, Status.STOPPED} and was.status is not is_now.status:
        noted.append(_event(service, now, is_now.status, is_now.message))
    return noted


def told(service: Service, notices: Iterable[Notice], now: float) -> list[Event]:
    """Notices about a start, as events."""
    return [
        _event(service, now, note.reason, note.message, warning=note.warning) for note in notices
    ]


def _replica_events(service: Service, before: Seen, after: Seen, now: float) -> Iterator[Event]:
    old = {replica.id: replica for replica in before.replicas}
    for replica in after.replicas:
        missed = _missed_end(old.get(replica.id), replica)
        if missed is not None:
            message = f"Replica {replica.id}: {missed.message}"
            yield _event(service, now, missed.reason, message, replica=replica.id, warning=True)
        yield from _rotation(service, old.get(replica.id), replica, now)
        text = _change(old.get(replica.id), replica)
        if text is not None:
            warning = text[0] == CUT or replica.state in _UNWELL
            yield _event(service, now, text[0], text[1], replica=replica.id, warning=warning)
    for gone in old.keys() - {replica.id for replica in after.replicas}:
        yield _event(service, now, "ReplicaRemoved", f"Replica {gone} is gone.", replica=gone)


def _rotation(
    service: Service, old: ReplicaStatus | None, new: ReplicaStatus, now: float
) -> Iterator[Event]:
    """Whether gateways put a ready replica out of rotation, or took it back."""
    if is_ejected(new) and not is_ejected(old):
        message = f"Replica {new.id} gets no requests for now: {new.message}."
        yield _event(service, now, EJECTED, message, replica=new.id, warning=True)
    elif is_ejected(old) and new.state is ReplicaState.READY and not is_ejected(new):
        message = f"Replica {new.id} answers as it should again and gets requests."
        yield _event(service, now, "ReplicaReturned", message, replica=new.id)


def _missed_end(old: ReplicaStatus | None, new: ReplicaStatus) -> Cause | None:
    """Why a run ended that crashed and was followed by the next one since the last look."""
    if old is None or new.last_exit is None or not new.failures or new.runs <= old.runs:
        return None
    return None if new.last_exit == old.last_exit else crash(new.last_exit, new.last_lines)


def _change(old: ReplicaStatus | None, new: ReplicaStatus) -> tuple[str, str] | None:
    """(reason, message) of a replica's step, or None when there is nothing to tell."""
    if old is not None and (old.state, old.runs) == (new.state, new.runs):
        return None
    took = f" after {new.ready_at - new.started:.1f} s" if new.ready_at and new.started else ""
    limits = f" Limits: {new.limits}." if new.limits else ""
    process = f", process {new.pid}" if new.pid else ""
    launched = f"Replica {new.id} was launched (run {new.runs}) at {new.address}{process}.{limits}"
    ended = f"Replica {new.id}: {new.message or new.last_exit or 'ended by itself'}"
    texts = {
        ReplicaState.STARTING: ("ReplicaStarting", launched),
        ReplicaState.READY: ("ReplicaReady", f"Replica {new.id} is ready{took}."),
        ReplicaState.CRASHED: (new.reason or "Crashed", ended),
        ReplicaState.UNREADY: (
            new.reason or "NotReady",
            f"Replica {new.id} does not answer its probe. {new.message}".strip(),
        ),
        ReplicaState.DRAINING: (
            "ReplicaDraining",
            f"Replica {new.id} gets no new requests and ends those it has.",
        ),
        ReplicaState.STOPPING: _stopping(new),
    }
    return texts.get(new.state)


def _stopping(replica: ReplicaStatus) -> tuple[str, str]:
    """Also of one whose requests were cut short, which is not what anybody wants."""
    if replica.reason == CUT:
        return CUT, f"Replica {replica.id}: {replica.message}"
    return "ReplicaStopping", f"Replica {replica.id} was told to terminate."


def _hold_events(service: Service, before: Seen, after: Seen, now: float) -> Iterator[Event]:
    hold = after.hold
    if (
        hold is not None
        and (hold.placement or not hold.permanent)
        and (before.hold is None or _word(before.hold) != _word(hold))
    ):
        warning = hold.placement or hold.reason.endswith(("Unavailable", "Hangs"))
        yield _event(service, now, hold.reason, hold.message, warning=warning)
    if hold is None and before.hold is not None:
        yield _event(service, now, "HoldEnded", f"No longer held by {before.hold.reason}.")


def _word(hold: Hold) -> tuple[str, str]:
    return hold.reason, hold.stage


def _event(
    service: Service,
    now: float,
    reason: str,
    message: str,
    *,
    replica: str = "",
    warning: bool = False,
) -> Event:
    kind = "Warning" if warning else "Normal"
    return Event(
        at=now,
        service=service.id,
        name=service.name,
        type=kind,
        reason=reason,
        message=message,
        actor=PLATFORM,
        replica=replica,
    )
