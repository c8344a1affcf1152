"""After a start: tells how many of the services that served before serve again, until all of them do."""

import asyncio
from collections.abc import Iterable

import structlog

from pierhead.core.errors import Unavailable
from pierhead.core.replicas import ReplicaState
from pierhead.core.services import Seen, Service, Wanted
from pierhead.runtimes.base import Runtime
from pierhead.store import services as rows
from pierhead.store.db import Database

#: Seconds between two looks, between two lines, and until it gives up telling.
LOOK, TELL, PATIENCE = 0.25, 5.0, 900.0

log: structlog.stdlib.BoundLogger = structlog.get_logger("reconciler")


class Comeback:
    """The services that served under an earlier hub and are wanted still."""

    def __init__(
        self, db: Database, runtime: Runtime, found: Iterable[tuple[Service, Seen]]
    ) -> None:
        self._db, self._runtime = db, runtime
        served = [service for service, seen in found if seen.served and _wanted(service)]
        self._all = len(served)
        self._missing = {service.id: service for service in served if not self._serves(service)}

    async def tell(self) -> None:
        """One line at once, one every few seconds while some are missing, and one at the end."""
        if not self._all:
            return
        loop = asyncio.get_running_loop()
        began = told = loop.time()
        here, missing = len(self._runtime.observe()), len(self._missing)
        log.info("services of before", services=self._all, replicas=here, to_come=missing)
        while self._missing and loop.time() - began < PATIENCE:
            await asyncio.sleep(LOOK)
            self._look()
            if self._missing and loop.time() - told >= TELL:
                told = loop.time()
                await self._leave_out_what_is_wanted_no_more()
                running = self._all - len(self._missing)
                log.info("services come back", running=running, of=self._all)
        seconds = round(loop.time() - began, 1)
        if self._missing:
            names = sorted(service.name for service in self._missing.values())
            log.warning("services did not come back", services=names, seconds=seconds)
        elif missing:
            log.info("all services are back", services=self._all, seconds=seconds)

    def _look(self) -> None:
        self._missing = {
            id_: service for id_, service in self._missing.items() if not self._serves(service)
        }

    def _serves(self, service: Service) -> bool:
        replicas = self._runtime.observe(service.id)
        ready = sum(replica.state is ReplicaState.READY for replica in replicas)
        return ready >= service.wanted_replicas

    async def _leave_out_what_is_wanted_no_more(self) -> None:
        try:
            for id_ in list(self._missing):
                pair = await self._db.read(rows.load, id_)
                if pair is None or not _wanted(pair[0]):
                    del self._missing[id_]
                    self._all -= 1
                else:
                    self._missing[id_] = pair[0]
        except Unavailable as error:
            log.warning("what is wanted cannot be read now", error=str(error))


def _wanted(service: Service) -> bool:
    return service.wanted is Wanted.RUNNING
