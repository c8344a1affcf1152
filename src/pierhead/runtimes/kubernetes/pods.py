"""A pod, as the platform knows replicas: a pure function of what the cluster says and of what is remembered.

A pod that was told to end is a replica as long as its container may run: it keeps its address and ends
the requests it has. One whose node is lost for longer than its grace is none: nobody will tell its end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from pierhead.core import diagnosis
from pierhead.core.causes import Cause
from pierhead.core.replicas import Exit, ReplicaState, ReplicaStatus
from pierhead.core.secrecy import masked, masked_command, secrets
from pierhead.runtimes.kubernetes import causes, fields, names, probe
from pierhead.runtimes.kubernetes.api import Manifest
from pierhead.runtimes.kubernetes.cluster import PORT
from pierhead.runtimes.kubernetes.quantities import moment, span

#: Figures in annotations, which people can write to: seconds, and a port.
_FIGURE, _PORT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?"), re.compile(r"[0-9]{1,5}")
_ROLLOUT = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
_SIGNALS = 128  #: what a signal's number is added to, in an exit code
_S = ReplicaState
#: Reason of a member that does nothing until its leader answers.
IN_TURN = "PodWaitsForLeader"


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of a pod's earlier runs, and of its present one."""

    forgiven: int = 0  #: crashes that no longer count, since a good spell came after them
    lines: tuple[str, ...] = ()  #: what its last run that crashed wrote last
    ready_at: float | None = None  #: when its present run became ready
    #: When its grace is over, by this hub's clock; None = it was not told to end, or nobody saw that.
    ends_at: float | None = None
    hidden: tuple[str, ...] = field(default=(), repr=False)  #: secrets that it may write


@dataclass(frozen=True, slots=True)
class Sight:
    """All that tells of one pod."""

    pod: Manifest
    node: Manifest | None = None
    nodes: bool = False  #: are the cluster's nodes known, so that one that is not there is gone?
    events: tuple[Manifest, ...] = ()
    past: Past = Past()
    toleration: float = 30.0  #: seconds until a pod on a lost node is replaced


def status_of(sight: Sight, now: float) -> ReplicaStatus | None:
    """The replica that a pod is; None = it is none any more."""
    pod = sight.pod
    base = _base(pod)
    lost = lost_since(sight)
    if fields.at(pod, "metadata", "deletionTimestamp"):
        return _leaving(sight, base, lost, now)
    if fields.text(pod, "status", "phase") in {"Failed", "Succeeded"}:
        return _over(sight, base)
    return _with_node(sight, _living(sight, base, now), lost)


def lost_since(sight: Sight) -> float | None:
    """Since when its node does not answer, in epoch seconds; 0 = the node is gone; None = it answers."""
    if not fields.at(sight.pod, "spec", "nodeName") or not sight.nodes:
        return None
    if sight.node is None:
        return 0.0
    well, since = probe.ready(sight.node)
    return None if well else moment(since) or 0.0


# ---- what is the same of every pod ------------------------------------------------------------


def _base(pod: Manifest) -> ReplicaStatus:
    meta = fields.mapping(pod, "metadata")
    labels, notes = fields.mapping(meta, "labels"), fields.mapping(meta, "annotations")
    container = container_of(pod)
    limits = fields.mapping(container, "resources", "limits")
    deadline = fields.text(notes, names.DEADLINE)
    rollout = fields.text(labels, names.ROLLOUT)
    return ReplicaStatus(
        id=fields.text(meta, "uid"),
        service=fields.text(labels, names.SERVICE_ID),
        rollout=rollout
        if _ROLLOUT.fullmatch(rollout)
        else "0.0",  # somebody changed it: an old one
        state=_S.PENDING,
        created=moment(fields.text(meta, "creationTimestamp")) or 0.0,
        node=fields.text(pod, "spec", "nodeName"),
        limits=f"cgroup: {causes.asked([limits])}" if limits else "",
        keyed=fields.text(notes, names.KEYED) == "true",
        key_of=fields.text(labels, names.SERVICE_ID),  # its pods have one Secret
        api=fields.text(notes, names.API) or "any",
        command=command_of(container),
        engine=fields.text(notes, names.ENGINE),
        model=fields.text(notes, names.MODEL),
        deadline=float(deadline) if _FIGURE.fullmatch(deadline) else None,
    )


