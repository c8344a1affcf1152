"""Which services quotas bound, and what each of them has: in memory, for admission.py."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core.quotas import NOTHING, Amount, Claim, Quota, Share
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.services import Service
from pierhead.core.workloads import version_of
from pierhead.store import quotas as quota_rows
from pierhead.store import workspaces as workspace_rows


@dataclass(slots=True)
class Member:
    """A service that names a quota or a workspace."""

    service: Service
    sizes: dict[int, Amount] = field(default_factory=dict[int, Amount])  #: by version
    exists: Amount = NOTHING  #: held by its replicas
    starting: Amount = NOTHING  #: by those that may start at this moment
    right: int = 0  #: replicas that it may have: they are replaced whoever waits
    before: int = 0  #: the same before the last grant
    size: Amount = NOTHING  #: of each that it has a right to
    asked: tuple[tuple[float, int], ...] = ()  #: see quota_steps.asked
    since: float = 0.0  #: since when its update waits, epoch seconds; 0 = it does not
    claims: tuple[Claim, ...] = ()  #: what it waits for
    refused: bool = False  #: as its quotas are, nothing of it will ever start

    @property
    def held(self) -> Amount:
        """What nobody else may have."""
        return (self.exists + self.starting).most(self.size.times(self.right))

    def size_of(self, replica: ReplicaStatus) -> Amount:
        """What a replica holds, by its own version."""
        return self.sizes[version_of(replica.rollout)]

    def older(self, present: Iterable[ReplicaStatus], rollout: str) -> tuple[Amount, ...]:
        """What replicas of other rollouts hold, in the order in which the planner lets them go."""
        found = [one for one in present if one.rollout != rollout and one.state not in LEAVING]
        found.sort(key=lambda one: (one.state is ReplicaState.READY, one.created))
        return tuple(map(self.size_of, found))

    def note(self, present: Sequence[ReplicaStatus]) -> None:
        """Take in what there is; nothing is about to start."""
        live = [self.size_of(one) for one in present if one.state not in LEAVING]
        self.exists, self.starting = sum(map(self.size_of, present), NOTHING), NOTHING
        self.right = min(self.service.wanted_replicas, max(self.right, len(live)))
        size = NOTHING if len(live) >= self.right else self.size
        for one in live:
            size = size.most(one)
        self.size = size

    def trim(self) -> None:
        """It asks for nothing now; what it does not want any more is not waited for."""
        wanted = self.service.wanted_replicas
        kept = [(since, min(count, wanted)) for since, count in self.asked]
        self.asked = tuple(one for one in kept if one[1] > self.right)


class Members:
    """The quotas as they are defined, and who is bound by which."""

    def __init__(self) -> None:
        self.quotas: Mapping[str, Quota] = {}
        self._quota_of: Mapping[str, str] = {}  # workspace -> quota
        self._workspaces: dict[str, list[str]] = {}  # the other way round
        self._of: dict[str, Member] = {}
        self._naming: dict[tuple[str, str], dict[str, Member]] = {}  # ("quota", id) -> members

    def define(self, quotas: Mapping[str, Quota], quota_of: Mapping[str, str]) -> None:
        """Let these be all quotas, and those of workspaces."""
        self.quotas, self._quota_of, self._workspaces = quotas, quota_of, {}
        for workspace, quota in quota_of.items():
            self._workspaces.setdefault(quota, []).append(workspace)

    def enter(self, service: Service) -> Member:
        """Its member, under the names that it has now."""
        member = self._of.get(service.id)
        if member is None:
            member = self._of[service.id] = Member(service)
        elif _names(member.service) != _names(service):
            self._leave(member)
        member.service = service
        for name in _names(service):
            self._naming.setdefault(name, {})[service.id] = member
        return member

    def get(self, service: str) -> Member | None:
        """A member by its service's id."""
        return self._of.get(service)

    def remove(self, service: str) -> Member | None:
        """It names nothing any more, or has gone; the member that it was."""
        member = self._of.pop(service, None)
        if member is not None:
            self._leave(member)
        return member

    def bound(self, service: Service) -> tuple[str, ...]:
        """Ids of the quotas that bound a service: its own and its workspace's, as far as there are such."""
        ids = dict.fromkeys((service.quota, self._quota_of.get(service.workspace, "")))
        return tuple(id_ for id_ in ids if id_ in self.quotas)

    def of(self, quota: str) -> Iterator[Member]:
        """All that a quota bounds; one that it bounds twice comes twice."""
        yield from self._naming.get(("quota", quota), {}).values()
        for workspace in self._workspaces.get(quota, ()):
            yield from self._naming.get(("workspace", workspace), {}).values()

    def around(self, ids: Iterable[str]) -> tuple[dict[str, Share], list[Claim]]:
        """What everybody has, and waits for, of these quotas and of all that hang together with them."""
        shares: dict[str, Share] = {}
        claims: list[Claim] = []
        left, done = list(ids), set[str]()
        while left:
            quota = left.pop()
            if quota in done:
                continue
            done.add(quota)
            for member in self.of(quota):
                if member.service.id not in shares:
                    bound = self.bound(member.service)
                    shares[member.service.id] = Share(bound, member.held)
                    claims += member.claims
                    left += bound
        return shares, claims

    def waiting(self) -> list[Member]:
        """All that wait, the longest wait first."""
        found = [member for member in self._of.values() if member.claims]
        return sorted(found, key=lambda one: (one.claims[0].since, one.service.id))

    def refused(self) -> list[Member]:
        """All of which nothing will ever start unless a quota is changed."""
        return [member for member in self._of.values() if member.refused]

    def _leave(self, member: Member) -> None:
        for name in _names(member.service):
            naming = self._naming[name]
            del naming[member.service.id]
            if not naming:
                del self._naming[name]


def book(tx: Connection) -> tuple[Mapping[str, Quota], Mapping[str, str]]:
    """(the quotas by their ids, the workspaces that have one with its id)."""
    quotas = {quota.id: quota for quota in quota_rows.everything(tx)}
    spaces = workspace_rows.everything(tx)
    return quotas, {space.id: space.quota for space in spaces if space.quota}


def _names(service: Service) -> list[tuple[str, str]]:
    pairs = (("quota", service.quota), ("workspace", service.workspace))
    return [pair for pair in pairs if pair[1]]
