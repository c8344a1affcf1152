"""Replicas of several pods: a leader, which is the replica, and members that compute for it.

A replica takes requests only while all of its members run, and their troubles are its own. When one of
its pods ends by itself, a LeaderWorkerSet's controller makes all of them anew, and the kubelet's counts go
with them: `Falls` goes on counting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pierhead.core.backoff import GOOD_SPELL
from pierhead.core.replicas import LEAVING, Exit, ReplicaState, ReplicaStatus
from pierhead.runtimes.kubernetes import fields, names, pods
from pierhead.runtimes.kubernetes.api import Manifest

#: Name of a LeaderWorkerSet, and which of its groups.
Place = tuple[str, str]
_S = ReplicaState
_WAITS = frozenset({_S.PENDING, _S.STARTING})
_MOST = 256  #: nodes of a replica that are believed, whatever an annotation says
_DIGITS = 9  #: of a number that is read at all: Python refuses to read thousands of them


def is_member(pod: Manifest) -> bool:
    """Does it compute for a replica that is another pod?"""
    return fields.text(pod, "metadata", "labels", names.COMPONENT) == names.MEMBER


def place(pod: Manifest) -> Place | None:
    """Which group it belongs to; None = it is a replica by itself."""
    labels = fields.mapping(pod, "metadata", "labels")
    found = fields.text(labels, names.SET), fields.text(labels, names.GROUP_INDEX)
    return found if all(found) else None


def size(pod: Manifest) -> int:
    """Pods of its replica."""
    told = fields.text(pod, "metadata", "annotations", names.NODES)
    return min(int(told[:_DIGITS]), _MOST) if told.isdecimal() else 1


def rank(pod: Manifest) -> int:
    """Its place in its group; 0 = it leads."""
    told = fields.text(pod, "metadata", "labels", names.WORKER_INDEX)
    return int(told) if told.isdecimal() else 0


def leader_of(member: Manifest, pods_: Iterable[Manifest]) -> Manifest | None:
    """The pod that leads its group now."""
    where = place(member)
    return next((each for each in pods_ if not is_member(each) and place(each) == where), None)


def replicas(
    group: Mapping[str, Manifest], statuses: Mapping[str, ReplicaStatus | None]
) -> list[ReplicaStatus]:
    """The replicas that a service's pods are; `group`, `statuses`: by uid."""
    members: dict[Place | None, list[Manifest]] = {}
    for pod in group.values():
        if is_member(pod):
            members.setdefault(place(pod), []).append(pod)
    found: list[ReplicaStatus] = []
    for uid, pod in group.items():
        status = statuses.get(uid)
        if status is None or is_member(pod):
            continue
        if size(pod) > 1:
            own = {
                rank(each): statuses.get(fields.text(each, "metadata", "uid"))
                for each in members.get(place(pod), ())
                if pods.leaves_at(each) is None
            }
            status = whole(status, size(pod), own)
        found.append(status)
    return found


def whole(
    leader: ReplicaStatus, nodes: int, members: Mapping[int, ReplicaStatus | None]
) -> ReplicaStatus:
    """A replica on several nodes; `members` = those that are not told to end, by their ranks."""
    ranks = range(1, nodes)
    known = {each: members.get(each) for each in ranks}
    placed = tuple(found.node if found else "" for found in known.values())
    leader = replace(leader, members=placed)
    late = [each for each, found in known.items() if not _computes(found)]
    if leader.state in LEAVING or not late:
        return leader
    # One that says what is wrong goes before one that is only not there yet.
    first = min(late, key=lambda each: _weight(known[each]))
    return _lacking(leader, known[first], _who(first, nodes))


def broken(
    leader: Manifest, pods_: Iterable[Manifest], statuses: Mapping[str, ReplicaStatus | None]
) -> bool:
    """Has an engine that spans several nodes lost a part of itself, so that no request of it can end well?

    A member of which only its node says nothing may compute on: it is waited for.
    """
    if is_member(leader) or size(leader) == 1:
        return False
    own = [each for each in pods_ if is_member(each) and place(each) == place(leader)]
    here = {rank(each) for each in own if _stays(each, statuses)}
    return not here.issuperset(range(1, size(leader)))


def _stays(member: Manifest, statuses: Mapping[str, ReplicaStatus | None]) -> bool:
    found = statuses.get(fields.text(member, "metadata", "uid"))
    if found is None or pods.leaves_at(member) is not None:
        return False
    return found.state is not _S.CRASHED and found.runs <= 1


