"""What a cluster says of a pod or its owner, as causes: one word and one sentence. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from pierhead.core.causes import Cause
from pierhead.core.redaction import one_line
from pierhead.core.replicas import Exit
from pierhead.runtimes.kubernetes import fields
from pierhead.runtimes.kubernetes.api import GROUP, Manifest
from pierhead.runtimes.kubernetes.quantities import moment

_LONGEST = 400  #: characters of what the cluster says
#: Seconds after which a container that is being made is worth a look at the events.
SLOW = 60.0
#: Seconds beyond its grace after which a pod that should be gone is called stuck.
STUCK = 60.0

#: Seconds that a controller gets to take up a new object.
_ACTS = 30.0

_IMAGES = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_CONFIGS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_KILLS = frozenset({9, 15})  #: how a kubelet ends what does not pass its probe
_MOUNTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
_NETWORKS = frozenset({"FailedCreatePodSandBox", "NetworkNotReady", "FailedPodSandBoxStatus"})

#: A kubelet makes no folder of a node: it would be root's, and replicas are not root.
_NO_FOLDER = re.compile(r"hostPath type check failed: (\S+) is not a directory")

_SHORTAGE = re.compile(r"(?P<free>\d+)/(?P<all>\d+) nodes are available: (?P<rest>.*)", re.DOTALL)
_PART = re.compile(r"(?P<count>\d+) (?P<why>(?:(?!, \d+ ).)+)", re.DOTALL)
_PREEMPTION = re.compile(r"\.? preemption: .*", re.DOTALL)
#: What the scheduler says of nodes -> what we say of one, and of several.
_WHYS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(words), one, several)
    for words, one, several in (
        (r"Insufficient (\S+)", "lacks {0}", "lack {0}"),
        (r"Too many pods", "is full of pods", "are full of pods"),
        (r"unschedulable", "is cordoned", "are cordoned"),
        (
            r"taint \{(?:node\.kubernetes\.io/)?(?:not-ready|unreachable)",
            "is not ready",
            "are not ready",
        ),
        (r"taint \{([^:}]+)", "has the taint {0}", "have the taint {0}"),
        (
            r"node (?:selector|affinity)|affinity/selector",
            "does not have the labels it needs",
            "do not have the labels it needs",
        ),
        (
            r"volume node affinity|volume\(s\)|persistentvolumeclaim",
            "cannot have its volume",
            "cannot have its volume",
        ),
        (
            r"affinity|topology spread",
            "must not have it beside others",
            "must not have it beside others",
        ),
        (r"free ports", "has its port taken", "have its port taken"),
    )
)


def unschedulable(said: str, asks: str) -> Cause:
    """No node takes it: the scheduler's sentence `said`, shorter, and what it `asks` for."""
    found = _SHORTAGE.search(_PREEMPTION.sub("", said))
    wants = f"; it asks for {asks}" if asks else ""
    if found is None:
        told = _short(said) or "the scheduler has not said why yet"
        return _told("PodUnschedulable", "No node of the cluster takes it", told + wants)
    parts = [_part(each) for each in _PART.finditer(found["rest"].rstrip(". "))]
    shortage = f"{found['free']} of {found['all']} nodes fit: {', '.join(parts)}"
    return _told("PodUnschedulable", "No node of the cluster takes it", _short(shortage) + wants)


def _part(found: re.Match[str]) -> str:
    for words, one, several in _WHYS:
        match = words.search(found["why"])
        if match is not None:
            form = one if found["count"] == "1" else several
            return f"{found['count']} {form.format(*match.groups())}"
    return f"{found['count']} {found['why'].strip()}"


def waiting(reason: str, said: str, image: str) -> Cause | None:
    """Why a container is not started; None = it is simply being made, or waits for its next run."""
    if reason in _IMAGES:
        told = f"{image}: {_short(said)}" if said else f"{image}: {reason}"
        return _told("ImagePullFailed", "Its image cannot be had", told)
    if reason in _CONFIGS:
        return _told("ContainerConfigWrong", "Its container cannot be made", _short(said) or reason)
    return None


def making(events: Iterable[Manifest], age: float) -> Cause | None:
    """Why a container is still being made after `age` seconds; None = it is early, or nobody tells."""
    if age < SLOW:
        return None
    for event in sorted(events, key=event_at, reverse=True):
        reason, said = fields.text(event, "reason"), _short(fields.text(event, "message"))
        if reason in _MOUNTS:
            folder = _NO_FOLDER.search(said)
            if folder is not None:
                said = f"the folder [{folder[1]}] is not on its node, where an operator makes it"
            return _told("VolumeNotMounted", f"Its volume is not there after {age:.0f} s", said)
        if reason in _NETWORKS:
            return _told("PodNetworkFailed", f"It has no network after {age:.0f} s", said)
    return None


def refused(deployment: Manifest) -> Cause | None:
    """Why the cluster makes no pods for a Deployment; None = it does."""
    for condition in fields.many(deployment, "status", "conditions"):
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return _refusal(_short(fields.text(condition, "message")))
    return None


def _refusal(said: str) -> Cause:
    if "exceeded quota" in said:  # a LimitRange forbids as well, but no waiting helps there
        return _told("PodQuotaExceeded", "A quota of the cluster has no room for it", said)
    return _told("PodRefused", "The cluster does not admit its pods", said)


def not_made(events: Iterable[Manifest], since: float) -> Cause | None:
    """Why pods are missing, by what was last told of what makes them, since then; None = nobody tells."""
    told = [
        each
        for each in events
        if fields.text(each, "reason") == "FailedCreate" and event_at(each) >= since
    ]
    if not told:
        return None
    return _refusal(_short(fields.text(max(told, key=event_at), "message")))