def container_of(pod: Manifest) -> Manifest:
    """The engine's container, as the manifest has it."""
    every = fields.many(pod, "spec", "containers")
    own = [each for each in every if each.get("name") == names.ENGINE_CONTAINER]
    return (own or every or [{}])[0]


def environment_of(container: Manifest) -> dict[str, str]:
    """The variables of a container that stand in its manifest."""
    every = fields.many(container, "env")
    return {fields.text(each, "name"): fields.text(each, "value") for each in every}


def command_of(container: Manifest) -> tuple[str, ...]:
    """What a container executes, secrets masked."""
    parts: list[str] = []
    for name in ("command", "args"):
        part = fields.at(container, name)
        if isinstance(part, list):
            parts += [str(each) for each in cast("list[object]", part)]
    return masked_command(parts, secrets(environment_of(container)))


def hidden(sight: Sight) -> tuple[str, ...]:
    """Secrets that may stand in what a pod writes: of its manifest, and of its Secret."""
    return (*sight.past.hidden, *secrets(environment_of(container_of(sight.pod))))


def asks(pod: Manifest) -> str:
    """What a pod asks a node for, in words."""
    resources = fields.mapping(container_of(pod), "resources")
    wanted = fields.mapping(resources, "requests") or fields.mapping(resources, "limits")
    return causes.asked([wanted])


def own_status(pod: Manifest) -> Manifest:
    """What the kubelet says of its engine's container; empty = nothing yet."""
    every = fields.many(pod, "status", "containerStatuses")
    name = fields.text(container_of(pod), "name")
    nothing: Manifest = {}
    return next((each for each in every if each.get("name") == name), nothing)


def condition(pod: Manifest, kind: str) -> tuple[bool, float | None]:
    """(does it hold, since when) of a condition."""
    for each in fields.many(pod, "status", "conditions"):
        if each.get("type") == kind:
            return each.get("status") == "True", moment(fields.text(each, "lastTransitionTime"))
    return False, None


def address_of(pod: Manifest) -> tuple[str, int]:
    """Where it listens; ("", 0) = it has no address."""
    host = fields.text(pod, "status", "podIP")
    port = fields.text(pod, "metadata", "annotations", names.PORT)
    return (host, int(port) if _PORT.fullmatch(port) else PORT) if host else ("", 0)


def crashes(pod: Manifest) -> int:
    """How often its engine ended by itself."""
    found = own_status(pod)
    again = bool(fields.mapping(found, "state", "terminated"))
    again = again or (
        fields.text(found, "state", "waiting", "reason") == "CrashLoopBackOff"
        and bool(fields.mapping(found, "lastState", "terminated"))
    )
    return fields.number(found, "restartCount") + int(again)


def ended(found: Manifest) -> Mapping[str, object]:
    """How a container's last run ended, as the kubelet says; empty = none did."""
    return fields.mapping(found, "state", "terminated") or fields.mapping(
        found, "lastState", "terminated"
    )


def exit_of(pod: Manifest, told: Mapping[str, object]) -> Exit:
    """The same as the platform has it."""
    code, signal = fields.number(told, "exitCode"), fields.number(told, "signal")
    limit = fields.text(container_of(pod), "resources", "limits", "memory")
    oom = fields.text(told, "reason") == "OOMKilled"
    return Exit(
        at=moment(fields.text(told, "finishedAt")) or 0.0,
        code=None if signal else code,
        signal=signal or (code - _SIGNALS if _SIGNALS < code < _SIGNALS + 32 else None),
        oom=oom,
        facts={"limit": limit} if oom and limit else {},
    )