def _weight(member: ReplicaStatus | None) -> int:
    """What is told of first: what is wrong with a member, that it waits for its leader, or nothing."""
    if member is None or not member.reason:
        return 2
    return int(member.reason == pods.IN_TURN)


def _computes(member: ReplicaStatus | None) -> bool:
    """Does it run since its leader does? One that runs again is none of what that one started with."""
    return member is not None and member.state is _S.READY and member.runs <= 1


def _lacking(leader: ReplicaStatus, member: ReplicaStatus | None, who: str) -> ReplicaStatus:
    if leader.state is _S.CRASHED or (leader.state is _S.PENDING and leader.reason):
        return leader  # what is wrong with it comes first: its members wait for it
    if member is not None and member.state is _S.CRASHED:
        return replace(
            leader,
            state=_S.CRASHED,
            runs=max(leader.runs, member.runs),
            failures=max(leader.failures, member.failures),
            last_exit=member.last_exit,
            last_lines=member.last_lines,
            reason=member.reason,
            message=_by(who, member.message),
            retry_at=member.retry_at,
            host="",
            port=0,
        )
    if leader.state in _WAITS:
        if member is None or not member.reason:
            return leader
        if leader.state is _S.PENDING and member.reason == pods.IN_TURN:
            return leader  # whatever keeps the leader from starting keeps its member waiting, too
        return replace(leader, reason=member.reason, message=_by(who, member.message))
    again = member is not None and member.runs > 1
    text = (
        "is not there" if member is None else "ended and starts anew" if again else "does not run"
    )
    told = {"reason": "MemberMissing", "message": f"{who} {text}"}
    if member is not None and member.reason:
        told = {"reason": member.reason, "message": _by(who, member.message)}
    return replace(leader, state=_S.UNREADY, **told)


def _who(rank_: int, nodes: int) -> str:
    return f"A member (node {rank_ + 1} of {nodes})"


def _by(who: str, message: str) -> str:
    return f"{who}: {message}"


def _ended(status: ReplicaStatus | None, sight: pods.Sight) -> tuple[Exit, tuple[str, ...]] | None:
    """How a pod of a group ended by itself, and what it wrote last; None = it did not."""
    if status is None:
        return None
    if status.last_exit is not None and status.failures:
        return status.last_exit, status.last_lines
    return pods.restarted_first(sight)


@dataclass(frozen=True, slots=True)
class Fall:
    """How often the pods of one group were ended by themselves, and how that last was."""

    leader: str  #: uid of the leader that fell last: its members' ends are the same fall
    number: int
    end: Exit
    lines: tuple[str, ...] = ()


@dataclass(slots=True)
class Falls:
    """What groups fell by; forgotten with their service, and by a hub that starts."""

    _of: dict[str, dict[Place, Fall]] = field(default_factory=dict[str, dict[Place, Fall]])

    def seen(
        self, service: str, status: ReplicaStatus | None, sight: pods.Sight, leader: Manifest
    ) -> None:
        """Take note of a pod of a group, if it ended by itself; `leader` = the one that it has.

        `status` = what that pod is, by itself.
        """
        pod = sight.pod
        where, uid = place(pod), fields.text(leader, "metadata", "uid")
        found = _ended(status, sight)
        if where is None or found is None or pods.leaves_at(pod) is not None:
            return
        before = self._of.setdefault(service, {}).get(where)
        if before is not None and before.leader == uid:
            return
        end, lines = found
        if is_member(pod):
            lines = (f"{_who(rank(pod), size(pod))} ended: {end}", *lines)
        number = 1 if before is None else before.number + 1
        self._of[service][where] = Fall(uid, number, end, lines)

    def counted(self, status: ReplicaStatus, pod: Manifest, now: float) -> ReplicaStatus:
        """A leader's status with the falls of its group; a good spell makes up for them."""
        known = self._of.get(status.service)
        where = place(pod) if known else None
        fall = known.get(where) if known and where is not None and not is_member(pod) else None
        if known is None or where is None or fall is None or fall.leader == status.id:
            return status
        if status.state is _S.READY and now - (status.ready_at or now) >= GOOD_SPELL:
            del known[where]
            return status
        return replace(
            status,
            runs=status.runs + fall.number,
            failures=status.failures + fall.number,
            last_exit=status.last_exit or fall.end,
            last_lines=status.last_lines or fall.lines,
        )

    def forget(self, service: str) -> None:
        """It is gone."""
        self._of.pop(service, None)