def untouched(owner: Manifest, now: float) -> Cause | None:
    """Why nothing is made for an owner that nobody acts on; None = somebody does, or it is early."""
    made = moment(fields.text(owner, "metadata", "creationTimestamp"))
    if owner.get("kind") != GROUP.name or fields.mapping(owner, "status"):
        return None
    if made is None or now - made < _ACTS:
        return None
    said = "its LeaderWorkerSets are known, but their controller does not run"
    return _told("PodRefused", "The cluster makes no pods for it", said)


def ended_early(pod: Manifest) -> Exit:
    """How a pod ended as a whole: put out by its node, say."""
    said = _short(fields.text(pod, "status", "message"))
    reason = fields.text(pod, "status", "reason")
    node = fields.text(pod, "spec", "nodeName")
    at = max((moment(_finished(each)) or 0.0 for each in _containers(pod)), default=0.0)
    created = moment(fields.text(pod, "metadata", "creationTimestamp")) or 0.0
    known = ": ".join(each for each in (reason, said) if each)
    cause = (
        _told("Evicted", f"The node [{node}] put it out", said or "it gave no reason")
        if reason == "Evicted"
        else _told("PodFailed", "Its pod ended as a whole", known or "the cluster does not say why")
    )
    return Exit(at or created, reason=cause.reason, message=cause.message, facts=cause.facts)


def _containers(pod: Manifest) -> list[Manifest]:
    return fields.many(pod, "status", "containerStatuses")


def _finished(container: Manifest) -> str:
    return fields.text(container, "state", "terminated", "finishedAt")


def killed_by_probe(
    container: Manifest,
    events: Iterable[Manifest],
    started: float,
    end: Exit,
    *,
    was_ready: bool = False,
) -> Cause | None:
    """What a kubelet ended a run for: a start that took too long, or no sign of life; None = for nothing.

    `container` = its part of the pod's manifest; `started` in epoch seconds. That it was killed is told
    by its end, for what by the events; a probe that failed while it started says nothing by itself.
    A program may end with a code of its own when it is told to: one that was never ready and ran for as
    long as it may was told to.
    """
    killed = end.signal in _KILLS or end.code == 0
    if end.oom or (was_ready and not killed):
        return None
    last = max(
        (
            each
            for each in events
            if started - 1.0 <= event_at(each) <= end.at + 1.0 and _probe_of(each)
        ),
        key=event_at,
        default=None,
    )
    if last is None:
        return None
    probe = _probe_of(last)
    wanted = fields.mapping(container, f"{probe.lower()}Probe")
    if not killed and (probe != "Startup" or not wanted):
        return None
    spent = end.at - started + (1.0 if killed else 0.0)  # a cluster's times are whole seconds
    if spent < _patience(wanted):
        return None
    said = _short(fields.text(last, "message").partition(": ")[2])
    if probe == "Startup":
        return _told(
            "StartDeadlineExceeded", "It was ended, because it was not ready in time", said
        )
    return _told("LivenessFailed", "It was ended, because its liveness probe failed", said)


def _patience(probe: Mapping[str, object]) -> float:
    """Seconds from a start until a probe that always fails has a container killed, at the soonest."""
    tries = fields.number(probe, "failureThreshold") or 3
    period = fields.number(probe, "periodSeconds") or 10
    return float(fields.number(probe, "initialDelaySeconds") + (tries - 1) * period)


def _probe_of(event: Manifest) -> str:
    """`Startup` or `Liveness`, of an event that tells that such a probe failed."""
    said = fields.text(event, "message")
    if fields.text(event, "reason") != "Unhealthy":
        return ""
    return next((each for each in ("Startup", "Liveness") if said.startswith(f"{each} probe")), "")


def not_ready(events: Sequence[Manifest], since: float) -> str:
    """What its readiness or startup probe met last since then; "" = nobody tells."""
    told = [
        each
        for each in events
        if fields.text(each, "reason") == "Unhealthy" and event_at(each) >= since - 1.0
    ]
    if not told:
        return ""
    return _short(fields.text(max(told, key=event_at), "message")).rstrip(".")


def node_lost(node: str, since: float, toleration: float) -> Cause:
    """Its node does not answer: since when, and when its replacement starts."""
    if not since:
        told = f"the node [{node}] is no longer part of the cluster"
    else:
        told = f"the node [{node}] is not ready since {_clock(since)}"
        told += f", a replacement starts at about {_clock(since + toleration)}"
    return _told("NodeNotReady", "Its node does not answer", told)


def stuck(node: str, since: float) -> Cause:
    """It was told to end and is still there long after its grace."""
    told = f"on the node [{node}], its grace was over at {_clock(since)}"
    return _told("TerminatingStuck", "It does not end", told)


def event_at(event: Manifest) -> float:
    """When an event was last told, in epoch seconds."""
    for name in ("lastTimestamp", "eventTime"):
        at = moment(fields.text(event, name))
        if at is not None:
            return at
    return moment(fields.text(event, "metadata", "creationTimestamp")) or 0.0


def asked(resources: Iterable[Mapping[str, object]]) -> str:
    """`cpu 4, memory 8Gi, nvidia.com/gpu 1`: what one container of a pod asks a node for."""
    return ", ".join(
        f"{name} {amount}" for each in resources for name, amount in sorted(each.items())
    )


def _told(reason: str, error: str, problem: str) -> Cause:
    return Cause(reason, f"{error}: {problem.rstrip('.')}.", {"problem": problem})


def _short(said: str) -> str:
    return one_line(said.strip(), _LONGEST)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%SZ")