def was_ready(sight: Sight) -> bool:
    """Was its present run ever ready?"""
    well, since = condition(sight.pod, "Ready")
    started = moment(fields.text(own_status(sight.pod), "state", "running", "startedAt"))
    if started is None:
        return False
    return well or sight.past.ready_at is not None or (since is not None and since > started)


# ---- what it is -------------------------------------------------------------------------------


def _leaving(
    sight: Sight, base: ReplicaStatus, lost: float | None, now: float
) -> ReplicaStatus | None:
    """It was told to end: it drains until it is let go, or its grace is over."""
    pod = sight.pod
    by = ends_at(sight) or now
    grace = fields.number(pod, "spec", "terminationGracePeriodSeconds")
    if not base.node:
        return None  # it never was anywhere: only its record is left
    if lost is not None and now - max(lost, by - grace) > grace:
        return None
    runs = bool(fields.mapping(own_status(pod), "state", "running"))
    base = _run(sight, base)
    if runs and was_ready(sight) and not let_go(pod) and now < by:
        return replace(base, state=_S.DRAINING)
    if now > by + causes.STUCK:
        why = causes.stuck(base.node, by)
        return replace(base, state=_S.STOPPING, **_told(why))
    return replace(base, state=_S.STOPPING)


def leaves_at(pod: Manifest) -> float | None:
    """When the grace of a pod that was told to end is over, by the cluster's clock; None = it was not."""
    return moment(fields.text(pod, "metadata", "deletionTimestamp"))


def ends_at(sight: Sight) -> float | None:
    """The same by our own clock, as far as we saw it begin: the cluster's may be minutes off."""
    by = leaves_at(sight.pod)
    return by if by is None or sight.past.ends_at is None else sight.past.ends_at


def let_go(pod: Manifest) -> bool:
    """Was it told to end sooner than its grace allows?"""
    left = fields.at(pod, "metadata", "deletionGracePeriodSeconds")
    grace = fields.number(pod, "spec", "terminationGracePeriodSeconds")
    return isinstance(left, int) and left < grace


def _over(sight: Sight, base: ReplicaStatus) -> ReplicaStatus:
    """Its pod ended as a whole: by its node's word, or because nothing starts its engine again."""
    pod = sight.pod
    told = ended(own_status(pod))
    runs = fields.number(own_status(pod), "restartCount") + 1
    if told and not fields.text(pod, "status", "reason"):
        end, lines = exit_of(pod, told), sight.past.lines or lines_of(sight, told)
        why = diagnosis.crash(end, lines)
        base = replace(base, reason=why.reason, message=why.message, last_lines=lines)
    else:
        end = causes.ended_early(pod)
        base = replace(base, reason=end.reason, message=end.message)
    return replace(base, state=_S.CRASHED, runs=runs, failures=1, last_exit=end)


def _living(sight: Sight, base: ReplicaStatus, now: float) -> ReplicaStatus:
    pod = sight.pod
    if not base.node:
        return _unscheduled(pod, base)
    found = own_status(pod)
    before = _before(sight, base, now)
    if before is not None:
        return before
    base = _run(sight, base)
    if fields.mapping(found, "state", "running"):
        return _running(sight, base)
    if ended(found):
        return _between_runs(sight, base, found)
    why = causes.waiting(*_waits(found), fields.text(found, "image")) or causes.making(
        sight.events, now - base.created
    )
    return base if why is None else replace(base, **_told(why))


def _unscheduled(pod: Manifest, base: ReplicaStatus) -> ReplicaStatus:
    for each in fields.many(pod, "status", "conditions"):
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            why = causes.unschedulable(fields.text(each, "message"), asks(pod))
            return replace(base, **_told(why))
    return base


