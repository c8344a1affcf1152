"""Admission by quotas: what of a service may start now, who waits, and who looks again.

All of it is in memory, and between the answer and the start of what was granted nothing is awaited:
passes at the same time cannot be given the same room. What was granted counts from then on, and is
given back when it cannot be used. After a restart it is found again: replicas are adopted before
anything starts; who waits, and what it has a right to, stands in the database.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pierhead.core import quota_holds, quota_steps
from pierhead.core.quota_holds import Lack
from pierhead.core.quota_sizes import of_replica, unsaid
from pierhead.core.quota_steps import Stand, Step
from pierhead.core.quotas import EXCEEDED, NOTHING, Quota, Share, grants
from pierhead.core.replicas import LEAVING, ReplicaStatus
from pierhead.core.services import Hold, Seen, Service
from pierhead.core.workloads import Workload, version_of
from pierhead.reconciler.members import Member, Members, book
from pierhead.store import services as rows
from pierhead.store.db import Database

Present = Sequence[ReplicaStatus]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A service's step, and what of its quotas it was found by."""

    step: Step
    bound: tuple[str, ...]
    shares: dict[str, Share]


class Admission:
    """The quotas, and what each service has of them."""

    def __init__(self) -> None:
        #: Has services looked at, in this order.
        self.call: Callable[[Sequence[str]], None] = lambda _services: None
        self._members = Members()
        self._changes, self._read = 1, 0

    # ---- what is known --------------------------------------------------------------------

    def outdated(self) -> None:
        """A quota was changed, or that of a workspace."""
        self._changes += 1

    async def begin(
        self,
        db: Database,
        found: Iterable[tuple[Service, Seen]],
        observe: Callable[[str], Present],
    ) -> None:
        """Take up what an earlier hub left; before anything is started.

        Raises:
            Unavailable: the database does not answer.
        """
        await self._renew(db)
        for service, seen in found:
            present = observe(service.id)
            member = await self._known(db, service, present)
            if member is not None:
                self._restore(member, seen, present)

    async def renew(self, db: Database) -> None:
        """Know the quotas as they are now; those who wait are called.

        Raises:
            Unavailable: the database does not answer.
        """
        await self._renew(db)
        concerned = [*self._members.waiting(), *self._members.refused()]
        self.call([member.service.id for member in concerned])

    async def _renew(self, db: Database) -> None:
        while self._read < self._changes:
            change = self._changes
            found = await db.read(book)
            if change > self._read:  # else a question that was asked later was answered sooner
                self._read = change
                self._members.define(*found)

    async def enter(self, db: Database, service: Service, present: Present) -> None:
        """Before `admit`: know all that it needs. A service that names nothing costs nothing.

        Raises:
            Unavailable: the database does not answer.
        """
        old = self._members.get(service.id)
        before = self._members.bound(old.service) if old is not None else ()
        if await self._known(db, service, present) is None:
            self.forget(service.id)
        elif before != self._members.bound(service):
            self._next(before)

    async def _known(self, db: Database, service: Service, present: Present) -> Member | None:
        if not service.quota and not service.workspace:
            return None
        await self._renew(db)
        member = self._members.enter(service)
        member.sizes[service.current.number] = of_replica(service.current.template)
        for number in {version_of(one.rollout) for one in present} - member.sizes.keys():
            version = await db.read(rows.version, service.id, number)
            known = service.current if version is None else version
            member.sizes[number] = of_replica(known.template)
        return member

    def _restore(self, member: Member, seen: Seen, present: Present) -> None:
        service, hold = member.service, seen.hold
        member.right = seen.granted
        member.size = of_replica(service.current.template)
        member.note(present)
        if hold is not None and hold.reason == EXCEEDED:
            stand = _stand(member, service.rollout, service.wanted_replicas, present)
            member.since = hold.since if stand.older else 0.0
            member.asked = quota_steps.asked(hold.asked, stand.right, stand.wanted, hold.since)
            member.claims = quota_steps.claims(service.id, stand, member.asked, hold.since)

    def forget(self, service: str) -> None:
        """It has gone, or names nothing any more."""
        member = self._members.remove(service)
        if member is not None:
            self._next(self._members.bound(member.service))

    # ---- one step -------------------------------------------------------------------------

    def never(self, service: Service) -> Hold | None:
        """Is a single replica beyond a quota, or unknown? Then nothing need be fetched for it."""
        bound = self._members.bound(service) if service.wanted_replicas else ()
        quotas = [self._members.quotas[id_] for id_ in bound]
        found = _never(service, quotas)
        member = self._members.get(service.id)
        if member is not None:
            member.refused = found is not None
        return found

    def admit(
        self, workload: Workload, present: Present, now: float
    ) -> tuple[Workload, Hold | None]:
        """What of a workload may be asked of the runtime at this moment, and why not all of it.

        What it may start is its own until `settle`.
        """
        member = self._members.get(workload.service)
        if member is None:
            return workload, None
        member.note(present)
        member.before, member.claims = member.right, ()
        bound = self._members.bound(member.service)
        if workload.held or not workload.replicas or not bound:
            member.trim()
            return workload, None
        stand = _stand(member, workload.rollout, workload.replicas, present)
        asked = self._ask(member, stand, bound, now)
        step, stand = asked.step, asked.step.stand
        member.right, member.size = stand.right, stand.size
        member.starting = stand.one.times(step.room)
        admitted = replace(
            workload,
            replicas=stand.right,
            room=step.room,
            crowded=step.crowded,
            frozen=step.frozen,
        )
        return admitted, self._waits(member, asked, now)

    def rest(self, service: str, present: Present) -> None:
        """Nothing of it may start now, for another reason: it keeps what it has a right to."""
        member = self._members.get(service)
        if member is not None:
            member.claims = ()
            member.note(present)
            member.trim()
            self._next(self._members.bound(member.service))

    def settle(self, service: str, present: Present, *, failed: bool = False) -> None:
        """The step was taken: whoever can go on now is called.

        `failed`: it could not use what it was given, so that is given back.
        """
        member = self._members.get(service)
        if member is None:
            return
        if failed:
            member.right, member.claims = min(member.right, member.before), ()
        member.note(present)
        self._next(self._members.bound(member.service))

    def bounds(self, service: str) -> bool:
        """Does a quota bound how many replicas a service may have?"""
        member = self._members.get(service)
        return member is not None and bool(self._members.bound(member.service))

    def right(self, service: str) -> int:
        """How many replicas a service may have, where quotas bound it; else 0."""
        member = self._members.get(service)
        return member.right if member is not None and self.bounds(service) else 0

    # ---- inside ---------------------------------------------------------------------------

    def _ask(self, member: Member, stand: Stand, bound: tuple[str, ...], now: float) -> _Asked:
        id_, quotas = member.service.id, self._members.quotas
        shares, claims = self._members.around(bound)
        others = {
            quota: sum(
                (one.held for name, one in shares.items() if name != id_ and quota in one.quotas),
                NOTHING,
            )
            for quota in bound
        }
        stand = quota_steps.entitled(stand, [quotas[quota] for quota in bound], others)
        shares[id_] = Share(bound, stand.held)
        member.before = stand.right
        member.asked = quota_steps.asked(member.asked, stand.right, stand.wanted, now)
        own = quota_steps.claims(id_, stand, member.asked, member.since or now)
        concerned = {name: quotas[name] for share in shares.values() for name in share.quotas}
        granted = grants(concerned, shares, [*claims, *own])
        return _Asked(quota_steps.step(stand, shares[id_], quotas, granted, id_), bound, shares)

    def _waits(self, member: Member, asked: _Asked, now: float) -> Hold | None:
        """Note what a service still wants; the hold that tells of it."""
        step, stand = asked.step, asked.step.stand
        member.since = (member.since or now) if step.frozen else 0.0
        member.asked = quota_steps.asked(member.asked, stand.right, stand.wanted, now)
        if not step.frozen and not member.asked:
            return None
        waits = stand if step.frozen else replace(stand, older=())
        id_ = member.service.id
        member.claims = quota_steps.claims(id_, waits, member.asked, member.since)
        lacks = [self._lack(member, asked, quota) for quota in asked.bound]
        stuck = step.frozen or not stand.older
        since = min([count[0] for count in member.asked] + [member.since or now])
        return quota_holds.hold(lacks, member.asked, since, stuck=stuck)

    def _lack(self, member: Member, asked: _Asked, quota: str) -> Lack:
        stand, mine = asked.step.stand, member.service
        more = stand.one.times(asked.step.missing)
        if asked.step.frozen:
            more += stand.held.most(stand.updated) - stand.held
        used = member.held
        holders: list[str] = []
        others = 0
        for name, share in asked.shares.items():
            other = self._members.get(name)
            if name == mine.id or other is None or quota not in share.quotas:
                continue
            used += share.held
            if share.held == NOTHING:
                continue
            # What belongs to others is not told by its name.
            if (other.service.caller, other.service.workspace) == (mine.caller, mine.workspace):
                holders.append(other.service.name)
            else:
                others += 1
        whole = stand.one.times(stand.wanted)
        found = self._members.quotas[quota]
        return Lack(found, used, more, whole, tuple(sorted(holders)), others)

    def _next(self, bound: Iterable[str]) -> None:
        """Call who waits for something of these quotas and can have it, the longest wait first."""
        shares, claims = self._members.around(bound)
        if not claims:
            return
        quotas = self._members.quotas
        concerned = {name: quotas[name] for share in shares.values() for name in share.quotas}
        granted = grants(concerned, shares, claims)
        updates = {claim.service for claim in claims if claim.updated != NOTHING}
        called = [
            service
            for service, grant in granted.of.items()  # in the order in which they were served
            if grant.more or (grant.update and service in updates)
        ]
        if called:
            self.call(called)


def _stand(member: Member, rollout: str, wanted: int, present: Present) -> Stand:
    one = member.sizes[version_of(rollout)]
    live = [replica for replica in present if replica.state not in LEAVING]
    leaving = [member.size_of(replica) for replica in present if replica.state in LEAVING]
    return Stand(
        one=one,
        wanted=wanted,
        right=member.right,
        size=member.size,
        current=sum(replica.rollout == rollout for replica in live),
        older=member.older(live, rollout),
        leaving=sum(leaving, NOTHING),
    )


def _never(service: Service, quotas: Sequence[Quota]) -> Hold | None:
    template = service.current.template
    open_ = unsaid(template, quotas)
    if open_:
        return quota_holds.unsaid(template.name, open_, quotas)
    one = of_replica(template)
    if not any(quota.exceeded(one) for quota in quotas):
        return None
    whole = one.times(service.wanted_replicas)
    return quota_holds.hold([Lack(quota, NOTHING, one, whole) for quota in quotas], stuck=True)
