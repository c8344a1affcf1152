"""Carries out what scalers want: looks at clocks and figures, decides, writes guarded, tells why.

    every period, and at each job's moment:  jobs that are due -> figures -> core/autoscale.py -> the count

What it remembers is lost with the hub, and may be: a scaler with an empty memory takes nothing away
before it has looked for as long as its window is.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from pierhead.core import autoscale, scaling_texts
from pierhead.core.autoscale import UNKNOWN, Load, Memory, Outcome
from pierhead.core.errors import PierheadError, Refused
from pierhead.core.events import PLATFORM, Event
from pierhead.core.scalers import Deeds
from pierhead.core.services import Service, Wanted
from pierhead.core.waking import rise
from pierhead.operations import scalers
from pierhead.operations.platform import Platform
from pierhead.reconciler.figures import Figures
from pierhead.reconciler.scale_jobs import ScaleJobs
from pierhead.runtimes.base import Follower, NobodyFollows
from pierhead.store import events as event_rows
from pierhead.store import scalers as rows
from pierhead.store import services as service_rows
from pierhead.store.scalers import ClockScaler, LoadScaler

log: structlog.stdlib.BoundLogger = structlog.get_logger("scaling")

#: Seconds for which a figure has to be missing until an event tells so.
PATIENCE = 60.0
_TOLD = float("inf")
#: One word, a sentence ("" = there is no such trouble), seconds for which it has to last.
_Trouble = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class _World:
    """All that one look is about, read in one transaction."""

    autos: Mapping[str, LoadScaler]  #: by service id
    crons: list[ClockScaler]
    services: Mapping[str, Service]  #: by id: those that are to run

    @property
    def scaled(self) -> Iterator[tuple[Service, LoadScaler]]:
        """Services that run by their load."""
        for id_, auto in self.autos.items():
            if id_ in self.services:
                yield self.services[id_], auto

    def measured(self, service: Service, auto: LoadScaler) -> dict[str, Service]:
        """Whose load decides, by the name in `Strategy.service`."""
        names = {one.service for one in auto.scaler.strategies if one.service}
        found = {
            name: one
            for name in names
            for one in self.services.values()
            if name in {one.name, one.full_name, one.id}
        }
        return {"": service, **found}


class Scaling:
    """Keeps the counts of all services with a scaler where these want them."""

    def __init__(
        self,
        platform: Platform,
        figures: Figures,
        period: float,
        follower: Follower | None = None,
        bounded: Callable[[str], bool] = lambda _service: False,
    ) -> None:
        """`period`: seconds between two looks at the figures.

        `follower` has counts of its own, which are left alone. `bounded`: does a quota bound a service?
        """
        self._follower, self._bounded = follower or NobodyFollows(), bounded
        self._platform, self._figures, self._period = platform, figures, period
        self._jobs = ScaleJobs(platform)
        #: Service id -> (which scaler, what it remembers).
        self._memories: dict[str, tuple[tuple[float, int], Memory]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._since: dict[tuple[str, str], float] = {}  # (service id, trouble) -> when it began
        self._task: asyncio.Task[None] | None = None

    def last(self, service: str) -> Outcome | None:
        """What a service's auto-scaler came to at the last look."""
        return self._outcomes.get(service)

    def start(self) -> None:
        """Begin to look; needs a running loop."""
        self._task = asyncio.create_task(self._run(), name="scaling")
        self._task.add_done_callback(_ended)

    async def close(self) -> None:
        """End all work."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            wait = self._period
            try:
                wait = await self.look()
            except PierheadError as error:
                log.warning("scalers have to wait", error=str(error))
            await asyncio.sleep(wait)

    async def look(self) -> float:
        """Look once at every scaler; gives the seconds until the next look is due.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._platform.clock()
        world = await self._platform.db.read(_world)
        self._keep(world)
        fired = [await self._by_clock(world, cron, now) for cron in world.crons]
        if any(fired):
            world = await self._platform.db.read(_world)
        await self._by_load(world, now)
        live = (cron for cron in world.crons if cron.service in world.services)
        soonest = self._jobs.soonest(live, now, now + self._period)
        return max(0.01, soonest - self._platform.clock())

    async def _by_clock(self, world: _World, cron: ClockScaler, now: float) -> bool:
        service, auto = world.services.get(cron.service), world.autos.get(cron.service)
        try:
            return await self._jobs.look(cron, service, auto, now)
        except Refused as error:
            _given_up(cron.service, error)
            return False

    async def _by_load(self, world: _World, now: float) -> None:
        wanted = [
            (service, auto, world.measured(service, auto))
            for service, auto in world.scaled
            if not self._left_alone(service)
        ]
        if not wanted:
            return
        everyone = {one.id: one for _, _, whose in wanted for one in whose.values()}
        metrics = {one.metric for _, auto, _ in wanted for one in auto.scaler.strategies}
        loads = await self._figures.read(list(everyone.values()), metrics)
        for service, auto, whose in wanted:
            await self._tell(service, ("ScalerStaysHere", self._stays(service, auto), 0.0), now)
            own = {name: loads.get(one.id, UNKNOWN) for name, one in whose.items()}
            try:
                await self._decide(service, auto, own, now)
            except Refused as error:
                _given_up(service.id, error)

    def _left_alone(self, service: Service) -> bool:
        """Does somebody else follow its load? What is remembered of it is then as old as that."""
        if self._follower.followed(service.id, service.replicas) is None:
            return False
        self._memories.pop(service.id, None)
        self._outcomes.pop(service.id, None)
        self._since = {key: at for key, at in self._since.items() if key[0] != service.id}
        return True

    def _stays(self, service: Service, auto: LoadScaler) -> str:
        bounded = self._bounded(service.id)
        why = self._follower.stays(service.id, auto.scaler, bounded=bounded)
        return scaling_texts.stays(why) if why else ""

    async def _decide(
        self, service: Service, auto: LoadScaler, loads: Mapping[str, Load], now: float
    ) -> None:
        which = auto.created, auto.revision
        known, memory = self._memories.get(service.id, (None, Memory()))
        if known != which:  # the hub is new, or the scaler is: its windows begin
            memory = Memory(changes=memory.changes or auto.deeds.changes)
        outcome = autoscale.decide(auto.scaler, service.replicas, loads, memory, now)
        self._outcomes[service.id] = outcome
        if await self._carried_out(service, auto, outcome, now):
            self._memories[service.id] = which, outcome.memory
        for trouble in _troubles(service, auto, outcome):
            await self._tell(service, trouble, now)

    async def _carried_out(
        self, service: Service, auto: LoadScaler, outcome: Outcome, now: float
    ) -> bool:
        """Is the count as it was decided? Not if somebody changed the service meanwhile."""
        if outcome.replicas == service.replicas:
            return True
        told = scaling_texts.changed(auto.scaler, service.replicas, outcome)
        deeds = Deeds(outcome.memory.changes, told[1], now, auto.deeds.rise)

        def also(tx: Connection, _service: str) -> None:
            rows.remember_deeds(tx, auto, deeds)

        after = await scalers.adjust(self._platform, service, outcome.replicas, told, also)
        return after.replicas == outcome.replicas

    async def _tell(self, service: Service, trouble: _Trouble, now: float) -> None:
        """Tell of a trouble that lasts, once until it is over."""
        reason, text, wait = trouble
        key = service.id, reason
        if not text:
            self._since.pop(key, None)
        elif self._since.setdefault(key, now) + wait <= now:
            self._since[key] = _TOLD
            event = Event(now, service.id, service.name, "Warning", reason, text, PLATFORM)
            await self._platform.db.write(event_rows.append, event)

    def _keep(self, world: _World) -> None:
        """Forget what is of scalers that are gone."""
        for kept in (self._memories, self._outcomes):
            for service in kept.keys() - world.autos.keys():
                del kept[service]
        self._since = {key: at for key, at in self._since.items() if key[0] in world.autos}
        self._jobs.keep(cron.service for cron in world.crons)


