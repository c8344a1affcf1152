"""One pass over one service: load, decide, act, look, write down. Safe at any time, for any reason.

    load wanted + seen -> weights (files or a hold) -> runtime.apply -> runtime.observe -> routes -> write seen

A pass takes the next safe step only; it is woken again by the runtime, a gateway, a timer or a person.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from sqlalchemy import Connection

from pierhead.core.errors import Refused, Unavailable
from pierhead.core.events import PLATFORM, Event
from pierhead.core.ids import Clock
from pierhead.core.launch import Files, no_files
from pierhead.core.mounts import Source
from pierhead.core.placement import unplaceable
from pierhead.core.replicas import LEAVING, Node, ReplicaState, ReplicaStatus
from pierhead.core.services import Hold, Seen, Service, Version, Wanted
from pierhead.core.status import HOPELESS, reached
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.reconciler.changes import events
from pierhead.reconciler.routes import RouteBook
from pierhead.runtimes.base import Runtime
from pierhead.store import events as event_rows
from pierhead.store import seen as seen_rows
from pierhead.store import services as rows
from pierhead.store.db import Database

#: How long until the next look, in seconds, while something is on its way (hints come sooner).
UNSETTLED, HELD, FETCHING = 1.0, 30.0, 2.0
#: How long a service that comes up waits for gateways to take up its first route, in seconds.
GATEWAYS = 1.0


class Weights(Protocol):
    """Where a service's files are."""

    def ensure(self, template: Template, source: Source | None) -> Files | Hold:
        """The files, or what they are waiting for."""
        ...


@dataclass(frozen=True, slots=True)
class ServicePass:
    """What one pass works with."""

    db: Database
    runtime: Runtime
    weights: Weights
    routes: RouteBook
    clock: Clock
    needs_weights: Callable[[Template], bool]
    nodes: tuple[Node, ...]
    #: When each service was last looked at: a deadline that passed since then is told, too.
    looks: dict[str, float] = field(default_factory=dict[str, float])

    async def __call__(self, key: str) -> float | None:
        """Take the next safe step for the service `key`; seconds until the next look, or None.

        Raises:
            Unavailable: the runtime or the database cannot take the step now.
        """
        pair = await self.db.read(rows.load, key)
        if pair is None:
            return await self._clear(key)
        service, seen = pair
        if service.wanted is Wanted.DELETED:
            return await self._remove(service, seen)
        return await self._converge(service, seen)

    async def _converge(self, service: Service, seen: Seen) -> float | None:
        hold, trouble = await self._apply(service)
        replicas = tuple(self.runtime.observe(service.id))
        if self.routes.update(service, replicas):
            # What is called Running can be called: a gateway that just misses the news gets it first.
            await self.routes.taken_up(GATEWAYS)
        after = looked(service, seen, replicas, hold or trouble, self.clock())
        await self._write_down(service, seen, after)
        return _next_look(service, after, self.clock())

    async def _apply(self, service: Service) -> tuple[Hold | None, Hold | None]:
        """Ask the runtime for the next step; gives (why nothing new starts, why the step failed)."""
        present = self.runtime.observe(service.id)
        draining = frozenset(
            replica.id for replica in present if replica.state is ReplicaState.DRAINING
        )
        workload, hold = await self._workload(service, present)
        if workload is None:
            return hold, None
        try:
            await self.runtime.apply(replace(workload, drained=self.routes.drained(draining)))
        except Unavailable as error:
            return hold, Hold("StartHeld", f"{error} It is tried again.")
        except Refused as error:
            return hold, Hold("CannotStart", str(error), permanent=True)
        return hold, None

    async def _workload(
        self, service: Service, present: list[ReplicaStatus]
    ) -> tuple[Workload | None, Hold | None]:
        """What to ask of the runtime: the wanted version, or while that is held, the one that still runs."""
        files = self._files(service.current) if service.wanted_replicas else no_files()
        if not isinstance(files, Hold):
            return _workload(service, service.current, service.rollout, files), None
        running = max(
            (r for r in present if r.state not in LEAVING and r.rollout != service.rollout),
            key=lambda r: r.created,
            default=None,
        )
        if running is None:
            # Nothing runs and nothing can start; what is on its way out is helped along.
            return _workload(
                service, service.current, service.rollout, no_files(), 0
            ) if present else None, files
        older = await self.db.read(rows.version, service.id, int(running.rollout.partition(".")[0]))
        old_files = self._files(older) if older is not None else files
        if older is None or isinstance(old_files, Hold):
            return None, files
        return _workload(service, older, running.rollout, old_files), files

    def _files(self, version: Version) -> Files | Hold:
        hold = unplaceable(version.template.resources, self.nodes)
        if hold is not None:
            return hold
        needed = self.needs_weights(version.template) or version.weights is not None
        return self.weights.ensure(version.template, version.source) if needed else no_files()

    async def _remove(self, service: Service, seen: Seen) -> float | None:
        """Everything of a service goes: new requests, open ones, replicas; its record goes last."""
        self.routes.update(service, tuple(self.runtime.observe(service.id)))
        _hold, trouble = await self._apply(service)
        replicas = tuple(self.runtime.observe(service.id))
        self.routes.update(service, replicas)
        draining = any(replica.state is ReplicaState.DRAINING for replica in replicas)
        grace = service.current.template.stop_grace
        # A step that cannot be taken gently is taken all the same: delete works from every state.
        gone = (trouble is not None or not draining) and await self.runtime.remove(
            service.id, grace
        )
        replicas = tuple(self.runtime.observe(service.id))
        if not gone:
            after = looked(service, seen, replicas, None, self.clock())
            await self._write_down(service, seen, after)
            return UNSETTLED
        self.routes.drop(service.id)
        self.looks.pop(service.id, None)
        self.routes.forget(frozenset(replica.id for replica in seen.replicas))
        farewell = Event(
            at=self.clock(),
            service=service.id,
            name=service.name,
            type="Normal",
            reason="ServiceRemoved",
            message=f"Service [{service.name}] and all that belonged to it is gone.",
            actor=PLATFORM,
        )
        await self.db.write(_bury, service, farewell)
        return None

    async def _clear(self, key: str) -> float | None:
        """What a service left behind whose record is gone."""
        self.routes.drop(key)
        self.looks.pop(key, None)
        return None if await self.runtime.remove(key, 0.0) else UNSETTLED

    async def _write_down(self, service: Service, before: Seen, after: Seen) -> None:
        left = {r.id for r in before.replicas} - {r.id for r in after.replicas}
        self.routes.forget(frozenset(left))
        now = self.clock()
        noted = events(service, before, after, now, last=self.looks.get(service.id, now))
        if after != before or noted:
            await self.db.write(_record, service.id, after, noted)
        self.looks[service.id] = now