def _before(sight: Sight, base: ReplicaStatus, now: float) -> ReplicaStatus | None:
    """What goes on before its engine: what fetches its files, say; None = that is over.

    What a mesh starts first and keeps beside the engine (a sidecar) is none of it.
    """
    specs = {fields.text(each, "name"): each for each in _init(sight.pod)}
    for found in fields.many(sight.pod, "status", "initContainerStatuses"):
        spec = specs.get(fields.text(found, "name"), {})
        over = (
            fields.at(found, "state", "terminated", "exitCode") == 0 or found.get("ready") is True
        )
        if over or spec.get("restartPolicy") == "Always":
            continue
        told = ended(found)
        if told and not fields.mapping(found, "state", "running"):
            return _first_failed(sight, base, found, told)
        image = fields.text(spec, "image")
        why = causes.waiting(*_waits(found), image) or causes.making(
            sight.events, now - base.created
        )
        if fields.mapping(found, "state", "running"):
            why = _goes_on(found)
        return base if why is None else replace(base, **_told(why))
    return None


def _goes_on(found: Manifest) -> Cause:
    name, since = fields.text(found, "name"), fields.text(found, "state", "running", "startedAt")
    if name == names.TURN_CONTAINER:
        problem = f"its leader does not answer, it asks since {since}"
        return Cause("PodWaitsForLeader", problem, {"problem": problem})
    problem = f"the container [{name}] runs since {since}"
    return Cause("PodFetchesFiles", problem, {"problem": problem})


def _told(why: Cause) -> Mapping[str, str]:
    """Word and problem of a cause: the words around it come with the word, in each language."""
    return {"reason": why.reason, "message": why.facts.get("problem", why.message)}


def _init(pod: Manifest) -> list[Manifest]:
    return fields.many(pod, "spec", "initContainers")


def _first_failed(
    sight: Sight, base: ReplicaStatus, found: Manifest, told: Mapping[str, object]
) -> ReplicaStatus:
    """What runs before its engine failed: its files could not be fetched, say; what it wrote last says why."""
    name = fields.text(found, "name")
    fetches = name == names.FETCH_CONTAINER
    reason = "WeightsUnavailable" if fetches else "PodFailed"
    what = (
        "Its files could not be fetched" if fetches else f"The container [{name}] before it failed"
    )
    lines = lines_of(sight, told)
    end = exit_of(sight.pod, told)
    problem = lines[-1] if lines else str(end)
    text = f"{what}: {problem.rstrip('.')}."
    again = not fields.mapping(found, "state", "running")
    return replace(
        base,
        state=_S.CRASHED,
        runs=fields.number(found, "restartCount") + 1,
        failures=fields.number(found, "restartCount") + int(again),
        reason=reason,
        message=text,
        last_exit=replace(end, reason=reason, message=text, facts={"problem": problem}),
        last_lines=lines,
        retry_at=_retry(found, end.at),
    )


def restarted_first(sight: Sight) -> tuple[Exit, tuple[str, ...]] | None:
    """How what runs before the engine ended, where it was started anew, and what it wrote; None = none was.

    Whatever it does now: of a pod of a group nobody waits for a second run.
    """
    for found in fields.many(sight.pod, "status", "initContainerStatuses"):
        if fields.number(found, "restartCount"):
            told = fields.mapping(found, "lastState", "terminated") or ended(found)
            return exit_of(sight.pod, told), lines_of(sight, told)
    return None


def _run(sight: Sight, base: ReplicaStatus) -> ReplicaStatus:
    """With what its runs so far say."""
    pod = sight.pod
    found = own_status(pod)
    started = moment(fields.text(found, "state", "running", "startedAt"))
    told = ended(found)
    host, port = address_of(pod) if started is not None else ("", 0)
    return replace(
        base,
        host=host,
        port=port,
        started=started,
        ready_at=_ready_at(sight) if started is not None else None,
        runs=fields.number(found, "restartCount") + int(bool(told) or started is not None),
        failures=max(0, crashes(pod) - sight.past.forgiven),
        last_exit=exit_of(pod, told) if told else None,
        last_lines=(sight.past.lines or lines_of(sight, told)) if told else (),
    )