def _world(tx: Connection) -> _World:
    autos, crons = rows.everything(tx)
    if not autos and not crons:
        return _World({}, [], {})
    running = {
        service.id: (service, seen)
        for service, seen in service_rows.everything(tx)
        if service.wanted is Wanted.RUNNING
    }
    for at, one in enumerate(autos):
        if one.service in running and (seconds := rise(running[one.service][1])):
            autos[at] = replace(one, deeds=replace(one.deeds, rise=seconds))
    services = {id_: service for id_, (service, _seen) in running.items()}
    return _World({one.service: one for one in autos}, crons, services)


def _troubles(service: Service, auto: LoadScaler, outcome: Outcome) -> Iterator[_Trouble]:
    """What keeps a scaler from its work, and what does not."""
    short = outcome.asked > auto.scaler.high
    yield "AutoScalerAtMax", scaling_texts.at_limit(auto.scaler, outcome) if short else "", 0.0
    blind = bool(outcome.blind) and service.replicas > 0
    yield "AutoScalerBlind", scaling_texts.blind(outcome) if blind else "", PATIENCE


def _given_up(service: str, error: PierheadError) -> None:
    """It went away meanwhile, or changes faster than we look; other services' scalers go on."""
    log.info("a scaler's decision was not carried out", service=service, error=str(error))


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("scaling ended by a fault; restart the hub", exc_info=error)