def looked(
    service: Service, seen: Seen, replicas: tuple[ReplicaStatus, ...], hold: Hold | None, now: float
) -> Seen:
    """What is known of a service after a look at it."""
    fresh = seen.revision != service.revision
    current = [replica for replica in replicas if replica.rollout == service.rollout]
    ready = any(replica.state is ReplicaState.READY for replica in replicas)
    after = Seen(
        revision=service.revision,
        settled=seen.settled,
        since=now if fresh else seen.since,
        hold=hold,
        replicas=replicas,
        failed_roll=_failed_roll(service, current, replicas, hold),
        served=ready or (seen.served and service.wanted is Wanted.RUNNING),
    )
    return (
        replace(after, settled=service.revision)
        if hold is None and reached(service, after)
        else after
    )


def _failed_roll(
    service: Service,
    current: list[ReplicaStatus],
    replicas: tuple[ReplicaStatus, ...],
    hold: Hold | None,
) -> bool:
    """Does an older version serve because the newest one cannot come up?"""
    older_serves = any(
        r.state is ReplicaState.READY and r.rollout != service.rollout for r in replicas
    )
    hopeless = any(replica.failures >= HOPELESS for replica in current) or (
        hold is not None and hold.permanent
    )
    return (
        older_serves
        and hopeless
        and not any(replica.state is ReplicaState.READY for replica in current)
    )


def _workload(
    service: Service, version: Version, rollout: str, files: Files, replicas: int | None = None
) -> Workload:
    return Workload(
        service=service.id,
        name=service.name,
        rollout=rollout,
        replicas=service.wanted_replicas if replicas is None else replicas,
        template=version.template,
        files=files,
        rolling=version.rolling,
    )


def _next_look(service: Service, seen: Seen, now: float) -> float | None:
    if seen.hold is not None:
        return HELD if seen.hold.permanent else FETCHING
    crashed = [replica.retry_at - now for replica in seen.replicas if replica.retry_at is not None]
    if crashed:
        return max(0.01, min(*crashed, UNSETTLED))
    return None if seen.settled >= service.revision and reached(service, seen) else UNSETTLED


def _record(tx: Connection, service: str, seen: Seen, noted: list[Event]) -> None:
    seen_rows.save(tx, service, seen)
    event_rows.append(tx, *noted)


def _bury(tx: Connection, service: Service, farewell: Event) -> None:
    rows.remove(tx, service.id, service.revision)
    event_rows.append(tx, farewell)