def _ready_at(sight: Sight) -> float | None:
    well, since = condition(sight.pod, "Ready")
    return sight.past.ready_at or (since if well else None)


def _running(sight: Sight, base: ReplicaStatus) -> ReplicaStatus:
    well, since = condition(sight.pod, "Ready")
    if well and base.host:
        return replace(base, state=_S.READY)
    told = causes.not_ready(sight.events, base.started or 0.0) or _beside(sight.pod)
    if was_ready(sight):
        text = told or "its readiness probe fails"
        return replace(base, state=_S.UNREADY, reason="ProbeFailed", message=text, unready_at=since)
    return replace(base, state=_S.STARTING, reason="NotReadyYet" * bool(told), message=told)


def _beside(pod: Manifest) -> str:
    """Who keeps a pod from being ready whose engine is; "" = nobody."""
    every = {
        fields.text(each, "name"): each for each in fields.many(pod, "status", "containerStatuses")
    }
    own = fields.text(container_of(pod), "name")
    if every.get(own, {}).get("ready") is not True:
        return ""
    late = [name for name, each in every.items() if name != own and each.get("ready") is not True]
    return f"the container [{late[0]}] beside its engine is not ready" if late else ""


def _between_runs(sight: Sight, base: ReplicaStatus, found: Manifest) -> ReplicaStatus:
    """It ended by itself, and the kubelet runs it again."""
    end = base.last_exit or exit_of(sight.pod, ended(found))
    why = why_killed(sight, end)
    if why is not None:
        end = replace(end, reason=why.reason, message=why.message, facts=why.facts)
    cause = causes.waiting(*_waits(found), fields.text(found, "image"))
    cause = cause or diagnosis.crash(end, base.last_lines)
    return replace(
        base,
        state=_S.CRASHED,
        last_exit=end,
        reason=cause.reason,
        message=cause.message,
        retry_at=_retry(found, end.at),
        host="",
        port=0,
    )


def why_killed(sight: Sight, end: Exit) -> Cause | None:
    """What the kubelet ended its last run for; None = it ended by itself."""
    told = ended(own_status(sight.pod))
    started = moment(fields.text(told, "startedAt")) or end.at
    ready = sight.past.ready_at is not None
    return causes.killed_by_probe(
        container_of(sight.pod), sight.events, started, end, was_ready=ready
    )


def lines_of(sight: Sight, told: Mapping[str, object]) -> tuple[str, ...]:
    """What a run wrote last, where the kubelet keeps that with its end."""
    text = masked(fields.text(told, "message"), hidden(sight))
    return tuple(line for line in text.splitlines() if line.strip())


def _waits(found: Manifest) -> tuple[str, str]:
    waits = fields.mapping(found, "state", "waiting")
    return fields.text(waits, "reason"), fields.text(waits, "message")


def _retry(found: Manifest, since: float) -> float | None:
    """When it runs again: the kubelet says for how long it waits."""
    words = fields.text(found, "state", "waiting", "message").split()
    seconds = span(words[1]) if len(words) > 1 and words[0] == "back-off" else None
    return None if seconds is None else since + seconds


def _with_node(sight: Sight, status: ReplicaStatus, lost: float | None) -> ReplicaStatus:
    """Of a pod on a node that does not answer nobody knows how it is: it gets no requests."""
    if lost is None:
        return status
    why = causes.node_lost(status.node, lost, sight.toleration)
    state: Literal[ReplicaState.UNREADY, ReplicaState.PENDING] = (
        _S.UNREADY if status.state in {_S.READY, _S.UNREADY} else _S.PENDING
    )
    if status.state in {_S.CRASHED, _S.STARTING}:
        return replace(status, **_told(why))
    return replace(status, state=state, unready_at=lost or None, **_told(why))
