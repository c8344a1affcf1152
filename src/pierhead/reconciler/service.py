"""One pass over one service: load, decide, act, look, write down. Safe at any time, for any reason.

    load wanted + seen -> prepare (files or a hold) -> runtime.apply -> runtime.observe -> routes -> write seen

A pass takes the next safe step only; it is woken again by the runtime, a gateway, a timer or a person.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from pierhead.core.ejections import known, marked
from pierhead.core.errors import Occupied, Refused, Stale, Unavailable
from pierhead.core.events import PLATFORM, Event, Notice
from pierhead.core.ids import Clock
from pierhead.core.launch import no_files
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.scalers import AutoScaler
from pierhead.core.services import Hold, Seen, Service, Version, Wanted
from pierhead.core.workloads import Workload
from pierhead.failpoint import passing
from pierhead.reconciler.admission import Admission
from pierhead.reconciler.changes import events, told
from pierhead.reconciler.following import followed
from pierhead.reconciler.looks import UNSETTLED, complete, engine_of, looked, next_look
from pierhead.reconciler.preparation import Preparation, Prepared
from pierhead.reconciler.routes import RouteBook
from pierhead.reconciler.waiting import Waiting
from pierhead.runtimes.base import Follower, NobodyFollows, Runtime
from pierhead.store import events as event_rows
from pierhead.store import scalers, tags
from pierhead.store import seen as seen_rows
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.store.scalers import LoadScaler

#: How long a service that comes up waits for gateways to take up its first route, in seconds.
GATEWAYS = 1.0


@dataclass(frozen=True, slots=True)
class _Step:
    """What to ask of the runtime, and what is to be said about it."""

    workload: Workload | None
    hold: Hold | None = None  #: why nothing (more) of the wanted version is started
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class ServicePass:
    """What one pass works with."""

    db: Database
    runtime: Runtime
    preparation: Preparation
    routes: RouteBook
    clock: Clock
    #: When each service was last looked at: a deadline that passed since then is told, too.
    looks: dict[str, float] = field(default_factory=dict[str, float])
    #: Notices that were told already: service id -> (rollout, reason).
    told: dict[str, set[tuple[str, str]]] = field(default_factory=dict[str, set[tuple[str, str]]])
    admission: Admission = field(default_factory=Admission)
    waiting: Waiting = field(default_factory=Waiting)
    follower: Follower = field(default_factory=NobodyFollows)

    async def __call__(self, key: str) -> float | None:
        """Take the next safe step for the service `key`; seconds until the next look, or None.

        Raises:
            Unavailable: the runtime or the database cannot take the step now.
        """
        found = await self.db.read(_load, key)
        if found is None:
            return await self._clear(key)
        service, seen, auto = found
        if service.wanted is Wanted.DELETED:
            return await self._remove(service, seen)
        try:
            service = await followed(self.db, service, auto, self.follower, self.clock())
        except Stale:  # its owner changed it at the same moment
            return 0.0
        return await self._converge(service, seen, auto)

    async def _converge(
        self, service: Service, seen: Seen, auto: LoadScaler | None
    ) -> float | None:
        step, trouble = await self._apply(service, seen, auto)
        replicas = tuple(self.runtime.observe(service.id))
        sleeps = auto is not None and auto.scaler.low == 0
        if self.routes.update(service, replicas, sleeps=sleeps):
            # What is called Running can be called: a gateway that just misses the news gets it first.
            await self.routes.taken_up(GATEWAYS)
        ejected = known(self.routes.ejected, seen.replicas, told=self.routes.told)
        replicas = tuple(marked(replicas, ejected))
        after = looked(service, seen, replicas, step.hold or trouble, self.clock())
        after = replace(after, granted=self.admission.right(service.id))
        self.waiting.note(service.id, after.hold)
        await self._write_down(service, seen, after, self._news(service, seen, step.notices))
        return next_look(service, after, self.clock())

    async def _apply(
        self, service: Service, seen: Seen, auto: LoadScaler | None = None
    ) -> tuple[_Step, Hold | None]:
        """Ask the runtime for the next step; gives (the step, why not all of it could be taken)."""
        present = self.runtime.observe(service.id)
        await self.admission.enter(self.db, service, present)
        draining = frozenset(
            replica.id for replica in present if replica.state is ReplicaState.DRAINING
        )
        step = await self._step(service, seen, present)
        if step.workload is None:
            self.admission.rest(service.id, present)
            return step, None
        wanted = replace(
            step.workload,
            drained=self.routes.drained(draining),
            scaler=self._scaler(service, auto),
        )
        now = self.runtime.observe(service.id)
        # From here to the runtime's own first step nothing is awaited: what is free now is free then.
        admitted, short = self.admission.admit(wanted, now, self.clock())
        failed = True
        try:
            trouble = await self._taken(admitted)
            failed = trouble is not None
        finally:
            self._settle(service.id, now, failed=failed)
        return step, trouble or short

    def _scaler(self, service: Service, auto: LoadScaler | None) -> AutoScaler | None:
        """What somebody else may scale it by: nobody but us asks a quota first."""
        if auto is None or service.wanted is not Wanted.RUNNING:
            return None
        return None if self.admission.bounds(service.id) else auto.scaler

    async def _taken(self, workload: Workload) -> Hold | None:
        """Have the runtime take its next steps toward `workload`; why not all of them could be taken."""
        try:
            await self.runtime.apply(workload)
        except Occupied as error:
            return Hold(
                error.reason,
                str(error),
                progressing=True,
                placement=error.placement,
                facts=error.facts,
            )
        except Unavailable as error:
            return Hold("StartHeld", f"{error} It is tried again.", facts={"problem": str(error)})
        except Refused as error:
            facts = {"problem": str(error)}
            return Hold("CannotStart", str(error), permanent=True, facts=facts)
        return None

    def _settle(self, service: str, before: list[ReplicaStatus], *, failed: bool = False) -> None:
        """Tell those who wait what a step let go."""
        after = self.runtime.observe(service)
        self.admission.settle(service, after, failed=failed)
        if {replica.id for replica in before} - {replica.id for replica in after}:
            self.waiting.gone()

    async def _step(self, service: Service, seen: Seen, present: list[ReplicaStatus]) -> _Step:
        """The wanted version, or while that is held, what runs already."""
        version, rollout = service.current, service.rollout
        live = [replica for replica in present if replica.state not in LEAVING]
        current = [replica for replica in live if replica.rollout == rollout]
        if complete(current, service.wanted_replicas):
            # Nothing is to be started: what a start would need is nobody's concern now.
            return _Step(_workload(service, version, rollout, held=service.wanted_replicas > 0))
        fresh = seen.revision != service.revision
        running = engine_of(current)
        found = self.admission.never(service) or await self.preparation.prepare(
            service, version, fresh=fresh, running=running
        )
        if not isinstance(found, Hold):
            return _Step(_workload(service, version, rollout, found), None, found.notices)
        if current:
            return _Step(_workload(service, version, rollout, held=True), found)
        return await self._older(service, live, found, rest=bool(present))

    async def _older(
        self, service: Service, live: list[ReplicaStatus], hold: Hold, *, rest: bool
    ) -> _Step:
        """Keep an older version at full strength; `rest` = something of the service is still there."""
        running = max(live, key=lambda replica: replica.created, default=None)
        if running is None:
            # Nothing runs and nothing can start; what is on its way out is helped along.
            leaving = _workload(service, service.current, service.rollout, held=True)
            return _Step(leaving if rest else None, hold)
        rollout = running.rollout
        older = await self.db.read(rows.version, service.id, int(rollout.partition(".")[0]))
        if older is None:
            return _Step(None, hold)
        same = engine_of([replica for replica in live if replica.rollout == rollout])
        found = await self.preparation.prepare(service, older, fresh=False, running=same)
        if isinstance(found, Hold):
            return _Step(_workload(service, older, rollout, held=True), hold)
        return _Step(_workload(service, older, rollout, found), hold)

    async def _remove(self, service: Service, seen: Seen) -> float | None:
        """Everything of a service goes: new requests, open ones, replicas; its record goes last."""
        self.routes.update(service, tuple(self.runtime.observe(service.id)))
        _step, trouble = await self._apply(service, seen)
        replicas = tuple(self.runtime.observe(service.id))
        self.routes.update(service, replicas)
        draining = any(replica.state is ReplicaState.DRAINING for replica in replicas)
        grace = service.current.template.stop_grace
        # A step that cannot be taken gently is taken all the same: delete works from every state.
        gone = (trouble is not None or not draining) and await self.runtime.remove(
            service.id, grace
        )
        self._settle(service.id, list(replicas))
        replicas = tuple(self.runtime.observe(service.id))
        if not gone:
            after = looked(service, seen, replicas, None, self.clock())
            await self._write_down(service, seen, after, [])
            return UNSETTLED
        self.routes.drop(service.id)
        self.looks.pop(service.id, None)
        self.told.pop(service.id, None)
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
        await passing("service.bury.before_write")
        try:
            await self.db.write(_bury, service, farewell)
        except Stale:  # it was touched while it went, by the removal of its template say: look anew
            return 0.0
        await passing("service.bury.after_write")
        self._forget(service.id)
        return None

    def _forget(self, service: str) -> None:
        self.waiting.note(service, None)
        self.admission.forget(service)

    async def _clear(self, key: str) -> float | None:
        """What a service left behind whose record is gone."""
        self.routes.drop(key)
        self.looks.pop(key, None)
        self._forget(key)
        before = self.runtime.observe(key)
        gone = await self.runtime.remove(key, 0.0)
        self._settle(key, before)
        return None if gone else UNSETTLED

    def _news(self, service: Service, seen: Seen, notices: tuple[Notice, ...]) -> list[Notice]:
        """What was not told of this rollout yet; after a hub's restart only if nothing of it ran."""
        known = self.told.setdefault(service.id, set())
        if seen.of(service.rollout):
            return []
        fresh = [notice for notice in notices if (service.rollout, notice.reason) not in known]
        known.update((service.rollout, notice.reason) for notice in fresh)
        return fresh

    async def _write_down(
        self, service: Service, before: Seen, after: Seen, news: list[Notice]
    ) -> None:
        left = {r.id for r in before.replicas} - {r.id for r in after.replicas}
        self.routes.forget(frozenset(left))
        now = self.clock()
        noted = [
            *told(service, news, now),
            *events(service, before, after, now, last=self.looks.get(service.id, now)),
        ]
        if after != before or noted:
            await passing("service.seen.before_write")
            await self.db.write(_record, service.id, after, noted)
            await passing("service.seen.after_write")
        self.looks[service.id] = now


def _workload(
    service: Service,
    version: Version,
    rollout: str,
    prepared: Prepared | None = None,
    *,
    held: bool = False,
) -> Workload:
    template = version.template
    return Workload(
        service=service.id,
        name=service.name,
        rollout=rollout,
        replicas=service.wanted_replicas,
        template=replace(template, engine=prepared.engine) if prepared else template,
        files=prepared.files if prepared else no_files(),
        rolling=version.rolling,
        held=held,
        leaving=service.wanted is Wanted.DELETED,
    )


def _load(tx: Connection, key: str) -> tuple[Service, Seen, LoadScaler | None] | None:
    """(what is wanted, what was seen, its auto-scaler)"""
    pair = rows.load(tx, key)
    return None if pair is None else (*pair, scalers.load_of(tx, key))


def _record(tx: Connection, service: str, seen: Seen, noted: list[Event]) -> None:
    seen_rows.save(tx, service, seen)
    event_rows.append(tx, *noted)


def _bury(tx: Connection, service: Service, farewell: Event) -> None:
    rows.remove(tx, service.id, service.revision)
    tags.remove_of(tx, service.id)
    event_rows.append(tx, farewell)
