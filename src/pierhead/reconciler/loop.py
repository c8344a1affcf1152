"""The reconciler as a whole: the queue, its hints, its timers and its housekeeping."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import structlog

from pierhead.core.errors import Unavailable
from pierhead.core.ids import Clock
from pierhead.core.quotas import CHANGED
from pierhead.core.routes import GatewayReport
from pierhead.reconciler.comeback import Comeback
from pierhead.reconciler.queue import KeyedQueue
from pierhead.reconciler.routes import RouteBook
from pierhead.reconciler.service import ServicePass
from pierhead.reconciler.stock import take_stock, write_down, written_down
from pierhead.runtimes.base import Runtime
from pierhead.store import events, keys, scalers
from pierhead.store import services as rows
from pierhead.store.db import Database

#: Of many who are to look again, so many do at once, the others one after the other, so far apart.
AT_ONCE, APART = 16, 0.02

log: structlog.stdlib.BoundLogger = structlog.get_logger("reconciler")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the reconciler looks without being asked, in seconds."""

    resync: float = 30.0
    housekeeping: float = 60.0
    event_days: float = 7.0


class Reconciler:
    """Keeps every service on its way to what is wanted."""

    def __init__(
        self,
        one_pass: ServicePass,
        rhythm: Rhythm,
        timed: Callable[[float, str], None] = lambda _seconds, _error: None,
        tidy: Callable[[], Awaitable[None]] | None = None,
        relist: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`tidy` is awaited now and then; it decides when there is something to do.

        `relist` before all services are looked at: it reads anew what they are told of otherwise.
        """
        self._db: Database = one_pass.db
        self._runtime: Runtime = one_pass.runtime
        self._routes: RouteBook = one_pass.routes
        self._clock: Clock = one_pass.clock
        self._rhythm = rhythm
        self._timed = timed
        self._tidy = tidy
        self._relist = relist
        self._pass = one_pass
        self._queue = KeyedQueue(self._look, _failed)
        one_pass.admission.call = one_pass.waiting.call = self._call
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self, service: str) -> None:
        """Look at a service soon, or at the quotas (`quotas.CHANGED`)."""
        if service == CHANGED:
            self._pass.admission.outdated()  # from this moment on, not only from when they are read
        self._queue.wake(service)

    def hasten(self) -> None:
        """Look now at every service that waits for something, such as weights that just came."""
        self._queue.hasten()

    async def start(self) -> None:
        """Adopt what runs, publish the first whole route table, then work.

        Raises:
            Unavailable: the database does not answer.
        """
        await self._runtime.adopt()
        stock = await take_stock(self._db, self._runtime, self._clock)
        refused = await write_down(self._db, stock)  # before anything that it tells of is stopped
        found = await self._db.read(rows.everything)
        sleepers = await self._db.read(scalers.sleepers)
        for service, _seen in found:
            replicas = tuple(self._runtime.observe(service.id))
            self._routes.update(service, replicas, sleeps=service.id in sleepers)
        await self._pass.admission.begin(self._db, found, self._runtime.observe)
        self._routes.begin()
        self._queue.start()
        await self._resync(spread=0.0)
        self._tasks = [
            asyncio.create_task(self._follow(), name="runtime-changes"),
            asyncio.create_task(Comeback(self._db, self._runtime, found).tell(), name="comeback"),
            asyncio.create_task(
                self._every(self._rhythm.resync, self._resync_spread), name="resync"
            ),
            asyncio.create_task(
                self._every(self._rhythm.housekeeping, self._housekeeping), name="housekeeping"
            ),
        ]
        if refused:
            rest = written_down(self._db, stock, refused)
            self._tasks.append(asyncio.create_task(rest, name="stock"))

    async def close(self) -> None:
        """End all work; replicas run on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._queue.close()

    def heard(self, report: GatewayReport) -> None:
        """Take in a gateway's report; services whose leaving replicas fell idle are looked at.

        So are those of which it ejects a replica, or does so no longer.
        """
        concerned = self._routes.heard(report) | self._routes.leaving
        if not concerned:
            return
        present = self._runtime.observe()
        for service in {replica.service for replica in present if replica.id in concerned}:
            self._queue.wake(service)

    async def _look(self, service: str) -> float | None:
        if service == CHANGED:
            await self._pass.admission.renew(self._db)
            return None
        began, fault = perf_counter(), ""
        try:
            return await self._pass(service)
        except Exception as error:  # any class: only counted by its name, and raised again
            fault = type(error).__name__
            raise
        finally:
            self._timed(perf_counter() - began, fault)

    def _call(self, services: Sequence[str]) -> None:
        """Look at those who waited, in this order."""
        for number, service in enumerate(services):
            if number < AT_ONCE:
                self._queue.wake(service)
            else:
                self._queue.wake_in(service, APART * (number - AT_ONCE))

    async def _follow(self) -> None:
        async for service in self._runtime.changes():
            self._queue.wake(service)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Unavailable as error:
                log.warning(
                    "a periodic task could not run; it is tried again",
                    task=getattr(work, "__name__", ""),
                    error=str(error),
                )
            except Exception:  # any class: one fault must not end what goes on as long as the hub
                log.exception(
                    "a periodic task failed; it is tried again",
                    task=getattr(work, "__name__", ""),
                )

    async def _resync_spread(self) -> None:
        await self._resync(spread=self._rhythm.resync / 2)

    async def _resync(self, spread: float) -> None:
        """Look at every service, and at replicas and routes of gone ones, over `spread` seconds."""
        self._pass.admission.outdated()
        if self._relist is not None:
            await self._relist()
        known = set(await self._db.read(rows.ids)) | {
            replica.service for replica in self._runtime.observe()
        }
        known |= self._routes.services
        for number, service in enumerate(sorted(known)):
            if spread:
                self._queue.wake_in(service, spread * number / len(known))
            else:
                self._queue.wake(service)

    async def _housekeeping(self) -> None:
        now = self._clock()
        await self._db.write(keys.prune, now)
        await self._pass.preparation.tidy()
        if self._tidy is not None:
            await self._tidy()
        await self._db.write(events.prune, now - self._rhythm.event_days * 86400)


def _failed(service: str, error: Exception) -> None:
    """Tell of a pass that failed; the queue tries it again."""
    if isinstance(error, Unavailable):
        log.warning("a pass over a service has to wait", service=service, error=str(error))
    else:
        log.error(
            "a pass over a service failed; it is tried again", service=service, exc_info=error
        )
